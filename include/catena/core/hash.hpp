// SPDX-License-Identifier: Apache-2.0
// Hashing through xxHash (XXH3), inlined: 64 bits for seals and tables, 128 bits for chains.
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>

#if !defined(XXH_INLINE_ALL)
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

namespace catena {

struct hash128_value {
    std::uint64_t high;
    std::uint64_t low;
};

[[nodiscard]] inline std::uint64_t hash64(void const* data, std::size_t bytes) noexcept {
    return XXH3_64bits(data, bytes);
}

[[nodiscard]] inline hash128_value hash128(void const* data, std::size_t bytes) noexcept {
    auto const h = XXH3_128bits(data, bytes);
    return {.high = h.high64, .low = h.low64};
}

/// hash128 of two ranges, one behind the other, without putting them together.
[[nodiscard]] inline hash128_value hash128(void const* first, std::size_t first_bytes, void const* second,
                                           std::size_t second_bytes) noexcept {
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, first, first_bytes);
    XXH3_128bits_update(&state, second, second_bytes);
    auto const h = XXH3_128bits_digest(&state);
    return {.high = h.high64, .low = h.low64};
}

/// A bijection of 64-bit words that spreads every input bit (the finaliser of SplitMix64, Steele et al. 2014).
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t x) noexcept {
    x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31U);
}

} // namespace catena
