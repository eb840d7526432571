// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_shape.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace catena::tools {
namespace {

// Counts the blocks of each place where their number changes from one place to the next: pieces begin or end there.
distribution depths_of(trace_blocks const& t) {
    if (t.sizes.empty()) return make_distribution(t.depths);
    std::vector<std::uint64_t> begins(t.depths.begin(), t.depths.end());
    std::vector<std::uint64_t> ends;
    ends.reserve(t.pieces());
    for (std::uint32_t piece = 0; piece < t.pieces(); ++piece)
        ends.push_back(std::uint64_t{t.depths[piece]} + t.size(piece));
    std::sort(begins.begin(), begins.end());
    std::sort(ends.begin(), ends.end());
    std::vector<number_run> runs;
    std::uint32_t here = 0; // pieces at this place
    std::uint64_t place = 0;
    auto begin = begins.begin();
    for (auto end = ends.begin(); end != ends.end();) {
        auto const next = begin == begins.end() ? *end : std::min(*begin, *end);
        if (here > 0 && next > place)
            runs.push_back({.first = place, .length = static_cast<std::uint32_t>(next - place), .times = here});
        for (place = next; begin != begins.end() && *begin == place; ++begin) ++here;
        for (; end != ends.end() && *end == place; ++end) --here;
    }
    return make_distribution(std::move(runs));
}

} // namespace

trie_shape shape_of(trace_blocks const& t) {
    trie_shape out;
    out.blocks = t.unique_blocks();
    std::vector<std::uint32_t> children(t.pieces());
    for (auto const parent : t.parents) {
        if (parent == no_block)
            ++out.roots;
        else
            ++children[parent];
    }

    std::vector<std::uint32_t> fan_out;
    std::vector<std::uint32_t> runs;
    std::vector<std::uint32_t> run(t.pieces()); // length of the run up to here: parents come before their children
    double squares = 0;
    for (std::uint32_t block = 0; block < t.pieces(); ++block) {
        auto const size = t.size(block);
        if (size > 1 && out.largest_fan_out == 0) { // within a piece, one follows the other
            out.largest_fan_out = 1;
            out.depth_of_largest = t.depths[block];
        }
        auto const count = children[block];
        if (count == 0) ++out.leaves;
        if (count > 1) fan_out.push_back(count);
        if (count > out.largest_fan_out) {
            out.largest_fan_out = count;
            out.depth_of_largest = std::uint64_t{t.depths[block]} + size - 1;
        }
        auto const parent = t.parents[block];
        run[block] = parent != no_block && children[parent] == 1 ? run[parent] + size : size;
        if (count == 1) continue;
        runs.push_back(run[block]);
        squares += static_cast<double>(run[block]) * static_cast<double>(run[block]);
        if (run[block] >= trie_shape::long_run) out.blocks_in_long_runs += run[block];
    }
    out.branching = fan_out.size();
    out.run_of_a_block = out.blocks == 0 ? 0 : squares / static_cast<double>(out.blocks);
    out.fan_out = make_distribution(std::move(fan_out));
    out.runs = make_distribution(std::move(runs));
    out.depths = depths_of(t);
    return out;
}

} // namespace catena::tools
