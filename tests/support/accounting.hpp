// SPDX-License-Identifier: Apache-2.0
// Where the bytes of a pool are: read from the raw memory of a local fabric that nobody is using.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>

#include <catena/fabric/local_fabric.hpp>
#include <catena/pool/free_list.hpp>
#include <catena/pool/node_allocator.hpp>
#include <catena/pool/superblock.hpp>

namespace catena::test {

/// Bytes that were handed out and are neither on a free list nor in the hands of one of `sessions`: they are nodes of
/// some index, or lost. `sessions` must be all that ever allocated and did not release_all().
template <typename Session>
[[nodiscard]] std::uint64_t bytes_in_use(local_fabric& fabric, superblock const& geometry,
                                         std::initializer_list<Session*> sessions) {
    std::uint64_t in_use = 0;
    for (std::uint16_t node = 0; node < fabric.node_count(); ++node) {
        auto const* const raw = fabric.raw(node);
        auto const word_at = [raw](std::uint64_t at) {
            word w = 0;
            std::memcpy(&w, raw + at, sizeof w);
            return w;
        };
        auto const whole_chunks = (geometry.node_bytes - heap_offset) / geometry.chunk_bytes * geometry.chunk_bytes;
        in_use += std::min(word_at(cursor_offset), whole_chunks);
        for (auto at = free_list_head(word_at(remainders_offset)).offset(); at != 0; at = word_at(at))
            in_use -= word_at(at + word_bytes);
        for (std::uint64_t bytes = block_granule; bytes <= max_block_bytes; bytes += block_granule)
            for (auto at = free_list_head(word_at(free_list_of(node, bytes).offset())).offset(); at != 0;
                 at = word_at(at + link_offset(bytes)))
                in_use -= bytes;
    }
    for (auto* const s : sessions) {
        auto const& a = s->allocation();
        for (auto const& chunk : a.chunks) in_use -= chunk.end - chunk.next;
        in_use -= a.freed.size() * a.freed_bytes;
    }
    return in_use;
}

} // namespace catena::test
