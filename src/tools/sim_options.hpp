// SPDX-License-Identifier: Apache-2.0
// sim_options: the command line of catena-sim.
// Thread safety: none needed; call from one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/fabric/sim/parameters.hpp>
#include <catena/prefix/strategy.hpp>

#include "tools/exit_code.hpp"

namespace catena::tools {

struct sim_settings {
    std::string trace; ///< empty: generate one
    std::optional<std::uint64_t> limit;
    std::optional<std::uint32_t> block_tokens; ///< nothing: as the trace has them
    std::optional<std::uint32_t> trace_block_tokens;
    bool full_blocks_only = false;
    std::uint64_t requests = 0; ///< of a generated trace
    std::uint64_t seed = 0;

    std::vector<unsigned> clients;
    std::vector<unsigned> nodes;
    unsigned depth = 1;
    match_strategy strategy = match_strategy::batched;
    std::uint64_t client_cache_bytes = 0;
    std::optional<std::uint64_t> warm_up; ///< requests; nothing: a share of the trace

    sim_parameters network; ///< preset and what was changed of it

    std::string json; ///< file, "-" for standard output, empty for none
    bool progress = true;
};

/// The settings; or, when the program is to end here (help, version, a mistake), the exit code: all is said by then.
[[nodiscard]] result<sim_settings, exit_code> parse_sim_arguments(int argc, char const* const* argv);

} // namespace catena::tools
