// SPDX-License-Identifier: Apache-2.0
// ranges_command: catena-bench ranges, from its command line to its result. What goes wrong is told on standard error.
// Thread safety: none needed; call from one thread.
#pragma once

#include "tools/exit_code.hpp"

namespace catena::bench {

/// argv[0] is the command.
[[nodiscard]] tools::exit_code ranges(int argc, char const* const* argv);

} // namespace catena::bench
