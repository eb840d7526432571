// SPDX-License-Identifier: Apache-2.0
// mortal_scene: a pool with an index, one client that goes on, and one that is going to die; its lease is short.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <support/mortal_fabric.hpp>
#include <support/world.hpp>

namespace catena::test {

/// Index: anything with create and open.
template <typename Index>
struct bare_mortal_scene {
    using victim_client = basic_client<mortal_fabric>;

    bare_mortal_scene(std::uint64_t node_bytes, std::uint64_t chunk_bytes, std::size_t cache_bytes)
        : options{.lease = std::chrono::milliseconds(1), .chunk_bytes = chunk_bytes}, w(node_bytes, 1, options),
          tree(ok(Index::create(w.first.s, "t", cache_bytes))), mortal(w.fabric),
          victim(victim_client::join(mortal, options)), victims_tree(ok(Index::open(victim.s, "t", cache_bytes))) {}

    pool_options options;
    world w;
    Index tree;
    mortal_fabric mortal;
    victim_client victim;
    Index victims_tree;
};

/// Index: an ordered index, which the one who goes on has blocking calls to.
template <typename Index>
struct mortal_scene : bare_mortal_scene<Index> {
    explicit mortal_scene(std::uint64_t node_bytes = 8U << 20U, std::uint64_t chunk_bytes = 0)
        : bare_mortal_scene<Index>(node_bytes, chunk_bytes, 1U << 20U) {}

    calls<Index, local_session> survivor{this->tree, this->w.first.s};
};

} // namespace catena::test
