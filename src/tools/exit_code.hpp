// SPDX-License-Identifier: Apache-2.0
// exit_code: what the programs end with; their --help says the same.
#pragma once

namespace catena::tools {

enum exit_code : int {
    exit_ok = 0,
    exit_failed = 1, ///< the pool cannot be used, the run failed, or a check found something
    exit_usage = 2,  ///< the command line is wrong
    exit_trace = 3,  ///< the trace cannot be used
};

} // namespace catena::tools
