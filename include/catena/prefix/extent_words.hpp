// SPDX-License-Identifier: Apache-2.0
// extent_words: the words of an extent (prefix/extent.hpp says where they lie), and pointers to extents.
// Thread safety: plain values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <catena/core/bytes.hpp>
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
        return static_cast<std::uint32_t>(bits_ >> 32U) & count_mask;
    }
    [[nodiscard]] constexpr std::uint32_t filter() const noexcept { return static_cast<std::uint32_t>(bits_); }
    /// May one begin with that block? Wrong for one in 250 if there is one child, one in 70 with two, one in 20 with four.
    [[nodiscard]] constexpr bool perhaps(block_hash const& first) const noexcept {
        return (filter() & prints_of(first)) == prints_of(first);
    }
    [[nodiscard]] static constexpr std::uint32_t prints_of(block_hash const& first) noexcept {
        return std::uint32_t{1} << (first.high >> 32U & 31U) | std::uint32_t{1} << (first.high >> 37U & 31U);
    }
    /// Is it a word of that life of the extent? (A READ may mix lives.)
    [[nodiscard]] constexpr bool is_of(extent_ref e) const noexcept {
        return ((bits_ >> 48U ^ e.incarnation()) & 0xffffU & extent_ref::incarnation_mask) == 0;
    }
    /// So many that nobody counts them any more: the extent stays for ever (X5), and who lists another child changes nothing here
    /// as a rule. Else hundreds of publishers would wait for each other below a prompt that they all share.
    [[nodiscard]] constexpr bool uncounted() const noexcept { return count() == most; }
    /// Does one begin before the end of the window?
    [[nodiscard]] constexpr bool inside() const noexcept { return (bits_ >> inside_bit & 1U) != 0; }
    [[nodiscard]] constexpr extent_children with(block_hash const& first, bool in_window) const noexcept {
        return extent_children((bits_ | prints_of(first) | word{in_window} << inside_bit) + (uncounted() ? 0 : one));
    }
    [[nodiscard]] constexpr extent_children without_one() const noexcept {
        return extent_children(count() == 0 || uncounted() ? bits_ : bits_ - one);
    }
    friend constexpr bool operator==(extent_children const&, extent_children const&) = default;

    static constexpr std::uint32_t most = 255;

private:
    static constexpr std::uint32_t count_mask = 0x7fff;
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
    /// Dead, by who drops the index (extent_drop.hpp).
    [[nodiscard]] constexpr bool dropped() const noexcept { return (bits_ & dropped_bit) != 0; }
    /// Is it the life of the extent that `ref` means, be it dying or dead?
    [[nodiscard]] constexpr bool is_life_of(extent_ref ref, std::uint16_t tag) const noexcept {
        return index_tag() == tag && (incarnation() & extent_ref::incarnation_mask) == ref.incarnation();
    }
    /// That life, not over yet.
    [[nodiscard]] constexpr bool is(extent_ref ref, std::uint16_t tag) const noexcept {
        return !dead() && (bits_ & shared_bit) == 0 && is_life_of(ref, tag);
    }
    /// Somebody wants to take it out of use and looks whether all of its blocks are absent.
    [[nodiscard]] constexpr extent_meta when_dying() const noexcept { return extent_meta(bits_ | dying_bit); }
    [[nodiscard]] constexpr extent_meta when_dead() const noexcept {
        return extent_meta((bits_ & ~dying_bit) | dead_bit);
    }
    [[nodiscard]] constexpr extent_meta when_dropped() const noexcept {
        return extent_meta(when_dead().bits() | dropped_bit);
    }
    /// Not to be taken out of use after all. Counts, so that who decided on the kill that was given up cannot carry it out.
    [[nodiscard]] constexpr extent_meta when_spared() const noexcept {
        return extent_meta((bits_ & ~(dying_bit | word{0xff})) | ((bits_ + 1) & 0xffU));
    }

private:
    static constexpr word dead_bit = word{1} << 8U;
    static constexpr word shared_bit = word{1} << 10U;
    static constexpr word dying_bit = word{1} << 12U;
    static constexpr unsigned low_bit = 13;             ///< of the first block's hash, for which the tag has no room
    static constexpr word dropped_bit = word{1} << 15U; // (14: kept_for_ever of index/detail/reclaim.hpp)
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

} // namespace catena
