// SPDX-License-Identifier: Apache-2.0
#include "tools/synthetic_trace.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <queue>
#include <utility>
#include <vector>

#include <catena/core/hash.hpp>
#include <fmt/format.h>

namespace catena::tools {
namespace {

// The standard distributions differ between standard libraries; these do not.
class random_stream {
public:
    explicit random_stream(std::uint64_t seed) : state_(seed) {}

    double uniform() { // [0, 1)
        state_ += 0x9e3779b97f4a7c15ULL;
        return static_cast<double>(mix64(state_) >> 11U) * 0x1p-53;
    }
    bool happens(double probability) { return uniform() < probability; }
    double exponential(double mean) { return -mean * std::log1p(-uniform()); }
    double normal(double mean, double deviation) { // Box and Muller
        auto const radius = std::sqrt(-2 * std::log1p(-uniform()));
        return mean + deviation * radius * std::cos(2 * std::numbers::pi * uniform());
    }
    double log_normal(double median, double sigma) { return median * std::exp(normal(0, sigma)); }

private:
    std::uint64_t state_;
};

struct session {
    std::vector<std::uint64_t> ids; // of the turn before, a partial last one included
    std::uint32_t length = 0;       // tokens of the turn before
    std::uint32_t turns = 0;
};

class generator {
public:
    explicit generator(synthetic_parameters const& p) : p_(p), random_(mix64(p.seed ^ 0xca7e4aULL)) {
        system_blocks_ = p.system_prompt_tokens / p.block_tokens;
        next_id_ = system_blocks_;
    }

    trace run() {
        trace out;
        out.name = fmt::format("synthetic conversation, seed {}", p_.seed);
        out.block_tokens = p_.block_tokens;
        for (std::uint64_t now = 0; now < p_.requests; ++now) {
            session current = next_session(now);
            if (current.turns == 0)
                start(current);
            else
                continue_with(current);
            ++current.turns;
            out.requests.push_back({.line = now + 1,
                                    .first_id = out.ids.size(),
                                    .id_count = static_cast<std::uint32_t>(current.ids.size()),
                                    .input_length = current.length});
            out.ids.insert(out.ids.end(), current.ids.begin(), current.ids.end());
            come_back(now, std::move(current));
        }
        return out;
    }

private:
    // The session whose pause is over, else a new one.
    session next_session(std::uint64_t now) {
        if (pauses_.empty() || pauses_.top().first > now) return {};
        auto const slot = pauses_.top().second;
        pauses_.pop();
        return std::move(waiting_[slot]);
    }

    void come_back(std::uint64_t now, session current) {
        if (!random_.happens(current.turns == 1 ? p_.second_turn : p_.next_turn)) return;
        if (current.length >= p_.longest) return;
        auto const all = static_cast<double>(p_.requests);
        auto const pause = std::max(0.003 * all, random_.exponential(p_.pause_mean * all));
        waiting_.push_back(std::move(current));
        pauses_.emplace(now + 1 + static_cast<std::uint64_t>(pause), waiting_.size() - 1);
    }

    void start(session& s) {
        for (std::uint64_t id = 0; id < system_blocks_; ++id) s.ids.push_back(id);
        grow_to(s, random_.log_normal(p_.first_turn_median, p_.first_turn_sigma), system_blocks_);
    }

    void continue_with(session& s) {
        std::uint64_t whole = s.length / p_.block_tokens;
        if (random_.happens(p_.edited) && whole > system_blocks_)
            whole = system_blocks_ +
                    static_cast<std::uint64_t>(random_.uniform() * static_cast<double>(whole - system_blocks_));
        auto const answer = std::max(3.0, random_.normal(p_.answer_mean, p_.answer_deviation));
        auto const question = random_.happens(p_.document) ? random_.log_normal(p_.document_median, p_.document_sigma)
                                                           : random_.log_normal(p_.question_median, p_.question_sigma);
        grow_to(s, s.length + answer + question, whole);
    }

    // Makes the session's prompt `tokens` long; its first `kept` blocks stay, the others get new ids.
    void grow_to(session& s, double tokens, std::uint64_t kept) {
        auto const shortest = std::max<double>(p_.shortest, p_.system_prompt_tokens + 1);
        s.length = static_cast<std::uint32_t>(std::clamp(tokens, shortest, std::max<double>(shortest, p_.longest)));
        s.ids.resize(static_cast<std::size_t>(kept));
        while (s.ids.size() < blocks_for(s.length, p_.block_tokens)) s.ids.push_back(next_id_++);
    }

    using pause_end = std::pair<std::uint64_t, std::size_t>; // when, index into waiting_

    synthetic_parameters p_;
    random_stream random_;
    std::uint64_t system_blocks_ = 0;
    std::uint64_t next_id_ = 0;
    std::vector<session> waiting_;
    std::priority_queue<pause_end, std::vector<pause_end>, std::greater<>> pauses_;
};

} // namespace

trace synthetic_trace(synthetic_parameters const& parameters) { return generator(parameters).run(); }

} // namespace catena::tools
