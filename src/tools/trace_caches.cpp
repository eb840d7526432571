// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_caches.hpp"

#include <algorithm>
#include <utility>

#include "tools/trace_lru_stack.hpp"

namespace catena::tools {
namespace {

// `depths`: of the blocks of one request, before it used any.
void serve(bounded_cache& cache, std::span<std::uint32_t const> depths) {
    auto const missing =
        std::find_if(depths.begin(), depths.end(), [&](auto depth) { return depth >= cache.capacity; });
    auto const hits = static_cast<std::uint64_t>(missing - depths.begin());
    cache.hit_blocks += hits;
    if (2 * hits > depths.size()) ++cache.over_half;
    if (std::any_of(missing, depths.end(), [&](auto depth) { return depth < cache.capacity; })) ++cache.holed;
}

} // namespace

unbounded_cache serve_unbounded(trace_blocks const& t) {
    unbounded_cache out;
    std::vector<std::uint32_t> hits_of_requests;
    std::uint32_t seen = 0; // blocks are numbered by first use: those below were used
    for (std::size_t i = 0; i < t.requests(); ++i) {
        auto const chain = t.chain(i);
        auto const missing = std::find_if(chain.begin(), chain.end(), [&](auto block) { return block >= seen; });
        auto const hits = static_cast<std::uint64_t>(missing - chain.begin());
        out.hit_blocks += hits;
        if (2 * hits > chain.size()) ++out.over_half;
        if (10 * hits > 9 * chain.size()) ++out.over_nine_tenths;
        if (hits == chain.size()) ++out.hit_all;
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
    lru_stack stack(t.unique(), t.accesses.size());
    std::vector<std::uint32_t> depths;
    for (std::size_t i = 0; i < t.requests(); ++i) {
        auto const chain = t.chain(i);
        depths.clear();
        for (auto const block : chain) depths.push_back(stack.depth(block));
        for (auto& cache : out) serve(cache, depths);
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
