// SPDX-License-Identifier: Apache-2.0
// replay_state: how far a replay is. Apart from the replay, so that who shows it needs no client.
// Thread safety: a plain value.
#pragma once

#include <cstdint>

namespace catena::tools {

/// How far a replay is; numbers of threads that are still at work are a moment old.
struct replay_state {
    std::uint64_t requests = 0; ///< done
    std::uint64_t of = 0;       ///< all there are
    std::uint64_t blocks = 0;
    std::uint64_t hit_blocks = 0;
    double seconds = 0;
};

} // namespace catena::tools
