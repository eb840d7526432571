// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_reuse.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "tools/trace_lru_stack.hpp"

namespace catena::tools {

block_reuse reuse_of(trace_blocks const& t, requests_done const& progress) {
    block_reuse out;
    lru_stack stack(t.pieces(), t.accesses.size(), t.sizes);
    std::vector<std::uint64_t> last(t.pieces());
    std::vector<number_run> distances;
    std::vector<number_run> times;
    distances.reserve(t.accesses.size() - t.pieces());
    times.reserve(t.accesses.size() - t.pieces());
    std::uint64_t now = 0;
    for (std::size_t i = 0; i < t.requests(); ++i) {
        if (t.times[i] < now) ++out.back_in_time;
        now = std::max(now, t.times[i]);
        for (auto const block : t.chain(i)) {
            auto const distance = stack.depth(block);
            if (distance != lru_stack::never) {
                // Of each block of a piece: those behind it at the last use and those before it now are the others of it.
                auto const size = t.size(block);
                distances.push_back({.first = std::uint64_t{distance} + size - 1, .times = size});
                times.push_back({.first = now - last[block], .times = size});
            }
            stack.use(block);
            last[block] = now;
        }
        if (progress) progress(i + 1);
    }
    for (std::size_t i = 0; i < out.within.size(); ++i)
        for (auto const& [time, length, count] : times)
            if (time <= block_reuse::spans_ms[i]) out.within[i] += count;
    out.distances = make_distribution(std::move(distances));
    out.times_ms = make_distribution(std::move(times));
    return out;
}

} // namespace catena::tools
