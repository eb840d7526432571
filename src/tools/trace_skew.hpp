// SPDX-License-Identifier: Apache-2.0
// trace_skew: how unevenly the blocks of a trace are used.
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tools/trace_blocks.hpp"

namespace catena::tools {

/// So many blocks were used so often.
struct use_count {
    std::uint32_t uses = 0;
    std::uint64_t blocks = 0;
};

/// Most uses first, each number of uses once. `sizes`: how many blocks each number stands for; one if there are none.
[[nodiscard]] std::vector<use_count> count_uses(std::span<std::uint32_t const> uses,
                                                std::span<std::uint32_t const> sizes = {});

/// Use counts f(1) >= f(2) >= ... >= f(n) as if drawn from the ranks 1 to n with probabilities in proportion to
/// 1 / rank^exponent. The exponent is the most likely one: that with which the mean of ln(rank) is the one observed.
/// It is sought from 0 to `steepest`, to 5 decimals.
struct zipf_fit {
    static constexpr double steepest = 10;

    double exponent = 0;
    /// Largest difference between the observed and the fitted share of accesses to the hottest k blocks, over all k.
    double distance = 0;
};

struct use_skew {
    struct point {
        std::uint64_t rank = 0; ///< from 1, the hottest
        std::uint64_t uses = 0;
    };
    std::uint64_t accesses = 0;
    std::uint64_t blocks = 0;
    std::uint64_t hottest = 0;           ///< accesses to the hottest block; no request has it twice
    std::uint64_t hottest_hundredth = 0; ///< accesses to the hottest 1 % of the blocks (rounded down, at least 1)
    std::uint64_t hottest_tenth = 0;     ///< accesses to the hottest 10 %
    std::uint64_t used_once = 0;         ///< blocks
    std::optional<zipf_fit> zipf;        ///< nothing if there is one block
    std::vector<point> curve;            ///< ranks 1, 2, 4, 8, ... and the last, to draw
};

[[nodiscard]] use_skew skew_of(trace_blocks const& t);

/// `counts`: as count_uses makes them. Nothing of fewer than two blocks.
[[nodiscard]] std::optional<zipf_fit> fit_zipf(std::span<use_count const> counts);

} // namespace catena::tools
