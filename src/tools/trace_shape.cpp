// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_shape.hpp"

#include <utility>
#include <vector>

namespace catena::tools {

trie_shape shape_of(trace_blocks const& t) {
    trie_shape out;
    out.blocks = t.unique();
    std::vector<std::uint32_t> children(t.unique());
    for (auto const parent : t.parents) {
        if (parent == no_block)
            ++out.roots;
        else
            ++children[parent];
    }

    std::vector<std::uint32_t> fan_out;
    std::vector<std::uint32_t> runs;
    std::vector<std::uint32_t> run(t.unique()); // length of the run up to here: parents come before their children
    double squares = 0;
    for (std::uint32_t block = 0; block < t.unique(); ++block) {
        auto const count = children[block];
        if (count == 0) ++out.leaves;
        if (count > 1) fan_out.push_back(count);
        if (count > out.largest_fan_out) {
            out.largest_fan_out = count;
            out.depth_of_largest = t.depths[block];
        }
        auto const parent = t.parents[block];
        run[block] = parent != no_block && children[parent] == 1 ? run[parent] + 1 : 1;
        if (count == 1) continue;
        runs.push_back(run[block]);
        squares += static_cast<double>(run[block]) * static_cast<double>(run[block]);
        if (run[block] >= trie_shape::long_run) out.blocks_in_long_runs += run[block];
    }
    out.branching = fan_out.size();
    out.run_of_a_block = out.blocks == 0 ? 0 : squares / static_cast<double>(out.blocks);
    out.fan_out = make_distribution(std::move(fan_out));
    out.runs = make_distribution(std::move(runs));
    out.depths = make_distribution(t.depths);
    return out;
}

} // namespace catena::tools
