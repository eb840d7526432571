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

/// Of a chime_tree whose values its user remembers, as an extent_index does: it asks for what it does not know, so nothing that it asks
/// for is hot. The layout is the same.
struct chime_heads : chime_options {
    static constexpr bool speculative_reads = false;
    static constexpr std::size_t hotspot_bytes = 0;
};

/// What the model of a learned index says of a key.
enum class model_use : bool {
    placement, ///< its leaf, by definition: leaves begin where the model says; how full they are differs
    error_bound, ///< about which leaf: leaves are evenly filled, a lookup reads all that the model's error allows (as ROLEX does)
};

/// Of a learned_hopscotch. What changes the layout must be the same at all clients, the rest may differ.
struct learned_options {
    static constexpr hopscotch_shape shape{.quads = 16}; ///< larger leaves than a tree's: their load varies less
    static constexpr model_use use = model_use::placement;
    static constexpr std::size_t page_bytes = 4096;         ///< of a page of the model
    static constexpr std::size_t directory_bytes = 65536;   ///< of the list of pages, at most (a chunk bounds it)
    static constexpr std::size_t extent_bytes = 128 * 1024; ///< of the leaves of a piece, at most (a chunk bounds it)
    static constexpr std::size_t batch_nodes = 512;         ///< most leaves read or written in one batch
    static constexpr std::size_t trained_fill = 55; ///< percent of its slots that a leaf gets when it is trained
    static constexpr std::size_t trained_most = 84; ///< ... and that one leaf can take; what is more overflows at once
    static constexpr std::uint32_t error_bound =
        128; ///< in keys: of the first fit (layout/piece_plan.hpp); model_use::error_bound: of all
    static constexpr std::size_t overflow_percent = 8; ///< so many of its leaves split: a piece is trained anew
    static constexpr std::size_t trained_together = 4; ///< pieces of the largest size that become one more
    static constexpr bool writers_train = true;        ///< else somebody must call train() now and then
    static constexpr bool neighbourhood_reads = true;  ///< else every lookup reads a whole leaf
    static constexpr bool speculative_reads = false;   ///< as in chime_options
    static constexpr std::size_t hotspot_bytes = 0;    ///< as in chime_options
    static constexpr bool scan_by_range = true;        ///< as in chime_options
    static constexpr std::size_t most_moves = 2;       ///< as in chime_options
};

} // namespace catena
