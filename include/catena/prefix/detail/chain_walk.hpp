// SPDX-License-Identifier: Apache-2.0
// chain_walk: what a walk along a chain (extent_walk.hpp) begins with and ends with.
// Thread safety: plain values.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include <catena/core/bytes.hpp>
#include <catena/prefix/extent.hpp>

namespace catena::detail {

/// Why a walk ended.
enum class walk_stop : std::uint8_t {
    chain_end,   ///< every block is listed
    nothing,     ///< not even the block that it began with
    absent,      ///< the block has a slot, but no place
    free_slot,   ///< the slot where the block would be is free
    other_block, ///< ... belongs to another block
    no_slot,     ///< the extent is too small for it
    window_end,  ///< it would begin the next window
    timed_out,   ///< the deadline passed
};

/// The last extent that a walk was in, and where in it: what a publish goes on from.
struct walk_end {
    extent_ref extent;
    extent_meta meta;
    extent_children children;
    std::uint32_t slot = 0; ///< of the block at which it ended, had it one
    walk_stop why = walk_stop::nothing;

    [[nodiscard]] std::array<word, 4> to_words() const noexcept {
        return {extent.bits(), meta.bits(), children.bits(), word{slot} << 8U | static_cast<word>(why)};
    }
    [[nodiscard]] static walk_end from_words(std::array<word, 4> const& words) noexcept {
        return {.extent = extent_ref::from_word(words[0]),
                .meta = extent_meta(words[1]),
                .children = extent_children(words[2]),
                .slot = static_cast<std::uint32_t>(words[3] >> 8U),
                .why = static_cast<walk_stop>(words[3] & 0xffU)};
    }
};

/// Where a block is listed, or was.
struct block_slot {
    extent_ref extent;
    extent_meta meta;
    std::uint32_t slot = 0;
    word place = 0;    ///< as it was read
    word removals = 0; ///< of the extent, as it was read
};

/// One chain to follow.
struct chain_walk {
    std::span<block_hash const> chain;
    std::size_t from = 0;                ///< the walk begins at this block, the first of a window
    std::span<location> locations{};     ///< empty, or as long as the chain
    std::span<block_slot> slots{};       ///< empty, or as long as the chain: with it the walk does not end at gaps
    std::chrono::nanoseconds deadline{}; ///< of the channel's clock; 0: none
    std::atomic<std::size_t>* progress = nullptr; ///< told `at` after every round trip
    std::size_t at = 0;                           ///< every block in [from, at) is listed (without slots)
    walk_end end{};
    bool done = false;

    // For the walk itself.
    std::uint32_t extent = ~std::uint32_t{0}; ///< in which it is: of the walker's list; extent_list::none
    std::size_t begin = 0;                    ///< the block at which that begins
};

} // namespace catena::detail
