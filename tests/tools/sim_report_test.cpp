// SPDX-License-Identifier: Apache-2.0
// What a simulated run reports: the rule of saturation, percentiles, table and JSON.
#include "support/catch.hpp"

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tools/sim_report.hpp"

using namespace catena::tools;
using catena::test::has_text;

namespace {

sim_row row_with(std::array<double, sim_resources.size()> const& utilisation) {
    sim_row row;
    row.utilisation = utilisation;
    return row;
}

sim_result measured() {
    sim_result r;
    r.window_seconds = 0.001;
    r.window_requests = 100;
    r.window_blocks = 2'500;
    r.utilisation = {0.01, 0.02, 0.03, 0.999, 0.5};
    r.requests = 110;
    r.blocks = 2'700;
    r.hit_blocks = 900;
    for (int i = 1; i <= 100; ++i) r.match.latency_us.push_back(i);
    r.match.round_trips = 150;
    r.publish.latency_us = {10, 20};
    r.publish.round_trips = 7;
    return r;
}

} // namespace

TEST_CASE("the busiest resource saturates from 70 percent on, below that it is latency", "[tools][sim]") {
    CHECK(row_with({0.1, 0.2, 0.3, 0.69, 0.5}).saturates() == "nothing (latency)");
    CHECK(row_with({0.1, 0.2, 0.3, 0.7, 0.5}).saturates() == "memory NIC send");
    CHECK(row_with({0.1, 0.2, 0.3, 0.7, 0.71}).saturates() == "memory atomics");
    CHECK(row_with({0.9, 0.2, 0.3, 0.7, 0.71}).saturates() == "client NIC send");
    CHECK(row_with({}).saturates() == "nothing (latency)");
}

TEST_CASE("a row divides what the window saw by the window, and takes latencies of all calls", "[tools][sim]") {
    sim_setup const setup{.clients = 8, .nodes = 4};
    auto const row = make_row(setup, measured());
    CHECK(row.nodes == 4);
    CHECK(row.clients == 8);
    CHECK(std::abs(row.requests_per_second - 1e5) < 1e-3);
    CHECK(std::abs(row.blocks_per_second - 2.5e6) < 1e-3);
    CHECK(row.match_us.p50 == 50);
    CHECK(row.match_us.p99 == 99);
    CHECK(row.publish_us.max == 20);
    CHECK(row.publishes == 2);
    CHECK(row.round_trips_per_match == 1.5);
    CHECK(row.round_trips_per_publish == 3.5);
    CHECK(row.saturates() == "memory NIC send");

    auto const empty = make_row(setup, sim_result{});
    CHECK(empty.requests_per_second == 0);
    CHECK(empty.round_trips_per_match == 0);
}

TEST_CASE("table and JSON say the same", "[tools][sim]") {
    sim_setup setup{.network = catena::sim_parameters::connectx6_100g(), .clients = 8, .nodes = 4};
    setup.warm_up = 7;
    sim_description const about{
        .trace = "some trace", .trace_requests = 117, .skipped_lines = 3, .block_tokens = 512, .setup = setup};
    std::vector<sim_row> const rows{make_row(setup, measured())};

    auto const table = to_table(about, rows);
    CHECK_THAT(table, has_text("some trace: 117 requests, 7 of them to warm up, blocks of 512 tokens"));
    CHECK_THAT(table, has_text("connectx6-100g: 850 ns one way, 100 Gbit/s"));
    CHECK_THAT(table, has_text("3 lines skipped"));
    CHECK_THAT(table,
               has_text("    4       8      100,000    2,500,000     50.0     99.0     10.0     20.0   1.50   1   2   "
                        "3 100  50  memory NIC send\n"));

    auto const json = to_json(about, rows);
    CHECK(json["network"]["preset"] == "connectx6-100g");
    CHECK(json["warm_up_requests"] == 7);
    REQUIRE(json["rows"].size() == 1);
    auto const& row = json["rows"][0];
    CHECK(row["clients"] == 8);
    CHECK(row["match_us"]["p99"] == 99);
    CHECK(row["utilisation"]["memory NIC send"] == 0.999);
    CHECK(row["saturates"] == "memory NIC send");
}
