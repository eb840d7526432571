// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_caches.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "tools/trace_lru_stack.hpp"

namespace catena::tools {
namespace {

// One of a request, before it used any.
struct piece_state {
    std::uint32_t depth = 0; ///< of the block of it that was used last
    std::uint32_t size = 0;  ///< its blocks; the others lie below that one, the one that was used first at the bottom
};

void serve(bounded_cache& cache, touch_order order, std::span<piece_state const> pieces) {
    std::uint64_t blocks = 0;
    std::uint64_t hits = 0;
    bool missed = false;
    bool holed = false;
    for (auto const& [depth, size] : pieces) {
        blocks += size;
        auto const held = depth >= cache.capacity ? 0 : std::min<std::uint64_t>(size, cache.capacity - depth);
        // Leaf first, a cache holds the beginning of a piece, which is a hit; root first it holds the end, behind a gap.
        if (!missed && (held == size || order == touch_order::leaf_first))
            hits += held;
        else if (held > 0)
            holed = true;
        missed = missed || held < size;
    }
    cache.hit_blocks += hits;
    if (2 * hits > blocks) ++cache.over_half;
    if (holed) ++cache.holed;
}

} // namespace

unbounded_cache serve_unbounded(trace_blocks const& t) {
    unbounded_cache out;
    std::vector<std::uint32_t> hits_of_requests;
    std::uint32_t seen = 0; // blocks are numbered by first use: those below were used
    for (std::size_t i = 0; i < t.requests(); ++i) {
        auto const chain = t.chain(i);
        auto const missing = std::find_if(chain.begin(), chain.end(), [&](auto block) { return block >= seen; });
        auto const sum = [&](auto begin, auto end) {
            return std::accumulate(begin, end, std::uint64_t{0},
                                   [&](auto all, auto piece) { return all + t.size(piece); });
        };
        auto const hits = sum(chain.begin(), missing);
        auto const blocks = hits + sum(missing, chain.end());
        out.hit_blocks += hits;
        if (2 * hits > blocks) ++out.over_half;
        if (10 * hits > 9 * blocks) ++out.over_nine_tenths;
        if (hits == blocks) ++out.hit_all;
        if (hits > 0) hits_of_requests.push_back(static_cast<std::uint32_t>(hits));
        seen = std::max(seen, *std::max_element(chain.begin(), chain.end()) + 1);
    }
    out.hit_any = hits_of_requests.size();
    out.hits = make_distribution(std::move(hits_of_requests));
    return out;
}

std::vector<bounded_cache> serve_bounded(trace_blocks const& t, touch_order order,
                                         std::span<std::uint64_t const> capacities, requests_done const& progress) {
    std::vector<bounded_cache> out;
    out.reserve(capacities.size());
    for (auto const capacity : capacities) out.push_back({.capacity = capacity});
    lru_stack stack(t.pieces(), t.accesses.size(), t.sizes);
    std::vector<piece_state> pieces;
    for (std::size_t i = 0; i < t.requests(); ++i) {
        auto const chain = t.chain(i);
        pieces.clear();
        for (auto const piece : chain) pieces.push_back({.depth = stack.depth(piece), .size = t.size(piece)});
        for (auto& cache : out) serve(cache, order, pieces);
        if (order == touch_order::root_first)
            std::for_each(chain.begin(), chain.end(), [&](auto block) { stack.use(block); });
        else
            std::for_each(chain.rbegin(), chain.rend(), [&](auto block) { stack.use(block); });
        if (progress) progress(i + 1);
    }
    return out;
}

std::uint64_t capacity_of(double percent, std::uint64_t blocks) {
    auto const some = static_cast<std::uint64_t>(static_cast<double>(blocks) * percent / 100);
    return std::max<std::uint64_t>(1, some);
}

} // namespace catena::tools
