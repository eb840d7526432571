// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_reuse.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "tools/trace_lru_stack.hpp"

namespace catena::tools {

block_reuse reuse_of(trace_blocks const& t, requests_done const& progress) {
    block_reuse out;
    lru_stack stack(t.unique(), t.accesses.size());
    std::vector<std::uint64_t> last(t.unique());
    std::vector<std::uint32_t> distances;
    std::vector<std::uint64_t> times;
    distances.reserve(t.accesses.size() - t.unique());
    times.reserve(t.accesses.size() - t.unique());
    std::uint64_t now = 0;
    for (std::size_t i = 0; i < t.requests(); ++i) {
        if (t.times[i] < now) ++out.back_in_time;
        now = std::max(now, t.times[i]);
        for (auto const block : t.chain(i)) {
            auto const distance = stack.depth(block);
            if (distance != lru_stack::never) {
                distances.push_back(distance);
                times.push_back(now - last[block]);
            }
            stack.use(block);
            last[block] = now;
        }
        if (progress) progress(i + 1);
    }
    for (std::size_t i = 0; i < out.within.size(); ++i)
        out.within[i] = static_cast<std::uint64_t>(
            std::count_if(times.begin(), times.end(), [&](auto time) { return time <= block_reuse::spans_ms[i]; }));
    out.distances = make_distribution(std::move(distances));
    out.times_ms = make_distribution(std::move(times));
    return out;
}

} // namespace catena::tools
