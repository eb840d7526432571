// SPDX-License-Identifier: Apache-2.0
// node_ref: a pointer to a node that knows which life of that block of memory it means.
//
//   63..50            49..46     45..40            39..0
//   incarnation (14)  level (4)  memory node (6)   offset / 64 (40)
//
// Freed blocks are used again at once, while readers may hold old pointers to them. A reader compares incarnation and
// level with what the node says of itself: an old pointer is found out, whatever lies there now. The incarnation comes
// round after 16,384 lives of one block; even then the node found is one that is live, sealed and covers the key, unless
// it is caught in the two round trips between being written and being linked.
// Thread safety: a plain value.
#pragma once

#include <compare>
#include <cstdint>

#include <catena/core/bytes.hpp>
#include <catena/core/remote_ptr.hpp>

namespace catena {

class node_ref {
public:
    static constexpr unsigned incarnation_bits = 14;
    static constexpr std::uint32_t incarnation_mask = (1U << incarnation_bits) - 1;
    static constexpr std::uint32_t max_level = 15;

    constexpr node_ref() noexcept = default;
    constexpr node_ref(remote_ptr at, std::uint32_t level, std::uint32_t incarnation) noexcept
        : bits_(word{incarnation & incarnation_mask} << 50U | word{level} << 46U | word{at.node()} << 40U |
                at.offset() / 64) {
        CATENA_ASSERT(level <= max_level && at.node() < 64 && at.offset() % 64 == 0);
    }
    [[nodiscard]] static constexpr node_ref from_word(word bits) noexcept {
        node_ref r;
        r.bits_ = bits;
        return r;
    }

    [[nodiscard]] constexpr remote_ptr at() const noexcept {
        return {static_cast<std::uint16_t>(bits_ >> 40U & 0x3fU), (bits_ & ((word{1} << 40U) - 1)) * 64};
    }
    [[nodiscard]] constexpr std::uint32_t level() const noexcept {
        return static_cast<std::uint32_t>(bits_ >> 46U) & max_level;
    }
    [[nodiscard]] constexpr std::uint32_t incarnation() const noexcept {
        return static_cast<std::uint32_t>(bits_ >> 50U) & incarnation_mask;
    }
    [[nodiscard]] constexpr word bits() const noexcept { return bits_; }
    [[nodiscard]] constexpr explicit operator bool() const noexcept { return bits_ != 0; }

    friend constexpr auto operator<=>(node_ref const&, node_ref const&) = default;

private:
    word bits_ = 0;
};
static_assert(wire_struct<node_ref> && sizeof(node_ref) == 8);

} // namespace catena
