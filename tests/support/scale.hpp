// SPDX-License-Identifier: Apache-2.0
// How much work a test does: sanitizers make everything several times slower, so repetitions shrink by a constant.
#pragma once

#include <algorithm>
#include <cstddef>

namespace catena::test {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

/// How much slower than on local memory operations are on the fabric that the program tests (tests/verbs/on_verbs.cpp).
inline std::size_t slowness = 1;

/// Repetitions that prove the same with less: `n`, an eighth of it under a sanitizer, less on a slow fabric, at least one.
/// (No constexpr function: `auto const n = scaled(100)` would be worked out by the compiler, which knows no fabric.)
[[nodiscard]] inline std::size_t scaled(std::size_t n) noexcept {
    return std::max<std::size_t>(1, n / ((sanitized ? 8 : 1) * slowness));
}

} // namespace catena::test
