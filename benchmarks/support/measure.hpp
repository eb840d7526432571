// SPDX-License-Identifier: Apache-2.0
// What an index of 8-byte keys and values costs one client: exact counts of the same work for every index.
//
// KEYS distinct, uniformly spread keys are loaded by single inserts. Then come, a tenth as many of each: finds, finds of absent
// keys, upserts of existing keys with new values, inserts of new keys; caches are warmed before with twice as many finds of
// the same kind. Then a second object of the index finds a key for each key that the first one inserts. Scans run over an index of their own, of the keys 0, 1, 2, ... inserted in random order.
// An index that trains is watched while it grows, besides: from a million keys on (from half of them, if that is less) at every
// twentieth of KEYS; what it does by turns, a figure of the end may show at its best or at its worst moment.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include <catena/index/index.hpp>

#include "draws.hpp"
#include "pool_space.hpp"
#include "world.hpp"

namespace catena::bench {

/// An index that now and then makes a part of itself anew, at the cost of the session that notices.
template <typename Index>
concept trains = requires(Index const& i) {
    i.cost_of_training();
};

/// What of a cost was training.
struct training {
    std::uint64_t times = 0;
    std::uint64_t round_trips = 0;
    std::uint64_t verbs = 0;
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_written = 0;

    [[nodiscard]] friend training operator+(training const& a, training const& b) noexcept {
        return {.times = a.times + b.times,
                .round_trips = a.round_trips + b.round_trips,
                .verbs = a.verbs + b.verbs,
                .bytes_read = a.bytes_read + b.bytes_read,
                .bytes_written = a.bytes_written + b.bytes_written};
    }
    [[nodiscard]] friend training operator-(training const& a, training const& b) noexcept {
        return {.times = a.times - b.times,
                .round_trips = a.round_trips - b.round_trips,
                .verbs = a.verbs - b.verbs,
                .bytes_read = a.bytes_read - b.bytes_read,
                .bytes_written = a.bytes_written - b.bytes_written};
    }
};

/// So far; nothing for an index that does not train.
template <typename Index>
[[nodiscard]] training training_of(Index const& index) {
    if constexpr (trains<Index>) {
        auto const t = index.cost_of_training();
        return {.times = t.trainings,
                .round_trips = t.round_trips,
                .verbs = t.verbs,
                .bytes_read = t.bytes_read,
                .bytes_written = t.bytes_written};
    }
    return {};
}

struct cost {
    fabric_stats used;
    training trained; ///< a part of `used`
    double operations = 0;
    double seconds = 0;

    [[nodiscard]] double trips() const { return static_cast<double>(used.round_trips) / operations; }
    [[nodiscard]] double verbs() const { return static_cast<double>(used.verbs()) / operations; }
    [[nodiscard]] double read() const { return static_cast<double>(used.bytes_read) / operations; }
    [[nodiscard]] double written() const { return static_cast<double>(used.bytes_written) / operations; }
    [[nodiscard]] double millions_a_second() const { return operations / seconds / 1e6; }

    cost& operator+=(cost const& other) noexcept {
        used += other.used;
        trained = trained + other.trained;
        operations += other.operations;
        seconds += other.seconds;
        return *this;
    }

    [[nodiscard]] double training_trips() const { return static_cast<double>(trained.round_trips) / operations; }
    [[nodiscard]] double training_verbs() const { return static_cast<double>(trained.verbs) / operations; }
    [[nodiscard]] double training_read() const { return static_cast<double>(trained.bytes_read) / operations; }
    [[nodiscard]] double training_written() const { return static_cast<double>(trained.bytes_written) / operations; }
};

template <typename One>
[[nodiscard]] cost run_many(session_type& s, std::uint64_t times, One one) {
    auto const before = s.stats();
    auto const begin = std::chrono::steady_clock::now();
    for (std::uint64_t i = 0; i < times; ++i) one(i);
    std::chrono::duration<double> const took = std::chrono::steady_clock::now() - begin;
    return {
        .used = s.stats() - before, .trained = {}, .operations = static_cast<double>(times), .seconds = took.count()};
}
/// The same, and tells training apart.
template <typename Index, typename One>
[[nodiscard]] cost run_many(session_type& s, Index const& index, std::uint64_t times, One one) {
    auto const before = training_of(index);
    auto c = run_many(s, times, one);
    c.trained = training_of(index) - before;
    return c;
}

/// An index while it grows, at some moments.
struct growth {
    std::size_t moments = 0;
    double most_remote_bytes = 0; ///< a key
    double mean_remote_bytes = 0;
    double most_find_trips = 0; ///< of 20,000 random finds
    double most_find_read = 0;
    double most_insert_trips = 0; ///< of the inserts between two moments

    void add(double remote_bytes, cost const& find, cost const& insert) {
        most_remote_bytes = std::max(most_remote_bytes, remote_bytes);
        mean_remote_bytes += (remote_bytes - mean_remote_bytes) / static_cast<double>(++moments);
        most_find_trips = std::max(most_find_trips, find.trips());
        most_find_read = std::max(most_find_read, find.read());
        most_insert_trips = std::max(most_insert_trips, insert.trips());
    }
};

struct measured {
    std::uint64_t keys = 0;
    index_check check;
    double remote_bytes = 0; ///< a key
    double cache_bytes = 0;  ///< a key
    pool_space space;        ///< when the keys are loaded
    growth grown;            ///< of an index that trains
    cost load, find, absent, upsert, insert, hot_uniform, hot_zipf, scan;
    cost find_beside; ///< by an object of its own, with caches of its own: one find for each insert of somebody else
};

/// What is measured of every index.
template <typename Index>
class measurement {
public:
    explicit measurement(std::uint64_t keys) : keys_(keys), times_(keys / 10) { of_.keys = keys; }

    [[nodiscard]] measured run(std::size_t hotspot_bytes) {
        auto const n = static_cast<double>(keys_);
        set_hotspots(0);
        if constexpr (trains<Index>)
            load_watched();
        else
            of_.load = inserts(0, keys_);
        of_.check = verified();
        of_.space = space_of(s());
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
        of_.insert = inserts(keys_, times_);
        finds_beside_inserts();
        scans();
        return of_;
    }

private:
    [[nodiscard]] session_type& s() { return w_.own_session(); }

    void set_hotspots(std::size_t bytes) {
        if constexpr (requires(Index & i) { i.keep_hotspots(bytes); }) w_.index().keep_hotspots(bytes);
    }
    [[nodiscard]] cost inserts(std::uint64_t from, std::uint64_t times) {
        return run_many(s(), w_.index(), times, [&](std::uint64_t i) {
            if (!need(sync_wait(s(), w_.index().insert(s(), key_of(from + i), from + i))))
                fail("a new key was there already");
        });
    }
    [[nodiscard]] index_check verified() {
        auto check = need(sync_wait(s(), w_.index().verify(s())));
        if (!check.violations.empty()) fail("the index is not sound: " + check.violations.front());
        return check;
    }
    void load_watched() {
        constexpr std::uint64_t watched_from = 1'000'000;
        constexpr std::uint64_t some_finds = 20'000;
        auto const step = keys_ / 20;
        auto at = std::min(watched_from, keys_ / 2);
        of_.load = inserts(0, at);
        while (at < keys_) {
            auto const n = std::min(step, keys_ - at);
            auto const insert = inserts(at, n);
            at += n;
            of_.load += insert;
            std::uniform_int_distribution<std::uint64_t> there(0, at - 1);
            auto const find = finds(some_finds, there);
            auto const remote_bytes = static_cast<double>(verified().remote_bytes) / static_cast<double>(at);
            of_.grown.add(remote_bytes, find, insert);
        }
    }
    template <typename Pick>
    [[nodiscard]] cost finds(std::uint64_t times, Pick& pick) {
        return run_many(s(), times, [&](std::uint64_t) {
            if (!need(sync_wait(s(), w_.index().find(s(), key_of(pick(random_)))))) fail("a key is lost");
        });
    }

    /// What other clients' changes cost those who did not make them.
    void finds_beside_inserts() {
        auto reader = w_.session();
        auto index = need(w_.open(reader));
        auto const find = [&](std::uint64_t i) {
            if (!need(sync_wait(reader, index.find(reader, key_of(i))))) fail("a key is lost");
        };
        std::uniform_int_distribution<std::uint64_t> uniform(0, keys_ - 1);
        for (std::uint64_t i = 0; i < times_; ++i) find(uniform(random_)); // its caches are warm
        for (std::uint64_t i = 0; i < times_; ++i) {
            (void)inserts(keys_ + times_ + i, 1);
            auto const before = reader.stats();
            find(uniform(random_));
            of_.find_beside.used += reader.stats() - before;
        }
        of_.find_beside.operations = static_cast<double>(times_);
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
