// SPDX-License-Identifier: Apache-2.0
// The one macro, and constants of the machine.
#pragma once

#include <cassert>
#include <cstddef>

/// A pure condition that the code around it guarantees; never has a side effect, compiled out in release.
#define CATENA_ASSERT(condition) assert(condition)

namespace catena {

inline constexpr std::size_t cache_line = 64;

// A sanitizer must see every allocation as it is: the frame pool stands aside for it.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool address_sanitizer = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool address_sanitizer = true;
#else
inline constexpr bool address_sanitizer = false;
#endif
#else
inline constexpr bool address_sanitizer = false;
#endif

} // namespace catena
