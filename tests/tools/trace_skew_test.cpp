// SPDX-License-Identifier: Apache-2.0
#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "made_trace.hpp"
#include "tools/trace_skew.hpp"

using namespace catena::test;
using namespace catena::tools;

TEST_CASE("shares of the hottest blocks, by hand", "[tools][trace]") {
    // 20 blocks: 1 is used 10 times, 2 five times, the others once.
    std::vector<prompt> prompts(5, prompt{1, 2});
    prompts.insert(prompts.end(), 5, prompt{1});
    for (std::uint64_t id = 3; id <= 20; ++id) prompts.push_back({id});
    auto const s = skew_of(number_blocks(made_trace(prompts)));
    CHECK(s.accesses == 33);
    CHECK(s.blocks == 20);
    CHECK(s.hottest == 10);
    CHECK(s.hottest_hundredth == 10); // at least one block
    CHECK(s.hottest_tenth == 15);
    CHECK(s.used_once == 18);
    REQUIRE(s.curve.size() == 6); // 1 2 4 8 16 20
    CHECK(s.curve[1].rank == 2);
    CHECK(s.curve[1].uses == 5);
    CHECK(s.curve[5].rank == 20);
    CHECK(s.curve[5].uses == 1);
    CHECK(s.zipf);
}

TEST_CASE("a Zipf exponent, by hand", "[tools][trace]") {
    auto const two = fit_zipf(count_uses(std::vector<std::uint32_t>{3, 1})); // 1 : 2^-s = 3 : 1
    REQUIRE(two);
    CHECK(near(two->exponent, std::log2(3.0), 1e-5));
    CHECK(two->distance < 1e-5);
    CHECK_FALSE(fit_zipf(count_uses(std::vector<std::uint32_t>{3})));
}

TEST_CASE("the exponent that uses were made with is found", "[tools][trace]") {
    for (double const exponent : {0.0, 0.3, 0.8, 1.0, 1.7, 4.0}) {
        CAPTURE(exponent);
        std::vector<std::uint32_t> uses;
        for (int rank = 1; rank <= 1000; ++rank)
            uses.push_back(static_cast<std::uint32_t>(std::lround(4e9 * std::pow(rank, -exponent))));
        auto const fit = fit_zipf(count_uses(uses));
        REQUIRE(fit);
        CHECK(near(fit->exponent, exponent, 2e-5));
        CHECK(fit->distance < 1e-5);
    }
}

TEST_CASE("a steeper exponent than is sought ends the search, and a poor fit shows", "[tools][trace]") {
    auto const steep = fit_zipf(count_uses(std::vector<std::uint32_t>{4'000'000'000U, 1}));
    REQUIRE(steep);
    CHECK(steep->exponent <= zipf_fit::steepest);
    CHECK(steep->exponent > zipf_fit::steepest - 0.001);
    std::vector<std::uint32_t> half(100, 1);
    std::fill_n(half.begin(), 50, 1000U); // a cliff is no Zipf
    CHECK(fit_zipf(count_uses(half))->distance > 0.05);
}
