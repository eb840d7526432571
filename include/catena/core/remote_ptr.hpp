// SPDX-License-Identifier: Apache-2.0
// remote_ptr: an address in the pool, in one word.
// Thread safety: a plain value.
#pragma once

#include <compare>
#include <cstdint>

#include <catena/core/config.hpp>

namespace catena {

/// Memory node (16 bit) and offset in its region in bytes (48 bit). All zero is null: offset 0 of node 0 holds the
/// superblock, to which nobody points.
class remote_ptr {
public:
    static constexpr std::uint64_t max_offset = (std::uint64_t{1} << 48U) - 1;

    constexpr remote_ptr() noexcept = default;
    constexpr remote_ptr(std::uint16_t node, std::uint64_t offset) noexcept
        : word_(std::uint64_t{node} << 48U | offset) {
        CATENA_ASSERT(offset <= max_offset);
    }
    [[nodiscard]] static constexpr remote_ptr from_word(std::uint64_t bits) noexcept {
        remote_ptr p;
        p.word_ = bits;
        return p;
    }

    [[nodiscard]] constexpr std::uint16_t node() const noexcept { return static_cast<std::uint16_t>(word_ >> 48U); }
    [[nodiscard]] constexpr std::uint64_t offset() const noexcept { return word_ & max_offset; }
    [[nodiscard]] constexpr std::uint64_t word() const noexcept { return word_; }
    [[nodiscard]] constexpr explicit operator bool() const noexcept { return word_ != 0; }

    friend constexpr remote_ptr operator+(remote_ptr p, std::uint64_t bytes) noexcept {
        return {p.node(), p.offset() + bytes};
    }
    friend constexpr auto operator<=>(remote_ptr const&, remote_ptr const&) = default;

private:
    std::uint64_t word_ = 0;
};
static_assert(sizeof(remote_ptr) == 8);

} // namespace catena
