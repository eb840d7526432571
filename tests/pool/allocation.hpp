// SPDX-License-Identifier: Apache-2.0
// Blocks by blocking calls, and what the memory nodes say about them: for the tests of the allocator.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <catena/pool/node_allocator.hpp>

#include <pool/clock_fabric.hpp>
#include <support/threads.hpp>
#include <support/world.hpp>

namespace catena::test {

inline constexpr std::uint64_t chunk = 16384;
/// A memory node that has room for that many chunks.
constexpr std::uint64_t room_for(std::uint64_t chunks, std::uint64_t chunk_bytes = chunk) {
    return heap_begin(chunks) + chunks * chunk_bytes;
}
inline pool_options options(std::uint64_t chunk_bytes = chunk) {
    return {.lease = std::chrono::minutes(1), .chunk_bytes = chunk_bytes, .patience = std::chrono::minutes(1)};
}
/// All sizes that blocks of such a pool have.
inline std::vector<std::uint64_t> block_sizes(std::uint64_t chunk_bytes) {
    std::vector<std::uint64_t> sizes;
    for (auto bytes = block_granule; bytes <= std::min(chunk_bytes, max_block_bytes); bytes += block_granule)
        if (is_block_size(bytes)) sizes.push_back(bytes);
    return sizes;
}

inline block take(local_session& s, std::uint64_t bytes) { return ok(sync_wait(s, allocate(s, bytes))); }
inline void give(local_session& s, block b, std::uint64_t bytes) { ok(sync_wait(s, free_block(s, b, bytes))); }
inline void close(local_session& s) { ok(sync_wait(s, release_all(s))); }
inline std::uint64_t taken(world& w) { return ok(local_client::pool_type::usage(w.first.s)).bytes_taken; }

/// Everything that can be had, then out_of_memory.
inline std::vector<block> take_all(local_session& s, std::uint64_t bytes) {
    std::vector<block> all;
    for (;;) {
        auto const b = sync_wait(s, allocate(s, bytes));
        if (!b) {
            expect(b.error().code == errc::out_of_memory, "another error");
            return all;
        }
        all.push_back(*b);
    }
}

inline chunk_word table_word(world& w, std::uint64_t i, std::uint16_t node = 0) {
    return chunk_word(raw_read(w.fabric, chunk_word_at(node, i)));
}
inline block_header header_of(world& w, block const& b) {
    block_header h;
    for (std::size_t i = 0; i < h.words.size(); ++i) h.words[i] = raw_read(w.fabric, b.at + i * word_bytes);
    return h;
}
inline word released(world& w, std::uint64_t bytes) { return raw_read(w.fabric, released_count_of(0, bytes)); }

} // namespace catena::test
