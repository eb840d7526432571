// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_order.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace catena::tools {
namespace {

void add(runs_tests& tests, std::span<std::uint64_t const> numbers) {
    auto const done = test_runs(about_median(numbers));
    if (!done) return;
    bool const random = done->p > 0.05;
    ++tests.possible;
    if (random) ++tests.possible_random;
    if (!done->has_enough()) return;
    ++tests.sound;
    if (random) ++tests.sound_random;
}

// Blocks are numbered by first use, so the first use of each is where a number is larger than all before.
std::vector<bool> used_before(trace_blocks const& blocks) {
    std::vector<bool> out;
    out.reserve(blocks.accesses.size());
    std::uint32_t seen = 0;
    for (auto const block : blocks.accesses) {
        out.push_back(block < seen);
        seen = std::max(seen, block + 1);
    }
    return out;
}

std::vector<std::uint64_t> all_ids(trace const& t) {
    std::vector<std::uint64_t> out;
    for (auto const& r : t.requests) {
        auto const ids = t.ids_of(r);
        out.insert(out.end(), ids.begin(), ids.end());
    }
    return out;
}

} // namespace

id_order order_of(trace const& t, trace_blocks const& blocks) {
    id_order out;
    double shares = 0;
    std::vector<std::uint32_t> stretches;
    std::vector<std::uint64_t> starts;
    for (auto const& r : t.requests) {
        auto const ids = t.ids_of(r);
        starts.assign(1, ids.front());
        for (std::size_t i = 1; i < ids.size(); ++i)
            if (ids[i] != ids[i - 1] + 1) starts.push_back(ids[i]);
        auto const pairs = ids.size() - 1;
        auto const sequential = pairs - (starts.size() - 1);
        out.pairs += pairs;
        out.sequential += sequential;
        if (pairs > 0) {
            ++out.requests_of_pairs;
            shares += share_of(sequential, pairs);
        }
        stretches.push_back(static_cast<std::uint32_t>(starts.size()));
        add(out.in_requests, ids);
        add(out.between_stretches, starts);
    }
    if (out.requests_of_pairs > 0) out.sequential_of_a_request = shares / static_cast<double>(out.requests_of_pairs);
    out.stretches = make_distribution(std::move(stretches));
    out.hits = test_runs(used_before(blocks));
    out.ids = test_runs(about_median(all_ids(t)));
    return out;
}

} // namespace catena::tools
