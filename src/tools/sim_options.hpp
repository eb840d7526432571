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

#include "tools/common_settings.hpp"

namespace catena::tools {

struct sim_settings : common_settings {
    std::vector<unsigned> clients;
    std::vector<unsigned> nodes;
    unsigned depth = 1;
    std::string index;                    ///< empty: that of the strategy
    std::optional<std::uint64_t> warm_up; ///< requests; nothing: a share of the trace
    sim_parameters network;               ///< preset and what was changed of it
};

/// The settings; or, when the program is to end here (help, version, a mistake), the exit code: all is said by then.
[[nodiscard]] result<sim_settings, exit_code> parse_sim_arguments(int argc, char const* const* argv);

} // namespace catena::tools
