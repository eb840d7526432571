// SPDX-License-Identifier: Apache-2.0
// quad_word: the control word of four slots of a hopscotch leaf (layout/hopscotch_leaf.hpp), which decides alone what they hold.
//
//   63..62  61..58  56       55..54  53         52    51..48     47..40       39..32      31..0
//   ring    before  inserts  recent  unbounded  dead  occupancy  right epoch  left epoch  seal
//
// seal         of the occupied slots, of the leaf's fence and identity, and of the other bits of this word. Contents that fit
//              it are those that the quad had at the moment at which this word was read.
// left epoch   counts the keys that crossed the border to the quad before this one, in either direction, and
// right epoch  those that crossed the border to the quad behind it. Two neighbours agree about their border, save while a key
//              crosses it.
// recent       the slot that was written last; inserts: its key was new there. Slot and control word may travel in one WRITE:
//              if its writer dies in the middle of that, this is the only slot that may be in pieces.
// ring         how often all quads were written anew, for a split or a merge; the leaf's link word has the same two bits.
//              before: the occupancy until then, to take it back where the link did not land.
// Thread safety: a plain value.
#pragma once

#include <cstddef>
#include <cstdint>

#include <catena/core/bytes.hpp>

namespace catena {

class quad_word {
public:
    static constexpr std::size_t slots = 4;
    static constexpr word seal_mask = 0xffffffffU;
    static constexpr std::uint32_t all_slots = (1U << slots) - 1;
    static constexpr std::uint32_t ring_mask = 3;

    constexpr quad_word() noexcept = default;
    explicit constexpr quad_word(word bits) noexcept : bits_(bits) {}

    [[nodiscard]] constexpr word bits() const noexcept { return bits_; }
    [[nodiscard]] constexpr std::uint32_t seal() const noexcept { return static_cast<std::uint32_t>(bits_); }
    [[nodiscard]] constexpr std::uint8_t left_epoch() const noexcept { return static_cast<std::uint8_t>(bits_ >> 32U); }
    [[nodiscard]] constexpr std::uint8_t right_epoch() const noexcept {
        return static_cast<std::uint8_t>(bits_ >> 40U);
    }
    [[nodiscard]] constexpr std::uint32_t occupancy() const noexcept { return field(48) & all_slots; }
    [[nodiscard]] constexpr std::uint32_t free_slots() const noexcept { return ~occupancy() & all_slots; }
    [[nodiscard]] constexpr bool dead() const noexcept { return (bits_ >> 52U & 1U) != 0; }
    [[nodiscard]] constexpr bool unbounded() const noexcept { return (bits_ >> 53U & 1U) != 0; }
    [[nodiscard]] constexpr std::size_t recent() const noexcept { return field(54) & 3U; }
    [[nodiscard]] constexpr bool inserts() const noexcept { return (bits_ >> 56U & 1U) != 0; }
    [[nodiscard]] constexpr std::uint32_t before() const noexcept { return field(58) & all_slots; }
    [[nodiscard]] constexpr std::uint32_t ring() const noexcept { return field(62) & ring_mask; }

    [[nodiscard]] constexpr quad_word with_seal(std::uint32_t seal) const noexcept {
        return quad_word((bits_ & ~seal_mask) | seal);
    }
    [[nodiscard]] constexpr quad_word with_occupancy(std::uint32_t o) const noexcept {
        return with_field(48, all_slots, o);
    }
    [[nodiscard]] constexpr quad_word with_dead(bool dead) const noexcept { return with_field(52, 1, dead); }
    [[nodiscard]] constexpr quad_word with_unbounded(bool unbounded) const noexcept {
        return with_field(53, 1, unbounded);
    }
    [[nodiscard]] constexpr quad_word with_recent(std::size_t slot, bool inserts) const noexcept {
        return with_field(54, 3, slot).with_field(56, 1, inserts);
    }
    /// The next ring: remembers the occupancy until now.
    [[nodiscard]] constexpr quad_word with_ring(std::uint32_t ring) const noexcept {
        return with_field(58, all_slots, occupancy()).with_field(62, ring_mask, ring);
    }
    /// One more key crossed the border. Wraps: a reader is misled by 256 crossings of one border during its one READ.
    [[nodiscard]] constexpr quad_word crossed_left() const noexcept { return with_field(32, 0xff, left_epoch() + 1U); }
    [[nodiscard]] constexpr quad_word crossed_right() const noexcept {
        return with_field(40, 0xff, right_epoch() + 1U);
    }

    friend constexpr bool operator==(quad_word, quad_word) = default;

private:
    [[nodiscard]] constexpr std::uint32_t field(unsigned at) const noexcept {
        return static_cast<std::uint32_t>(bits_ >> at);
    }
    [[nodiscard]] constexpr quad_word with_field(unsigned at, word mask, word value) const noexcept {
        return quad_word((bits_ & ~(mask << at)) | (value & mask) << at);
    }

    word bits_ = 0;
};

} // namespace catena
