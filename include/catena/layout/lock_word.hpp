// SPDX-License-Identifier: Apache-2.0
// lock_word: the first word of every node: who may write, which version it is, and the seal of the whole node.
//
//   63       62..44      43..32       31..0
//   locked   owner (19)  version (12) seal (32)
//
// owner    the member that wrote this word last (pool/membership.hpp): slot (10) and low bits of its incarnation (9).
//          While `locked` it holds the node; whoever finds it dead may take the node over.
// version  counts publications; wraps, which is harmless because the seal stands beside it: a CAS that expects this word
//          succeeds on other contents only if owner, version modulo 4096 and 32 bits of hash all coincide.
// seal     of all other words of the node and the version (layout/node.hpp). While `locked` it is still the seal of the
//          node as it was before, so a reader that sees the old contents may take them.
// Thread safety: a plain value.
#pragma once

#include <cstdint>

#include <catena/core/bytes.hpp>

namespace catena {

class lock_word {
public:
    static constexpr unsigned seal_bits = 32;
    static constexpr unsigned version_bits = 12;
    static constexpr unsigned owner_bits = 19;

    constexpr lock_word() noexcept = default;
    explicit constexpr lock_word(word bits) noexcept : bits_(bits) {}
    constexpr lock_word(bool locked, std::uint32_t owner, std::uint32_t version, std::uint32_t seal) noexcept
        : bits_(word{locked} << 63U | word{owner & owner_mask} << (seal_bits + version_bits) |
                word{version & version_mask} << seal_bits | seal) {}

    [[nodiscard]] constexpr bool locked() const noexcept { return bits_ >> 63U != 0; }
    [[nodiscard]] constexpr std::uint32_t owner() const noexcept {
        return static_cast<std::uint32_t>(bits_ >> (seal_bits + version_bits)) & owner_mask;
    }
    [[nodiscard]] constexpr std::uint32_t version() const noexcept {
        return static_cast<std::uint32_t>(bits_ >> seal_bits) & version_mask;
    }
    [[nodiscard]] constexpr std::uint32_t seal() const noexcept { return static_cast<std::uint32_t>(bits_); }
    [[nodiscard]] constexpr word bits() const noexcept { return bits_; }

    /// The word that takes the lock: same version, same seal.
    [[nodiscard]] constexpr lock_word held_by(std::uint32_t owner) const noexcept {
        return {true, owner, version(), seal()};
    }
    /// The word that gives the lock up with nothing changed.
    [[nodiscard]] constexpr lock_word released() const noexcept { return {false, owner(), version(), seal()}; }
    [[nodiscard]] constexpr std::uint32_t next_version() const noexcept { return (version() + 1) & version_mask; }

    friend constexpr bool operator==(lock_word, lock_word) = default;

private:
    static constexpr std::uint32_t version_mask = (1U << version_bits) - 1;
    static constexpr std::uint32_t owner_mask = (1U << owner_bits) - 1;

    word bits_ = 0;
};
static_assert(1 + lock_word::owner_bits + lock_word::version_bits + lock_word::seal_bits == 64);

} // namespace catena
