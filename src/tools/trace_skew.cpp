// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_skew.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "tools/trace_caches.hpp"

namespace catena::tools {
namespace {

double weight(double log_rank, double exponent) { return std::exp(-exponent * log_rank); }

// Of ln(rank), if ranks 1 to n are drawn with that exponent.
struct moments {
    double mean = 0; // falls as the exponent grows, with the slope -variance
    double variance = 0;
};

moments log_rank(std::size_t n, double exponent) {
    double weights = 0;
    double logs = 0;
    double squares = 0;
    for (std::size_t rank = n; rank > 0; --rank) { // the small ones first
        auto const log = std::log(static_cast<double>(rank));
        auto const w = weight(log, exponent);
        weights += w;
        logs += w * log;
        squares += w * log * log;
    }
    auto const mean = logs / weights;
    return {.mean = mean, .variance = squares / weights - mean * mean};
}

// The exponent that gives that mean: steps of Newton's method, and halves of the interval where those would leave it.
double exponent_of(std::size_t n, double mean) {
    constexpr double precise = 5e-6;
    double low = 0;
    double high = zipf_fit::steepest;
    double at = 1;
    while (high - low > precise) {
        auto const here = log_rank(n, at);
        (here.mean > mean ? low : high) = at;
        auto next = at + (here.mean - mean) / here.variance;
        if (!(next > low && next < high)) next = (low + high) / 2;
        auto const step = std::abs(next - at);
        at = next;
        if (step < precise) break;
    }
    return at;
}

double distance_of(std::span<std::uint32_t const> uses, double all_uses, double exponent) {
    double weights = 0;
    for (std::size_t rank = uses.size(); rank > 0; --rank)
        weights += weight(std::log(static_cast<double>(rank)), exponent);
    double observed = 0;
    double fitted = 0;
    double largest = 0;
    for (std::size_t rank = 1; rank <= uses.size(); ++rank) {
        observed += uses[rank - 1] / all_uses;
        fitted += weight(std::log(static_cast<double>(rank)), exponent) / weights;
        largest = std::max(largest, std::abs(observed - fitted));
    }
    return largest;
}

} // namespace

std::optional<zipf_fit> fit_zipf(std::span<std::uint32_t const> uses) {
    if (uses.size() < 2) return std::nullopt;
    double all_uses = 0;
    double observed = 0;
    for (std::size_t rank = 1; rank <= uses.size(); ++rank) {
        all_uses += uses[rank - 1];
        observed += uses[rank - 1] * std::log(static_cast<double>(rank));
    }
    observed /= all_uses;
    auto const exponent = exponent_of(uses.size(), observed);
    return zipf_fit{.exponent = exponent, .distance = distance_of(uses, all_uses, exponent)};
}

use_skew skew_of(trace_blocks const& t) {
    use_skew out;
    out.accesses = t.accesses.size();
    out.blocks = t.unique();
    std::vector<std::uint32_t> uses(t.unique());
    for (auto const block : t.accesses) ++uses[block];
    std::sort(uses.begin(), uses.end(), std::greater<>());
    auto const of_hottest = [&](double percent) {
        auto const end = uses.begin() + static_cast<std::ptrdiff_t>(capacity_of(percent, uses.size()));
        return std::accumulate(uses.begin(), end, std::uint64_t{0});
    };
    out.hottest = uses.front();
    out.hottest_hundredth = of_hottest(1);
    out.hottest_tenth = of_hottest(10);
    out.used_once = static_cast<std::uint64_t>(std::count(uses.begin(), uses.end(), 1U));
    out.zipf = fit_zipf(uses);
    for (std::size_t rank = 1; rank < uses.size(); rank *= 2)
        out.curve.push_back({.rank = rank, .uses = uses[rank - 1]});
    out.curve.push_back({.rank = uses.size(), .uses = uses.back()});
    return out;
}

} // namespace catena::tools
