// SPDX-License-Identifier: Apache-2.0
#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <set>
#include <sstream>
#include <string>

#include <nlohmann/json.hpp>

#include "tools/report.hpp"

using namespace catena::tools;

namespace {

run_report example() {
    call_samples calls;
    for (unsigned i = 1; i <= 100; ++i)
        calls.add({.round_trips = 1, .reads = i, .bytes_read = std::uint64_t{1024} * i, .bytes_written = i}, 0.5 * i);
    run_report r;
    r.run = {.index = "sherman",
             .strategy = "batched",
             .fabric = "local",
             .pool = "local:?size=1GiB",
             .trace = "conversation.jsonl",
             .trace_requests = 12'031,
             .skipped_lines = 2,
             .trace_block_tokens = 512,
             .block_tokens = 16,
             .full_blocks_only = true,
             .threads = 3};
    r.requests = 12'031;
    r.blocks = 288'500;
    r.unique_blocks = 182'790;
    r.hit_blocks = 105'710;
    r.over_half = 3'527;
    r.seconds = 2;
    r.match = summarize_calls(calls);
    r.publish = r.match;
    r.entries = 1000;
    r.index_entries = 40;
    r.remote_bytes = 52'500;
    r.client_cache_bytes = 130'000;
    r.client_cache_capacity_bytes = 64U << 20U;
    r.pool_bytes = 1U << 30U;
    r.pool_bytes_taken = 12U << 20U;
    return r;
}

std::set<std::string> keys_of(nlohmann::ordered_json const& object) {
    std::set<std::string> keys;
    for (auto const& [key, value] : object.items()) keys.insert(key);
    return keys;
}

} // namespace

TEST_CASE("the JSON has every promised key, and its figures", "[tools]") {
    auto const json = to_json(example());
    auto const keys = keys_of(json);
    for (auto const* key : {"requests",
                            "blocks",
                            "hit_blocks",
                            "hit_ratio",
                            "requests_over_half",
                            "requests_per_second",
                            "remote_bytes_per_block",
                            "matched_blocks_per_round_trip",
                            "bytes_per_matched_block",
                            "index_entries",
                            "index_entries_per_block",
                            "clients",
                            "client_cache_bytes",
                            "index",
                            "strategy",
                            "fabric",
                            "match",
                            "publish",
                            "trace",
                            "pool",
                            "threads",
                            "block_tokens",
                            "full_blocks_only",
                            "skipped_lines",
                            "unique_blocks"}) {
        CAPTURE(key);
        CHECK(keys.count(key) == 1);
    }
    CHECK(json["requests"] == 12'031);
    CHECK(std::abs(json["hit_ratio"].get<double>() - 0.3664) < 0.00005);
    CHECK(std::abs(json["requests_over_half"].get<double>() - 0.293) < 0.0005);
    CHECK(std::abs(json["requests_per_second"].get<double>() - 6015.5) < 1e-6);
    CHECK(std::abs(json["remote_bytes_per_block"].get<double>() - 52.5) < 1e-6);
    CHECK(std::abs(json["matched_blocks_per_round_trip"].get<double>() - 1057.1) < 1e-6);
    CHECK(std::abs(json["bytes_per_matched_block"].get<double>() - 100 * 1024 * 50.5 / 105'710) < 1e-6);
    CHECK(std::abs(json["index_entries_per_block"].get<double>() - 0.04) < 1e-9);
    CHECK(json["full_blocks_only"] == true);
    for (auto const* call : {"match", "publish"}) {
        CHECK(keys_of(json[call]) ==
              std::set<std::string>{"calls", "round_trips", "verbs", "bytes_read", "bytes_written", "latency_us"});
        for (auto const* figure : {"round_trips", "verbs", "bytes_read", "bytes_written", "latency_us"}) {
            CAPTURE(call, figure);
            CHECK(keys_of(json[call][figure]) == std::set<std::string>{"mean", "p50", "p99", "max"});
        }
    }
    CHECK(json["match"]["verbs"]["p99"] == 99.0);
    CHECK(json["match"]["latency_us"]["max"] == 50.0);
}

TEST_CASE("a run without requests has figures too", "[tools]") {
    run_report const nothing;
    auto const json = to_json(nothing);
    CHECK(json["hit_ratio"] == 0.0);
    CHECK(json["requests_per_second"] == 0.0);
    CHECK(json["remote_bytes_per_block"] == 0.0);
    CHECK(json["matched_blocks_per_round_trip"] == 0.0);
    CHECK(json["bytes_per_matched_block"] == 0.0);
    CHECK(json["index_entries_per_block"] == 0.0);
    CHECK_THAT(to_table(nothing), catena::test::has_text("requests"));
}

TEST_CASE("the table says what was run and what came of it", "[tools]") {
    auto const table = to_table(example());
    for (auto const* text :
         {"index sherman, strategy batched, fabric local", "local:?size=1GiB", "conversation.jsonl",
          "blocks of 16 tokens, cut from 512, full blocks only", "2 lines skipped", "12,031", "6,016 a second",
          "3 threads", "288,500", "182,790 of them different", "36.64 % of the blocks", "29.32 % of the requests",
          "match (100)", "round trips", "1,057.10 a round trip of match, 48.9 bytes read for each",
          "0.040 a block: 40 for 1,000 blocks", "52.5 bytes a block", "127 KiB of 64.0 MiB",
          "12.0 MiB of 1.00 GiB taken"})
        CHECK_THAT(table, catena::test::has_text(text));
    CHECK(table.find("STOPPED") == std::string::npos);

    auto several = example();
    several.run.clients = 8;
    CHECK_THAT(to_table(several), catena::test::has_text("3 threads and 8 clients"));
    CHECK_THAT(to_table(several), catena::test::has_text("127 KiB of 64.0 MiB, the fullest one"));

    auto stopped = example();
    stopped.stopped = true;
    stopped.requests = 17;
    CHECK_THAT(to_table(stopped), catena::test::has_text("STOPPED EARLY after 17 of 12,031 requests"));
}

TEST_CASE("no line of the table is wider than 100 columns", "[tools]") {
    auto wide = example();
    wide.run.pool = "shm:" + std::string(300, 'p');
    wide.run.trace = std::string(300, '/');
    wide.run.index = std::string(300, 'i');
    wide.requests = wide.blocks = wide.unique_blocks = wide.hit_blocks = wide.over_half = 1'000'000'000'000;
    wide.stopped = true;
    wide.match.calls = 1'000'000'000;
    wide.match.bytes_read.max = wide.match.latency_us.max = 4'294'967'295;
    for (auto const& report : {example(), wide}) {
        std::istringstream table(to_table(report));
        for (std::string line; std::getline(table, line);) {
            CAPTURE(line);
            REQUIRE(line.size() <= 100);
        }
    }
}

TEST_CASE("the columns of both calls stand below each other", "[tools]") {
    std::istringstream table(to_table(example()));
    std::set<std::size_t> widths;
    for (std::string line; std::getline(table, line);)
        if (line.starts_with("match (") || line.starts_with("publish (") || line.starts_with("  ")) {
            if (line.starts_with("   ")) continue; // continues the heading
            widths.insert(line.size());
        }
    CHECK(widths.size() == 1);
}
