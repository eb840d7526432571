// SPDX-License-Identifier: Apache-2.0
// trace_line: one line of a trace in the Mooncake format, a JSON object with
//   timestamp      milliseconds            input_length   tokens of the prompt, at least 1
//   output_length  tokens of the answer    hash_ids       ids of the prompt's blocks, at least one
// All are integers from 0 on; further fields (session_id, ...) are let through unread.
// Thread safety: a pure function.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <catena/core/result.hpp>

namespace catena::tools {

struct trace_line {
    std::uint64_t timestamp = 0; ///< milliseconds
    std::uint32_t input_length = 0;
    std::vector<std::uint64_t> ids;
};

/// Why a line is not a request, in words that finish the sentence "line 7: ...".
struct line_problem {
    std::string reason;
};

/// `line` comes without its line end.
[[nodiscard]] result<trace_line, line_problem> parse_trace_line(std::string_view line);

} // namespace catena::tools
