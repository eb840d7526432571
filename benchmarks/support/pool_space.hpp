// SPDX-License-Identifier: Apache-2.0
// What an index really takes of its pool: chunks that were handed out, and how much of them nobody uses at the moment. An index
// that says itself how large it is does not count the blocks that it keeps for later, and no chunk is ever given back.
// Thread safety: for a pool that nobody else is using; not for the data path.
#pragma once

#include <cstdint>

#include <catena/pool/free_list.hpp>
#include <catena/pool/memory_pool.hpp>
#include <catena/pool/node_allocator.hpp>

#include "world.hpp"

namespace catena::bench {

struct pool_space {
    std::uint64_t taken = 0;   ///< in chunks; never shrinks
    std::uint64_t listed = 0;  ///< on free lists: for whoever needs a block of the same size
    std::uint64_t in_hand = 0; ///< the session's: freed, or not cut yet

    /// By the index, and lost in the ends of chunks.
    [[nodiscard]] std::uint64_t used() const noexcept { return taken - listed - in_hand; }
};

/// 1 round trip for each free block.
[[nodiscard]] inline pool_space space_of(session_type& s) {
    auto const& geometry = s.pool().geometry;
    pool_space space{.taken = need(pool_type::usage(s)).bytes_taken - geometry.node_count * heap_begin(geometry)};
    for (auto const& c : s.allocation().classes) {
        space.in_hand += c.freed.size() * c.bytes;
        for (auto const& of_node : c.chunks)
            for (auto const& r : of_node) space.in_hand += (r.end - r.next) / c.bytes * c.bytes;
    }
    auto const word_at = [&s](remote_ptr at) {
        word w = 0;
        op read = op::read(at, &w, word_bytes);
        need(sync_wait(s, [](session_type& session, op& one) -> task<result<void>> {
            co_return co_await session.submit(one);
        }(s, read)));
        return w;
    };
    for (std::uint16_t node = 0; node < geometry.node_count; ++node)
        for (std::uint64_t of_class = 1; of_class < block_classes; ++of_class) {
            auto const bytes = block_bytes_of(of_class);
            if (block_class(bytes) != of_class) continue; // no size has this class
            auto at = free_list_head(word_at(free_list_of(node, bytes))).offset();
            for (; at != 0; at = word_at({node, at + link_offset(bytes)})) space.listed += bytes;
        }
    return space;
}

} // namespace catena::bench
