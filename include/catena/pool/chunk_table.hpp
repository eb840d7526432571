// SPDX-License-Identifier: Apache-2.0
// chunk_table: who owns which chunk of a memory node, that is: who may cut blocks from what was never written of it.
//
// One word for each chunk, at the beginning of the heap (docs/formats.md):
//   63..62      61..55           54..36       35..0
//   state (2)   class (7)        owner (19)   first (36)
// state    0 unused, 1 owned by the member whose tag stands in `owner`, 2 released: nobody's.
// class    of the size of its blocks (superblock.hpp: block_class). A chunk is cut into blocks of one size for ever, from its
//          beginning, so that it can be parsed; what is left at its end is less than a block, and nobody's. 0: nothing of it
//          was ever written, it has no size yet.
// first    of a released chunk: bytes / 64 before its first free block; from there on all are free. Else 0.
//
// Take       T1 FAA on the cursor of the memory node;  T2 CAS word: unused -> owned(T), before the first block is cut.
// Release    by the owner L, which has no block of it that is not written:  L1 FAA count of released chunks of the class,
//            +1;  L2 CAS word: owned(L) -> released(first). One ordered batch.
// Claim      C1 READ the counts; not zero:  C2 READ the table;  C3 CAS word: released(first) -> owned(C);  C4 FAA count, -1.
// Adopt      by A: CAS word: owned(D) -> owned(A) where D is gone; or unused -> released for a chunk below the cursor, with
//            the count first, as in L1.
// One owner  All changes are CAS on the exact word. A word comes back only as the same statement: of a released chunk that
//            was claimed and released again with nothing cut.
// The counts are hints, never too low: L1 comes before L2 and C4 after C3. Too high costs the others a look at the table.
// Dies       T after T1: the chunk is unused below the cursor; adopted. L, C anywhere: the word says whose it is.
// Thread safety: any number of clients. Needs: atomic_words, ordered_batch. Tests: pool/node_allocator_test.cpp,
// pool/large_blocks_test.cpp, torture/.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/fabric/op.hpp>
#include <catena/pool/member_record.hpp>
#include <catena/pool/session.hpp>
#include <catena/pool/superblock.hpp>

namespace catena {

enum class chunk_state : std::uint8_t { unused = 0, owned = 1, released = 2 };

class chunk_word {
public:
    constexpr chunk_word() noexcept = default;
    explicit constexpr chunk_word(word bits) noexcept : bits_(bits) {}
    [[nodiscard]] static constexpr chunk_word owned(std::uint32_t tag, std::uint64_t block_bytes) noexcept {
        return chunk_word(of(chunk_state::owned, block_bytes) | word{tag} << owner_shift);
    }
    /// first: bytes before the first free block. block_bytes: 0 for a chunk of which nothing was ever written.
    [[nodiscard]] static constexpr chunk_word released(std::uint64_t block_bytes, std::uint64_t first) noexcept {
        return chunk_word(of(chunk_state::released, block_bytes) | first / block_granule);
    }

    [[nodiscard]] constexpr chunk_state state() const noexcept {
        return static_cast<chunk_state>(bits_ >> state_shift);
    }
    [[nodiscard]] constexpr std::uint64_t block_bytes() const noexcept {
        return block_bytes_of(bits_ >> class_shift & (block_classes - 1));
    }
    [[nodiscard]] constexpr std::uint32_t owner() const noexcept {
        return static_cast<std::uint32_t>(bits_ >> owner_shift) & ((1U << member_id::tag_bits) - 1);
    }
    [[nodiscard]] constexpr std::uint64_t first() const noexcept {
        return (bits_ & ((word{1} << owner_shift) - 1)) * block_granule;
    }
    [[nodiscard]] constexpr word bits() const noexcept { return bits_; }
    /// May blocks of that size be cut from it by whoever claims it?
    [[nodiscard]] constexpr bool has_room_for(std::uint64_t bytes) const noexcept {
        return state() == chunk_state::released && (block_bytes() == bytes || block_bytes() == 0);
    }

private:
    static constexpr unsigned owner_shift = 36;
    static constexpr unsigned class_shift = 55;
    static constexpr unsigned state_shift = 62;
    static_assert(block_classes == std::uint64_t{1} << (state_shift - class_shift));
    static_assert(member_id::tag_bits == class_shift - owner_shift);
    static_assert(max_chunk_bytes / block_granule < std::uint64_t{1} << owner_shift);
    [[nodiscard]] static constexpr word of(chunk_state state, std::uint64_t block_bytes) noexcept {
        return static_cast<word>(state) << state_shift | block_class(block_bytes) << class_shift;
    }
    word bits_ = 0;
};

[[nodiscard]] constexpr remote_ptr chunk_word_at(std::uint16_t node, std::uint64_t chunk) noexcept {
    return {node, heap_offset + chunk * word_bytes};
}
/// The count of released chunks whose blocks have that size; 0: of those that have no size yet.
[[nodiscard]] constexpr remote_ptr released_count_of(std::uint16_t node, std::uint64_t block_bytes) noexcept {
    return {node, released_offset + block_class(block_bytes) * word_bytes};
}

namespace detail {

/// C2 to C4. False: there is none. 2 round trips and more as a rule.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<bool>> claim_released_chunk(Session& s, std::uint16_t node,
                                                                     std::uint64_t bytes) {
    constexpr std::uint64_t at_once = 512;
    auto const& geometry = s.pool().geometry;
    auto const chunks = chunk_count(geometry);
    scratch_lease const memory(s.scratches());
    auto const words = memory->template take<word>(std::min(at_once, chunks));
    auto const mine = chunk_word::owned(s.pool().self.tag(), bytes);
    for (std::uint64_t from = 0; from < chunks; from += words.size()) {
        auto const n = std::min<std::uint64_t>(words.size(), chunks - from);
        op read = op::read(chunk_word_at(node, from), words.data(), n * word_bytes);
        if (auto const r = co_await s.submit(read); !r) co_return r.error();
        for (std::uint64_t i = 0; i < n; ++i) {
            chunk_word const seen(words[i]);
            if (!seen.has_room_for(bytes)) continue;
            op claim = op::cas(chunk_word_at(node, from + i), seen.bits(), mine.bits());
            if (auto const r = co_await s.submit(claim); !r) co_return r.error();
            if (!claim.swapped()) continue;
            auto const begin = chunk_begin(geometry, from + i);
            s.allocation().of(bytes).add(
                node, {.next = begin + seen.first(), .end = begin + geometry.chunk_bytes, .chunk = from + i});
            op count = op::faa(released_count_of(node, seen.block_bytes()), ~word{0});
            if (auto const r = co_await s.submit(count); !r) co_return r.error();
            co_return true;
        }
    }
    co_return false;
}

/// T1, T2. False: the memory node is full. 2 round trips.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<bool>> take_new_chunk(Session& s, std::uint16_t node, std::uint64_t bytes) {
    auto const& geometry = s.pool().geometry;
    while (!s.allocation().exhausted[node]) {
        op take = op::faa({node, cursor_offset}, geometry.chunk_bytes);
        if (auto const r = co_await s.submit(take); !r) co_return r.error();
        auto const chunk = take.fetched / geometry.chunk_bytes;
        if (chunk >= chunk_count(geometry)) {
            s.allocation().exhausted[node] = true; // the cursor only grows: never ask this memory node again
            break;
        }
        op own = op::cas(chunk_word_at(node, chunk), 0, chunk_word::owned(s.pool().self.tag(), bytes).bits());
        if (auto const r = co_await s.submit(own); !r) co_return r.error();
        if (!own.swapped()) continue; // somebody came by and adopted it (pool/reclaim.hpp)
        auto const begin = chunk_begin(geometry, chunk);
        s.allocation().of(bytes).add(node, {.next = begin, .end = begin + geometry.chunk_bytes, .chunk = chunk});
        co_return true;
    }
    co_return false;
}

/// L1, L2: gives up a chunk of ours that is free from `next` on. 1 round trip.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> release_chunk(Session& s, std::uint16_t node, std::uint64_t chunk,
                                                              std::uint64_t bytes, std::uint64_t next) {
    auto const word = chunk_word::released(bytes, next - chunk_begin(s.pool().geometry, chunk));
    std::array ops{
        op::faa(released_count_of(node, word.block_bytes()), 1),
        op::cas(chunk_word_at(node, chunk), chunk_word::owned(s.pool().self.tag(), bytes).bits(), word.bits())};
    co_return co_await s.submit(batch(ops));
}

} // namespace detail

} // namespace catena
