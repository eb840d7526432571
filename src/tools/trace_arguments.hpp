// SPDX-License-Identifier: Apache-2.0
// trace_arguments: the command line of catena-trace.
// Thread safety: none needed; call from one thread.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catena/core/result.hpp>

#include "tools/exit_code.hpp"

namespace catena::tools {

inline constexpr std::string_view trace_program = "catena-trace";

struct trace_settings {
    std::vector<std::string> traces; ///< at least one
    std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();
    std::optional<std::uint32_t> trace_block_tokens;
    std::optional<std::uint32_t> block_tokens; ///< nothing: as in each trace
    bool full_blocks_only = false;
    std::vector<double> cache_percent;

    std::string json;   ///< file, "-" for standard output, empty for none
    std::string report; ///< file for a page with charts, empty for none
    bool progress = true;
};

/// The settings; or, when the program is to end here (help, version, a mistake), the exit code: all is said by then.
[[nodiscard]] result<trace_settings, exit_code> parse_trace_arguments(int argc, char const* const* argv);

} // namespace catena::tools
