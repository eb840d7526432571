// SPDX-License-Identifier: Apache-2.0
#include "support/catch.hpp"

#include <array>
#include <cstdint>
#include <set>
#include <vector>

#include "made_trace.hpp"
#include "tools/trace_lru_stack.hpp"
#include "tools/trace_reuse.hpp"

using namespace catena::test;
using namespace catena::tools;

TEST_CASE("a Fenwick tree sums what was added", "[tools][trace]") {
    auto const seed = test_seed(21);
    CAPTURE(seed);
    random_source random(seed);
    for (std::size_t size = 1; size <= 40; ++size) {
        fenwick_tree tree(size);
        std::vector<std::uint32_t> plain(size);
        for (int i = 0; i < 100; ++i) {
            auto const at = static_cast<std::size_t>(random.below(size));
            bool const take = plain[at] > 0 && random.one_in(3);
            plain[at] += take ? ~0U : 1U;
            tree.add(at, take ? -1 : 1);
            auto const end = static_cast<std::size_t>(random.below(size + 1));
            std::uint32_t sum = 0;
            for (std::size_t k = 0; k < end; ++k) sum += plain[k];
            REQUIRE(tree.sum(end) == sum);
        }
    }
}

TEST_CASE("depth in an LRU stack is what was used since", "[tools][trace]") {
    lru_stack stack(4, 10);
    CHECK(stack.depth(0) == lru_stack::never);
    stack.use(0);
    CHECK(stack.depth(0) == 0);
    stack.use(1);
    stack.use(2);
    stack.use(1);
    CHECK(stack.depth(0) == 2); // 1 and 2
    CHECK(stack.depth(1) == 0);
    CHECK(stack.depth(2) == 1);
    CHECK(stack.depth(3) == lru_stack::never);
}

TEST_CASE("stack distances are those found by looking back", "[tools][trace]") {
    auto const seed = test_seed(22);
    CAPTURE(seed);
    auto const t = number_blocks(random_trace(seed, 150));
    std::vector<std::uint32_t> distances;
    auto const& uses = t.accesses;
    for (std::size_t now = 0; now < uses.size(); ++now) {
        std::set<std::uint32_t> between;
        for (std::size_t before = now; before-- > 0;) {
            if (uses[before] == uses[now]) {
                distances.push_back(static_cast<std::uint32_t>(between.size()));
                break;
            }
            between.insert(uses[before]);
        }
    }
    auto const right = make_distribution(distances);
    auto const reuse = reuse_of(t);
    REQUIRE(right.count > 100);
    CHECK(reuse.distances.count == right.count);
    CHECK(reuse.distances.mean == right.mean);
    CHECK(reuse.distances.p10 == right.p10);
    CHECK(reuse.distances.p50 == right.p50);
    CHECK(reuse.distances.p99 == right.p99);
    CHECK(reuse.distances.max == right.max);
    CHECK(reuse.distances.histogram == right.histogram);
}

TEST_CASE("distances and times between uses, by hand", "[tools][trace]") {
    // 1 is used again after 2 3 4, 2 after 3 4 1, 3 after 4 1 2, a minute later; then 1 at once after 2 3, 10 s later.
    auto const reuse = reuse_of(number_blocks(made_trace({{1, 2, 3}, {4}, {1, 2, 3}, {1}}, {0, 500, 60'000, 70'000})));
    CHECK(reuse.distances.count == 4);
    CHECK(reuse.distances.p10 == 2);
    CHECK(reuse.distances.max == 3);
    CHECK(reuse.distances.mean == 11.0 / 4);
    CHECK(reuse.distances.histogram == std::vector<std::uint64_t>{0, 0, 4}); // 2 and 3 share a bucket
    CHECK(reuse.times_ms.mean == 190'000.0 / 4);
    CHECK(reuse.times_ms.p10 == 10'000);
    CHECK(reuse.within == std::array<std::uint64_t, 6>{0, 1, 4, 4, 4, 4}); // within a time: that time is
    CHECK(reuse.back_in_time == 0);
}

TEST_CASE("requests out of order in time are counted and no time is negative", "[tools][trace]") {
    auto const reuse = reuse_of(number_blocks(made_trace({{1}, {1}, {1}, {1}}, {5'000, 3'000, 4'999, 6'000})));
    CHECK(reuse.back_in_time == 2);
    CHECK(reuse.times_ms.max == 1'000);
    CHECK(reuse.times_ms.p50 == 0);
}

TEST_CASE("a trace without reuse has none", "[tools][trace]") {
    auto const reuse = reuse_of(number_blocks(made_trace({{1, 2}, {3}})));
    CHECK(reuse.distances.count == 0);
    CHECK(reuse.times_ms.max == 0);
    CHECK(reuse.distances.histogram.empty());
}

TEST_CASE("a distribution has exact percentiles and a histogram by powers of two", "[tools][trace]") {
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t i = 100; i > 0; --i) numbers.push_back(i);
    auto const d = make_distribution(numbers);
    CHECK(d.count == 100);
    CHECK(d.mean == 50.5);
    CHECK(d.p10 == 10);
    CHECK(d.p50 == 50);
    CHECK(d.p90 == 90);
    CHECK(d.p99 == 99);
    CHECK(d.max == 100);
    CHECK(d.histogram == std::vector<std::uint64_t>{0, 1, 2, 4, 8, 16, 32, 37});
    CHECK(bucket_bounds(0) == std::array<std::uint64_t, 2>{0, 0});
    CHECK(bucket_bounds(1) == std::array<std::uint64_t, 2>{1, 1});
    CHECK(bucket_bounds(7) == std::array<std::uint64_t, 2>{64, 127});
    CHECK(bucket_bounds(64)[1] == ~std::uint64_t{0});
    CHECK(make_distribution(std::vector<std::uint64_t>{~std::uint64_t{0}}).histogram.size() == 65);
}
