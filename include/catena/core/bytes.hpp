// SPDX-License-Identifier: Apache-2.0
// wire_struct: what may lie in remote memory; and moving values in and out of arrays of 8-byte words.
// Thread safety: pure functions over memory that the caller owns.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace catena {

static_assert(std::endian::native == std::endian::little, "remote bytes are little-endian (docs/formats.md)");

/// Remote memory is an array of words: the unit that never tears.
using word = std::uint64_t;
inline constexpr std::size_t word_bytes = sizeof(word);

/// A value whose bytes mean the same at every client: no pointers of this process, alignment of at most a word.
template <typename T>
concept wire_struct = std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T> && alignof(T) <= word_bytes;

/// What can be moved as words: the values of indexes, of any alignment, private members and all.
template <typename T>
concept word_copyable = std::is_trivially_copyable_v<T>;

/// Words that a T takes up, the last one padded with zeros.
template <word_copyable T>
inline constexpr std::size_t words_of = (sizeof(T) + word_bytes - 1) / word_bytes;

template <word_copyable T>
void store_words(word* to, T const& value) noexcept {
    if constexpr (sizeof(T) % word_bytes != 0) to[words_of<T> - 1] = 0;
    std::memcpy(to, &value, sizeof(T));
}

template <word_copyable T>
[[nodiscard]] T load_words(word const* from) noexcept {
    static_assert(std::is_default_constructible_v<T>);
    T value;
    std::memcpy(static_cast<void*>(&value), from, sizeof(T));
    return value;
}

[[nodiscard]] constexpr std::size_t round_up(std::size_t n, std::size_t multiple) noexcept {
    return (n + multiple - 1) / multiple * multiple;
}

} // namespace catena
