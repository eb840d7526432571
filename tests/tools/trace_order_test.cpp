// SPDX-License-Identifier: Apache-2.0
#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "made_trace.hpp"
#include "tools/trace_order.hpp"
#include "tools/trace_runs_test.hpp"

using namespace catena::test;
using namespace catena::tools;

namespace {

std::vector<bool> as_bools(std::string const& signs) {
    std::vector<bool> out;
    for (auto const c : signs) out.push_back(c == '+');
    return out;
}

std::string about(std::vector<std::uint64_t> const& numbers) {
    std::string out;
    for (bool const above : about_median(numbers)) out += above ? '+' : '-';
    return out;
}

id_order order(std::vector<prompt> const& prompts) {
    auto const t = made_trace(prompts);
    return order_of(t, number_blocks(t));
}

// A prompt of which those ids are above the median where there is a plus; no two follow each other by one.
prompt with_pattern(std::string const& signs) {
    prompt out;
    std::uint64_t step = 0;
    for (auto const c : signs) out.push_back((c == '+' ? 1'000 : 0) + (step += 2));
    return out;
}

} // namespace

TEST_CASE("the runs test of a sequence, by hand", "[tools][trace]") {
    // 13 and 9 in 6 runs: mean 2*13*9/22 + 1 = 11.636, variance 234 * (234 - 22) / (22 * 22 * 21) = 4.8808
    auto const test = test_runs(as_bools("++++---+++--++++++----"));
    REQUIRE(test);
    CHECK(test->of_one == 13);
    CHECK(test->of_other == 9);
    CHECK(test->runs == 6);
    CHECK(near(test->expected, 11.63636, 1e-5));
    CHECK(near(test->z, -2.55127, 1e-4));
    CHECK(near(test->p, 0.010733, 1e-5));
    CHECK_FALSE(test->has_enough());
    CHECK(near(test_runs(as_bools("+-+-+-+-+-+-+-+-+-+-"))->z, 9 / std::sqrt(90.0 / 19))); // alternates
    CHECK(test_runs(as_bools("+-+-+-+-+-+-+-+-+-+-"))->has_enough());
}

TEST_CASE("a sequence that has but one order cannot be tested", "[tools][trace]") {
    for (auto const* const signs : {"", "+", "----", "+-"}) {
        CAPTURE(signs);
        CHECK_FALSE(test_runs(as_bools(signs)));
    }
    CHECK(test_runs(as_bools("+--")));
}

TEST_CASE("about the median: what equals it is left out", "[tools][trace]") {
    CHECK(about({}) == "");
    CHECK(about({7}) == "");
    CHECK(about({5, 1, 3}) == "+-");      // 3 is the median
    CHECK(about({1, 9, 2, 8}) == "-+-+"); // it lies between 2 and 8
    CHECK(about({4, 4, 4, 9}) == "+");
    CHECK(about({4, 4, 6, 6}) == "--++");
    auto const largest = ~std::uint64_t{0};
    CHECK(about({largest, 0, largest - 1, 1}) == "+-+-");
}

TEST_CASE("sequential ids, by hand", "[tools][trace]") {
    auto const o = order({{1, 2, 3, 10, 11, 5}, {7}, {20, 21}});
    CHECK(o.pairs == 6);
    CHECK(o.sequential == 4);
    CHECK(o.requests_of_pairs == 2);
    CHECK(near(o.sequential_of_a_request, (3.0 / 5 + 1) / 2));
    CHECK(o.stretches.count == 3);
    CHECK(o.stretches.max == 3); // 1 2 3, 10 11, 5
    CHECK(o.stretches.p50 == 1);
    CHECK(order({{7}, {8}}).pairs == 0);
    CHECK(order({{~std::uint64_t{0}, 0}}).stretches.max == 1); // numbers of 64 bits go round
}

TEST_CASE("the ids of each request are tested about its own median", "[tools][trace]") {
    prompt rising;
    for (std::uint64_t id = 0; id < 20; ++id) rising.push_back(id);
    auto const o = order({rising,                               // two runs of ten: no chance
                          with_pattern("--++-+--+++--+-++-+-"), // as random as it gets
                          with_pattern("-+-+"),                 // random, but what would not be
                          {1, 2}});                             // one order only
    CHECK(o.in_requests.possible == 3);
    CHECK(o.in_requests.possible_random == 2);
    CHECK(o.in_requests.sound == 2);
    CHECK(o.in_requests.sound_random == 1);
    CHECK(o.between_stretches.possible == 2); // the first is one stretch
    CHECK(o.between_stretches.possible_random == 2);
    CHECK(o.between_stretches.sound == 1);
    CHECK(o.between_stretches.sound_random == 1);
}

TEST_CASE("hits and ids of the whole trace are tested in its order", "[tools][trace]") {
    auto const o = order({{1, 2, 3}, {1, 2, 4}, {1, 5}}); // misses ---, ++-, +-
    REQUIRE(o.hits);
    CHECK(o.hits->of_one == 3);
    CHECK(o.hits->of_other == 5);
    CHECK(o.hits->runs == 5);
    REQUIRE(o.ids); // the median is 2: - 3+ - 4+ - 5+
    CHECK(o.ids->of_one == 3);
    CHECK(o.ids->of_other == 3);
    CHECK(o.ids->runs == 6);
    CHECK_FALSE(order({{1}, {2}}).hits);
}
