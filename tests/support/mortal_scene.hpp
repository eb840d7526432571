// SPDX-License-Identifier: Apache-2.0
// mortal_scene: a pool with an index, one client that goes on, and one that is going to die; its lease is short.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <support/mortal_fabric.hpp>
#include <support/world.hpp>

namespace catena::test {

template <typename Index>
struct mortal_scene {
    using victim_client = basic_client<mortal_fabric>;
    static constexpr std::size_t cache_bytes = 1U << 20U;

    explicit mortal_scene(std::uint64_t node_bytes = 8U << 20U, std::uint64_t chunk_bytes = 0)
        : options{.lease = std::chrono::milliseconds(1), .chunk_bytes = chunk_bytes}, w(node_bytes, 1, options),
          tree(ok(Index::create(w.first.s, "t", cache_bytes))), survivor(tree, w.first.s), mortal(w.fabric),
          victim(victim_client::join(mortal, options)), victims_tree(ok(Index::open(victim.s, "t", cache_bytes))) {}

    pool_options options;
    world w;
    Index tree;
    calls<Index, local_session> survivor;
    mortal_fabric mortal;
    victim_client victim;
    Index victims_tree;
};

} // namespace catena::test
