// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_line.hpp"

#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace catena::tools {
namespace {

using nlohmann::json;

// nlohmann parses 5 as unsigned, -5 as signed and 5.0 or anything beyond 64 bits as a float.
std::optional<std::string> not_a_count(json const& value) {
    if (value.is_number_unsigned()) return std::nullopt;
    if (value.is_number_integer()) return "is negative";
    if (value.is_number_float()) return "is not an integer (of 64 bits)";
    return fmt::format("is {}, not an integer", value.type_name());
}

result<std::uint64_t, line_problem> count_field(json const& object, char const* field) {
    auto const at = object.find(field);
    if (at == object.end()) return line_problem{fmt::format("\"{}\" is missing", field)};
    if (auto const wrong = not_a_count(*at)) return line_problem{fmt::format("\"{}\" {}", field, *wrong)};
    return at->get<std::uint64_t>();
}

result<std::vector<std::uint64_t>, line_problem> ids_field(json const& object) {
    auto const at = object.find("hash_ids");
    if (at == object.end()) return line_problem{"\"hash_ids\" is missing"};
    if (!at->is_array()) return line_problem{fmt::format("\"hash_ids\" is {}, not an array", at->type_name())};
    if (at->empty()) return line_problem{"\"hash_ids\" is empty"};
    if (at->size() > std::numeric_limits<std::uint32_t>::max()) return line_problem{"\"hash_ids\" is too long"};
    std::vector<std::uint64_t> ids;
    ids.reserve(at->size());
    for (auto const& id : *at) {
        if (auto const wrong = not_a_count(id))
            return line_problem{fmt::format("\"hash_ids\"[{}] {}", ids.size(), *wrong)};
        ids.push_back(id.get<std::uint64_t>());
    }
    return ids;
}

} // namespace

result<trace_line, line_problem> parse_trace_line(std::string_view line) {
    json object;
    try {
        object = json::parse(line.begin(), line.end());
    } catch (json::parse_error const& failure) {
        if (failure.byte > line.size()) return line_problem{"torn: it ends in the middle of the JSON"};
        return line_problem{fmt::format("not JSON, from byte {} on", failure.byte)};
    } catch (json::exception const&) { // a number that no double holds
        return line_problem{"not JSON that can be read: a number is out of range"};
    }
    if (!object.is_object()) return line_problem{fmt::format("{}, not a JSON object", object.type_name())};

    auto const timestamp = count_field(object, "timestamp");
    if (!timestamp) return timestamp.error();
    if (auto const unused = count_field(object, "output_length"); !unused) return unused.error();
    auto const input_length = count_field(object, "input_length");
    if (!input_length) return input_length.error();
    if (*input_length == 0) return line_problem{"\"input_length\" is 0"};
    if (*input_length > std::numeric_limits<std::uint32_t>::max()) return line_problem{"\"input_length\" is too large"};
    auto ids = ids_field(object);
    if (!ids) return ids.error();
    return trace_line{
        .timestamp = *timestamp, .input_length = static_cast<std::uint32_t>(*input_length), .ids = std::move(*ids)};
}

} // namespace catena::tools
