// SPDX-License-Identifier: Apache-2.0
// extent: a run of consecutive blocks of one chain, as it lies in remote memory.
//
// Chains are cut into windows of `Window` blocks: window k begins at block k * Window. An extent begins at a window's first
// block, or inside a window at the block with which a chain leaves another extent of that window (a branch); it never
// reaches over the end of its window. It is found by the hash of its first block.
//
// Offsets in words (docs/formats.md):
//   0   lock      names who wrote the extent, or who took it out of use (pool/block_header.hpp)
//   1   key       high half of the first block's hash; slot 0 has the low half
//   2   meta      layout/node.hpp's: incarnation (32) | tag of the index (16) | flags (8) | kills given up (8)
//   3   removals  63..48: low bits of the incarnation   47..24: how often somebody began to take blocks off   23..0: and was done
//                 with it: who copied slots asks whether they still hold
//   4   children  63..48: low bits of the incarnation   47: some begin in this window   46..32: how many extents begin behind
//                 a block of this one, or are about to   31..0: a Bloom filter of their first blocks' hashes
//   5   slots     two words each: tag, place
//   end parent    the extent that counts this one as its child; null for the first of a chain
//
// tag    bit 0 set: 63 bits of the block's hash; else nobody's: the incarnation, so that no late claim of an earlier life
//        of this memory fits. A tag is claimed by CAS and stays until the extent ends.
// place  where the block's data is (location), or absent: segment 65535 with the incarnation. Set and taken by CAS alone.
// X1  A slot's place is only ever set for the block that its tag names: a place is set after its tag was seen in the same
//     life, and absent places of other lives do not compare equal.
// X2  A block is listed while its slot has a place and the extent is not dead. One word decides: nothing can be torn.
// X3  Slots hold consecutive blocks: slot i + 1 is claimed for the successor of the block in slot i, or is of no use to
//     anybody (its claimer lost slot i to somebody else's block).
// X4  A child is counted, and its bits set, before it can be found: a block for which slot and filter say no is absent.
// X5  An extent with children is not taken out of use, and one that ever had extent_children::most of them never (that many extents
//     took a hundred times its bytes). So what begins inside a window is reached from the first extent of
//     that window, and what begins a window from the one before. There are two exceptions. A client that died may have counted a
//     child that never came: its parent stays, empty at worst. And an extent that begins a window may have been linked while the
//     one before it lost against somebody else's (extent_publish.hpp): nobody counts it until the next publish comes along. If that
//     one is taken out of use before, matches no longer lead here; forgets do, as they ask for the first block of each window.
// Thread safety: pure functions over an image that the caller owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <catena/core/bytes.hpp>
#include <catena/core/remote_ptr.hpp>
#include <catena/prefix/block_hash.hpp>
#include <catena/prefix/extent_words.hpp>
#include <catena/prefix/location.hpp>

namespace catena {

/// A READ of an extent from its meta word on, or the image of a new one: words as they lie in memory, from `meta` on.
class extent_view {
public:
    static constexpr std::size_t meta_at = 2;       ///< offset of what is read, in words of the extent
    static constexpr std::size_t prelude_words = 3; ///< meta, removals, children

    constexpr extent_view() noexcept = default;
    constexpr extent_view(word* words, std::size_t slots) noexcept : words_(words), slots_(slots) {}

    [[nodiscard]] static constexpr std::size_t bytes_of(std::size_t slots) noexcept {
        return (prelude_words + 2 * slots) * word_bytes;
    }
    [[nodiscard]] static constexpr remote_ptr begin(extent_ref e) noexcept { return e.at() + meta_at * word_bytes; }
    [[nodiscard]] static constexpr remote_ptr removals_at(extent_ref e) noexcept { return begin(e) + word_bytes; }
    [[nodiscard]] static constexpr remote_ptr children_at(extent_ref e) noexcept { return begin(e) + 2 * word_bytes; }
    [[nodiscard]] static constexpr remote_ptr tag_at(extent_ref e, std::size_t slot) noexcept {
        return begin(e) + (prelude_words + 2 * slot) * word_bytes;
    }
    [[nodiscard]] static constexpr remote_ptr place_at(extent_ref e, std::size_t slot) noexcept {
        return tag_at(e, slot) + word_bytes;
    }

    [[nodiscard]] constexpr std::size_t slots() const noexcept { return slots_; } ///< that were read
    [[nodiscard]] constexpr extent_meta meta() const noexcept { return extent_meta(words_[0]); }
    [[nodiscard]] constexpr word removals() const noexcept { return words_[1]; }
    [[nodiscard]] constexpr extent_children children() const noexcept { return extent_children(words_[2]); }
    [[nodiscard]] constexpr word& tag(std::size_t slot) const noexcept { return words_[prelude_words + 2 * slot]; }
    [[nodiscard]] constexpr word& place(std::size_t slot) const noexcept {
        return words_[prelude_words + 2 * slot + 1];
    }
    [[nodiscard]] constexpr word* words() const noexcept { return words_; }
    [[nodiscard]] constexpr bool lists_nothing() const noexcept {
        bool nothing = true;
        for (std::size_t i = 0; i < slots(); ++i) nothing &= !extent_word::present(place(i));
        return nothing;
    }

private:
    word* words_ = nullptr;
    std::size_t slots_ = 0;
};

/// A READ of all of an extent: what walks have no use for.
class whole_extent : public extent_view {
public:
    constexpr whole_extent(word* words, std::uint32_t c) noexcept
        : extent_view(words + meta_at, extent_class::slots(c)), all_(words) {}

    [[nodiscard]] constexpr word& lock() const noexcept { return all_[0]; }
    [[nodiscard]] constexpr word& key_high() const noexcept { return all_[1]; }
    [[nodiscard]] constexpr word& parent_word() const noexcept { return words()[prelude_words + 2 * slots()]; }
    [[nodiscard]] constexpr remote_ptr parent_at(extent_ref e) const noexcept { return tag_at(e, slots()); }
    [[nodiscard]] constexpr extent_ref parent() const noexcept { return extent_ref::from_word(parent_word()); }
    [[nodiscard]] constexpr block_hash first() const noexcept {
        return {.high = all_[1], .low = (tag(0) & ~word{1}) | meta().lowest_bit_of_key()};
    }

private:
    word* all_;
};

/// What a new extent is made of.
struct new_extent {
    word lock = 0;
    std::uint16_t index_tag = 0;
    std::uint32_t incarnation = 0;
    std::span<block_hash const> run; ///< of as many blocks as there are places, at least one
    std::span<location const> places;
    extent_children children;
    extent_ref parent;
};

/// Its image, in extent_class::bytes(c) bytes at `to`.
inline void make_extent(word* to, std::uint32_t c, new_extent const& e) noexcept {
    whole_extent const made(to, c);
    made.lock() = e.lock;
    made.key_high() = e.run.front().high;
    made.words()[0] = extent_meta::alive(e.index_tag, e.incarnation, e.run.front()).bits();
    made.words()[1] = extent_removals::none(e.incarnation).bits();
    made.words()[2] = e.children.bits();
    for (std::size_t i = 0; i < made.slots(); ++i) {
        bool const used = i < e.run.size();
        made.tag(i) = used ? extent_word::tag_of(e.run[i]) : extent_word::unclaimed(e.incarnation);
        made.place(i) = used ? e.places[i].word() : extent_word::absent(e.incarnation);
    }
    made.parent_word() = e.parent.bits();
}

} // namespace catena
