// SPDX-License-Identifier: Apache-2.0
// calls_made: one call of a client to a key-value index and what it answered, as a history keeps it; in words, too.
// Thread safety: plain values.
#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>

#include <catena/index/mutation.hpp>

namespace catena::test {

/// How keys and values are printed: integers in decimal, others as the hexadecimal words (or bytes) they consist of.
/// A type that wants it otherwise has a function describe(T const&) in its namespace.
template <typename T>
[[nodiscard]] std::string describe(T const& it) {
    if constexpr (std::is_integral_v<T>) {
        return std::to_string(it);
    } else {
        static_assert(std::is_trivially_copyable_v<T>, "write a function describe() for this type");
        using word = std::conditional_t<sizeof(T) % sizeof(std::uint64_t) == 0, std::uint64_t, unsigned char>;
        std::array<word, sizeof(T) / sizeof(word)> words;
        std::memcpy(words.data(), &it, sizeof(T));
        std::string text;
        for (auto const w : words) {
            std::array<char, 16> digits;
            auto const end = std::to_chars(digits.begin(), digits.end(), w, 16).ptr;
            if (!text.empty()) text += ':';
            text.append(digits.begin(), end);
        }
        return text;
    }
}

enum class call_kind : std::uint8_t { find, insert, insert_if_absent, upsert, erase, erase_if };

/// What a call learned. `what` as in mutation.hpp, for a find present or absent; pending: nobody told. `seen`, if
/// it was told: the value that was there, for insert_if_absent the one that is there afterwards.
template <typename Value>
struct answer {
    mutation_outcome what = mutation_outcome::pending;
    std::optional<Value> seen{};
};

template <typename Key, typename Value>
struct call {
    static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();

    std::uint32_t client = 0;
    call_kind kind = call_kind::find;
    Key key{};
    Value argument{}; ///< the value written; of erase_if the value expected
    std::uint64_t begin = 0;
    std::uint64_t end = never; ///< one call was over when another began: its end < the other's begin
    answer<Value> answered{};
    bool lost = false; ///< `end` is no return but a fence: the call took effect before that moment, or never

    [[nodiscard]] bool need_not_happen() const noexcept { return lost || end == never; }
};

/// One line: interval, client, what it asked, what it learned.
template <typename Key, typename Value>
[[nodiscard]] std::string describe(call<Key, Value> const& c) {
    constexpr std::array kinds{"find", "insert", "insert_if_absent", "upsert", "erase", "erase_if"};
    constexpr std::array outcomes{"done", "inserted", "replaced", "erased", "present", "absent", "differs"};
    std::string text = "[" + std::to_string(c.begin) + ", " + (c.end == c.never ? "never" : std::to_string(c.end)) +
                       "] client " + std::to_string(c.client) + " " + kinds.at(static_cast<std::size_t>(c.kind));
    if (c.kind != call_kind::find && c.kind != call_kind::erase) text += " " + describe(c.argument);
    if (c.end == c.never) return text;
    if (c.lost) return text + " -> lost";
    text += std::string(" -> ") + outcomes.at(static_cast<std::size_t>(c.answered.what));
    if (c.answered.seen) text += ", saw " + describe(*c.answered.seen);
    return text;
}

} // namespace catena::test
