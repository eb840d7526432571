// SPDX-License-Identifier: Apache-2.0
// trace_runs_test: the test of Wald and Wolfowitz: could a sequence of two kinds of things be in random order?
//
// A run is a longest stretch of one kind. Of n = a + b things in random order the number of runs has the mean 2ab/n + 1
// and the variance 2ab (2ab - n) / (n^2 (n - 1)), and is about normal if a and b are not small. Fewer runs than that: equal
// things stand together. More: they alternate.
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace catena::tools {

struct runs_test {
    std::uint64_t of_one = 0;   ///< things of one kind
    std::uint64_t of_other = 0; ///< and of the other
    std::uint64_t runs = 0;
    double expected = 0; ///< runs in random order
    double z = 0;        ///< how many standard deviations more there are
    double p = 1;        ///< chance of being at least as far off in random order: two-sided, normal, no correction

    /// So many of each kind, and the normal distribution is close enough.
    static constexpr std::uint64_t enough = 10;
    [[nodiscard]] bool has_enough() const { return of_one >= enough && of_other >= enough; }
};

/// Nothing if there is but one order: things of one kind, or one of each.
[[nodiscard]] std::optional<runs_test> test_runs(std::vector<bool> const& sequence);

/// Above the median or below it: the sequence for test_runs. Numbers equal to the median are left out.
[[nodiscard]] std::vector<bool> about_median(std::span<std::uint64_t const> numbers);

} // namespace catena::tools
