// SPDX-License-Identifier: Apache-2.0
// node_allocator: remote memory for index nodes, one-sided.
//
// A session takes chunks of a memory node (pool/chunk_table.hpp), each for blocks of one size, and cuts blocks from them
// locally, turn by turn on all memory nodes. Blocks that it frees it uses again itself; more than most_freed of them go
// to the memory node's free list of their size, from which any session takes before it takes a new chunk. A session that
// closes gives back what it did not use (release_all).
// Whoever uses a block keeps its header (pool/block_header.hpp), which says at every moment in whose hands it is:
//   cut, not written  lock word 0: the owner of the chunk has it.
//   written           the lock word names the writer.
//   freed             stays in the hands of the session: the lock word names its member already, if the block was written.
//   share             S1 READ head of the free list;  S2 WRITE link, WRITE meta: shared, lives;  S3 WRITE lock = 0;  S4 CAS
//                     head (pool/free_list.hpp). S2 to S4 are one ordered batch: before S3 the block is the sharer's.
//   take_shared       G1 to G3 pop it;  G4 WRITE lock: held by me, READ meta: the lives. From then on it is the taker's.
// Grace rule: none. A freed block may be used again at once, because whoever still holds its address reads a node that
// says itself what it is (layout/node.hpp: seal, index, level, fences, dead) and writes only by CAS on the exact lock
// word that came with such an image.
// Dies: what a client held is found by the others (pool/reclaim.hpp), save a block in transit: one that it had popped and
// not yet signed (between G3 and G4), or unsigned and not yet pushed (between S3 and S4). It is lost for ever; one for each
// operation that was under way, and S3 and S4 are the same batch unless somebody else changed the list meanwhile.
// Thread safety: as the session. Out of memory: errc::out_of_memory; what was allocated stays as it is.
// Tests: pool/node_allocator_test.cpp, pool/large_blocks_test.cpp, index/reclaim_test.cpp, torture/pool_suite.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/pool/block_header.hpp>
#include <catena/pool/chunk_table.hpp>
#include <catena/pool/free_list.hpp>
#include <catena/pool/session.hpp>

namespace catena {

[[nodiscard]] constexpr remote_ptr free_list_of(std::uint16_t node, std::uint64_t block_bytes) noexcept {
    return {node, free_lists_offset + block_class(block_bytes) * word_bytes};
}
/// The link of a free block: its last word.
[[nodiscard]] constexpr std::uint64_t link_offset(std::uint64_t block_bytes) noexcept {
    return block_bytes - word_bytes;
}

namespace detail {

/// A new range to cut from on `node`: the rest of a released chunk, else a new chunk. False if there is none.
/// 3 round trips for a new chunk.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<bool>> refill(Session& s, std::uint16_t node, std::uint64_t bytes) {
    std::array<word, 2> released{};
    std::array ops{op::read(released_count_of(node, bytes), &released[0], word_bytes),
                   op::read(released_count_of(node, 0), &released[1], word_bytes)};
    if (auto const r = co_await s.submit(batch(ops)); !r) co_return r.error();
    if (released[0] != 0 || released[1] != 0) {
        auto const claimed = co_await claim_released_chunk(s, node, bytes);
        if (!claimed || *claimed) co_return claimed;
    }
    co_return co_await take_new_chunk(s, node, bytes);
}

/// Puts a block on the free list of its memory node. 2 round trips.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> share(Session& s, block freed, std::uint64_t bytes) {
    word const meta = block_header::meta_of(freed.lives, true, true);
    word const nobody = 0;
    std::array const marks{op::write(freed.at + block_header::meta_at, &meta, word_bytes),
                           op::write(freed.at + block_header::lock_at, &nobody, word_bytes)};
    co_return co_await push_free(s, free_list_of(freed.at.node(), bytes), freed.at, link_offset(bytes), marks);
}

/// Takes a block off the free list of a memory node; null if there is none. 1 or 4 round trips.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<block>> take_shared(Session& s, std::uint16_t node, std::uint64_t bytes) {
    auto const at = co_await pop_free(s, free_list_of(node, bytes), link_offset(bytes));
    if (!at) co_return at.error();
    if (!*at) co_return block{};
    word const mine = block_header::held_by(s.pool().self.tag());
    word meta = 0;
    std::array ops{op::write(*at + block_header::lock_at, &mine, word_bytes),
                   op::read(*at + block_header::meta_at, &meta, word_bytes)};
    if (auto const r = co_await s.submit(batch(ops)); !r) co_return r.error();
    co_return block{.at = *at, .lives = block_header::lives_of(meta)};
}

/// A block that another session freed, or null and then room to cut from, if the memory node has any.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<block>> find_room(Session& s, allocation_state::size_class& mine,
                                                           std::uint16_t node, std::uint64_t bytes) {
    auto const shared = co_await take_shared(s, node, bytes);
    if (!shared || shared->at) co_return shared;
    while (!mine.can_cut(node)) { // another coroutine may cut what we fetched
        auto const refilled = co_await refill(s, node, bytes);
        if (!refilled) co_return refilled.error();
        if (!*refilled) break;
    }
    co_return block{};
}

} // namespace detail

/// A block of `bytes` (is_block_size: a multiple of 64 up to 4 KiB, of 4 KiB up to 252 KiB), contents undefined, spread over
/// the memory nodes in turn; one that did not answer is passed over for two seconds, unless there is no other. Larger than the
/// chunks of the pool: invalid_argument, since no room that somebody makes will ever be enough.
/// No round trip as a rule; 4 for each new chunk, 4 for a block that another session freed.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<block>> allocate(Session& s, std::uint64_t bytes) {
    CATENA_ASSERT(is_block_size(bytes));
    if (bytes > s.pool().geometry.chunk_bytes) co_return make_error(errc::invalid_argument);
    auto& a = s.allocation();
    auto& mine = a.of(bytes);
    auto const now = s.channel().now();
    for (auto freed = mine.freed.rbegin(); freed != mine.freed.rend(); ++freed) {
        if (a.avoids(freed->at.node(), now)) continue;
        std::swap(*freed, mine.freed.back());
        auto const reused = mine.freed.back();
        mine.freed.pop_back();
        co_return reused;
    }
    auto const nodes = static_cast<std::uint16_t>(a.avoided_until.size());
    bool avoids_all = true;
    for (std::uint16_t node = 0; node < nodes; ++node) avoids_all &= a.avoids(node, now);
    bool answered = false;
    auto failed = make_error(errc::unreachable);
    for (std::uint16_t tried = 0; tried < nodes; ++tried) {
        auto const node = a.turn;
        a.turn = static_cast<std::uint16_t>((a.turn + 1) % nodes);
        if (a.avoids(node, now) && !avoids_all) continue;
        if (!mine.can_cut(node)) {
            auto const found = co_await detail::find_room(s, mine, node, bytes);
            if (!found && found.error().code == errc::unreachable) {
                failed = found.error();
                a.avoid(node, s.channel().now());
                continue;
            }
            if (!found) co_return found.error();
            answered = true;
            if (found->at) co_return *found;
            if (!mine.can_cut(node)) continue;
        }
        auto& chunk = mine.chunks[node].back();
        co_return block{.at = {node, std::exchange(chunk.next, chunk.next + bytes)}, .lives = 0};
    }
    co_return answered ? make_error(errc::out_of_memory) : failed;
}

/// Gives a block back. The caller has made sure that no reader takes it for live, and that its header names this member if
/// it was written. 0 or 2 round trips.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> free_block(Session& s, block freed, std::uint64_t bytes) {
    auto& mine = s.allocation().of(bytes);
    if (mine.freed.size() < allocation_state::most_freed(bytes)) {
        mine.freed.push_back(freed);
        co_return result<void>{};
    }
    co_return co_await detail::share(s, freed, bytes);
}

/// Gives everything back that this session holds: freed blocks and what is left of its chunks. For a session that ends: no
/// block that it cut and never wrote may be in use any more. 2 round trips a block, 1 a chunk. What lies on a memory node that
/// does not answer stays taken, and unreachable says so; the others get theirs.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> release_all(Session& s) {
    auto& a = s.allocation();
    result<void> all{};
    auto const goes_on_after = [&](result<void> const& r) {
        if (r) return true;
        all = r;
        a.avoid(r.error().node, s.channel().now());
        return r.error().code == errc::unreachable;
    };
    for (auto& mine : a.classes) {
        while (!mine.freed.empty()) {
            auto const freed = mine.freed.back();
            mine.freed.pop_back();
            result<void> r = make_error(errc::unreachable, freed.at.node());
            if (!a.avoids(freed.at.node(), s.channel().now())) r = co_await detail::share(s, freed, mine.bytes);
            if (!goes_on_after(r)) co_return r;
        }
        for (std::uint16_t node = 0; node < mine.chunks.size(); ++node) {
            while (mine.can_cut(node)) {
                auto const left = mine.chunks[node].back();
                mine.chunks[node].pop_back();
                result<void> r = make_error(errc::unreachable, node);
                if (!a.avoids(node, s.channel().now()))
                    r = co_await detail::release_chunk(s, node, left.chunk, mine.bytes, left.next);
                if (!goes_on_after(r)) co_return r;
            }
        }
    }
    co_return all;
}

} // namespace catena
