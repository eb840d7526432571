// SPDX-License-Identifier: Apache-2.0
// trace_caches: what caches of several sizes would have found.
//
// Of each request a cache finds the leading blocks that it holds (its hits); then the request uses all its blocks, which
// puts those that were missing into the cache. A bounded cache drops the least recently used block when it is full.
// The blocks of a request are used from the root to the leaf or from the leaf to the root. In the first order a cache may
// drop the beginning of a prompt and keep its end, which nobody finds then: a hole.
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tools/trace_blocks.hpp"
#include "tools/trace_distribution.hpp"

namespace catena::tools {

/// Told now and then how many requests are done.
using requests_done = std::function<void(std::uint64_t)>;

/// An unbounded cache.
struct unbounded_cache {
    std::uint64_t hit_blocks = 0;
    std::uint64_t hit_any = 0;   ///< requests with at least one hit
    std::uint64_t over_half = 0; ///< requests with 2 * hits > blocks
    std::uint64_t over_nine_tenths = 0;
    std::uint64_t hit_all = 0;
    distribution hits; ///< blocks, of the requests that hit any
};

[[nodiscard]] unbounded_cache serve_unbounded(trace_blocks const& t);

enum class touch_order : std::uint8_t { leaf_first, root_first };

/// A cache of `capacity` blocks.
struct bounded_cache {
    std::uint64_t capacity = 0;
    std::uint64_t hit_blocks = 0;
    std::uint64_t over_half = 0; ///< requests with 2 * hits > blocks
    std::uint64_t holed = 0;     ///< requests of which it held a block behind the first one that was missing
};

/// Caches with LRU eviction, all in one pass.
[[nodiscard]] std::vector<bounded_cache> serve_bounded(trace_blocks const& t, touch_order order,
                                                       std::span<std::uint64_t const> capacities,
                                                       requests_done const& progress = {});

/// `percent` of the blocks, rounded down, at least 1.
[[nodiscard]] std::uint64_t capacity_of(double percent, std::uint64_t blocks);

} // namespace catena::tools
