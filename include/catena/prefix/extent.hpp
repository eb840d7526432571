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
// X5  An extent with children is not taken out of use. So what begins inside a window is reached from the first extent of
//     that window, and what begins a window from the one before. There are two exceptions. A client that died may have counted a
//     child that never came: its parent stays, empty at worst. And an extent that begins a window may have been linked while the
//     one before it lost against somebody else's (extent_publish.hpp): nobody counts it until the next publish comes along. If that
//     one is taken out of use before, matches no longer lead here; forgets do, as they ask for the first block of each window.
// Thread safety: pure functions over an image that the caller owns.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <catena/core/bytes.hpp>
#include <catena/layout/node.hpp>
#include <catena/layout/node_ref.hpp>
#include <catena/pool/block_header.hpp>
#include <catena/prefix/block_hash.hpp>
#include <catena/prefix/location.hpp>

namespace catena {

/// Sizes of extents: 9, 17 or 33 slots in 192, 320 or 576 bytes.
struct extent_class {
    static constexpr std::size_t header_words = 5;
    static constexpr std::uint32_t count = 3;

    [[nodiscard]] static constexpr std::size_t bytes(std::uint32_t c) noexcept {
        return block_granule * ((std::size_t{2} << c) + 1);
    }
    [[nodiscard]] static constexpr std::size_t slots(std::uint32_t c) noexcept {
        return (bytes(c) / word_bytes - header_words - 1) / 2;
    }
    /// The smallest with at least `wanted` slots, or the largest.
    [[nodiscard]] static constexpr std::uint32_t for_slots(std::size_t wanted) noexcept {
        std::uint32_t c = 0;
        while (c + 1 < count && slots(c) < wanted) ++c;
        return c;
    }
};
static_assert(extent_class::slots(0) == 9 && extent_class::slots(2) == 33 && extent_class::bytes(2) == 576);

/// A pointer to one life of an extent: a node_ref with the class where a tree has the level. (A type of its own, as an index
/// whose values are node_refs would be taken for the inner nodes of a tree.)
class extent_ref {
public:
    static constexpr std::uint32_t incarnation_mask = node_ref::incarnation_mask;

    constexpr extent_ref() noexcept = default;
    constexpr extent_ref(remote_ptr at, std::uint32_t c, std::uint32_t incarnation) noexcept
        : ref_(at, c, incarnation) {}
    [[nodiscard]] static constexpr extent_ref from_word(word bits) noexcept {
        extent_ref r;
        r.ref_ = node_ref::from_word(bits);
        return r;
    }

    [[nodiscard]] constexpr remote_ptr at() const noexcept { return ref_.at(); }
    [[nodiscard]] constexpr std::uint32_t size_class() const noexcept {
        return std::min(ref_.level(), extent_class::count - 1); // damage must not read beyond a buffer
    }
    [[nodiscard]] constexpr std::size_t bytes() const noexcept { return extent_class::bytes(size_class()); }
    [[nodiscard]] constexpr std::size_t slots() const noexcept { return extent_class::slots(size_class()); }
    [[nodiscard]] constexpr std::uint32_t incarnation() const noexcept { return ref_.incarnation(); }
    [[nodiscard]] constexpr word bits() const noexcept { return ref_.bits(); }
    [[nodiscard]] constexpr explicit operator bool() const noexcept { return static_cast<bool>(ref_); }

    friend constexpr bool operator==(extent_ref const&, extent_ref const&) = default;

private:
    node_ref ref_;
};
static_assert(sizeof(extent_ref) == 8);

/// The word that says what begins behind an extent.
class extent_children {
public:
    constexpr extent_children() noexcept = default;
    constexpr explicit extent_children(word bits) noexcept : bits_(bits) {}
    [[nodiscard]] static constexpr extent_children none(std::uint32_t incarnation) noexcept {
        return extent_children(word{incarnation & 0xffffU} << 48U);
    }

    [[nodiscard]] constexpr word bits() const noexcept { return bits_; }
    [[nodiscard]] constexpr std::uint32_t count() const noexcept {
        return static_cast<std::uint32_t>(bits_ >> 32U) & most;
    }
    [[nodiscard]] constexpr std::uint32_t filter() const noexcept { return static_cast<std::uint32_t>(bits_); }
    /// May one begin with that block? Wrong for one in 250 if there is one child, one in 70 with two, one in 20 with four.
    [[nodiscard]] constexpr bool perhaps(block_hash const& first) const noexcept {
        return (filter() & prints_of(first)) == prints_of(first);
    }
    [[nodiscard]] static constexpr std::uint32_t prints_of(block_hash const& first) noexcept {
        return std::uint32_t{1} << (first.high >> 32U & 31U) | std::uint32_t{1} << (first.high >> 37U & 31U);
    }
    /// Does one begin before the end of the window?
    [[nodiscard]] constexpr bool inside() const noexcept { return (bits_ >> inside_bit & 1U) != 0; }
    [[nodiscard]] constexpr extent_children with(block_hash const& first, bool in_window) const noexcept {
        return extent_children((bits_ | prints_of(first) | word{in_window} << inside_bit) +
                               (count() == most ? 0 : one));
    }
    /// So many that they were no longer counted stay that many.
    [[nodiscard]] constexpr extent_children without_one() const noexcept {
        return extent_children(count() == 0 || count() == most ? bits_ : bits_ - one);
    }

private:
    static constexpr std::uint32_t most = 0x7fff;
    static constexpr unsigned inside_bit = 47;
    static constexpr word one = word{1} << 32U;
    word bits_ = 0;
};

/// The meta word of an extent.
class extent_meta {
public:
    constexpr extent_meta() noexcept = default;
    constexpr explicit extent_meta(word bits) noexcept : bits_(bits) {}
    [[nodiscard]] static constexpr extent_meta alive(std::uint16_t index_tag, std::uint32_t incarnation,
                                                     block_hash const& first) noexcept {
        return extent_meta(word{incarnation} << 32U | word{index_tag} << 16U | (first.low & 1U) << low_bit);
    }
    [[nodiscard]] constexpr word lowest_bit_of_key() const noexcept { return bits_ >> low_bit & 1U; }

    [[nodiscard]] constexpr word bits() const noexcept { return bits_; }
    [[nodiscard]] constexpr std::uint32_t incarnation() const noexcept {
        return static_cast<std::uint32_t>(bits_ >> 32U);
    }
    [[nodiscard]] constexpr std::uint16_t index_tag() const noexcept {
        return static_cast<std::uint16_t>(bits_ >> 16U);
    }
    [[nodiscard]] constexpr bool dead() const noexcept { return (bits_ & dead_bit) != 0; }
    [[nodiscard]] constexpr bool dying() const noexcept { return (bits_ & dying_bit) != 0; }
    /// Is it the life of the extent that `ref` means, be it dying?
    [[nodiscard]] constexpr bool is(extent_ref ref, std::uint16_t tag) const noexcept {
        return !dead() && (bits_ & shared_bit) == 0 && index_tag() == tag &&
               (incarnation() & extent_ref::incarnation_mask) == ref.incarnation();
    }
    /// Somebody wants to take it out of use and looks whether all of its blocks are absent.
    [[nodiscard]] constexpr extent_meta when_dying() const noexcept { return extent_meta(bits_ | dying_bit); }
    [[nodiscard]] constexpr extent_meta when_dead() const noexcept {
        return extent_meta((bits_ & ~dying_bit) | dead_bit);
    }
    /// Not to be taken out of use after all. Counts, so that who decided on the kill that was given up cannot carry it out.
    [[nodiscard]] constexpr extent_meta when_spared() const noexcept {
        return extent_meta((bits_ & ~(dying_bit | word{0xff})) | ((bits_ + 1) & 0xffU));
    }

private:
    static constexpr word dead_bit = word{1} << 8U;
    static constexpr word shared_bit = word{1} << 10U;
    static constexpr word dying_bit = word{1} << 12U;
    static constexpr unsigned low_bit = 13; ///< of the first block's hash, for which the tag has no room
    word bits_ = 0;
};

/// The word that counts who takes blocks off: low bits of the incarnation (16) | begun (24) | done (24). Changed by CAS, so that who
/// was late counts nothing in another life of the memory.
class extent_removals {
public:
    constexpr explicit extent_removals(word bits) noexcept : bits_(bits) {}
    [[nodiscard]] static constexpr extent_removals none(std::uint32_t incarnation) noexcept {
        return extent_removals(word{incarnation & 0xffffU} << 48U);
    }

    [[nodiscard]] constexpr word bits() const noexcept { return bits_; }
    [[nodiscard]] constexpr bool none_under_way() const noexcept { return (bits_ >> 24U & most) == (bits_ & most); }
    /// The low bits of how many are done.
    [[nodiscard]] constexpr std::uint16_t count() const noexcept { return static_cast<std::uint16_t>(bits_); }
    [[nodiscard]] constexpr bool same_life(extent_removals other) const noexcept {
        return bits_ >> 48U == other.bits_ >> 48U;
    }
    [[nodiscard]] constexpr extent_removals with_one_begun() const noexcept {
        return extent_removals((bits_ & ~(most << 24U)) | (((bits_ >> 24U) + 1) & most) << 24U);
    }
    [[nodiscard]] constexpr extent_removals with_one_done() const noexcept {
        return extent_removals((bits_ & ~most) | ((bits_ + 1) & most));
    }

private:
    static constexpr word most = 0xffffff;
    word bits_;
};

/// One word of a slot, each.
struct extent_word {
    static constexpr std::uint16_t no_segment = 0xffff; ///< no block lies there

    [[nodiscard]] static constexpr word tag_of(block_hash const& block) noexcept { return block.low | 1U; }
    [[nodiscard]] static constexpr word unclaimed(std::uint32_t incarnation) noexcept {
        return word{incarnation} << 1U;
    }
    [[nodiscard]] static constexpr bool claimed(word tag) noexcept { return (tag & 1U) != 0; }

    [[nodiscard]] static constexpr word absent(std::uint32_t incarnation) noexcept {
        return word{no_segment} << 48U | incarnation;
    }
    [[nodiscard]] static constexpr bool present(word place) noexcept { return place >> 48U != no_segment; }
    [[nodiscard]] static constexpr bool can_be_listed(location l) noexcept { return l.segment() != no_segment; }
};

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
