// SPDX-License-Identifier: Apache-2.0
// trace_reuse: how far apart the uses of one block are, in other blocks and in time.
// Thread safety: pure functions.
#pragma once

#include <array>
#include <cstdint>

#include "tools/trace_blocks.hpp"
#include "tools/trace_caches.hpp"
#include "tools/trace_distribution.hpp"

namespace catena::tools {

struct block_reuse {
    static constexpr std::array<std::uint64_t, 6> spans_ms{1'000, 10'000, 60'000, 300'000, 600'000, 3'600'000};

    /// Stack distances: different blocks between two uses of a block that follow each other, in the order of the trace
    /// (a request's from the root on). First uses have none.
    distribution distances;
    distribution times_ms;                               ///< between the same uses, by the requests' timestamps
    std::array<std::uint64_t, spans_ms.size()> within{}; ///< how many of these times are at most as long
    std::uint64_t back_in_time =
        0; ///< requests with an earlier timestamp than a request before them: taken for its equal
};

[[nodiscard]] block_reuse reuse_of(trace_blocks const& t, requests_done const& progress = {});

} // namespace catena::tools
