// SPDX-License-Identifier: Apache-2.0
// The real catena-bench: exit codes, messages, what goes where, and that nothing is left behind.
#include "bench_scene.hpp"

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tools/published_traces.hpp"

using namespace catena::test;

namespace {

std::string shm_of(running_bench const& run) { return "catena-bench-" + std::to_string(run.pid()) + "-"; }

bool is_empty(std::string const& folder) { return names_with(folder, "").empty(); }

} // namespace

TEST_CASE("a small comparison: the table, or the JSON with all of it", "[bench]") {
    std::vector<std::string> const what{"compare",
                                        "--requests",
                                        "300",
                                        "--rounds",
                                        "2",
                                        "--systems",
                                        "map,@shm",
                                        "--clients",
                                        "1,2",
                                        "--nodes",
                                        "1",
                                        "--simulate",
                                        "extents/chime,batched/learned"};
    auto const table = run_bench(what);
    INFO(table.err);
    REQUIRE(table.status == 0);
    CHECK(table.err.empty()); // no progress: this is no terminal
    CHECK_THAT(table.out, has_text("one client"));
    CHECK_THAT(table.out, has_text("many clients, simulated"));

    auto with_json = what;
    with_json.insert(with_json.end(), {"--json", "-", "--against", "map@process"});
    auto const run = run_bench(with_json);
    REQUIRE(run.status == 0);
    CHECK_THAT(run.err, has_text("one client"));
    auto const data = nlohmann::json::parse(run.out);
    CHECK(data["program"] == "catena-bench compare");
    CHECK(data["rounds"] == 2);
    CHECK(data["same_hits"] == true);
    CHECK(data["stopped_early"] == false);
    CHECK(data["against"] == "map@process");
    CHECK(data["redis"] == "");
    CHECK(data["trace"]["requests"] == 300);
    CHECK(data["trace"]["warm_up_requests"] == 150);
    for (auto const* const key : {"processor", "processors", "memory_bytes", "kernel", "compiler"})
        CHECK(data["machine"].contains(key));
    REQUIRE(data["systems"].size() == 10);
    auto const& hits = data["systems"][0]["hit_blocks"];
    for (auto const& each : data["systems"]) {
        CAPTURE(each["name"]);
        CHECK(each["hit_blocks"] == hits);
        CHECK(each["requests"] == 150);
        CHECK(each["requests_per_second"]["least"] <= each["requests_per_second"]["median"]);
        CHECK(each["match_us"]["p50"]["median"] <= each["match_us"]["max"]["median"]);
        CHECK(each["curve"].size() == 16);
        CHECK(each["times"].contains("requests_per_second"));
        for (auto const* const key :
             {"way", "reached", "matches_per_second", "matched_blocks_per_second", "publish_us", "request_us",
              "server_us_per_request", "round_trips_per_match", "round_trips_per_publish", "bytes_per_request",
              "bytes_per_block", "client_bytes"})
            CHECK(each.contains(key));
    }
    REQUIRE(data["simulated"]["rows"].size() == 4);
    CHECK(data["simulated"]["rows"][3]["way"] == "batched/learned");
    CHECK(data["simulated"]["rows"][3]["clients"] == 2);
}

TEST_CASE("only measured, only simulated", "[bench]") {
    auto const measured = run_bench(
        {"compare", "--requests", "100", "--rounds", "1", "--systems", "map", "--simulate", "none", "--json", "-"});
    REQUIRE(measured.status == 0);
    auto data = nlohmann::json::parse(measured.out);
    CHECK_FALSE(data.contains("simulated"));
    CHECK(data["against"] == ""); // the usual one is not there
    CHECK_FALSE(data["systems"][0].contains("times"));
    CHECK(measured.err.find("simulated") == std::string::npos);

    auto const simulated = run_bench({"compare", "--requests", "100", "--systems", "none", "--simulate",
                                      "extents/chime", "--clients", "2", "--nodes", "1", "--json", "-"});
    REQUIRE(simulated.status == 0);
    data = nlohmann::json::parse(simulated.out);
    CHECK(data["systems"].empty());
    CHECK(data["rounds"] == 0);
    CHECK(data["simulated"]["rows"].size() == 1);
    CHECK(simulated.err.find("one client,") == std::string::npos);
}

TEST_CASE("what it hits is what catena-replay hits", "[bench]") {
    std::vector<std::string> sources[]{{"--requests", "400", "--seed", "9"}, {}};
    if (auto const trace = published_trace("mooncake_conversation.jsonl"); !trace.empty())
        sources[1] = {trace, "--limit", "500"};
    else
        WARN(why_skipped("mooncake_conversation.jsonl"));
    for (auto const& source : sources) {
        if (source.empty()) continue;
        auto compare = source;
        compare.insert(compare.begin(), "compare");
        compare.insert(compare.end(), {"--systems", "map,extents/chime@local,batched/sherman@shm", "--rounds", "1",
                                       "--simulate", "none", "--warm-up", "0", "--json", "-"});
        auto replay = source;
        replay.insert(replay.end(), {"--json", "-"});
        auto const run = run_bench(compare);
        auto const again = run_replay(replay);
        INFO(run.err);
        REQUIRE((run.status == 0 && again.status == 0));
        auto const expected = nlohmann::json::parse(again.out);
        for (auto const& each : nlohmann::json::parse(run.out)["systems"]) {
            CHECK(each["hit_blocks"] == expected["hit_blocks"]);
            CHECK(each["blocks"] == expected["blocks"]);
        }
    }
}

TEST_CASE("wrong usage is told by name and ends with 2", "[bench]") {
    auto const refused = [](std::vector<std::string> const& arguments, std::string const& because) {
        auto const run = run_bench(arguments);
        CAPTURE(arguments);
        CHECK(run.status == 2);
        CHECK(run.out.empty());
        CHECK_THAT(run.err, has_text("catena-bench"));
        CHECK_THAT(run.err, has_text(because));
    };
    refused({}, "a command is missing: compare or ranges");
    refused({"measure"}, "there is no command \"measure\"; there are: compare, ranges");
    refused({"compare", "--systems", "memcached"}, "--systems memcached: there is none; there are extents/");
    refused({"compare", "--systems", "map", "--against", "redis-get@tcp"},
            "--against redis-get@tcp: not among the systems that are compared");
    refused({"compare", "--simulate", "magic"}, "--simulate magic: that is none of extents/");
    refused({"compare", "--systems", "none", "--simulate", "none"}, "there is nothing to do");
    refused({"compare", "--requests", "100", "--systems", "none", "--clients", "60"},
            "100 requests, 50 of them to warm up, are too few for 60 clients");
    refused({"compare", "--requests", "9", "--warm-up", "10", "--systems", "map", "--simulate", "none"}, "too few");
    refused({"compare", "--requests", "9", "--warm-up", "9", "--systems", "map", "--simulate", "none"}, "too few");
    refused({"compare", "--rounds", "0"}, "--rounds");
    refused({"compare", "--nodes", "17"}, "\"17\" is not a number from 1 to 16");
    refused({"compare", "--requests", "50", "--json", "/no/such/folder/o.json"}, "not a place for a file");
    refused({"compare", "--requests", "50", "--report", "/no/such/folder/o.html"}, "--report /no/such/folder/o.html: ");
    refused({"compare", "--colour"}, "--colour");

    auto const missing = run_bench({"compare", "/no/such/trace.jsonl"});
    CHECK(missing.status == 3);
    CHECK_THAT(missing.err, has_text("catena-bench: /no/such/trace.jsonl: no such file"));
}

TEST_CASE("help and version end well and teach", "[bench]") {
    auto const help = run_bench({"--help"});
    CHECK(help.status == 0);
    CHECK_THAT(help.out, has_text("catena-bench COMMAND [OPTIONS] [TRACE]"));
    auto const compare = run_bench({"compare", "--help"});
    CHECK(compare.status == 0);
    for (auto const* const word : {"--systems", "--against", "--rounds", "--simulate", "--clients", "--json",
                                   "--report", "redis-mget", "Examples:", "Exit status"})
        CHECK_THAT(compare.out, has_text(word));
    CHECK(compare.out.find("hold-pool") == std::string::npos);
    CHECK_THAT(run_bench({"--version"}).out, has_text("catena-bench "));
}

TEST_CASE("a Redis that cannot be started ends it with advice", "[bench]") {
    auto const run = run_bench({"compare", "--requests", "50", "--systems", "redis", "--simulate", "none",
                                "--redis-server", "/no/such/redis-server"});
    CHECK(run.status == 1);
    CHECK_THAT(run.err, has_text("cannot start /no/such/redis-server: No such file or directory"));
    CHECK_THAT(run.err, has_text("install redis-server, name it with --redis-server, or leave Redis out"));
}

TEST_CASE("Ctrl-C ends it with what was measured, and nothing is left behind", "[bench]") {
    scratch_folder const folder;
    auto const json = folder / "o.json";
    auto const systems = std::string("map,extents/chime@shm") + (has_redis() ? ",redis-mget@unix" : "");
    running_bench run(
        {"compare", "--requests", "300", "--rounds", "1000", "--systems", systems, "--clients", "1", "--json", json});
    auto const segments = shm_of(run);
    // The third pool in shared memory is that of the third round.
    REQUIRE(becomes_true([&] { return !names_with("/dev/shm", segments + "2").empty(); }));
    CHECK(processes_of(run.temporary()) >= 2);
    CHECK(run.interrupt() == 0);
    CHECK_THAT(run.said(), has_text("STOPPED EARLY"));
    auto const data = nlohmann::json::parse(text_of(json));
    CHECK(data["stopped_early"] == true);
    CHECK(data["rounds"] >= 2);
    CHECK(data["rounds"] < 1000);
    CHECK(data["systems"].size() >= 2);
    CHECK_FALSE(data.contains("simulated"));
    CHECK(processes_of(run.temporary()) == 0);
    CHECK(names_with("/dev/shm", segments).empty());
    CHECK(is_empty(run.temporary()));
}

TEST_CASE("one that is killed takes its servers with it", "[bench][redis]") {
    if (!has_redis()) return;
    running_bench run(
        {"compare", "--requests", "2000", "--rounds", "1000", "--systems", "redis-get", "--simulate", "none"});
    REQUIRE(becomes_true([&] { return processes_of(run.temporary()) == 2; }));
    CHECK(run.kill_alone() == 128 + SIGKILL);
    CHECK(becomes_true([&] { return processes_of(run.temporary()) == 0; }));
}

TEST_CASE("a page names the trace, and not where it lay", "[bench][report]") {
    scratch_folder const folder;
    std::string text;
    for (int i = 0; i < 20; ++i)
        text += R"({"timestamp":0,"input_length":1024,"output_length":1,"hash_ids":[)" + std::to_string(i % 4) + "," +
                std::to_string(4 + i) + "]}\n";
    auto const trace = folder.file("t.jsonl", text);
    auto const page = folder / "page.html";
    auto const run = run_bench({"compare", trace, "--systems", "map,extents/chime", "--rounds", "2", "--clients", "2",
                                "--nodes", "1", "--simulate", "extents/chime", "--report", page});
    if (run.status == 2) {
        CHECK_THAT(run.err, has_text("--report " + page + ": this program was built without charts"));
        return;
    }
    INFO(run.err);
    REQUIRE(run.status == 0);
    auto const written = text_of(page);
    CHECK_THAT(written, has_text("t.jsonl: 20 requests"));
    CHECK_THAT(written, has_text("\"extents/chime@shm\""));
    CHECK(written.find(trace) == std::string::npos);
}

TEST_CASE("systems that do not agree are a failure, and told", "[bench][redis]") {
    if (!has_redis()) return;
    scratch_folder const folder; // a Redis that forgets
    auto const forgetful =
        folder.file("redis", "#!/bin/sh\n"
                             "exec redis-server \"$@\" --maxmemory 2mb --maxmemory-policy allkeys-random\n");
    std::filesystem::permissions(forgetful, std::filesystem::perms::owner_all);
    auto const run = run_bench({"compare", "--requests", "1500", "--systems", "map,redis-mget@unix", "--rounds", "1",
                                "--simulate", "none", "--redis-server", forgetful, "--json", "-"});
    INFO(run.err);
    CHECK(run.status == 1);
    CHECK_THAT(run.err, has_text("THE SYSTEMS DO NOT AGREE"));
    CHECK(nlohmann::json::parse(run.out)["same_hits"] == false);
}
