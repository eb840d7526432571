// SPDX-License-Identifier: Apache-2.0
// output: where a result goes: the table to standard output, or to standard error when that is taken by the JSON; and what a
// program has to complain of.
// Thread safety: none needed; call from one thread.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json_fwd.hpp>

namespace catena::tools {

/// A line on standard error that begins with the program's name.
struct complainer {
    std::string_view program;

    template <typename... Arguments>
    void operator()(fmt::format_string<Arguments...> text, Arguments&&... arguments) const {
        fmt::print(stderr, "{}: {}\n", program, fmt::format(text, std::forward<Arguments>(arguments)...));
    }
};

/// Can a result be written there? `json`: a path, "-", or empty for none. To be asked before the work, not after it.
[[nodiscard]] bool is_place_for_file(std::string const& json);

/// `json`: the file for the JSON, "-" for standard output, empty for none. True if all was written; if not, it has said
/// so, as `program`.
[[nodiscard]] bool print_result(std::string_view program, std::string const& json, std::string const& table,
                                nlohmann::ordered_json const& data);

} // namespace catena::tools
