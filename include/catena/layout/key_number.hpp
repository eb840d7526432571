// SPDX-License-Identifier: Apache-2.0
// key_number: keys as numbers of 128 bits, so that arithmetic can divide what lies between two of them.
//
// An index that computes where a key lies (layout/leaf_line.hpp, layout/linear_fit.hpp) needs differences of keys,
// which a total order alone does not have. number_of_key says which number a key is:
//   K1  monotone: a < b implies of(a) <= of(b)
//   K2  at(n) is the least key k with of(k) >= n, or the highest key where there is none; so at(of(k)) <= k
// Integers are exact: at(of(k)) == k. A key of more than 16 bytes has more values than there are numbers: it may
// project to its first 128 bits, and keys that differ only behind them have one number.
// Thread safety: pure functions.
#pragma once

#include <concepts>
#include <limits>
#include <type_traits>

#include <catena/core/bytes.hpp>
#include <catena/layout/node.hpp>

namespace catena {

__extension__ using key_number = unsigned __int128; // the standard has no name for it: -Wpedantic

/// How the keys of a type are numbered. Specialise it for a key that is a struct; its order must agree (K1, K2).
template <index_key K>
struct number_of_key {
    static_assert(sizeof(K) == 0, "this key type has no numbers: specialise catena::number_of_key for it, with "
                                  "of(key), which keeps the order of the keys, and at(number), its inverse");
    [[nodiscard]] static constexpr key_number of(K const& key) noexcept; // declared: the words above are the only error
    [[nodiscard]] static constexpr K at(key_number n) noexcept;
};

template <typename K>
concept integer_key = index_key<K> && std::integral<K> && sizeof(K) == word_bytes;

template <integer_key K>
struct number_of_key<K> {
    [[nodiscard]] static constexpr key_number of(K const& key) noexcept { return static_cast<word>(key) ^ sign; }
    [[nodiscard]] static constexpr K at(key_number n) noexcept {
        if (n >> 64U != 0) return std::numeric_limits<K>::max();
        return static_cast<K>(static_cast<word>(n) ^ sign);
    }

private:
    /// Flipped, it puts the negative numbers below the others.
    static constexpr word sign = std::is_signed_v<K> ? word{1} << 63U : 0;
};

} // namespace catena
