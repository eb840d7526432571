// SPDX-License-Identifier: Apache-2.0
// node_allocator: remote memory for index nodes, one-sided.
//
// A session takes a chunk of a memory node with one FAA on its cursor and cuts blocks from it locally, turn by turn on
// all memory nodes. Blocks that it frees it uses again itself; more than max_freed of them go to the memory node's free
// list of their size, from which any session takes before it takes a new chunk. A session that closes gives back what it
// did not use (release_all).
// Grace rule: none. A freed block may be used again at once, because whoever still holds its address reads a node that
// says itself what it is (layout/node.hpp: seal, index, level, fences, dead) and writes only by CAS on the exact lock
// word that came with such an image.
// Dies: a client that dies leaks what it had taken and not used: at most one chunk a memory node and max_freed blocks.
// A rest of a chunk that is smaller than the block wanted next is not used again: nothing where all blocks have one size
// that divides the chunk, less than one block for each chunk where sizes are mixed.
// Thread safety: as the session. Out of memory: errc::out_of_memory; what was allocated stays as it is.
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/pool/free_list.hpp>
#include <catena/pool/session.hpp>

namespace catena {

[[nodiscard]] constexpr remote_ptr free_list_of(std::uint16_t node, std::uint64_t block_bytes) noexcept {
    return {node, free_lists_offset + block_bytes / block_granule * word_bytes};
}
/// Two words of a free block: how many lives it had, and the link. Both lie at its end, where they break no more than the
/// seal of the dead node: a late reader then goes back to the root, as it should.
[[nodiscard]] constexpr std::uint64_t link_offset(std::uint64_t block_bytes) noexcept {
    return block_bytes - word_bytes;
}
[[nodiscard]] constexpr std::uint64_t lives_offset(std::uint64_t block_bytes) noexcept {
    return block_bytes - 2 * word_bytes;
}

namespace detail {

/// A new range to cut from on `node`: a remainder that a departed client left, else a chunk of the heap.
/// False if there is none. 2 to 4 round trips.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<bool>> refill(Session& s, std::uint16_t node) {
    auto& chunk = s.allocation().chunks[node];
    auto const left = co_await pop_free(s, {node, remainders_offset}, 0);
    if (!left) co_return left.error();
    if (*left) {
        word size = 0;
        op read = op::read(*left + word_bytes, &size, word_bytes);
        if (auto const r = co_await s.submit(read); !r) co_return r.error();
        chunk = {.next = left->offset(), .end = left->offset() + size};
        co_return true;
    }
    if (s.allocation().exhausted[node]) co_return false;
    auto const& geometry = s.pool().geometry;
    op take = op::faa({node, cursor_offset}, geometry.chunk_bytes);
    if (auto const r = co_await s.submit(take); !r) co_return r.error();
    auto const begin = heap_offset + take.fetched;
    if (begin >= geometry.node_bytes || geometry.node_bytes - begin < geometry.chunk_bytes) {
        s.allocation().exhausted[node] = true; // the cursor only grows: never ask this memory node again
        co_return false;
    }
    chunk = {.next = begin, .end = begin + geometry.chunk_bytes};
    co_return true;
}

/// Puts a block on the free list of its memory node. 3 round trips.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> share(Session& s, block freed, std::uint64_t bytes) {
    word const lives = freed.lives;
    op write = op::write(freed.at + lives_offset(bytes), &lives, word_bytes);
    if (auto const r = co_await s.submit(write); !r) co_return r.error();
    co_return co_await push_free(s, free_list_of(freed.at.node(), bytes), freed.at, link_offset(bytes));
}

/// Takes a block off the free list of a memory node; null if there is none. 1 or 4 round trips.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<block>> take_shared(Session& s, std::uint16_t node, std::uint64_t bytes) {
    auto const at = co_await pop_free(s, free_list_of(node, bytes), link_offset(bytes));
    if (!at) co_return at.error();
    if (!*at) co_return block{};
    word lives = 0;
    op read = op::read(*at + lives_offset(bytes), &lives, word_bytes);
    if (auto const r = co_await s.submit(read); !r) co_return r.error();
    co_return block{.at = *at, .lives = static_cast<std::uint32_t>(lives)};
}

} // namespace detail

/// A block of `bytes` (a multiple of 64, at most 4 KiB), contents undefined, spread over the memory nodes in turn; those that
/// do not answer are passed over.
/// No round trip as a rule; up to 5 for each chunk.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<block>> allocate(Session& s, std::uint64_t bytes) {
    CATENA_ASSERT(bytes % block_granule == 0 && bytes <= max_block_bytes);
    auto& a = s.allocation();
    if (!a.freed.empty() && a.freed_bytes == bytes) {
        auto const reused = a.freed.back();
        a.freed.pop_back();
        co_return reused;
    }
    auto const nodes = static_cast<std::uint16_t>(a.chunks.size());
    for (std::uint16_t tried = 0; tried < nodes; ++tried) {
        auto const node = a.turn;
        a.turn = static_cast<std::uint16_t>((a.turn + 1) % nodes);
        auto& chunk = a.chunks[node];
        if (chunk.end - chunk.next < bytes) {
            if (a.lost[node]) continue;
            auto const shared = co_await detail::take_shared(s, node, bytes);
            if (!shared && shared.error().code == errc::unreachable) {
                a.lose(node); // the others go on
                continue;
            }
            if (!shared) co_return shared.error();
            if (shared->at) co_return *shared;
            // A remainder may be smaller than this block; each pop shortens that list, so this ends.
            bool more = true;
            while (more && chunk.end - chunk.next < bytes) {
                auto const refilled = co_await detail::refill(s, node);
                if (!refilled && refilled.error().code != errc::unreachable) co_return refilled.error();
                if (!refilled) a.lose(node);
                more = refilled && *refilled;
            }
            if (chunk.end - chunk.next < bytes) continue;
        }
        co_return block{.at = {node, std::exchange(chunk.next, chunk.next + bytes)}, .lives = 0};
    }
    for (std::uint16_t node = 0; node < nodes; ++node)
        if (!a.lost[node]) co_return make_error(errc::out_of_memory);
    co_return make_error(errc::unreachable);
}

/// Gives a block back. The caller has made sure that no reader takes it for live. 0 or 3 round trips.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> free_block(Session& s, block freed, std::uint64_t bytes) {
    auto& a = s.allocation();
    if (a.freed.empty()) a.freed_bytes = bytes;
    if (a.freed_bytes == bytes && a.freed.size() < Session::max_freed) {
        a.freed.push_back(freed);
        co_return result<void>{};
    }
    co_return co_await detail::share(s, freed, bytes);
}

/// Gives everything back that this session holds: freed blocks and what is left of its chunks. For a session that ends.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> release_all(Session& s) {
    auto& a = s.allocation();
    while (!a.freed.empty()) {
        auto const freed = a.freed.back();
        a.freed.pop_back();
        if (auto const r = co_await detail::share(s, freed, a.freed_bytes); !r) co_return r.error();
    }
    for (std::uint16_t node = 0; node < a.chunks.size(); ++node) {
        auto const left = std::exchange(a.chunks[node], {});
        if (left.end - left.next < block_granule) continue;
        word const size = left.end - left.next;
        op write = op::write({node, left.next + word_bytes}, &size, word_bytes);
        if (auto const r = co_await s.submit(write); !r) co_return r.error();
        auto const pushed = co_await push_free(s, {node, remainders_offset}, {node, left.next}, 0);
        if (!pushed) co_return pushed.error();
    }
    co_return result<void>{};
}

} // namespace catena
