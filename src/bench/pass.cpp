// SPDX-License-Identifier: Apache-2.0
#include "bench/pass.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

namespace catena::bench {
namespace {

using clock = std::chrono::steady_clock;

double microseconds(clock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

class pass {
public:
    pass(store& store, tools::chain_maker const& chains) : store_(&store), chains_(&chains) {}

    result<void, std::string> serve(tools::request const& r, bool measured) {
        chains_->hash(r, chain_);
        std::size_t hit = 0;
        if (!chain_.empty()) { // a prompt of less than one full block asks nothing
            places_.assign(chain_.size(), location{});
            auto const begin = clock::now();
            auto const found = store_->match(chain_, places_);
            auto const matched = clock::now();
            if (!found) return fmt::format("match failed at the request of line {}: {}", r.line, found.error());
            hit = *found;
            if (store_->tells_places() && tools::count_wrong(std::span{chain_}.first(hit), places_) != 0)
                return fmt::format("the request of line {} got places where nobody published a block", r.line);
            clock::duration publishing{};
            if (hit < chain_.size()) {
                std::transform(chain_.begin(), chain_.end(), places_.begin(), tools::made_up_location);
                auto const again = clock::now();
                auto const listed = store_->publish(chain_, places_, hit);
                publishing = clock::now() - again;
                if (!listed) return fmt::format("publish failed at the request of line {}: {}", r.line, listed.error());
            }
            if (measured) add(matched - begin, publishing, hit < chain_.size());
        }
        done_.hits.push_back(static_cast<std::uint32_t>(hit));
        if (!measured) return {};
        ++done_.requests;
        done_.blocks += chain_.size();
        done_.hit_blocks += hit;
        return {};
    }

    [[nodiscard]] pass_result& result_so_far() noexcept { return done_; }

private:
    void add(clock::duration matching, clock::duration publishing, bool published) {
        auto const match_us = microseconds(matching);
        auto const publish_us = microseconds(publishing);
        done_.match_us.push_back(static_cast<float>(match_us));
        done_.request_us.push_back(static_cast<float>(match_us + publish_us));
        done_.match_seconds += match_us * 1e-6;
        if (!published) return;
        ++done_.publishes;
        done_.publish_us.push_back(static_cast<float>(publish_us));
        done_.publish_seconds += publish_us * 1e-6;
    }

    store* store_;
    tools::chain_maker const* chains_;
    pass_result done_;
    std::vector<block_hash> chain_;
    std::vector<location> places_;
};

traffic operator-(traffic const& a, traffic const& b) {
    return {.match_round_trips = a.match_round_trips - b.match_round_trips,
            .publish_round_trips = a.publish_round_trips - b.publish_round_trips,
            .bytes = a.bytes - b.bytes};
}

} // namespace

result<pass_result, std::string> serve(store& store, tools::trace const& trace, tools::chain_maker const& chains,
                                       pass_options const& options) {
    constexpr std::uint64_t every = 256;
    pass one(store, chains);
    auto& done = one.result_so_far();
    traffic sent_before;
    double seconds_before = 0;
    for (std::uint64_t number = 0; number < trace.requests.size(); ++number) {
        if (options.stop != nullptr && options.stop->load(std::memory_order_relaxed)) {
            done.stopped = true;
            return std::move(done);
        }
        if (number == options.warm_up) {
            auto const now = store.sent();
            if (!now) return now.error();
            sent_before = *now;
            seconds_before = store.server_seconds();
        }
        if (auto const r = one.serve(trace.requests[number], number >= options.warm_up); !r) return r.error();
        if (options.progress && number % every == 0) options.progress(number);
    }
    done.server_seconds = store.server_seconds() - seconds_before;
    auto const sent = store.sent();
    if (!sent) return sent.error();
    done.sent = *sent - sent_before;
    auto const size = store.size();
    if (!size) return size.error();
    done.size = *size;
    return std::move(done);
}

} // namespace catena::bench
