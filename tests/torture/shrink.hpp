// SPDX-License-Identifier: Apache-2.0
// shrink: makes a scenario that fails smaller while it still fails (delta debugging: Zeller and Hildebrandt 2002).
//
// First the size of the scenario (clients, operations, keys, faults), with some other seeds of the schedule for each
// candidate, since a smaller one takes another course; then the schedule itself: its switches are dropped in halves,
// quarters, ... down to single ones. What is left is the failure with the fewest switches that was found.
// Cost: at most `budget` runs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include <torture/scenario.hpp>

namespace catena::torture {

struct shrunk {
    scenario what;
    outcome result;
    std::size_t runs = 0;
};

class shrinker {
public:
    using run_type = std::function<outcome(scenario const&)>;

    shrinker(run_type run, std::size_t budget) : run_(std::move(run)), budget_(budget) {}

    [[nodiscard]] shrunk operator()(scenario const& failing, outcome const& first) {
        best_ = failing;
        result_ = first;
        smaller_scenarios();
        auto fixed = best_;
        fixed.switches = result_.switches;
        if (fails(fixed)) fewer_switches();
        return {.what = best_, .result = result_, .runs = runs_};
    }

private:
    /// True, and kept as the best, if it fails.
    [[nodiscard]] bool fails(scenario const& candidate) {
        if (runs_ >= budget_) return false;
        ++runs_;
        auto r = run_(candidate);
        if (!r.violation) return false;
        best_ = candidate;
        result_ = std::move(r);
        return true;
    }
    /// The same with other courses: the seed decides them.
    [[nodiscard]] bool fails_somehow(scenario candidate) {
        auto const seed = candidate.seed;
        for (std::uint64_t i = 0; i < 30; ++i) {
            candidate.seed = seed + i * 1'000'003;
            if (fails(candidate)) return true;
        }
        return false;
    }

    void smaller_scenarios() {
        bool smaller = true;
        auto const try_less = [&](auto member, unsigned least) {
            while (best_.*member > least) {
                auto c = best_;
                c.*member = std::max<unsigned>(least, static_cast<unsigned>(c.*member) / 2);
                if (!fails_somehow(c)) {
                    c = best_;
                    --(c.*member);
                    if (!fails_somehow(c)) return;
                }
                smaller = true;
            }
        };
        while (smaller && runs_ < budget_ / 2) {
            smaller = false;
            for (std::size_t f = 0; f < best_.faults.size(); ++f) {
                auto c = best_;
                c.faults.erase(c.faults.begin() + static_cast<std::ptrdiff_t>(f));
                if (fails_somehow(c)) {
                    smaller = true;
                    break;
                }
            }
            try_less(&scenario::sessions, 1);
            try_less(&scenario::clients, 1);
            try_less(&scenario::operations, 1);
            try_less(&scenario::keys, 1);
            try_less(&scenario::preload, 0);
            try_less(&scenario::dropper, 0);
        }
    }

    void fewer_switches() {
        for (std::size_t part = std::max<std::size_t>(1, best_.switches->size() / 2);; part /= 2) {
            for (std::size_t at = 0; at < best_.switches->size();) {
                auto c = best_;
                auto const begin = c.switches->begin() + static_cast<std::ptrdiff_t>(at);
                c.switches->erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(part, c.switches->size() - at)));
                if (!fails(c)) at += part;
                if (runs_ >= budget_) return;
            }
            if (part <= 1) return;
        }
    }

    run_type run_;
    std::size_t budget_;
    std::size_t runs_ = 0;
    scenario best_;
    outcome result_;
};

} // namespace catena::torture
