// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_skew.hpp"

#include <algorithm>
#include <cmath>

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

// Every rank with the uses of its block.
template <typename Function>
void for_each_rank(std::span<use_count const> counts, Function&& function) {
    std::uint64_t rank = 0;
    for (auto const& [uses, blocks] : counts)
        for (auto left = blocks; left > 0; --left) function(++rank, uses);
}

std::uint64_t blocks_of(std::span<use_count const> counts) {
    std::uint64_t out = 0;
    for (auto const& each : counts) out += each.blocks;
    return out;
}

double distance_of(std::span<use_count const> counts, double all_uses, double exponent) {
    double weights = 0;
    for (auto rank = blocks_of(counts); rank > 0; --rank)
        weights += weight(std::log(static_cast<double>(rank)), exponent);
    double observed = 0;
    double fitted = 0;
    double largest = 0;
    for_each_rank(counts, [&](std::uint64_t rank, std::uint32_t uses) {
        observed += uses / all_uses;
        fitted += weight(std::log(static_cast<double>(rank)), exponent) / weights;
        largest = std::max(largest, std::abs(observed - fitted));
    });
    return largest;
}

// Uses of the hottest `blocks` ones.
std::uint64_t uses_of_hottest(std::span<use_count const> counts, std::uint64_t blocks) {
    std::uint64_t out = 0;
    for (auto const& each : counts) {
        auto const here = std::min(blocks, each.blocks);
        out += here * each.uses;
        blocks -= here;
    }
    return out;
}

} // namespace

std::vector<use_count> count_uses(std::span<std::uint32_t const> uses, std::span<std::uint32_t const> sizes) {
    std::vector<use_count> out;
    out.reserve(uses.size());
    for (std::size_t i = 0; i < uses.size(); ++i)
        out.push_back({.uses = uses[i], .blocks = sizes.empty() ? 1 : sizes[i]});
    std::sort(out.begin(), out.end(), [](use_count const& a, use_count const& b) { return a.uses > b.uses; });
    std::size_t end = 0; // of what is merged
    for (auto const each : out) {
        if (end > 0 && out[end - 1].uses == each.uses)
            out[end - 1].blocks += each.blocks;
        else
            out[end++] = each;
    }
    out.resize(end);
    return out;
}

std::optional<zipf_fit> fit_zipf(std::span<use_count const> counts) {
    auto const blocks = blocks_of(counts);
    if (blocks < 2) return std::nullopt;
    double all_uses = 0;
    double observed = 0;
    for_each_rank(counts, [&](std::uint64_t rank, std::uint32_t uses) {
        all_uses += uses;
        observed += uses * std::log(static_cast<double>(rank));
    });
    observed /= all_uses;
    auto const exponent = exponent_of(static_cast<std::size_t>(blocks), observed);
    return zipf_fit{.exponent = exponent, .distance = distance_of(counts, all_uses, exponent)};
}

use_skew skew_of(trace_blocks const& t) {
    use_skew out;
    std::vector<std::uint32_t> uses(t.pieces());
    for (auto const piece : t.accesses) ++uses[piece];
    auto const counts = count_uses(uses, t.sizes);
    out.blocks = blocks_of(counts);
    out.accesses = uses_of_hottest(counts, out.blocks);
    out.hottest = counts.front().uses;
    out.hottest_hundredth = uses_of_hottest(counts, capacity_of(1, out.blocks));
    out.hottest_tenth = uses_of_hottest(counts, capacity_of(10, out.blocks));
    out.used_once = counts.back().uses == 1 ? counts.back().blocks : 0;
    out.zipf = fit_zipf(counts);
    std::uint64_t ranks = 0;
    std::uint64_t next = 1;
    for (auto const& [each, blocks] : counts) {
        for (ranks += blocks; next <= ranks && next < out.blocks; next *= 2)
            out.curve.push_back({.rank = next, .uses = each});
    }
    out.curve.push_back({.rank = out.blocks, .uses = counts.back().uses});
    return out;
}

} // namespace catena::tools
