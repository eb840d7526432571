// SPDX-License-Identifier: Apache-2.0
// trace_shape: the shape of the trie that all prompts of a trace make: where they branch, how deep it is, and how long the
// runs are in which nothing branches.
// Thread safety: pure functions.
#pragma once

#include <cstdint>

#include "tools/trace_blocks.hpp"
#include "tools/trace_distribution.hpp"

namespace catena::tools {

struct trie_shape {
    std::uint64_t blocks = 0;
    std::uint64_t roots = 0;     ///< different first blocks of prompts
    std::uint64_t leaves = 0;    ///< blocks that nothing ever followed
    std::uint64_t branching = 0; ///< blocks that two or more different ones followed
    std::uint64_t largest_fan_out = 0;
    std::uint64_t depth_of_largest = 0; ///< where it is, from 1; 0 if nothing follows anything
    distribution fan_out;               ///< of the branching blocks
    distribution depths;                ///< of all blocks, from 1
    /// A run is a longest piece of a path in which each block but the last has exactly one successor; it begins at a
    /// first block of prompts or after a branching block, and every block lies in one run.
    distribution runs;
    double run_of_a_block = 0;             ///< mean length of the run that a block lies in
    std::uint64_t blocks_in_long_runs = 0; ///< in runs of at least `long_run`

    static constexpr std::uint32_t long_run = 8;
};

[[nodiscard]] trie_shape shape_of(trace_blocks const& t);

} // namespace catena::tools
