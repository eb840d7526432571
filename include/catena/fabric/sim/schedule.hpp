// SPDX-License-Identifier: Apache-2.0
// sim_schedule: who goes on next in an adversarial network, and how that is written down.
//
// An *actor* is an endpoint; in each step one actor that can go on does one thing. Left alone an actor goes on for as
// long as it can, then the next in turn; every other choice is a *switch* and is recorded, so that a schedule is a short
// list, can be replayed, and can be made shorter.
//   uniform_schedule     every actor that can go on, with the same probability, every time
//   lopsided_schedule    actors of very different speeds, which change now and then: somebody's last word is under way
//                        while others do a lot
//   priority_schedule    probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatte, ASPLOS 2010):
//                        the actor of highest priority goes on; at d random steps it falls behind all others. Finds
//                        bugs that need few, well-placed switches with a probability of at least 1 / (n k^d).
//   recorded_schedule    a list of switches
// Thread safety: one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <catena/fabric/sim/random.hpp>

namespace catena {

struct sim_switch {
    std::uint64_t step = 0;
    std::uint32_t actor = 0;

    friend bool operator==(sim_switch const&, sim_switch const&) = default;
};

/// Where a schedule goes on if it does not switch.
[[nodiscard]] inline std::uint32_t undisturbed(std::span<std::uint32_t const> ready, std::uint32_t current) noexcept {
    auto const next = std::lower_bound(ready.begin(), ready.end(), current);
    return next != ready.end() ? *next : ready.front();
}

class sim_schedule {
public:
    virtual ~sim_schedule() = default;
    /// One of `ready` (ascending, not empty). current: who went last.
    [[nodiscard]] virtual std::uint32_t choose(std::span<std::uint32_t const> ready, std::uint32_t current,
                                               std::uint64_t step) = 0;
};

class uniform_schedule final : public sim_schedule {
public:
    explicit uniform_schedule(std::uint64_t seed) noexcept : random_(seed, 1) {}
    [[nodiscard]] std::uint32_t choose(std::span<std::uint32_t const> ready, std::uint32_t, std::uint64_t) override {
        return ready[random_.below(ready.size())];
    }

private:
    sim_random random_;
};

class lopsided_schedule final : public sim_schedule {
public:
    explicit lopsided_schedule(std::uint64_t seed) noexcept : random_(seed, 3) {}
    [[nodiscard]] std::uint32_t choose(std::span<std::uint32_t const> ready, std::uint32_t, std::uint64_t) override {
        if (random_.one_in(50)) weights_.clear();
        while (weights_.size() <= ready.back()) weights_.push_back(std::uint64_t{1} << 4 * random_.below(3));
        std::uint64_t total = 0;
        for (auto const actor : ready) total += weights_[actor];
        auto at = random_.below(total);
        for (auto const actor : ready) {
            if (at < weights_[actor]) return actor;
            at -= weights_[actor];
        }
        return ready.front();
    }

private:
    sim_random random_;
    std::vector<std::uint64_t> weights_; ///< 1, 16 or 256
};

class priority_schedule final : public sim_schedule {
public:
    /// depth: how many change points; steps: about how long the run will be.
    priority_schedule(std::uint64_t seed, unsigned depth, std::uint64_t steps) : random_(seed, 2) {
        for (unsigned i = 0; i < depth; ++i) changes_.push_back(random_.below(steps + 1));
        std::sort(changes_.begin(), changes_.end());
    }
    [[nodiscard]] std::uint32_t choose(std::span<std::uint32_t const> ready, std::uint32_t,
                                       std::uint64_t step) override {
        auto best = highest(ready);
        while (next_change_ < changes_.size() && step >= changes_[next_change_]) {
            ++next_change_;
            priorities_[best] = --lowest_;
            best = highest(ready);
        }
        return best;
    }

private:
    [[nodiscard]] std::uint32_t highest(std::span<std::uint32_t const> ready) {
        while (priorities_.size() <= ready.back())
            priorities_.push_back(static_cast<std::int64_t>(random_.next() >> 2U));
        return *std::max_element(ready.begin(), ready.end(),
                                 [this](auto a, auto b) { return priorities_[a] < priorities_[b]; });
    }

    sim_random random_;
    std::vector<std::uint64_t> changes_;
    std::size_t next_change_ = 0;
    std::vector<std::int64_t> priorities_;
    std::int64_t lowest_ = 0;
};

class recorded_schedule final : public sim_schedule {
public:
    explicit recorded_schedule(std::vector<sim_switch> switches) noexcept : switches_(std::move(switches)) {}
    /// A switch to an actor that cannot go on is left out: so does any part of a list make a schedule.
    [[nodiscard]] std::uint32_t choose(std::span<std::uint32_t const> ready, std::uint32_t current,
                                       std::uint64_t step) override {
        while (next_ < switches_.size() && switches_[next_].step < step) ++next_;
        if (next_ < switches_.size() && switches_[next_].step == step &&
            std::binary_search(ready.begin(), ready.end(), switches_[next_].actor))
            return switches_[next_].actor;
        return undisturbed(ready, current);
    }

private:
    std::vector<sim_switch> switches_;
    std::size_t next_ = 0;
};

} // namespace catena
