// SPDX-License-Identifier: Apache-2.0
// What is computed of the rounds: medians with their spread, latencies by rank, ratios.
#include "support/catch.hpp"

#include <vector>

#include "bench/compare_report.hpp"
#include "bench/rounds.hpp"

using namespace catena::bench;

namespace {

system_figures figures(system_kind kind, std::vector<double> const& rates) {
    system_figures out;
    out.what.kind = kind;
    for (auto const rate : rates) {
        auto& round = out.rounds.emplace_back();
        round.requests_per_second = rate;
        round.matches_per_second = 2 * rate;
        round.match_us.at = {0, 0, 1000 / rate, 0};
    }
    return out;
}

} // namespace

TEST_CASE("a spread is the middle value, or the mean of the two in the middle, and the ends", "[bench]") {
    auto const odd = spread_of({5, 1, 9});
    CHECK((odd.median == 5 && odd.least == 1 && odd.most == 9));
    auto const even = spread_of({8, 1, 2, 4});
    CHECK((even.median == 3 && even.least == 1 && even.most == 8));
    auto const one = spread_of({7});
    CHECK((one.median == 7 && one.least == 7 && one.most == 7));
}

TEST_CASE("latencies are samples that occurred: the nearest rank", "[bench]") {
    std::vector<float> samples;
    for (int i = 1000; i >= 1; --i) samples.push_back(static_cast<float>(i));
    auto const many = latencies_of(samples);
    CHECK(many.mean == 500.5);
    CHECK(many.at == std::array{500.0, 900.0, 990.0, 999.0});
    CHECK(many.max == 1000);
    CHECK(samples.front() == 1); // sorted

    std::vector<float> few{4, 3, 2, 1};
    auto const four = latencies_of(few);
    CHECK(four.at == std::array{2.0, 4.0, 4.0, 4.0});

    std::vector<float> alone{3};
    auto const one = latencies_of(alone);
    CHECK(one.at == std::array{3.0, 3.0, 3.0, 3.0});
    CHECK((one.mean == 3 && one.max == 3));

    std::vector<float> empty;
    auto const none = latencies_of(empty);
    CHECK((none.mean == 0 && none.max == 0 && none.at == std::array{0.0, 0.0, 0.0, 0.0}));
}

TEST_CASE("ratios are taken within each round, not of medians", "[bench]") {
    comparison all;
    all.measured.systems = {figures(system_kind::map, {1, 10, 100}), figures(system_kind::redis, {5, 40, 60})};
    all.about.against = "map@process";
    auto const& redis = all.measured.systems[1];
    auto const found = ratios_of(all, redis); // 5, 4, 0.6; the ratio of the medians is 4 too, so ask for the ends
    REQUIRE(found);
    CHECK((found->requests_per_second.median == 4 && found->requests_per_second.least == 0.6));
    CHECK(found->requests_per_second.most == 5);
    CHECK(found->matches_per_second.median == 4);
    CHECK(found->match_p99.most == 100.0 / 60);          // 1/5, 1/4, 1/0.6
    CHECK(found->matched_blocks_per_second.median == 0); // of nothing

    all.measured.systems[1] = figures(system_kind::redis, {30, 20, 10}); // 30, 2, 0.1: medians would say 2
    CHECK(ratios_of(all, redis)->requests_per_second.median == 2);
    all.measured.systems[1] = figures(system_kind::redis, {30, 5, 400}); // 30, 0.5, 4: medians would say 3
    CHECK(ratios_of(all, redis)->requests_per_second.median == 4);
    CHECK(ratios_of(all, all.measured.systems[0])->requests_per_second.most == 1);

    all.about.against = "";
    CHECK_FALSE(ratios_of(all, redis));
    all.about.against = "map@process";
    CHECK_FALSE(ratios_of(all, system_figures{}));
}
