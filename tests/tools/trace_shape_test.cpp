// SPDX-License-Identifier: Apache-2.0
#include "support/catch.hpp"

#include <cstdint>
#include <vector>

#include "made_trace.hpp"
#include "tools/trace_shape.hpp"

using namespace catena::test;
using namespace catena::tools;

TEST_CASE("the shape of a trie that is drawn here", "[tools][trace]") {
    //   1 - 2 - 3 - 4        runs: 1 2 | 3 4 | 5 6 | 7 | 8 9
    //       | - 5 - 6
    //       ` - 7
    //   8 - 9
    auto const s = shape_of(number_blocks(made_trace({{1, 2, 3, 4}, {8, 9}, {1, 2, 5, 6}, {1, 2}, {1, 2, 7}})));
    CHECK(s.blocks == 9);
    CHECK(s.roots == 2);
    CHECK(s.leaves == 4); // 4 6 7 9
    CHECK(s.branching == 1);
    CHECK(s.largest_fan_out == 3);
    CHECK(s.depth_of_largest == 2);
    CHECK(s.fan_out.count == 1);
    CHECK(s.fan_out.max == 3);
    CHECK(s.depths.mean == 23.0 / 9); // twice 1, twice 2, three times 3, twice 4
    CHECK(s.depths.p50 == 3);
    CHECK(s.depths.max == 4);
    CHECK(s.runs.count == 5);
    CHECK(s.runs.mean == 9.0 / 5);
    CHECK(s.runs.p10 == 1);
    CHECK(s.runs.max == 2);
    CHECK(s.run_of_a_block == 17.0 / 9); // four runs of 2 have 8 blocks, one of 1 has 1
    CHECK(s.blocks_in_long_runs == 0);
}

TEST_CASE("one long prompt is one run", "[tools][trace]") {
    auto const s = shape_of(number_blocks(made_trace({{1, 2, 3, 4, 5, 6, 7, 8}, {1, 2, 3}, {9}})));
    CHECK(s.branching == 0);
    CHECK(s.largest_fan_out == 1);
    CHECK(s.depth_of_largest == 1);
    CHECK(s.runs.count == 2);
    CHECK(s.runs.max == 8);
    CHECK(s.blocks_in_long_runs == 8);
    CHECK(s.leaves == 2);
}

TEST_CASE("prompts of one block have nothing that follows", "[tools][trace]") {
    auto const s = shape_of(number_blocks(made_trace({{1}, {2}, {1}})));
    CHECK(s.roots == 2);
    CHECK(s.leaves == 2);
    CHECK(s.largest_fan_out == 0);
    CHECK(s.depth_of_largest == 0);
    CHECK(s.fan_out.count == 0);
}

TEST_CASE("each block lies in one run, and each run ends at a leaf or where it branches", "[tools][trace]") {
    auto const seed = test_seed(31);
    CAPTURE(seed);
    auto const t = number_blocks(random_trace(seed, 400));
    auto const s = shape_of(t);
    CHECK(near(s.runs.mean * static_cast<double>(s.runs.count), static_cast<double>(t.pieces()), 1e-6));
    CHECK(s.runs.count == s.leaves + s.branching);
    // every block but the first ones is one of somebody's fan-out
    auto const alone = s.blocks - s.leaves - s.branching;
    auto const beside_others = static_cast<double>(s.blocks - s.roots - alone);
    CHECK(near(s.fan_out.mean * static_cast<double>(s.branching), beside_others, 1e-6));
}
