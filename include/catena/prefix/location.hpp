// SPDX-License-Identifier: Apache-2.0
// location: where the data of a cached block lies, in one word that is written and read atomically.
// Thread safety: a plain value.
#pragma once

#include <compare>
#include <cstdint>

#include <catena/core/config.hpp>

namespace catena {

/// segment (16 bit): which memory segment of the cluster; block (40 bit): index of the block in it;
/// generation (8 bit): the use of that place, so that a reader can see that the block behind it was replaced.
class location {
public:
    static constexpr std::uint64_t max_block = (std::uint64_t{1} << 40U) - 1;

    constexpr location() noexcept = default;
    constexpr location(std::uint16_t segment, std::uint64_t block, std::uint8_t generation = 0) noexcept
        : word_(std::uint64_t{segment} << 48U | (block & max_block) << 8U | generation) {
        CATENA_ASSERT(block <= max_block);
    }
    [[nodiscard]] static constexpr location from_word(std::uint64_t bits) noexcept {
        location l;
        l.word_ = bits;
        return l;
    }

    [[nodiscard]] constexpr std::uint16_t segment() const noexcept { return static_cast<std::uint16_t>(word_ >> 48U); }
    [[nodiscard]] constexpr std::uint64_t block() const noexcept { return word_ >> 8U & max_block; }
    [[nodiscard]] constexpr std::uint8_t generation() const noexcept { return static_cast<std::uint8_t>(word_); }
    [[nodiscard]] constexpr std::uint64_t word() const noexcept { return word_; }

    friend constexpr auto operator<=>(location const&, location const&) = default;

private:
    std::uint64_t word_ = 0;
};
static_assert(sizeof(location) == 8);

} // namespace catena
