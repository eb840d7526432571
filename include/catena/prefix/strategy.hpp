// SPDX-License-Identifier: Apache-2.0
// match_strategy: how the longest cached prefix is searched, and how blocks are stored for that.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace catena {

/// n = blocks of the chain, m = blocks that match; index lookups at one round trip each (warm node cache). All but `extents` work on
/// an index with one entry a block (prefix_index), and a pool that was filled by one of them can be read by the others.
/// Every strategy gives the same answer: the longest prefix whose every block was seen present.
enum class match_strategy : std::uint8_t {
    sequential, ///< one block after the other, stops at the first miss: m + 1 round trips, m + 1 lookups
    batched,    ///< all blocks at once: 1 round trip for each batch of index::options::batch_nodes, n lookups
    galloping,  ///< windows that double (8, 16, 32 ...), stops at the first miss: log2(m / 8) + 1 round trips
    binary,     ///< bisects for the boundary, then reads all below it in one batch: log2(n) + 1 round trips
    extents, ///< runs of blocks, read as a whole (extent_index): 1 round trip, m / 32 lookups; 2 more where it leads to what is new
};

inline constexpr std::array<std::string_view, 5> match_strategy_names{"sequential", "batched", "galloping", "binary",
                                                                      "extents"};

[[nodiscard]] constexpr std::string_view name(match_strategy strategy) noexcept {
    return match_strategy_names[static_cast<std::size_t>(strategy)];
}

[[nodiscard]] constexpr std::optional<match_strategy> match_strategy_from(std::string_view text) noexcept {
    for (std::size_t i = 0; i < match_strategy_names.size(); ++i)
        if (match_strategy_names[i] == text) return static_cast<match_strategy>(i);
    return std::nullopt;
}

} // namespace catena
