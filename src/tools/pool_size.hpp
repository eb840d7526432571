// SPDX-License-Identifier: Apache-2.0
// pool_size: which --pool to try when one was too small.
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace catena::tools {

/// What is known when the pool is full; zeros where nothing is.
struct pool_use {
    std::uint64_t pool_bytes = 0; ///< of all memory nodes
    std::uint64_t bytes_taken = 0;
    std::uint64_t blocks_listed = 0;   ///< by this run
    std::uint64_t blocks_expected = 0; ///< different blocks of the whole trace
    std::uint32_t memory_nodes = 1;
    std::uint32_t sessions = 1; ///< each cuts its blocks from chunks of its own
    bool by_extents = false;    ///< how they are stored
};

/// Bytes of each memory node that should be enough for the whole trace: a power of two, at least twice what was there.
[[nodiscard]] std::uint64_t sufficient_node_size(pool_use const& use);

/// The same URI with another size: "local:?size=1MiB&nodes=2" -> "local:?size=1GiB&nodes=2". Adds one if there is none.
[[nodiscard]] std::string with_size(std::string_view uri, std::uint64_t bytes);

/// What to do where a pool is too small, in words; bytes: of each memory node.
[[nodiscard]] std::string advice_to_enlarge(std::string_view uri, std::uint64_t bytes);

/// The size that a URI names, 0 if it names none that can be read.
[[nodiscard]] std::uint64_t size_of(std::string_view uri);

} // namespace catena::tools
