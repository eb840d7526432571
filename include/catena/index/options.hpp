// SPDX-License-Identifier: Apache-2.0
// Compile-time options of the trees. A policy type, so that the layout is part of the type: derive from it and override.
#pragma once

#include <cstddef>

#include <catena/layout/hopscotch_leaf.hpp>

namespace catena {

struct tree_options {
    static constexpr std::size_t node_bytes = 1024; ///< of every node; a multiple of 64, at most 4096
    static constexpr std::size_t batch_nodes = 512; ///< most nodes read or written in one batch (bounds the scratch)
    static constexpr std::size_t merge_below = 40;  ///< a node filled less than so many percent after an erase ...
    static constexpr std::size_t merge_up_to = 80;  ///< ... is merged with a neighbour if both fill at most so many
};

/// What makes a chime_tree what it is, each by itself, so that its effect can be measured (`bench_ablation`).
struct chime_options : tree_options {
    static constexpr hopscotch_shape shape{};               ///< quads of a leaf, copies of the fence, vacancy
    static constexpr std::size_t inner_bytes = 0;           ///< of an inner node; 0: of a leaf
    static constexpr bool neighbourhood_reads = true;       ///< else every lookup reads a whole leaf
    static constexpr bool speculative_reads = true;         ///< hot keys cost 8 bytes: index/hotspot_buffer.hpp
    static constexpr std::size_t hotspot_bytes = 1U << 20U; ///< of that buffer, if create or open are not told
    static constexpr bool scan_by_range = true;             ///< a scan with an end reads all leaves up to it at once
    static constexpr std::size_t most_moves = 2; ///< most keys that make way for one; beyond that the leaf splits
};

} // namespace catena
