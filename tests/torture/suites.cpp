// SPDX-License-Identifier: Apache-2.0
#include <torture/suite.hpp>

#include <array>

#include <catena/index/chime_tree.hpp>
#include <catena/index/learned_hopscotch.hpp>
#include <catena/index/sherman_tree.hpp>
#include <catena/prefix/block_hash.hpp>
#include <catena/prefix/location.hpp>

#include <support/keys.hpp>
#include <torture/extent_suite.hpp>
#include <torture/pool_suite.hpp>
#include <torture/prefix_suite.hpp>
#include <torture/tree_suite.hpp>

namespace catena::torture {

namespace {

// Four entries a node: a run of a few operations splits, grows and merges.
struct four_entries : tree_options {
    static constexpr std::size_t node_bytes = 128;
    static constexpr std::size_t batch_nodes = 4;
};
struct four_wide_entries : tree_options {
    static constexpr std::size_t node_bytes = 256;
};

struct four_blocks : tree_options {
    static constexpr std::size_t node_bytes = 192;
};

// Three quads a leaf, four entries an inner node.
struct twelve_slots : chime_options {
    static constexpr hopscotch_shape shape{.quads = 3};
    static constexpr std::size_t inner_bytes = 128;
    static constexpr std::size_t batch_nodes = 4;
    static constexpr std::size_t hotspot_bytes = 1024;
};
struct twelve_wide_slots : twelve_slots {
    static constexpr std::size_t inner_bytes = 192;
};

// Three quads a leaf, at most six leaves an extent, six pieces a page: nearly every split trains.
struct six_leaves : learned_options {
    static constexpr hopscotch_shape shape{.quads = 3};
    static constexpr std::size_t page_bytes = 256;
    static constexpr std::size_t directory_bytes = 512;
    static constexpr std::size_t extent_bytes = 2048;
    static constexpr std::size_t batch_nodes = 4;
    static constexpr std::size_t trained_together = 2;
};
struct three_wide_leaves : six_leaves {
    static constexpr std::size_t page_bytes = 320;
    static constexpr std::size_t directory_bytes = 768;
    static constexpr model_use use = model_use::error_bound;
    static constexpr std::uint32_t error_bound = 4;
    static constexpr bool speculative_reads = true;
    static constexpr std::size_t hotspot_bytes = 1024;
};

struct windows_of_four : extent_options {
    static constexpr std::size_t news_bytes = 576; // sixteen entries: clients are overtaken
    static constexpr std::size_t window = 4;
    static constexpr std::size_t batch_reads = 8;
};
struct windows_of_sixteen : windows_of_four { // longer than the smallest extents
    static constexpr std::size_t window = 16;
};
using short_windows = extent_index<sherman_tree<block_hash, extent_ref, four_blocks>, windows_of_four>;
using long_windows = extent_index<learned_hopscotch<block_hash, extent_ref, three_wide_leaves>, windows_of_sixteen>;

template <typename Suite>
[[nodiscard]] outcome run(scenario const& s, std::vector<sim_event>* log) {
    Suite suite(s, log);
    return suite.run();
}

constexpr std::array all{
    suite{"sherman",
          "sherman_tree, keys and values of a word",
          run<tree_suite<sherman_tree<std::uint64_t, std::uint64_t, four_entries>>>,
          {.bytes = 128, .key_words = 1, .payload_words = 1}},
    suite{"sherman-wide",
          "sherman_tree, keys of 16 bytes, values that are replaced out of place",
          run<tree_suite<sherman_tree<block_hash, test::blob<24>, four_wide_entries>>>,
          {.bytes = 256, .key_words = 2, .payload_words = 3}},
    suite{"chime",
          "chime_tree, keys and values of a word",
          run<tree_suite<chime_tree<std::uint64_t, std::uint64_t, twelve_slots>>>,
          {.bytes = 320, .key_words = 1, .payload_words = 1}},
    suite{"chime-wide",
          "chime_tree, keys of 16 bytes, values of three words",
          run<tree_suite<chime_tree<block_hash, test::blob<24>, twelve_wide_slots>>>,
          {.bytes = 640, .key_words = 2, .payload_words = 3}},
    suite{"learned",
          "learned_hopscotch, keys and values of a word",
          run<tree_suite<learned_hopscotch<std::uint64_t, std::uint64_t, six_leaves>>>,
          {.bytes = 320, .key_words = 1, .payload_words = 1}},
    suite{"learned-wide",
          "learned_hopscotch, keys of 16 bytes, values of three words, a model with an error bound",
          run<tree_suite<learned_hopscotch<block_hash, test::blob<24>, three_wide_leaves>>>,
          {.bytes = 640, .key_words = 2, .payload_words = 3}},
    suite{"prefix",
          "prefix_index over sherman_tree: publish, match, forget",
          run<prefix_suite<sherman_tree<block_hash, location, four_blocks>>>,
          {.bytes = 192, .key_words = 2, .payload_words = 1}},
    suite{"extents",
          "extent_index over sherman_tree, windows of 4 blocks: publish, match, forget",
          run<extent_suite<short_windows, 14>>,
          {.bytes = 192, .key_words = 2, .payload_words = 1}},
    suite{"extents-learned",
          "extent_index over learned_hopscotch, windows of 16 blocks",
          run<extent_suite<long_windows, 30>>,
          {.bytes = 192, .key_words = 2, .payload_words = 1}},
    suite{"pool",
          "allocator, free lists, membership, catalog",
          run<pool_suite>,
          {.bytes = 64, .key_words = 1, .payload_words = 1}},
};

} // namespace

std::span<suite const> suites() { return all; }

} // namespace catena::torture
