// SPDX-License-Identifier: Apache-2.0
// adversarial_network: everything that the guarantees of a fabric allow, chosen by a schedule and a seed.
//
// What it does   an operation moves word by word, in an order of the seed's choice, a few words a step, interleaved with
//                whatever else is under way. Operations of one endpoint to one memory node take effect in posted order,
//                save that a READ may be overtaken by the next WRITE or atomic that is not fenced. Operations to
//                different memory nodes are not ordered at all. A completion reaches its coroutine any time later.
// Faults         a host dies or stalls at a step of its own (so of its last batch a prefix took effect, of the WRITE under
//                way some words); a stalled one goes on much later, either as a whole or with its posted operations
//                going on meanwhile; a memory node vanishes or returns empty at a step of the run.
// Time           each step takes `tick`; pauses end when their time has come. When nobody can go on the clock jumps.
// Replays        exactly: the choices inside an actor come from a stream of random numbers of its own, who goes next
//                from the schedule, which is recorded as its switches.
// Thread safety: one thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <catena/fabric/sim/network.hpp>
#include <catena/fabric/sim/random.hpp>
#include <catena/fabric/sim/schedule.hpp>

namespace catena {

struct sim_fault {
    enum class kind : std::uint8_t {
        die,          ///< host `who`, at its own step `at`
        stall,        ///< host `who`, at its own step `at`, for `how_long`, with all that it posted
        stall_thread, ///< the same, but what it posted goes on: only its coroutines stand still
        vanish,       ///< memory node `who`, at step `at` of the run
        return_empty, ///< memory node `who`, at step `at` of the run
    } what = kind::die;
    std::uint32_t who = 0;
    std::uint64_t at = 0;
    std::chrono::nanoseconds how_long{};
};

/// One thing that happened, for a log that people read.
struct sim_event {
    enum class kind : std::uint8_t { access, resumed, fault, fence } what = kind::access;
    op_kind operation = op_kind::read;
    bool refused = false; ///< an access: not executed (fenced, memory node gone)
    std::uint32_t host = 0;
    std::uint32_t actor = 0;
    std::uint64_t step = 0;
    remote_ptr at{};
    word before = 0;
    word after = 0;
    sim_fault fault{};
};

class adversarial_network final : public sim_network {
public:
    adversarial_network(std::uint16_t nodes, std::uint64_t node_bytes, std::uint64_t seed,
                        std::unique_ptr<sim_schedule> schedule)
        : sim_network(nodes, node_bytes), seed_(seed), schedule_(std::move(schedule)) {}

    void set_faults(std::vector<sim_fault> faults) { faults_ = std::move(faults); }
    void set_log(std::vector<sim_event>* log) noexcept { log_ = log; }
    [[nodiscard]] std::uint64_t steps() const noexcept { return step_; }
    [[nodiscard]] std::vector<sim_switch> const& switches() const noexcept { return switches_; }

    void submit(sim_flight& f) override {
        auto& a = actors_[f.endpoint];
        if (f.what == sim_flight::kind::pause) {
            f.due += now_;
            a.pauses.push_back(&f);
            return;
        }
        f.open = f.what == sim_flight::kind::fence ? node_count() : static_cast<std::uint32_t>(f.ops.size());
        if (f.what == sim_flight::kind::fence) {
            for (std::uint16_t n = 0; n < node_count(); ++n) a.streams[n].push_back({.flight = &f});
        } else {
            for (auto& o : f.ops) a.streams[o.target.node()].push_back({.flight = &f, .operation = &o});
        }
        a.queued += f.open;
    }

    bool step() override {
        strike_nodes();
        ready_.clear();
        for (;;) {
            auto next = std::chrono::nanoseconds::max();
            for (std::uint32_t i = 0; i < actors_.size(); ++i)
                if (can_go_on(i, next)) ready_.push_back(i);
            if (!ready_.empty()) break;
            if (next == std::chrono::nanoseconds::max()) return false;
            now_ = next; // everybody waits for time to pass
        }
        auto const chosen = schedule_->choose(ready_, current_, step_);
        if (chosen != undisturbed(ready_, current_)) switches_.push_back({.step = step_, .actor = chosen});
        current_ = chosen;
        go_on(chosen);
        ++step_;
        now_ += tick;
        return true;
    }

    void kill(std::uint32_t host) override {
        hosts_[host].dead = true;
        hosts_[host].stalled_until = {};
        for (std::uint32_t i = 0; i < actors_.size(); ++i) {
            if (endpoints_[i].host != host) continue;
            auto& a = actors_[i];
            for (auto& stream : a.streams) {
                for (auto& p : stream)
                    if (--p.flight->open == 0) a.landed.push_back(p.flight);
                stream.clear();
            }
            a.queued = 0;
            for (auto* f : a.pauses) a.landed.push_back(f);
            a.pauses.clear();
            for (auto* f : a.landed) f->fail(make_error(errc::unreachable));
        }
    }

    static constexpr std::chrono::nanoseconds tick{100};

private:
    struct progress {
        sim_flight* flight = nullptr;
        op* operation = nullptr;              ///< null: a fence
        std::vector<std::uint32_t> left = {}; ///< pieces that did not move yet; shuffled when the operation begins
        bool begun = false;
    };
    struct actor {
        explicit actor(std::uint64_t seed, std::uint64_t i, std::size_t nodes)
            : random(seed, 100 + i), streams(nodes) {}
        sim_random random;
        std::vector<std::deque<progress>> streams; ///< one for each memory node, in posted order
        std::size_t queued = 0;
        std::vector<sim_flight*> landed; ///< complete, their coroutines do not know yet
        std::vector<sim_flight*> pauses;
    };
    /// What an actor could do now.
    struct move {
        enum class kind : std::uint8_t { advance, land, wake } what;
        std::size_t stream_or_index = 0;
        std::size_t position = 0;
    };

    void connected() override { actors_.emplace_back(seed_, actors_.size(), node_count()); }

    /// If not: `next` is lowered to the time at which it will.
    [[nodiscard]] bool can_go_on(std::uint32_t i, std::chrono::nanoseconds& next) const {
        auto const& a = actors_[i];
        auto const& h = hosts_[endpoints_[i].host];
        bool const stalled = now_ < h.stalled_until;
        if (a.queued > 0 && (!stalled || h.thread_stalled)) return true;
        if (!a.landed.empty()) {
            if (!stalled) return true;
            next = std::min(next, h.stalled_until);
        }
        if (a.queued > 0) next = std::min(next, h.stalled_until);
        for (auto const* f : a.pauses) {
            auto const due = std::max(f->due, h.stalled_until);
            if (due <= now_) return true;
            next = std::min(next, due);
        }
        return false;
    }
    void go_on(std::uint32_t i) {
        auto& a = actors_[i];
        auto& h = hosts_[endpoints_[i].host];
        bool const stalled = now_ < h.stalled_until;
        moves_.clear();
        if (!stalled || h.thread_stalled) {
            for (std::size_t n = 0; n < a.streams.size(); ++n) {
                auto const& stream = a.streams[n];
                if (stream.empty()) continue;
                moves_.push_back({move::kind::advance, n, 0});
                if (auto const p = overtaker(stream); p != 0) moves_.push_back({move::kind::advance, n, p});
            }
        }
        if (!stalled) {
            for (std::size_t k = 0; k < a.landed.size(); ++k) moves_.push_back({move::kind::land, k});
            for (std::size_t k = 0; k < a.pauses.size(); ++k)
                if (a.pauses[k]->due <= now_) moves_.push_back({move::kind::wake, k});
        }
        auto const m = moves_[moves_.size() == 1 ? 0 : a.random.below(moves_.size())];
        ++h.steps;
        if (m.what == move::kind::advance) {
            advance(i, m.stream_or_index, m.position);
            strike_host(endpoints_[i].host);
            return;
        }
        auto& from = m.what == move::kind::land ? a.landed : a.pauses;
        auto* const f = from[m.stream_or_index];
        from.erase(from.begin() + static_cast<std::ptrdiff_t>(m.stream_or_index));
        strike_host(endpoints_[i].host);
        if (h.dead) f->fail(make_error(errc::unreachable));
        if (now_ < h.stalled_until) { // struck right now: it is told when it comes back
            a.landed.push_back(f);
            return;
        }
        if (log_ != nullptr)
            log_->push_back({.what = sim_event::kind::resumed, .host = endpoints_[i].host, .actor = i, .step = step_});
        f->waiting.resume();
    }

    /// The first operation that may overtake the READ at the head of its stream, or 0.
    [[nodiscard]] static std::size_t overtaker(std::deque<progress> const& stream) noexcept {
        for (std::size_t p = 0; p < stream.size(); ++p) {
            auto const* const o = stream[p].operation;
            if (o == nullptr) return 0;
            if (o->kind != op_kind::read) return o->fenced ? 0 : p;
        }
        return 0;
    }

    /// Moves some words of one operation.
    void advance(std::uint32_t i, std::size_t n, std::size_t position) {
        auto& a = actors_[i];
        auto& stream = a.streams[n];
        auto& p = stream[position];
        auto& memory = node(static_cast<std::uint16_t>(n));
        if (p.operation == nullptr) {
            memory.shut_out(p.flight->whom);
            if (log_ != nullptr)
                log_->push_back({.what = sim_event::kind::fence,
                                 .host = endpoints_[i].host,
                                 .actor = i,
                                 .step = step_,
                                 .at = {static_cast<std::uint16_t>(n), 0}});
            finish(a, stream, position);
            return;
        }
        auto& o = *p.operation;
        if (!allowed(*p.flight, o)) {
            note(i, o, 0, 0, true);
            finish(a, stream, position);
            return;
        }
        if (!p.begun) {
            p.begun = true;
            p.left.resize(sim_memory_node::pieces(o));
            std::iota(p.left.begin(), p.left.end(), 0U);
            for (auto k = p.left.size(); k > 1; --k) std::swap(p.left[k - 1], p.left[a.random.below(k)]);
        }
        auto burst = p.left.size();
        if (burst > 1) {
            switch (a.random.below(5)) { // each kind of tear is likely: one word, a few, all but one, whole operations
            case 0: burst = 1; break;
            case 1: burst = 1 + a.random.below(std::min<std::size_t>(burst, 8)); break;
            case 2: --burst; break;
            default: break;
            }
        }
        for (; burst > 0; --burst) {
            auto const piece = p.left.back();
            p.left.pop_back();
            auto const before = log_ == nullptr ? 0 : peek(memory, o, piece);
            auto const after = memory.move_piece(o, piece);
            if (log_ != nullptr) note(i, o, piece, before, false, after);
        }
        if (p.left.empty()) finish(a, stream, position);
    }

    void finish(actor& a, std::deque<progress>& stream, std::size_t position) {
        auto* const f = stream[position].flight;
        stream.erase(stream.begin() + static_cast<std::ptrdiff_t>(position));
        --a.queued;
        if (--f->open == 0) a.landed.push_back(f);
    }

    void strike_host(std::uint32_t who) {
        auto& h = hosts_[who];
        for (auto const& f : faults_) {
            if (f.who != who || f.at != h.steps || h.dead) continue;
            if (f.what != sim_fault::kind::die && f.what != sim_fault::kind::stall &&
                f.what != sim_fault::kind::stall_thread)
                continue;
            if (log_ != nullptr)
                log_->push_back(
                    {.what = sim_event::kind::fault, .host = who, .actor = current_, .step = step_, .fault = f});
            if (f.what == sim_fault::kind::die) {
                kill(who);
                continue;
            }
            h.stalled_until = now_ + f.how_long;
            h.thread_stalled = f.what == sim_fault::kind::stall_thread;
        }
    }

    void strike_nodes() {
        for (auto const& f : faults_) {
            if (f.at != step_) continue;
            if (f.what != sim_fault::kind::vanish && f.what != sim_fault::kind::return_empty) continue;
            if (log_ != nullptr) log_->push_back({.what = sim_event::kind::fault, .step = step_, .fault = f});
            auto& n = node(static_cast<std::uint16_t>(f.who));
            if (f.what == sim_fault::kind::vanish)
                n.vanish();
            else
                n.return_empty();
        }
    }

    [[nodiscard]] static word peek(sim_memory_node& memory, op const& o, std::size_t piece) noexcept {
        word w = 0;
        std::memcpy(&w, memory.raw() + (o.target.offset() / word_bytes + piece) * word_bytes, word_bytes);
        return w;
    }
    void note(std::uint32_t i, op const& o, std::size_t piece, word before, bool refused, word after = 0) {
        if (log_ == nullptr) return;
        auto const at = (o.target.offset() / word_bytes + piece) * word_bytes;
        log_->push_back({.what = sim_event::kind::access,
                         .operation = o.kind,
                         .refused = refused,
                         .host = endpoints_[i].host,
                         .actor = i,
                         .step = step_,
                         .at = {o.target.node(), at},
                         .before = before,
                         .after = after});
    }

    std::uint64_t seed_;
    std::unique_ptr<sim_schedule> schedule_;
    std::vector<sim_fault> faults_;
    std::vector<sim_event>* log_ = nullptr;
    std::deque<actor> actors_;
    std::vector<std::uint32_t> ready_;
    std::vector<move> moves_;
    std::vector<sim_switch> switches_;
    std::uint32_t current_ = 0;
    std::uint64_t step_ = 0;
};

} // namespace catena
