// SPDX-License-Identifier: Apache-2.0
#include "support/catch.hpp"

#include <string>
#include <utility>
#include <vector>

#include "tools/trace_line.hpp"

using namespace catena::tools;

namespace {

std::string reason_of(std::string const& line) {
    auto const parsed = parse_trace_line(line);
    return parsed ? "accepted" : parsed.error().reason;
}

} // namespace

TEST_CASE("a line of the Mooncake format is a request", "[tools]") {
    auto const parsed = parse_trace_line(
        R"({"timestamp": 274, "input_length": 695, "output_length": 52, "hash_ids": [46, 47, 18446744073709551615]})");
    REQUIRE(parsed);
    CHECK(parsed->timestamp == 274);
    CHECK(parsed->input_length == 695);
    CHECK(parsed->ids == std::vector<std::uint64_t>{46, 47, 18446744073709551615ULL});
}

TEST_CASE("further fields and their order do not matter", "[tools]") {
    auto const parsed = parse_trace_line(
        R"({"session_id":"a\"}b","hash_ids":[1],"output_length":0,"x":{"y":[null]},"input_length":1,"timestamp":0})");
    REQUIRE(parsed);
    CHECK(parsed->ids == std::vector<std::uint64_t>{1});
}

TEST_CASE("a line that is torn anywhere is not a request", "[tools]") {
    std::string const whole = R"({"timestamp": 5, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]})";
    for (std::size_t length = 1; length < whole.size(); ++length) {
        CAPTURE(length);
        REQUIRE(reason_of(whole.substr(0, length)) == "torn: it ends in the middle of the JSON");
        REQUIRE(reason_of(whole.substr(length)) != "accepted");
    }
    REQUIRE(reason_of(whole) == "accepted");
    CHECK_THAT(reason_of(whole + whole), catena::test::has_text("not JSON, from byte"));
    CHECK_THAT(reason_of(whole.substr(0, 20) + whole), catena::test::has_text("not JSON, from byte"));
}

TEST_CASE("a foreign line is refused with its reason", "[tools]") {
    std::vector<std::pair<std::string, std::string>> const lines{
        {"timestamp,input_length,output_length", "not JSON, from byte 2 on"},
        {"\x7f"
         "ELF\x02\x01",
         "not JSON, from byte 1 on"},
        {"42", "number, not a JSON object"},
        {"[1, 2]", "array, not a JSON object"},
        {"null", "null, not a JSON object"},
        {R"({})", R"("timestamp" is missing)"},
        {R"({"timestamp":0,"input_length":1,"hash_ids":[1]})", R"("output_length" is missing)"},
        {R"({"timestamp":0,"output_length":1,"hash_ids":[1]})", R"("input_length" is missing)"},
        {R"({"timestamp":0,"input_length":1,"output_length":1})", R"("hash_ids" is missing)"},
        {R"({"timestamp":-1,"input_length":1,"output_length":1,"hash_ids":[1]})", R"("timestamp" is negative)"},
        {R"({"timestamp":0,"input_length":-7,"output_length":1,"hash_ids":[1]})", R"("input_length" is negative)"},
        {R"({"timestamp":0,"input_length":0,"output_length":1,"hash_ids":[1]})", R"("input_length" is 0)"},
        {R"({"timestamp":0,"input_length":4294967296,"output_length":1,"hash_ids":[1]})",
         R"("input_length" is too large)"},
        {R"({"timestamp":0,"input_length":1.5,"output_length":1,"hash_ids":[1]})",
         R"("input_length" is not an integer (of 64 bits))"},
        {R"({"timestamp":0,"input_length":"1","output_length":1,"hash_ids":[1]})",
         R"("input_length" is string, not an integer)"},
        {R"({"timestamp":0,"input_length":true,"output_length":1,"hash_ids":[1]})",
         R"("input_length" is boolean, not an integer)"},
        {R"({"timestamp":0,"input_length":1,"output_length":null,"hash_ids":[1]})",
         R"("output_length" is null, not an integer)"},
        {R"({"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[]})", R"("hash_ids" is empty)"},
        {R"({"timestamp":0,"input_length":1,"output_length":1,"hash_ids":"1"})",
         R"("hash_ids" is string, not an array)"},
        {R"({"timestamp":0,"input_length":1,"output_length":1,"hash_ids":{"0":1}})",
         R"("hash_ids" is object, not an array)"},
        {R"({"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[1,2,-3]})", R"("hash_ids"[2] is negative)"},
        {R"({"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[1,"2"]})",
         R"("hash_ids"[1] is string, not an integer)"},
        {R"({"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[18446744073709551616]})",
         R"("hash_ids"[0] is not an integer (of 64 bits))"},
        {R"({"timestamp":1e999,"input_length":1,"output_length":1,"hash_ids":[1]})",
         "not JSON that can be read: a number is out of range"},
    };
    for (auto const& [line, reason] : lines) {
        CAPTURE(line);
        CHECK(reason_of(line) == reason);
    }
}
