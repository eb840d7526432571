// SPDX-License-Identifier: Apache-2.0
#include "support/catch.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "made_trace.hpp"
#include "tools/trace_caches.hpp"

using namespace catena::test;
using namespace catena::tools;

namespace {

// The same with a list that is searched: the latest use in front.
bounded_cache searched(trace_blocks const& t, touch_order order, std::uint64_t capacity) {
    bounded_cache out{.capacity = capacity};
    std::vector<std::uint32_t> held;
    for (std::size_t i = 0; i < t.requests(); ++i) {
        auto const chain = t.chain(i);
        std::vector<std::uint32_t> touched(chain.begin(), chain.end());
        auto const has = [&](auto block) { return std::find(held.begin(), held.end(), block) != held.end(); };
        std::uint64_t hits = 0;
        while (hits < touched.size() && has(touched[hits])) ++hits;
        out.hit_blocks += hits;
        out.over_half += 2 * hits > touched.size() ? 1 : 0;
        out.holed += std::any_of(touched.begin() + static_cast<std::ptrdiff_t>(hits), touched.end(), has) ? 1 : 0;
        if (order == touch_order::leaf_first) std::reverse(touched.begin(), touched.end());
        for (auto const block : touched) {
            std::erase(held, block);
            held.insert(held.begin(), block);
            if (held.size() > capacity) held.pop_back();
        }
    }
    return out;
}

struct expected {
    std::uint64_t hits, over_half, holed;
};

void check(std::vector<prompt> const& prompts, touch_order order, std::vector<expected> const& by_capacity) {
    auto const t = number_blocks(made_trace(prompts));
    std::vector<std::uint64_t> capacities;
    for (std::uint64_t capacity = 1; capacity <= by_capacity.size(); ++capacity) capacities.push_back(capacity);
    auto const caches = serve_bounded(t, order, capacities);
    REQUIRE(caches.size() == by_capacity.size());
    for (std::size_t i = 0; i < caches.size(); ++i) {
        CAPTURE(capacities[i]);
        CHECK(caches[i].capacity == capacities[i]);
        CHECK(caches[i].hit_blocks == by_capacity[i].hits);
        CHECK(caches[i].over_half == by_capacity[i].over_half);
        CHECK(caches[i].holed == by_capacity[i].holed);
    }
}

} // namespace

TEST_CASE("LRU caches of one to four blocks, by hand", "[tools][trace]") {
    // 1 2 3, then 4, then 1 2 3 again. Before the last: leaf first 4 1 2 3 is the order of last use, root first 4 3 2 1.
    std::vector<prompt> const prompts{{1, 2, 3}, {4}, {1, 2, 3}};
    check(prompts, touch_order::leaf_first, {{0, 0, 0}, {1, 0, 0}, {2, 1, 0}, {3, 1, 0}});
    check(prompts, touch_order::root_first, {{0, 0, 0}, {0, 0, 1}, {0, 0, 1}, {3, 1, 0}});
}

TEST_CASE("a request longer than the cache leaves its beginning or its end", "[tools][trace]") {
    std::vector<prompt> const prompts{{1, 2, 3, 4}, {1, 2, 3, 4}};
    check(prompts, touch_order::leaf_first, {{1, 0, 0}, {2, 0, 0}, {3, 1, 0}, {4, 1, 0}});
    check(prompts, touch_order::root_first, {{0, 0, 1}, {0, 0, 1}, {0, 0, 1}, {4, 1, 0}});
}

TEST_CASE("caches of all sizes are those of a list that is searched", "[tools][trace]") {
    auto const seed = test_seed(11);
    CAPTURE(seed);
    for (std::uint64_t round = 0; round < 6; ++round) {
        auto const t = number_blocks(random_trace(seed + round, 120));
        std::vector<std::uint64_t> capacities{1, 2, 3, 5, 8, 13, 40, t.pieces() / 2, t.pieces() - 1, t.pieces()};
        for (auto const order : {touch_order::leaf_first, touch_order::root_first}) {
            auto const caches = serve_bounded(t, order, capacities);
            for (std::size_t i = 0; i < capacities.size(); ++i) {
                auto const right = searched(t, order, capacities[i]);
                CAPTURE(round, capacities[i], order == touch_order::leaf_first);
                REQUIRE(caches[i].hit_blocks == right.hit_blocks);
                REQUIRE(caches[i].over_half == right.over_half);
                REQUIRE(caches[i].holed == right.holed);
                if (order == touch_order::leaf_first) REQUIRE(right.holed == 0);
            }
        }
    }
}

TEST_CASE("a cache of all blocks is an unbounded one", "[tools][trace]") {
    auto const seed = test_seed(12);
    CAPTURE(seed);
    auto const t = number_blocks(random_trace(seed, 300));
    auto const unbounded = serve_unbounded(t);
    CHECK(unbounded.hit_blocks == t.accesses.size() - t.pieces());
    std::array<std::uint64_t, 1> const all{t.pieces()};
    for (auto const order : {touch_order::leaf_first, touch_order::root_first}) {
        auto const cache = serve_bounded(t, order, all).front();
        CHECK(cache.hit_blocks == unbounded.hit_blocks);
        CHECK(cache.over_half == unbounded.over_half);
    }
}

TEST_CASE("hits of an unbounded cache, by hand", "[tools][trace]") {
    std::vector<prompt> prompts{
        {1, 2},                               // 0 of 2
        {1, 2},                               // 2 of 2: all
        {1, 3},                               // 1 of 2: half is not more than half
        {1, 3, 4},                            // 2 of 3
        {1, 3, 4, 5, 6, 7, 8, 9, 10, 11},     // 3 of 10
        {1, 3, 4, 5, 6, 7, 8, 9, 10, 12},     // 9 of 10: not more than nine tenths
        {1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13}, // 10 of 11: more
        {2},                                  // another prefix: 0 of 1
    };
    auto const cache = serve_unbounded(number_blocks(made_trace(prompts)));
    CHECK(cache.hit_blocks == 2 + 1 + 2 + 3 + 9 + 10);
    CHECK(cache.hit_any == 6);
    CHECK(cache.over_half == 4);
    CHECK(cache.over_nine_tenths == 2);
    CHECK(cache.hit_all == 1);
    CHECK(cache.hits.count == 6);
    CHECK(cache.hits.p50 == 2);
    CHECK(cache.hits.max == 10);
}

TEST_CASE("a percentage of the blocks is at least one block", "[tools][trace]") {
    CHECK(capacity_of(10, 182'790) == 18'279);
    CHECK(capacity_of(1, 182'790) == 1'827);
    CHECK(capacity_of(100, 7) == 7);
    CHECK(capacity_of(0.1, 7) == 1);
}

TEST_CASE("progress is told after each request", "[tools][trace]") {
    std::vector<std::uint64_t> told;
    std::array<std::uint64_t, 1> const one{1};
    auto const t = number_blocks(made_trace({{1}, {2, 3}, {1}}));
    (void)serve_bounded(t, touch_order::leaf_first, one, [&](std::uint64_t done) { told.push_back(done); });
    CHECK(told == std::vector<std::uint64_t>{1, 2, 3});
}
