// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_runs_test.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace catena::tools {

std::optional<runs_test> test_runs(std::vector<bool> const& sequence) {
    runs_test out;
    for (std::size_t i = 0; i < sequence.size(); ++i) {
        ++(sequence[i] ? out.of_one : out.of_other);
        if (i == 0 || sequence[i] != sequence[i - 1]) ++out.runs;
    }
    if (out.of_one == 0 || out.of_other == 0 || sequence.size() == 2) return std::nullopt;
    auto const n = static_cast<double>(sequence.size());
    auto const pairs = 2 * static_cast<double>(out.of_one) * static_cast<double>(out.of_other);
    out.expected = pairs / n + 1;
    auto const variance = pairs / n * (pairs - n) / n / (n - 1);
    out.z = (static_cast<double>(out.runs) - out.expected) / std::sqrt(variance);
    out.p = std::erfc(std::abs(out.z) / std::sqrt(2.0));
    return out;
}

std::vector<bool> about_median(std::span<std::uint64_t const> numbers) {
    std::vector<bool> out;
    if (numbers.empty()) return out;
    // The two numbers in the middle, which are one if the count is odd; the median lies between them.
    std::vector<std::uint64_t> sorted(numbers.begin(), numbers.end());
    auto const upper = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), upper, sorted.end());
    auto const high = *upper;
    auto const low = sorted.size() % 2 == 1 ? high : *std::max_element(sorted.begin(), upper);
    for (auto const each : numbers) {
        if (low == high && each == low) continue;
        out.push_back(each >= high);
    }
    return out;
}

} // namespace catena::tools
