// SPDX-License-Identifier: Apache-2.0
// What an index of 8-byte keys and values costs one client: exact counts of the same work for every index.
//
// KEYS distinct, uniformly spread keys are loaded by single inserts. Then come, a tenth as many of each: finds, finds of absent
// keys, upserts of existing keys with new values, inserts of new keys; caches are warmed before with twice as many finds of
// the same kind. Scans run over an index of their own, of the keys 0, 1, 2, ... inserted in random order.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include <catena/index/index.hpp>

#include "draws.hpp"
#include "world.hpp"

namespace catena::bench {

struct cost {
    fabric_stats used;
    double operations = 0;
    double seconds = 0;

    [[nodiscard]] double trips() const { return static_cast<double>(used.round_trips) / operations; }
    [[nodiscard]] double verbs() const { return static_cast<double>(used.verbs()) / operations; }
    [[nodiscard]] double read() const { return static_cast<double>(used.bytes_read) / operations; }
    [[nodiscard]] double written() const { return static_cast<double>(used.bytes_written) / operations; }
    [[nodiscard]] double millions_a_second() const { return operations / seconds / 1e6; }
};

template <typename One>
[[nodiscard]] cost run_many(session_type& s, std::uint64_t times, One one) {
    auto const before = s.stats();
    auto const begin = std::chrono::steady_clock::now();
    for (std::uint64_t i = 0; i < times; ++i) one(i);
    std::chrono::duration<double> const took = std::chrono::steady_clock::now() - begin;
    return {.used = s.stats() - before, .operations = static_cast<double>(times), .seconds = took.count()};
}

struct measured {
    std::uint64_t keys = 0;
    index_check check;
    double remote_bytes = 0; ///< a key
    double cache_bytes = 0;  ///< a key
    cost load, find, absent, upsert, insert, hot_uniform, hot_zipf, scan;
};

/// What is measured of every index.
template <typename Index>
class measurement {
public:
    explicit measurement(std::uint64_t keys) : keys_(keys), times_(keys / 10) { of_.keys = keys; }

    [[nodiscard]] measured run(std::size_t hotspot_bytes) {
        auto const n = static_cast<double>(keys_);
        set_hotspots(0);
        of_.load = run_many(s(), keys_, [&](std::uint64_t i) { insert(i); });
        of_.check = need(sync_wait(s(), w_.index().verify(s())));
        if (!of_.check.violations.empty()) fail("the index is not sound: " + of_.check.violations.front());
        of_.remote_bytes = static_cast<double>(of_.check.remote_bytes) / n;
        std::uniform_int_distribution<std::uint64_t> uniform(0, keys_ - 1);
        zipf const skewed(keys_, 0.99);
        (void)finds(times_, uniform); // the right half of a split is cached when it is first read
        of_.cache_bytes = static_cast<double>(w_.index().cache_bytes()) / n;
        of_.find = finds(times_, uniform);
        of_.absent = run_many(s(), times_, [&](std::uint64_t) {
            if (need(sync_wait(s(), w_.index().find(s(), key_of(~uniform(random_)))))) fail("an absent key is there");
        });
        if (hotspot_bytes > 0) {
            set_hotspots(hotspot_bytes);
            (void)finds(2 * times_, uniform);
            of_.hot_uniform = finds(times_, uniform);
            set_hotspots(hotspot_bytes);
            (void)finds(2 * times_, skewed);
            of_.hot_zipf = finds(times_, skewed);
            set_hotspots(0);
        }
        of_.upsert = run_many(s(), times_, [&](std::uint64_t i) {
            if (need(sync_wait(s(), w_.index().upsert(s(), key_of(uniform(random_)), keys_ + i))))
                fail("a key is lost");
        });
        of_.insert = run_many(s(), times_, [&](std::uint64_t i) { insert(keys_ + i); });
        scans();
        return of_;
    }

private:
    [[nodiscard]] session_type& s() { return w_.own_session(); }

    void set_hotspots(std::size_t bytes) {
        if constexpr (requires(Index & i) { i.keep_hotspots(bytes); }) w_.index().keep_hotspots(bytes);
    }
    void insert(std::uint64_t i) {
        if (!need(sync_wait(s(), w_.index().insert(s(), key_of(i), i)))) fail("a new key was there already");
    }
    template <typename Pick>
    [[nodiscard]] cost finds(std::uint64_t times, Pick& pick) {
        return run_many(s(), times, [&](std::uint64_t) {
            if (!need(sync_wait(s(), w_.index().find(s(), key_of(pick(random_)))))) fail("a key is lost");
        });
    }

    /// 64 consecutive keys.
    void scans() {
        world<Index> dense;
        auto& session = dense.own_session();
        std::vector<std::uint64_t> order(keys_);
        for (std::uint64_t i = 0; i < keys_; ++i) order[i] = i;
        std::shuffle(order.begin(), order.end(), random_);
        for (auto const key : order)
            if (!need(sync_wait(session, dense.index().insert(session, key, key)))) fail("a new key was there already");
        std::uniform_int_distribution<std::uint64_t> from(0, keys_ - 65);
        std::vector<entry<std::uint64_t, std::uint64_t>> out(64);
        auto const scan = [&](std::uint64_t) {
            auto const begin = from(random_);
            scan_range<std::uint64_t> const range{.from = begin, .to = begin + 64};
            if (need(sync_wait(session, dense.index().scan(session, range, std::span(out)))) != 64)
                fail("a scan lost keys");
        };
        (void)run_many(session, times_ / 4, scan);
        of_.scan = run_many(session, times_ / 4, scan);
    }

    world<Index> w_;
    std::uint64_t keys_;
    std::uint64_t times_;
    std::mt19937_64 random_{1};
    measured of_;
};

/// hotspot_bytes: for an index that keeps hot values, how much of them is measured besides; 0: not at all.
template <typename Index>
[[nodiscard]] measured measure(std::uint64_t keys, std::size_t hotspot_bytes = 0) {
    return measurement<Index>(keys).run(hotspot_bytes);
}

} // namespace catena::bench
