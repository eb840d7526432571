// SPDX-License-Identifier: Apache-2.0
// common_settings: what every program is told (common_options.hpp).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <catena/prefix/strategy.hpp>

#include "tools/exit_code.hpp"

namespace catena::tools {

struct common_settings {
    std::string trace; ///< empty: generate one
    std::optional<std::uint64_t> limit;
    std::optional<std::uint32_t> block_tokens; ///< nothing: as the trace has them
    std::optional<std::uint32_t> trace_block_tokens;
    bool full_blocks_only = false;
    std::uint64_t requests = 0; ///< of a generated trace
    std::uint64_t seed = 0;

    match_strategy strategy = match_strategy::extents;
    std::uint64_t client_cache_bytes = 0;

    std::string json; ///< file, "-" for standard output, empty for none
    bool progress = true;
};

} // namespace catena::tools
