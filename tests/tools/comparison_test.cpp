// SPDX-License-Identifier: Apache-2.0
// What a comparison is made of, and its table. The program itself: program_test.cpp.
#include "support/catch.hpp"

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <string>

#include <nlohmann/json.hpp>

#include "tools/comparison.hpp"

using namespace catena::tools;
using catena::match_strategy;
using catena::test::has_text;

namespace {

run_report row_of(compared_way const& way, std::uint64_t hits) {
    run_report r;
    r.run.index = way.index;
    r.run.strategy = std::string(name(way.strategy));
    r.run.fabric = "local";
    r.run.trace = "conversation.jsonl";
    r.requests = 12'031;
    r.blocks = 288'500;
    r.hit_blocks = hits;
    r.match.calls = 12'031;
    r.match.round_trips = {.mean = 282.02, .p50 = 1, .p99 = 3'393, .max = 8'000};
    r.match.bytes_read.mean = 5'242'880;
    r.entries = 182'790;
    r.index_entries = 9'140;
    r.client_cache_bytes = 15U << 20U;
    return r;
}

comparison example() {
    comparison all;
    for (auto const& way : ways_to_compare("sherman")) all.rows.push_back(row_of(way, 105'710));
    return all;
}

} // namespace

TEST_CASE("both layouts are compared over every index, other lookups over one", "[tools]") {
    std::string labels;
    for (auto const& way : ways_to_compare("chime")) labels += way.label() + ' ';
    CHECK(labels == "extents/chime extents/learned extents/sherman batched/chime batched/learned batched/sherman "
                    "galloping/chime binary/chime sequential/chime ");
}

TEST_CASE("each way has a pool of its own", "[tools]") {
    compared_way const way{.strategy = match_strategy::extents, .index = "chime"};
    CHECK(pool_of("local:?size=1GiB", way) == "local:?size=1GiB");
    CHECK(pool_of("shm:x?size=1GiB&nodes=2", way) == "shm:x-extents-chime?size=1GiB&nodes=2");
    CHECK(pool_of("shm:x", way) == "shm:x-extents-chime");
    CHECK_FALSE(unfit_to_compare("local:").has_value());
    CHECK_FALSE(unfit_to_compare("shm:x?size=1GiB&keep=no").has_value());
    CHECK(unfit_to_compare("shm:x").has_value());
    CHECK(unfit_to_compare("shm:x?nodes=2").has_value());
    CHECK(unfit_to_compare("shm:x?size=1GiB&keep=yes").has_value());
}

TEST_CASE("the rows of a comparison stand below each other, no wider than 120 columns", "[tools]") {
    auto all = example();
    all.rows.back().run.index = std::string(80, 'i');
    std::istringstream table(to_table(all, "shm:" + std::string(300, 'p')));
    std::size_t rows = 0;
    for (std::string line; std::getline(table, line);) {
        CAPTURE(line);
        REQUIRE(line.size() <= 120);
        if (line.find("15.0 MiB") == std::string::npos) continue;
        ++rows;
        CHECK(line.size() == 115);
        CHECK_THAT(line, has_text("  282.02  3,393 "));
        CHECK_THAT(line, has_text("  0.050 "));
    }
    CHECK(rows == 9);
}

TEST_CASE("a comparison says whether all ways found the same", "[tools]") {
    auto all = example();
    CHECK_THAT(to_table(all, "local:"), has_text("36.64 % of the blocks, the same in all rows"));
    all.rows[4].hit_blocks = 105'700;
    all.same_hits = false;
    CHECK_THAT(to_table(all, "local:"), has_text("105,700   to 105,710: THEY DIFFER\n"));
    for (auto& row : all.rows) row.run.threads = 4;
    CHECK_THAT(to_table(all, "local:"), has_text("THEY DIFFER (requests in flight at the same time)\n"));
}

TEST_CASE("a comparison that was stopped has the rows that are there", "[tools]") {
    auto all = example();
    all.rows.resize(2);
    all.stopped = true;
    CHECK_THAT(to_table(all, "local:"), has_text("2 ways to store"));
    CHECK_THAT(to_table(all, "local:"), has_text("STOPPED EARLY"));
    CHECK(to_json(all).size() == 2);
    CHECK(to_json(all)[1]["index"] == "learned");
    all.rows.clear();
    CHECK_THAT(to_table(all, "local:"), has_text("stopped before the first way was finished"));
    CHECK(to_json(all).is_array());
}
