// SPDX-License-Identifier: Apache-2.0
#include "support/catch.hpp"

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "run_program.hpp"
#include "tools/trace_file.hpp"

using namespace catena::tools;

namespace {

// One valid line of `blocks` blocks of 512 tokens, the last one partial.
std::string valid(std::uint64_t first_id, unsigned blocks) {
    std::string ids;
    for (unsigned i = 0; i < blocks; ++i) ids += (i == 0 ? "" : ", ") + std::to_string(first_id + i);
    return R"({"timestamp": )" + std::to_string(10 * first_id) + R"(, "input_length": )" +
           std::to_string(512 * blocks - 100) + R"(, "output_length": 1, "hash_ids": [)" + ids + "]}";
}

catena::result<loaded_trace, trace_problem> load(std::string const& text, trace_options const& options = {}) {
    std::istringstream in(text);
    return load_trace(in, "t.jsonl", options);
}

} // namespace

TEST_CASE("a trace is read line by line and held compactly", "[tools]") {
    auto const loaded = load(valid(0, 3) + "\n" + valid(7, 2) + "\n");
    REQUIRE(loaded);
    auto const& t = loaded->requests;
    CHECK(loaded->skipped == 0);
    CHECK(t.name == "t.jsonl");
    CHECK(t.block_tokens == 512);
    REQUIRE(t.requests.size() == 2);
    CHECK(t.requests[1].line == 2);
    CHECK(t.requests[1].timestamp == 70);
    CHECK(t.requests[1].input_length == 924);
    auto const ids = t.ids_of(t.requests[1]);
    CHECK(std::vector(ids.begin(), ids.end()) == std::vector<std::uint64_t>{7, 8});
}

TEST_CASE("CR before LF, blank lines and a last line without an end are fine", "[tools]") {
    auto const loaded = load("\xef\xbb\xbf" + valid(0, 3) + "\r\n\r\n \t\n" + valid(7, 2) + "\r\n" + valid(9, 4));
    REQUIRE(loaded);
    CHECK(loaded->skipped == 0);
    REQUIRE(loaded->requests.requests.size() == 3);
    CHECK(loaded->requests.requests[1].line == 4);
    CHECK(loaded->requests.requests[2].line == 5);
}

TEST_CASE("a torn or foreign line is counted and named by its number, the others are kept", "[tools]") {
    auto const loaded = load(valid(0, 3) + "\n" + valid(1, 3).substr(0, 40) + "\nid;tokens\n" + valid(7, 2) + "\n" +
                             valid(8, 9).substr(0, 30));
    REQUIRE(loaded);
    CHECK(loaded->requests.requests.size() == 2);
    CHECK(loaded->skipped == 3);
    REQUIRE(loaded->examples.size() == 3);
    CHECK(loaded->examples[0].line == 2);
    CHECK(loaded->examples[0].reason == "torn: it ends in the middle of the JSON");
    CHECK(loaded->examples[1].line == 3);
    CHECK(loaded->examples[2].line == 5);
    CHECK_THAT(describe_skipped("t.jsonl", loaded->skipped, loaded->examples),
               catena::test::has_text("t.jsonl:2: skipped: torn: it ends in the middle of the JSON\n"));
}

TEST_CASE("ten skipped lines are listed, the others counted", "[tools]") {
    std::string text = valid(0, 3) + "\n";
    for (int i = 0; i < 1234; ++i) text += "x\n";
    auto const loaded = load(text);
    REQUIRE(loaded);
    CHECK(loaded->skipped == 1234);
    REQUIRE(loaded->examples.size() == 10);
    CHECK(loaded->examples.back().line == 11);
    auto const said = describe_skipped("t.jsonl", loaded->skipped, loaded->examples);
    CHECK_THAT(said, catena::test::has_text("t.jsonl: and 1,224 more lines skipped\n"));
    CHECK(std::count(said.begin(), said.end(), '\n') == 11);
    CHECK(describe_skipped("t.jsonl", 0, {}).empty());
}

TEST_CASE("a request whose ids do not fit its length is foreign too", "[tools]") {
    std::string const wrong = R"({"timestamp": 0, "input_length": 512, "output_length": 1, "hash_ids": [1, 2, 3]})";
    auto const text = "x\n" + wrong + "\n" + valid(0, 3) + "\n" + valid(5, 4) + "\ny\n";
    for (auto const& options : {trace_options{}, trace_options{.block_tokens = 512}}) {
        auto const loaded = load(text, options);
        REQUIRE(loaded);
        CHECK(loaded->requests.requests.size() == 2);
        CHECK(loaded->skipped == 3);
        REQUIRE(loaded->examples.size() == 3);
        CHECK(loaded->examples[1].line == 2);
        CHECK(loaded->examples[1].reason == "input_length 512 takes 1 blocks of 512 tokens, but there are 3 hash_ids");
        CHECK(loaded->examples[2].line == 5);
    }
}

TEST_CASE("reading stops at the limit", "[tools]") {
    auto const loaded = load(valid(0, 3) + "\nx\n" + valid(7, 2) + "\n" + valid(9, 2) + "\nx\n", {.limit = 2});
    REQUIRE(loaded);
    CHECK(loaded->requests.requests.size() == 2);
    CHECK(loaded->skipped == 1);
}

TEST_CASE("a trace without one valid request is a problem that says so", "[tools]") {
    auto const empty = load("");
    REQUIRE_FALSE(empty);
    CHECK(empty.error().message == "t.jsonl: the trace is empty");

    auto const foreign = load("a,b\n1,2\n");
    REQUIRE_FALSE(foreign);
    CHECK(foreign.error().message == "t.jsonl: no valid request in 2 lines");
    CHECK(foreign.error().skipped == 2);
    CHECK(foreign.error().examples.size() == 2);
}

TEST_CASE("the tokens of a block are deduced from the trace", "[tools]") {
    auto const with = [](std::vector<std::pair<std::uint32_t, std::uint32_t>> const& tokens_and_ids) {
        std::vector<request> requests;
        requests.reserve(tokens_and_ids.size());
        for (auto const& [tokens, ids] : tokens_and_ids) requests.push_back({.id_count = ids, .input_length = tokens});
        return deduce_block_tokens(requests);
    };
    CHECK(with({{6758, 14}, {7322, 15}}) == 512U);
    CHECK(with({{1266, 80}}) == 16U);
    CHECK(with({{1000, 16}}) == 64U);
    CHECK(with({{3, 3}}) == 1U);
    CHECK(with({{100, 1}, {30, 1}}) == 512U);        // 128 and more fit: the usual one
    CHECK(with({{10, 1}, {16, 1}, {17, 2}}) == 16U); // the usual one is the only one
    CHECK(with({{6758, 14}, {7322, 15}, {512, 9}}) == 512U);
    CHECK_FALSE(with({{6758, 13}, {7322, 29}}).has_value());
    auto const none = load(R"({"timestamp":0,"input_length":1000,"output_length":1,"hash_ids":[1,2,3]})");
    REQUIRE_FALSE(none);
    CHECK_THAT(none.error().message, catena::test::has_text("--trace-block-tokens"));
}

TEST_CASE("blocks of any size can be named", "[tools]") {
    auto const loaded =
        load(R"({"timestamp":0,"input_length":1000,"output_length":1,"hash_ids":[1,2,3]})", {.block_tokens = 400});
    REQUIRE(loaded);
    CHECK(loaded->requests.block_tokens == 400);
}

TEST_CASE("a missing file, a directory and a file that may not be read are told apart", "[tools]") {
    catena::test::scratch_folder const folder;
    auto const missing = load_trace(folder / "no.jsonl");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().message == folder / "no.jsonl" + ": no such file");
    auto const directory = load_trace(folder / "");
    REQUIRE_FALSE(directory);
    CHECK_THAT(directory.error().message, catena::test::has_text("is a directory, not a trace"));
    auto const good = load_trace(folder.file("good.jsonl", valid(0, 3) + "\n"));
    REQUIRE(good);
    CHECK(good->requests.requests.size() == 1);
}

TEST_CASE("whoever reads is told how many bytes are read", "[tools]") {
    std::string text;
    for (std::uint64_t i = 0; i < 1000; ++i) text += valid(i, 1) + "\n";
    std::vector<std::uint64_t> told;
    REQUIRE(load(text, {.progress = [&](std::uint64_t bytes) { told.push_back(bytes); }}));
    CHECK(told.size() > 10);
    CHECK(std::is_sorted(told.begin(), told.end()));
    CHECK(told.front() == valid(0, 1).size() + 1);
    CHECK(told.back() <= text.size());
    CHECK(told.back() > text.size() * 9 / 10);
}
