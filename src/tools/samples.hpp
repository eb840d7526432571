// SPDX-License-Identifier: Apache-2.0
// samples: every measurement of a run, kept, so that percentiles are exact and not estimated.
// Thread safety: plain values; one thread fills each, they are joined afterwards.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <catena/core/config.hpp>
#include <catena/fabric/stats.hpp>

namespace catena::tools {

/// 0 if there is nothing to divide by.
[[nodiscard]] constexpr double ratio(double part, double whole) noexcept { return whole > 0 ? part / whole : 0; }

/// Percentiles by nearest rank: the p-th is the smallest sample that at least p % of all samples do not exceed.
struct summary {
    double mean = 0;
    double p50 = 0;
    double p99 = 0;
    double max = 0;
};

/// Where the sample stands, from 0, that at least `part` of `whole` parts of n > 0 sorted samples do not exceed.
[[nodiscard]] constexpr std::size_t nearest_rank(std::size_t n, unsigned part, unsigned whole = 100) noexcept {
    auto const rank = (n * part + whole - 1) / whole;
    return rank == 0 ? 0 : rank - 1;
}

/// Of no samples: zeros. Takes the vector, because it reorders it.
template <typename T>
[[nodiscard]] summary summarize(std::vector<T> samples) {
    if (samples.empty()) return {};
    double sum = 0;
    for (auto const each : samples) sum += static_cast<double>(each);
    auto const at_rank = [&samples](unsigned percent) {
        auto const at = samples.begin() + static_cast<std::ptrdiff_t>(nearest_rank(samples.size(), percent));
        std::nth_element(samples.begin(), at, samples.end());
        return static_cast<double>(*at);
    };
    return {
        .mean = sum / static_cast<double>(samples.size()), .p50 = at_rank(50), .p99 = at_rank(99), .max = at_rank(100)};
}

/// One kind of call: what each one asked of the fabric, and how long it took.
struct call_samples {
    std::vector<std::uint32_t> round_trips;
    std::vector<std::uint32_t> verbs;
    std::vector<std::uint32_t> bytes_read;
    std::vector<std::uint32_t> bytes_written;
    std::vector<float> latency_us;

    [[nodiscard]] std::size_t calls() const noexcept { return latency_us.size(); }

    void add(fabric_stats const& cost, double microseconds) {
        round_trips.push_back(narrow(cost.round_trips));
        verbs.push_back(narrow(cost.verbs()));
        bytes_read.push_back(narrow(cost.bytes_read));
        bytes_written.push_back(narrow(cost.bytes_written));
        latency_us.push_back(static_cast<float>(microseconds));
    }

    void join(call_samples const& other) {
        auto const append = [](auto& to, auto const& from) { to.insert(to.end(), from.begin(), from.end()); };
        append(round_trips, other.round_trips);
        append(verbs, other.verbs);
        append(bytes_read, other.bytes_read);
        append(bytes_written, other.bytes_written);
        append(latency_us, other.latency_us);
    }

private:
    // One call does not reach 4 GiB; if it did, it would show as the largest value and not as a small one.
    static std::uint32_t narrow(std::uint64_t value) noexcept {
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, std::numeric_limits<std::uint32_t>::max()));
    }
};

} // namespace catena::tools
