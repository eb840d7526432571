// SPDX-License-Identifier: Apache-2.0
// The types that the contract is checked with: keys, values and node sizes that differ in how they lie in a node.
#pragma once

#include <cstdint>

#include <catena/index/chime_tree.hpp>
#include <catena/index/learned_hopscotch.hpp>
#include <catena/index/sherman_tree.hpp>
#include <catena/prefix/block_hash.hpp>
#include <catena/prefix/location.hpp>

#include <support/keys.hpp>

namespace catena::test {

template <std::size_t Bytes, std::size_t Batch = tree_options::batch_nodes>
struct nodes_of : tree_options {
    static constexpr std::size_t node_bytes = Bytes;
    static constexpr std::size_t batch_nodes = Batch;
};

using sherman_8_8 = sherman_tree<std::uint64_t, std::uint64_t>;
using sherman_8_8_small = sherman_tree<std::uint64_t, std::uint64_t, nodes_of<256>>;
using sherman_8_8_large = sherman_tree<std::uint64_t, std::uint64_t, nodes_of<4096>>; // 64 slots of more that would fit
using sherman_8_8_narrow = sherman_tree<std::uint64_t, std::uint64_t, nodes_of<512, 16>>; // batches take several rounds
using sherman_signed = sherman_tree<std::int64_t, std::uint64_t, nodes_of<512>>;
using sherman_byte = sherman_tree<std::uint64_t, blob<1>, nodes_of<512>>;
using sherman_blocks = sherman_tree<block_hash, location>;
using sherman_blocks_24 = sherman_tree<block_hash, blob<24>, nodes_of<512>>; // values are replaced out of place
using sherman_wide = sherman_tree<wide_key, blob<64>, nodes_of<1024>>;

/// Hotspot buffers that keep little, so that keys come and go.
struct chime_test_options : chime_options {
    static constexpr std::size_t hotspot_bytes = 16 * 1024;
};
template <std::size_t Quads, bool Replicated = true, std::size_t LastHome = 10>
struct leaves_of : chime_test_options {
    static constexpr hopscotch_shape shape{.quads = Quads, .replicated_fences = Replicated, .last_home = LastHome};
};
/// Every option the other way round.
struct plain_chime : chime_test_options {
    static constexpr hopscotch_shape shape{
        .quads = 6, .replicated_fences = false, .last_home = 0, .vacancy_in_lock = true};
    static constexpr bool neighbourhood_reads = false;
    static constexpr bool speculative_reads = false;
    static constexpr bool scan_by_range = false;
    static constexpr std::size_t most_moves = 1;
};

using chime_8_8 = chime_tree<std::uint64_t, std::uint64_t, chime_test_options>;
using chime_8_8_small = chime_tree<std::uint64_t, std::uint64_t, leaves_of<4>>;
using chime_8_8_plain = chime_tree<std::uint64_t, std::uint64_t, plain_chime>;
using chime_signed = chime_tree<std::int64_t, std::uint64_t, leaves_of<7>>;
using chime_byte = chime_tree<std::uint64_t, blob<1>, leaves_of<6>>;
using chime_blocks = chime_tree<block_hash, location, chime_test_options>;
using chime_blocks_24 = chime_tree<block_hash, blob<24>, leaves_of<4>>; // a payload of several words has its redo words
using chime_wide = chime_tree<wide_key, blob<64>, leaves_of<4>>;

template <std::size_t Quads>
struct model_of : learned_options {
    static constexpr hopscotch_shape shape{.quads = Quads};
};
/// Pieces of a few leaves and pages of a few pieces, so that pages split and hardly an insert is without its training.
struct small_model : model_of<4> {
    static constexpr std::size_t page_bytes = 256;
    static constexpr std::size_t directory_bytes = 4096;
    static constexpr std::size_t extent_bytes = 4096;
};
/// Every option the other way round that may be.
struct plain_model : learned_options {
    static constexpr hopscotch_shape shape{.quads = 6, .replicated_fences = false, .last_home = 0};
    static constexpr std::size_t overflow_percent = 20;
    static constexpr bool neighbourhood_reads = false;
    static constexpr bool speculative_reads = true;
    static constexpr std::size_t hotspot_bytes = 16 * 1024;
    static constexpr bool scan_by_range = false;
    static constexpr std::size_t most_moves = 1;
};

using learned_8_8 = learned_hopscotch<std::uint64_t, std::uint64_t>;
using learned_8_8_small = learned_hopscotch<std::uint64_t, std::uint64_t, small_model>;
using learned_8_8_plain = learned_hopscotch<std::uint64_t, std::uint64_t, plain_model>;
using learned_signed = learned_hopscotch<std::int64_t, std::uint64_t, model_of<7>>;
using learned_byte = learned_hopscotch<std::uint64_t, blob<1>, model_of<6>>;
using learned_blocks = learned_hopscotch<block_hash, location>;
using learned_blocks_24 = learned_hopscotch<block_hash, blob<24>, model_of<4>>;
using learned_wide = learned_hopscotch<wide_key, blob<64>, model_of<4>>;

/// Is it leaves under a model, and not a tree of nodes?
template <typename Index>
inline constexpr bool has_model = requires {
    Index::options::extent_bytes;
};

} // namespace catena::test
