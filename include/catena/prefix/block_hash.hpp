// SPDX-License-Identifier: Apache-2.0
// block_hash: the 128-bit name of a KV-cache block that commits to every token before it.
// Thread safety: a plain value.
#pragma once

#include <compare>
#include <cstdint>

#include <catena/core/hash.hpp>
#include <catena/layout/key_number.hpp>

namespace catena {

/// Ordered by (high, low), so that indexes can sort it. Engines with wider digests truncate to the first 128 bits.
struct block_hash {
    std::uint64_t high;
    std::uint64_t low;

    friend constexpr auto operator<=>(block_hash const&, block_hash const&) = default;
};
static_assert(sizeof(block_hash) == 16);

/// Where a learned index looks for it.
template <>
struct number_of_key<block_hash> {
    [[nodiscard]] static constexpr key_number of(block_hash const& k) noexcept {
        return key_number{k.high} << 64U | k.low;
    }
    [[nodiscard]] static constexpr block_hash at(key_number n) noexcept {
        return {.high = static_cast<std::uint64_t>(n >> 64U), .low = static_cast<std::uint64_t>(n)};
    }
};

} // namespace catena
