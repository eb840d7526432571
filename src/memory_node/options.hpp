// SPDX-License-Identifier: Apache-2.0
// options: the command line of catena-memd.
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <string>

#include <catena/core/result.hpp>

#include "fabric/verbs/memory_server.hpp"
#include "memory_node/region.hpp"

namespace catena::memory_node {

struct settings {
    region_options region;
    verbs::memory_server_options server;
    std::uint16_t metrics_port = 0; ///< on the loopback address; 0: none
};

/// What the arguments say, or the exit code of a program that has said all there is to say (--help, a wrong argument).
[[nodiscard]] result<settings, int> parse_arguments(int argc, char** argv);

} // namespace catena::memory_node
