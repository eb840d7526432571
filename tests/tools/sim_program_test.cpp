// SPDX-License-Identifier: Apache-2.0
// The real catena-sim: the same bytes every time, exit codes, messages, and what goes where.
#include "support/catch.hpp"

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "run_program.hpp"

using namespace catena::test;

namespace {

bool program_missing() {
    if (!sim_program().empty()) return false;
    WARN("skipped: the build does not say where catena-sim is (CATENA_SIM_PROGRAM)");
    return true;
}

} // namespace

TEST_CASE("the same command prints the same bytes", "[tools][sim]") {
    if (program_missing()) return;
    std::vector<std::string> arguments{"--requests", "400", "--seed", "3", "--clients", "1,8,40",
                                       "--nodes",    "1,3", "--json", "-", "--depth",   "2"};
    auto const first = run_sim(arguments);
    auto const second = run_sim(arguments);
    INFO(first.err);
    REQUIRE(first.status == 0);
    CHECK(first.out == second.out);
    CHECK(first.err == second.err); // the table
    CHECK_THAT(first.err, has_text("synthetic conversation, seed 3"));
    auto const json = nlohmann::json::parse(first.out);
    REQUIRE(json["rows"].size() == 6);
    CHECK(json["rows"][1]["clients"] == 8);
    CHECK(json["rows"][3]["nodes"] == 3);

    arguments[3] = "4";
    CHECK(run_sim(arguments).out != first.out);
}

TEST_CASE("what is changed of a preset changes the figures", "[tools][sim]") {
    if (program_missing()) return;
    auto const p50 = [](std::vector<std::string> more) {
        more.insert(more.end(), {"--requests", "60", "--clients", "1", "--nodes", "1", "--json", "-"});
        auto const run = run_sim(more);
        INFO(run.err);
        REQUIRE(run.status == 0);
        return nlohmann::json::parse(run.out)["rows"][0]["match_us"]["p50"].get<double>();
    };
    auto const usual = p50({});
    CHECK(p50({"--nic", "connectx6-100g"}) == usual);
    CHECK(p50({"--propagation-ns", "1850"}) - usual > 1.999); // twice a microsecond
    CHECK(p50({"--propagation-ns", "1850"}) - usual < 2.001);
    CHECK(p50({"--gbit", "10"}) > usual);
    CHECK(p50({"--mops", "1"}) > usual);
    CHECK(p50({"--atomic-mops", "0.1"}) == usual); // a match has none
    CHECK(p50({"--nic", "ethernet-25g"}) > usual);
}

TEST_CASE("a file's first requests, without those of the warm-up", "[tools][sim]") {
    if (program_missing()) return;
    scratch_folder const folder;
    std::string text;
    for (int i = 0; i < 9; ++i)
        text += R"({"timestamp":0,"input_length":512,"output_length":1,"hash_ids":[)" + std::to_string(i / 2) + "]}\n";
    auto const trace = folder.file("t.jsonl", text + "no request\n");
    auto const run =
        run_sim({trace, "--requests", "8", "--warm-up", "2", "--clients", "1", "--nodes", "1", "--json", folder / "o"});
    INFO(run.err);
    REQUIRE(run.status == 0);
    CHECK(run.err.empty()); // it did not read as far as the bad line; no progress bar either: this is no terminal
    CHECK_THAT(run.out, has_text("8 requests, 2 of them to warm up"));
    auto const json = nlohmann::json::parse(text_of(folder / "o"));
    CHECK(json["rows"][0]["requests"] == 6);
    CHECK(json["rows"][0]["hit_blocks"] == 3);
    CHECK(json["rows"][0]["round_trips_per_match"] == 1.0);
}

TEST_CASE("wrong usage is told by name and ends with 2, a bad trace with 3", "[tools][sim]") {
    if (program_missing()) return;
    auto const refused = [](std::vector<std::string> const& arguments, std::string const& because) {
        auto const run = run_sim(arguments);
        CAPTURE(arguments);
        CHECK(run.status == 2);
        CHECK(run.out.empty());
        CHECK_THAT(run.err, has_text("catena-sim: "));
        CHECK_THAT(run.err, has_text(because));
    };
    refused({"--clients", "0"}, "\"0\" is not a number from 1 to 256");
    refused({"--clients", "1,257"}, "\"257\" is not a number from 1 to 256");
    refused({"--nodes", "17"}, "\"17\" is not a number from 1 to 16");
    refused({"--depth", "0"}, "--depth");
    refused({"--warm-up", "-1"}, "\"-1\" is not a number from 0 on");
    refused({"--nic", "token-ring"}, "there is no NIC \"token-ring\"; there are: connectx6-100g, ethernet-25g");
    refused({"--gbit", "0"}, "\"0\" is not a number from 0.001");
    refused({"--strategy", "guess"}, "there is no strategy \"guess\"");
    refused({"--strategy", "trie"}, "there are: extents, batched, galloping, binary, sequential");
    refused({"--client-cache", "much"}, "not a size");
    refused({"--requests", "100", "--clients", "4,64"}, "too few for 64 clients with 1 in flight each");
    refused({"--requests", "100", "--warm-up", "101", "--clients", "1"}, "too few");
    refused({"--requests", "100", "--clients", "1", "--block-tokens", "500"}, "--block-tokens 500");
    refused({"--json", "/no/such/folder/o.json"}, "not a place for a file");

    auto const missing = run_sim({"/no/such/trace.jsonl"});
    CHECK(missing.status == 3);
    CHECK_THAT(missing.err, has_text("catena-sim: /no/such/trace.jsonl: no such file"));
}

TEST_CASE("help and version end well and teach", "[tools][sim]") {
    if (program_missing()) return;
    auto const help = run_sim({"--help"});
    CHECK(help.status == 0);
    for (auto const* const word :
         {"--clients", "--nodes", "--nic", "--warm-up", "What is not.", "saturates", "Exit status"})
        CHECK_THAT(help.out, has_text(word));
    CHECK_THAT(run_sim({"--version"}).out, has_text("catena-sim "));
}
