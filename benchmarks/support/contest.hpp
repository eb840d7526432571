// SPDX-License-Identifier: Apache-2.0
// Several indexes that do the same work in turn, a slice at a time, so that whatever else this machine does at the moment slows
// all of them. Counts are exact; times are to be compared with those of the others in the same slices.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catena/index/index.hpp>

#include "measure.hpp"
#include "pool_space.hpp"
#include "world.hpp"

namespace catena::bench {

using entry_type = entry<std::uint64_t, std::uint64_t>;

/// What was measured of some work: all of it, and each slice's time.
struct sliced_cost {
    cost all;
    std::vector<double> seconds;

    void add(cost const& slice) {
        all += slice;
        seconds.push_back(slice.seconds);
    }
};

/// How many times as fast as `other`, all in all.
[[nodiscard]] inline double speed_beside(sliced_cost const& mine, sliced_cost const& other) {
    return other.all.seconds / mine.all.seconds;
}
/// The same in the median slice, whatever the others were.
[[nodiscard]] inline double usual_speed_beside(sliced_cost const& mine, sliced_cost const& other) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < std::min(mine.seconds.size(), other.seconds.size()); ++i)
        ratios.push_back(other.seconds[i] / mine.seconds[i]);
    if (ratios.empty()) return 0;
    auto const middle = ratios.begin() + static_cast<std::ptrdiff_t>(ratios.size() / 2);
    std::nth_element(ratios.begin(), middle, ratios.end());
    return *middle;
}

/// One index that takes part. The calls end the program if an answer is wrong.
class contestant {
public:
    explicit contestant(std::string name) : name_(std::move(name)) {}
    contestant(contestant const&) = delete;
    contestant& operator=(contestant const&) = delete;
    virtual ~contestant() = default;

    [[nodiscard]] std::string const& name() const noexcept { return name_; }

    [[nodiscard]] virtual cost insert(std::span<std::uint64_t const> keys) = 0;
    virtual void load(std::span<entry_type const> sorted) = 0;
    [[nodiscard]] virtual cost find(std::span<std::uint64_t const> keys) = 0;
    [[nodiscard]] virtual cost upsert(std::span<std::uint64_t const> keys) = 0;
    [[nodiscard]] virtual index_check check() = 0;
    [[nodiscard]] virtual pool_space space() = 0;
    [[nodiscard]] virtual std::size_t cache_bytes() = 0;
    /// False: it has no buffer of hot values.
    virtual bool keep_hot(std::size_t bytes) = 0;

private:
    std::string name_;
};

template <typename Index>
class contestant_of final : public contestant {
public:
    explicit contestant_of(std::string name) : contestant(std::move(name)) { (void)keep_hot(0); }

    [[nodiscard]] cost insert(std::span<std::uint64_t const> keys) override {
        return run_many(s(), w_.index(), keys.size(), [&](std::uint64_t i) {
            if (!need(sync_wait(s(), w_.index().insert(s(), keys[i], keys[i])), name()))
                fail(name() + ": a new key was there already");
        });
    }
    void load(std::span<entry_type const> sorted) override {
        need(sync_wait(s(), w_.index().bulk_load(s(), sorted)), name());
    }
    [[nodiscard]] cost find(std::span<std::uint64_t const> keys) override {
        return run_many(s(), w_.index(), keys.size(), [&](std::uint64_t i) {
            if (!need(sync_wait(s(), w_.index().find(s(), keys[i])), name())) fail(name() + ": a key is lost");
        });
    }
    [[nodiscard]] cost upsert(std::span<std::uint64_t const> keys) override {
        return run_many(s(), w_.index(), keys.size(), [&](std::uint64_t i) {
            if (need(sync_wait(s(), w_.index().upsert(s(), keys[i], ++value_)), name()))
                fail(name() + ": a key is lost");
        });
    }
    [[nodiscard]] index_check check() override {
        auto found = need(sync_wait(s(), w_.index().verify(s())), name());
        if (!found.violations.empty()) fail(name() + ": the index is not sound: " + found.violations.front());
        return found;
    }
    [[nodiscard]] pool_space space() override { return space_of(s()); }
    [[nodiscard]] std::size_t cache_bytes() override { return w_.index().cache_bytes(); }
    bool keep_hot(std::size_t bytes) override {
        if constexpr (requires(Index & i) { i.keep_hotspots(bytes); }) {
            w_.index().keep_hotspots(bytes);
            return true;
        }
        return false;
    }

private:
    [[nodiscard]] session_type& s() { return w_.own_session(); }

    world<Index> w_;
    std::uint64_t value_ = std::uint64_t{1} << 48U; // never a value that a key has already
};

} // namespace catena::bench
