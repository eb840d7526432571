// SPDX-License-Identifier: Apache-2.0
#include "support/catch.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "tools/samples.hpp"

using namespace catena::tools;

TEST_CASE("percentiles are samples, by nearest rank", "[tools]") {
    std::vector<std::uint32_t> hundred(100);
    std::iota(hundred.begin(), hundred.end(), 1U);
    std::reverse(hundred.begin(), hundred.end());
    auto const s = summarize(hundred);
    CHECK(s.mean == 50.5);
    CHECK(s.p50 == 50);
    CHECK(s.p99 == 99);
    CHECK(s.max == 100);
}

TEST_CASE("few samples have percentiles too", "[tools]") {
    CHECK(summarize(std::vector<std::uint32_t>{}).max == 0);
    auto const one = summarize(std::vector<float>{2.5F});
    CHECK(one.mean == 2.5);
    CHECK(one.p50 == 2.5);
    CHECK(one.p99 == 2.5);
    CHECK(one.max == 2.5);
    auto const two = summarize(std::vector<std::uint32_t>{9, 4});
    CHECK(two.p50 == 4);
    CHECK(two.p99 == 9);
    CHECK(two.max == 9);
}

TEST_CASE("the p-th percentile is the smallest sample that p percent do not exceed", "[tools]") {
    auto const seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (std::size_t n = 1; n <= 300; ++n) {
        std::vector<std::uint32_t> samples(n);
        for (auto& each : samples) each = static_cast<std::uint32_t>(random() % 50);
        auto const by_definition = [&](std::size_t percent) {
            for (std::uint32_t value = 0;; ++value) {
                auto const below = std::count_if(samples.begin(), samples.end(), [&](auto x) { return x <= value; });
                if (static_cast<std::size_t>(below) * 100 >= percent * n &&
                    std::find(samples.begin(), samples.end(), value) != samples.end())
                    return static_cast<double>(value);
            }
        };
        CAPTURE(n);
        auto const s = summarize(samples);
        REQUIRE(s.p50 == by_definition(50));
        REQUIRE(s.p99 == by_definition(99));
        REQUIRE(s.max == *std::max_element(samples.begin(), samples.end()));
    }
}

TEST_CASE("calls keep what each one cost and can be joined", "[tools]") {
    call_samples a;
    a.add({.round_trips = 1, .reads = 3, .writes = 2, .cas = 1, .faa = 1, .bytes_read = 100, .bytes_written = 50}, 1.5);
    call_samples b;
    b.add({.round_trips = 2, .bytes_read = std::uint64_t{1} << 40U}, 4);
    a.join(b);
    CHECK(a.calls() == 2);
    CHECK(a.verbs == std::vector<std::uint32_t>{7, 0});
    CHECK(a.round_trips == std::vector<std::uint32_t>{1, 2});
    CHECK(a.bytes_read == std::vector<std::uint32_t>{100, std::numeric_limits<std::uint32_t>::max()});
    CHECK(a.latency_us == std::vector<float>{1.5F, 4.0F});
}
