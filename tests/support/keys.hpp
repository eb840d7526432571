// SPDX-License-Identifier: Apache-2.0
// Keys and values of every type that the tests use, made from numbers: make_key keeps the order of the numbers.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

#include <catena/core/hash.hpp>
#include <catena/layout/key_number.hpp>
#include <catena/prefix/block_hash.hpp>
#include <catena/prefix/location.hpp>

namespace catena::test {

/// A key of 32 bytes whose first word says nothing.
struct wide_key {
    std::array<std::uint64_t, 4> words;
    friend constexpr auto operator<=>(wide_key const&, wide_key const&) = default;
};

template <std::size_t Bytes>
struct blob {
    std::array<std::uint8_t, Bytes> bytes{};
    friend constexpr bool operator==(blob const&, blob const&) = default;
};

template <typename Key>
[[nodiscard]] constexpr Key make_key(std::uint64_t n) noexcept {
    if constexpr (std::is_same_v<Key, std::uint64_t>)
        return n;
    else if constexpr (std::is_same_v<Key, std::int64_t>)
        return static_cast<std::int64_t>(n ^ std::uint64_t{1} << 63U);
    else if constexpr (std::is_same_v<Key, block_hash>)
        return {.high = n >> 4U, .low = n << 60U | 1U};
    else
        return {.words = {0x0101010101010101ULL, n >> 32U, n << 32U, 5}};
}

/// The largest and the smallest key of a type, which no number of make_key need reach.
template <typename Key>
[[nodiscard]] constexpr Key highest() noexcept {
    constexpr auto ones = ~std::uint64_t{0};
    if constexpr (std::is_integral_v<Key>)
        return std::numeric_limits<Key>::max();
    else if constexpr (std::is_same_v<Key, block_hash>)
        return {.high = ones, .low = ones};
    else
        return {.words = {ones, ones, ones, ones}};
}
template <typename Key>
[[nodiscard]] constexpr Key lowest() noexcept {
    if constexpr (std::is_integral_v<Key>)
        return std::numeric_limits<Key>::min();
    else
        return {};
}

/// The key after `k`, which is not the highest.
template <typename Key>
[[nodiscard]] constexpr Key successor(Key k) noexcept {
    if constexpr (std::is_integral_v<Key>) {
        return static_cast<Key>(k + 1);
    } else if constexpr (std::is_same_v<Key, block_hash>) {
        if (++k.low == 0) ++k.high;
    } else {
        for (std::size_t i = k.words.size(); i-- > 0;)
            if (++k.words[i] != 0) break;
    }
    return k;
}

/// Bytes that depend on all of `n`; types of one byte repeat.
template <typename Value>
[[nodiscard]] Value make_value(std::uint64_t n) noexcept {
    if constexpr (std::is_same_v<Value, std::uint64_t>) {
        return n;
    } else if constexpr (std::is_same_v<Value, location>) {
        return location::from_word(n);
    } else {
        Value v{};
        static_assert(std::is_trivially_copyable_v<Value>);
        std::array<std::uint8_t, sizeof(Value)> bytes;
        for (std::size_t i = 0; i < bytes.size(); ++i)
            bytes[i] = static_cast<std::uint8_t>(mix64(n + i / 8) >> i % 8 * 8);
        std::memcpy(static_cast<void*>(&v), bytes.data(), bytes.size());
        return v;
    }
}

} // namespace catena::test

/// The first 128 bits: all that make_key makes of 2^32 neighbours have one number, the worst that a model can meet.
template <>
struct catena::number_of_key<catena::test::wide_key> {
    [[nodiscard]] static constexpr key_number of(test::wide_key const& k) noexcept {
        return key_number{k.words[0]} << 64U | k.words[1];
    }
    [[nodiscard]] static constexpr test::wide_key at(key_number n) noexcept {
        return {.words = {static_cast<std::uint64_t>(n >> 64U), static_cast<std::uint64_t>(n), 0, 0}};
    }
};
