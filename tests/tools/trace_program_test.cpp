// SPDX-License-Identifier: Apache-2.0
// The real catena-trace: exit codes, messages, and what goes where.
#include "support/catch.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "run_program.hpp"

using namespace catena::test;

namespace {

bool program_missing() {
    if (!trace_program().empty()) return false;
    WARN("skipped: the build does not say where catena-trace is (CATENA_TRACE_PROGRAM)");
    return true;
}

// A request of 512-token blocks, the last one partial.
std::string line(std::uint64_t time, std::vector<int> const& ids) {
    std::string text;
    for (auto const id : ids) text += (text.empty() ? "" : ",") + std::to_string(id);
    return R"({"timestamp":)" + std::to_string(time) + R"(,"input_length":)" + std::to_string(512 * ids.size() - 2) +
           R"(,"output_length":1,"hash_ids":[)" + text + "]}\n";
}

} // namespace

TEST_CASE("two traces side by side, and their JSON in a file", "[tools][trace]") {
    if (program_missing()) return;
    scratch_folder const folder;
    auto const one = folder.file("one.jsonl", line(0, {1, 2, 3}) + line(10, {1, 2, 4}));
    auto const two = folder.file("two.jsonl", line(0, {7, 8}));
    auto const run = run_trace({"analyze", one, two, "--json", folder / "o.json", "--cache-percent", "50,100"});
    INFO(run.err);
    REQUIRE(run.status == 0);
    CHECK(run.err.empty()); // no progress: this is no terminal
    CHECK_THAT(run.out, has_text("What is in it"));
    CHECK_THAT(run.out, has_text("one"));
    CHECK_THAT(run.out, has_text("two"));
    auto const data = nlohmann::json::parse(text_of(folder / "o.json"));
    REQUIRE(data["traces"].size() == 2);
    CHECK(data["traces"][0]["trace"] == one);
    CHECK(data["traces"][0]["unique_blocks"] == 4);
    CHECK(data["traces"][0]["lru_caches"][0]["capacity_blocks"] == 2);
    CHECK(data["traces"][1]["blocks"] == 2);

    auto const piped = run_trace({"analyze", two, "--json", "-"});
    REQUIRE(piped.status == 0);
    CHECK(nlohmann::json::parse(piped.out)["traces"].size() == 1);
    CHECK_THAT(piped.err, has_text("What is in it"));
}

TEST_CASE("torn lines are named with their number and left out", "[tools][trace]") {
    if (program_missing()) return;
    scratch_folder const folder;
    auto const trace =
        folder.file("t.jsonl", line(0, {1, 2}) + line(1, {1, 3}).substr(0, 40) + "\nx\n" + line(5, {1, 2}));
    auto const run = run_trace({"analyze", trace});
    REQUIRE(run.status == 0);
    CHECK_THAT(run.err, has_text(trace + ":2: skipped: torn: it ends in the middle of the JSON\n"));
    CHECK_THAT(run.err, has_text(trace + ":3: skipped: not JSON"));
    CHECK_THAT(run.out, has_text("2 lines skipped"));
}

TEST_CASE("only the first requests, only full blocks", "[tools][trace]") {
    if (program_missing()) return;
    scratch_folder const folder;
    auto const trace = folder.file("t.jsonl", line(0, {1, 2}) + line(1, {1, 3}) + line(2, {4}) + "x\n");
    auto const data = [](std::vector<std::string> arguments) {
        arguments.insert(arguments.end(), {"--json", "-"});
        auto const run = run_trace(arguments);
        INFO(run.err);
        REQUIRE(run.status == 0);
        return nlohmann::json::parse(run.out)["traces"][0];
    };
    CHECK(data({"analyze", trace, "--limit", "2"})["blocks"] == 4);
    CHECK(data({"analyze", trace, "--limit", "3"})["skipped_lines"] == 0); // it did not read as far
    auto const full = data({"analyze", trace, "--full-blocks-only"});
    CHECK(full["blocks"] == 2);
    CHECK(full["requests_left_out"] == 1);
    CHECK(full["skipped_lines"] == 1);
}

TEST_CASE("ids that are no chains are a finding, not a failure", "[tools][trace]") {
    if (program_missing()) return;
    scratch_folder const folder;
    auto const run = run_trace({"analyze", folder.file("t.jsonl", line(0, {1, 2}) + "\n" + line(1, {3, 2}))});
    CHECK(run.status == 0);
    CHECK_THAT(run.out, has_text("the first in line"));
}

TEST_CASE("a trace that cannot be used ends with 3", "[tools][trace]") {
    if (program_missing()) return;
    scratch_folder const folder;
    auto const good = folder.file("good.jsonl", line(0, {1, 2}));
    auto const unusable = [&](std::vector<std::string> arguments, std::string const& because) {
        arguments.insert(arguments.begin(), {"analyze", good});
        auto const run = run_trace(arguments);
        CAPTURE(arguments);
        CHECK(run.status == 3);
        CHECK(run.out.empty());
        CHECK_THAT(run.err, has_text("catena-trace: "));
        CHECK_THAT(run.err, has_text(because));
    };
    unusable({"/no/such/trace.jsonl"}, "/no/such/trace.jsonl: no such file");
    unusable({folder / ""}, "is a directory");
    unusable({folder.file("empty.jsonl", "")}, "the trace is empty");
    unusable({folder.file("other.jsonl", "a\nb\n")}, "no valid request in 2 lines");
    unusable({folder.file("short.jsonl", line(0, {1})), "--full-blocks-only"},
             "no request has a full block of 512 tokens");
}

TEST_CASE("wrong usage is told by name and ends with 2", "[tools][trace]") {
    if (program_missing()) return;
    auto const refused = [](std::vector<std::string> const& arguments, std::string const& because) {
        auto const run = run_trace(arguments);
        CAPTURE(arguments);
        CHECK(run.status == 2);
        CHECK(run.out.empty());
        CHECK_THAT(run.err, has_text("catena-trace: "));
        CHECK_THAT(run.err, has_text(because));
    };
    refused({}, "--help says what is possible");
    refused({"analyse", "t.jsonl"}, "there is no command \"analyse\"; there are: analyze");
    refused({"analyze"}, "TRACE");
    refused({"analyze", "t.jsonl", "--limit", "0"}, "--limit");
    refused({"analyze", "t.jsonl", "--cache-percent", "10,0"}, "\"0\" is not a number above 0, up to 100");
    refused({"analyze", "t.jsonl", "--cache-percent", "101"}, "\"101\" is not a number above 0, up to 100");
    refused({"analyze", "t.jsonl", "--cache-percent", "nan"}, "\"nan\" is not a number above 0");
    refused({"analyze", "t.jsonl", "--json", "/no/such/folder/o.json"}, "not a place for a file");
    refused({"analyze", "t.jsonl", "--colour"}, "--colour");
}

TEST_CASE("blocks are cut where that is possible", "[tools][trace]") {
    if (program_missing()) return;
    scratch_folder const folder;
    auto const trace = folder.file("t.jsonl", line(0, {1, 2}) + line(1, {1, 3}));
    auto const run = run_trace({"analyze", trace, "--block-tokens", "16", "--json", "-"});
    REQUIRE(run.status == 0);
    auto const data = nlohmann::json::parse(run.out)["traces"][0];
    CHECK(data["block_tokens"] == 16);
    CHECK(data["blocks"] == 128);
    CHECK(data["unique_blocks"] == 96);
    CHECK_THAT(run.err, has_text("cut from blocks of"));
    auto const wrong = run_trace({"analyze", trace, "--block-tokens", "48"});
    CHECK(wrong.status == 2);
    CHECK(wrong.out.empty());
    CHECK_THAT(wrong.err, has_text("--block-tokens 48: " + trace + ": blocks of 48 tokens do not divide"));
}

TEST_CASE("a page is written beside the table, or refused before the work", "[tools][trace][report]") {
    if (program_missing()) return;
    scratch_folder const folder;
    auto const trace = folder.file("t.jsonl", line(0, {1, 2}) + line(1, {1, 3}));
    auto const page = folder / "page.html";
    auto const run = run_trace({"analyze", trace, "--report", page});
    if (run.status == 2) {
        CHECK_THAT(run.err, has_text("--report " + page + ": this program was built without charts"));
        CHECK_FALSE(std::filesystem::exists(page));
        return;
    }
    REQUIRE(run.status == 0);
    CHECK(run.err.empty());
    CHECK_THAT(run.out, has_text("What is in it"));
    auto const text = text_of(page);
    CHECK_THAT(text, has_text("<title>t</title>"));
    CHECK_THAT(text, has_text("catena-trace analyze t.jsonl"));
    CHECK(text.find(trace) == std::string::npos); // pages do not tell where files lay

    auto const nowhere = run_trace({"analyze", "/no/such/trace.jsonl", "--report", folder / "no/page.html"});
    CHECK(nowhere.status == 2); // not 3: the trace was not looked at
    CHECK_THAT(nowhere.err, has_text("there is no directory"));
}

TEST_CASE("help of the program and of analyze end well and teach", "[tools][trace]") {
    if (program_missing()) return;
    auto const help = run_trace({"--help"});
    CHECK(help.status == 0);
    for (auto const* const word : {"analyze", "Examples:", "Trace format", "Exit status"})
        CHECK_THAT(help.out, has_text(word));
    auto const analyze = run_trace({"analyze", "--help"});
    CHECK(analyze.status == 0);
    for (auto const* const word : {"--cache-percent", "--full-blocks-only", "--block-tokens", "--json", "--report",
                                   "runs test", "Memory:", "Examples:"})
        CHECK_THAT(analyze.out, has_text(word));
    CHECK_THAT(run_trace({"--version"}).out, has_text("catena-trace "));
}
