// SPDX-License-Identifier: Apache-2.0
// block_header: the two words of every block that say in whose hands it is. Whoever uses blocks keeps them (tree nodes
// do: layout/node.hpp has the same words in the same places, index/detail/tree_state.hpp asserts it).
//
//   word 0   lock   63: locked   62..44: member tag of the holder, or of the last writer
//   word 1   maker  if meta says so: member tag of who wrote the block first; it counts while nobody holds the lock
//   word 2   meta   63..32: incarnation, the lives of the block   11: made   10: shared   8: dead
//
// Who holds a block (docs/formats.md):
//   shared, lock 0    nobody: it is on a free list, or was on its way to or from one when a client died
//   lock 0            never written as a whole: it belongs to the owner of its chunk (pool/chunk_table.hpp)
//   shared, dead, or incarnation 0: the member that the lock word names
//   else              alive: a part of some index, or in the hands of the member that the lock word (or the maker) names
// A lock word of 0 is no live node's: the version of a node's first publication is 1.
// Thread safety: plain values.
#pragma once

#include <array>
#include <cstdint>

#include <catena/core/bytes.hpp>
#include <catena/pool/member_record.hpp>
#include <catena/pool/superblock.hpp>

namespace catena {

struct block_header {
    static constexpr std::uint64_t lock_at = 0;
    static constexpr std::uint64_t meta_at = 2 * word_bytes;
    static constexpr std::uint64_t bytes = 3 * word_bytes;

    std::array<word, 3> words{}; ///< as they lie in memory

    [[nodiscard]] constexpr word lock() const noexcept { return words[0]; }
    [[nodiscard]] constexpr word meta() const noexcept { return words[2]; }
    [[nodiscard]] constexpr bool shared() const noexcept { return (meta() >> shared_bit & 1U) != 0; }
    [[nodiscard]] constexpr bool dead() const noexcept { return (meta() >> dead_bit & 1U) != 0; }
    [[nodiscard]] constexpr std::uint32_t lives() const noexcept { return lives_of(meta()); }
    [[nodiscard]] constexpr bool unwritten() const noexcept { return lock() == 0 && !shared(); }
    [[nodiscard]] constexpr bool in_no_index() const noexcept { return shared() || dead() || lives() == 0; }
    [[nodiscard]] constexpr std::uint32_t holder() const noexcept {
        bool const locked = lock() >> 63U != 0;
        bool const made = (meta() >> made_bit & 1U) != 0;
        return static_cast<std::uint32_t>(made && !locked ? words[1] : lock() >> tag_shift) &
               ((1U << member_id::tag_bits) - 1);
    }

    [[nodiscard]] static constexpr word held_by(std::uint32_t tag) noexcept {
        return word{1} << 63U | word{tag} << tag_shift;
    }
    [[nodiscard]] static constexpr word meta_of(std::uint32_t lives, bool is_dead, bool is_shared) noexcept {
        return word{lives} << 32U | word{is_shared} << shared_bit | word{is_dead} << dead_bit;
    }
    [[nodiscard]] static constexpr std::uint32_t lives_of(word meta) noexcept {
        return static_cast<std::uint32_t>(meta >> 32U);
    }

private:
    static constexpr unsigned tag_shift = 44;
    static constexpr unsigned dead_bit = 8;
    static constexpr unsigned shared_bit = 10;
    static constexpr unsigned made_bit = 11;
};
static_assert(wire_struct<block_header> && sizeof(block_header) == block_header::bytes);
static_assert(block_header::bytes + word_bytes <= block_granule, "the link of a free list lies behind the header");

} // namespace catena
