// SPDX-License-Identifier: Apache-2.0
// crowded_leaves: how full a leaf was when it was last read as a whole, so that an insert knows how much of it to read at once.
// A hint: two bits for each leaf, by hash; several leaves may share them.
// Bound: 256 KiB. Thread safety: any number of threads; a note may be lost.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <catena/core/hash.hpp>
#include <catena/layout/node_ref.hpp>

namespace catena {

enum class crowding : std::uint8_t {
    none, ///< a neighbourhood will do
    some, ///< a key in it may have to make way
    high, ///< the leaf may have to split
};

class crowded_leaves {
public:
    static constexpr std::size_t bytes = 256 * 1024;

    [[nodiscard]] crowding of(node_ref leaf) const noexcept {
        auto const h = mix64(leaf.bits());
        return static_cast<crowding>(word_of(h).load(std::memory_order_relaxed) >> shift_of(h) & 3U);
    }
    void note(node_ref leaf, crowding c) noexcept {
        auto const h = mix64(leaf.bits());
        auto& at = word_of(h);
        auto const old = at.load(std::memory_order_relaxed);
        auto const now = (old & ~(word{3} << shift_of(h))) | static_cast<word>(c) << shift_of(h);
        if (now != old) at.store(now, std::memory_order_relaxed);
    }

private:
    static constexpr std::size_t words = bytes / sizeof(word);
    [[nodiscard]] static unsigned shift_of(word hash) noexcept { return static_cast<unsigned>(hash % 32 * 2); }
    [[nodiscard]] std::atomic<word>& word_of(word hash) const noexcept { return bits_[hash / 32 % words]; }

    std::unique_ptr<std::atomic<word>[]> bits_ = std::make_unique<std::atomic<word>[]>(words);
};

} // namespace catena
