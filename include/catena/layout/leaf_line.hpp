// SPDX-License-Identifier: Apache-2.0
// leaf_line: which leaf of a piece a key belongs to, computed from how far its number is from where the piece begins.
//
//   word 0   slope       leaves per step, in units of 2^-63
//   word 1   63..32      31..24      23..16   15..0
//            extra       zero        shift    leaves
//
// A step is 2^shift distances; shift is the least at which the piece has at most 2^40 steps. In leaves, a distance is
// at (distance >> shift) * slope; what is behind the last leaf belongs to it.
// Invariants of a line that `over` made:
//   L1  total: every distance, also one beyond the width, has a leaf below leaves()
//   L2  monotone; and no leaf is empty: there are no more leaves than steps, so a step is at most one leaf (slope <=
//       2^63), and the last step, at (steps - 1) * slope >= leaves - leaves / steps, is in the last leaf
//   L3  even: a leaf differs from width / leaves() by at most two steps and steps / 2^63 of itself, or by one distance
//       where a step is one. A piece of more than 2^40 distances has 2^39 steps or more: that is below 4e-7 of a leaf
// Of words that are no line (a torn read) nothing is promised but L1, and no function of it is undefined.
// Thread safety: a plain value.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include <catena/core/bytes.hpp>
#include <catena/core/config.hpp>
#include <catena/layout/key_number.hpp>

namespace catena {

class leaf_line {
public:
    static constexpr std::uint32_t max_leaves = 0xffff;
    static constexpr unsigned fraction_bits = 8; ///< of a position

    /// One leaf for everything.
    constexpr leaf_line() noexcept = default;
    /// Divides the distances [0, width) evenly among `leaves`, or among fewer where some would be empty or where there
    /// are more than max_leaves; a width of 0 is everything from here on, in one leaf.
    [[nodiscard]] static constexpr leaf_line over(key_number width, std::uint32_t leaves) noexcept {
        leaf_line line;
        if (width == 0) return line;
        auto const shift = bits_of(width - 1) > step_bits ? bits_of(width - 1) - step_bits : 0;
        auto const steps = static_cast<word>((width - 1) >> shift) + 1;
        auto const count = std::clamp<word>(std::min<word>(leaves, steps), 1, max_leaves);
        line.slope_ = static_cast<word>(((key_number{count} << point) + steps - 1) / steps); // up, for L2
        line.packed_ = word{shift} << shift_at | count;
        return line;
    }
    [[nodiscard]] static constexpr leaf_line from_words(word slope, word packed) noexcept {
        leaf_line line;
        line.slope_ = slope;
        line.packed_ = packed;
        return line;
    }
    [[nodiscard]] constexpr std::array<word, 2> words() const noexcept { return {slope_, packed_}; }

    /// At least 1.
    [[nodiscard]] constexpr std::uint32_t leaves() const noexcept {
        return std::max<std::uint32_t>(1, static_cast<std::uint32_t>(packed_) & max_leaves);
    }
    /// 32 bits for whoever keeps the line; they do not change what it maps.
    [[nodiscard]] constexpr std::uint32_t extra() const noexcept {
        return static_cast<std::uint32_t>(packed_ >> extra_at);
    }
    [[nodiscard]] constexpr leaf_line with_extra(std::uint32_t extra) const noexcept {
        return from_words(slope_, (packed_ & ((word{1} << extra_at) - 1)) | word{extra} << extra_at);
    }

    [[nodiscard]] constexpr std::uint32_t leaf_of(key_number distance) const noexcept {
        return position_of(distance) >> fraction_bits;
    }
    /// The leaf, and where in it, in units of 1/256; less than leaves() * 256.
    [[nodiscard]] constexpr std::uint32_t position_of(key_number distance) const noexcept {
        word const last = (word{leaves()} << fraction_bits) - 1;
        auto const step = distance >> shift();
        if (step >> step_bits != 0) return static_cast<std::uint32_t>(last); // its product might overflow
        auto const at = key_number{slope_} * static_cast<word>(step) >> (point - fraction_bits);
        return static_cast<std::uint32_t>(std::min(static_cast<word>(at), last));
    }
    /// The least distance that belongs to `leaf` < leaves(). It divides: not for every lookup.
    [[nodiscard]] constexpr key_number begin_of(std::uint32_t leaf) const noexcept {
        CATENA_ASSERT(leaf < leaves());
        if (leaf == 0 || slope_ == 0) return 0;
        return ((key_number{leaf} << point) + slope_ - 1) / slope_ << shift();
    }

    friend constexpr bool operator==(leaf_line const&, leaf_line const&) = default;

private:
    static constexpr unsigned point = 63; ///< slope has this many bits behind the point
    /// Half way: a piece has 2^23 times fewer steps than slope can tell apart, a leaf at least 2^23 steps.
    static constexpr unsigned step_bits = 40;
    static constexpr unsigned shift_at = 16;
    static constexpr unsigned extra_at = 32;

    [[nodiscard]] static constexpr unsigned bits_of(key_number n) noexcept {
        auto const high = static_cast<word>(n >> 64U);
        return static_cast<unsigned>(high != 0 ? 64 + std::bit_width(high) : std::bit_width(static_cast<word>(n)));
    }
    [[nodiscard]] constexpr unsigned shift() const noexcept { // at most 88; of any words at all, no more than 127
        return static_cast<unsigned>(packed_ >> shift_at) & 0x7fU;
    }

    word slope_ = 0;
    word packed_ = 1;
};
static_assert(wire_struct<leaf_line> && sizeof(leaf_line) == 2 * word_bytes);

} // namespace catena
