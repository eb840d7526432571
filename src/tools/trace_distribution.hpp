// SPDX-License-Identifier: Apache-2.0
// trace_distribution: many numbers, summed up: mean, exact percentiles, and a histogram to draw.
// Thread safety: pure functions.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tools/samples.hpp"

namespace catena::tools {

/// Percentiles by nearest rank (samples.hpp). Bucket 0 of the histogram counts zeros, bucket k the numbers from
/// 2^(k - 1) to 2^k - 1; it ends with the last bucket that is not empty.
struct distribution {
    std::uint64_t count = 0;
    double mean = 0;
    std::uint64_t p10 = 0;
    std::uint64_t p50 = 0;
    std::uint64_t p90 = 0;
    std::uint64_t p99 = 0;
    std::uint64_t max = 0;
    std::vector<std::uint64_t> histogram;
};

/// `first`, `first` + 1, ... : `length` numbers, each of them `times` times.
struct number_run {
    std::uint64_t first = 0;
    std::uint32_t length = 1;
    std::uint32_t times = 1;
};

/// Of no numbers: zeros. Runs of more than one number must not overlap with any other.
[[nodiscard]] distribution make_distribution(std::vector<number_run> runs);

/// Of no numbers: zeros. Takes the vector, because it sorts it.
template <std::unsigned_integral T>
[[nodiscard]] distribution make_distribution(std::vector<T> numbers) {
    distribution out;
    out.count = numbers.size();
    if (numbers.empty()) return out;
    std::sort(numbers.begin(), numbers.end());
    auto const at_rank = [&](unsigned percent) -> std::uint64_t {
        return numbers[nearest_rank(numbers.size(), percent)];
    };
    double sum = 0;
    for (auto const each : numbers) sum += static_cast<double>(each);
    out.mean = sum / static_cast<double>(numbers.size());
    out.p10 = at_rank(10);
    out.p50 = at_rank(50);
    out.p90 = at_rank(90);
    out.p99 = at_rank(99);
    out.max = numbers.back();
    out.histogram.resize(static_cast<std::size_t>(std::bit_width(out.max)) + 1);
    for (auto const each : numbers) ++out.histogram[static_cast<std::size_t>(std::bit_width(std::uint64_t{each}))];
    return out;
}

/// The numbers that a bucket counts: from, to (both included).
[[nodiscard]] constexpr std::array<std::uint64_t, 2> bucket_bounds(std::size_t bucket) noexcept {
    if (bucket == 0) return {0, 0};
    auto const from = std::uint64_t{1} << (bucket - 1);
    return {from, from - 1 + from};
}

/// part / whole; 0 if there is no whole.
[[nodiscard]] constexpr double share_of(std::uint64_t part, std::uint64_t whole) noexcept {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

} // namespace catena::tools
