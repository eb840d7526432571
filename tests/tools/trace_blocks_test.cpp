// SPDX-License-Identifier: Apache-2.0
#include "support/catch.hpp"

#include <cstdint>
#include <limits>
#include <vector>

#include "made_trace.hpp"
#include "tools/trace_blocks.hpp"
#include "tools/trace_cut.hpp"

using namespace catena::test;
using namespace catena::tools;

using numbers = std::vector<std::uint32_t>;

TEST_CASE("blocks are numbered by first use, and know the one before and their depth", "[tools][trace]") {
    auto const largest = std::numeric_limits<std::uint64_t>::max();
    auto const t = number_blocks(made_trace({{70, 5, largest}, {70, 5, 9}, {0}, {70}}));
    CHECK(t.accesses == numbers{0, 1, 2, 0, 1, 3, 4, 0});
    CHECK(t.parents == numbers{no_block, 0, 1, 1, no_block});
    CHECK(t.depths == numbers{1, 2, 3, 3, 1});
    CHECK(t.times == std::vector<std::uint64_t>{0, 1000, 2000, 3000});
    CHECK(t.requests() == 4);
    CHECK(t.pieces() == 5);
    auto const chain = t.chain(1);
    CHECK(numbers(chain.begin(), chain.end()) == numbers{0, 1, 3});
    CHECK(t.chain(2).size() == 1);

    CHECK(t.validity.unique_ids == 5);
    CHECK(t.validity.violations == 0);
    CHECK(t.validity.ids_violated == 0);
    CHECK_FALSE(t.validity.first);
}

TEST_CASE("an id after another prefix than before is a violation, and a block of its own", "[tools][trace]") {
    // 3 comes after 2, then first, then after 2 again, then after 9; 4 after the 3 that is a first block.
    auto const t = number_blocks(made_trace({{1, 2, 3}, {3, 4}, {1, 2, 3}, {9, 3}, {9, 3}, {3, 4}}));
    CHECK(t.validity.unique_ids == 5);
    CHECK(t.validity.violations == 4); // of 3: line 2, 4, 5, 6
    CHECK(t.validity.ids_violated == 1);
    REQUIRE(t.validity.first);
    CHECK(t.validity.first->line == 2);
    CHECK(t.validity.first->position == 0);
    CHECK(t.validity.first->id == 3);
    CHECK(t.accesses == numbers{0, 1, 2, 3, 4, 0, 1, 2, 5, 6, 5, 6, 3, 4});
}

TEST_CASE("what follows a violation is one too: the prefix is another", "[tools][trace]") {
    auto const t = number_blocks(made_trace({{1, 2, 3}, {7, 2, 3}}));
    CHECK(t.validity.violations == 2);
    CHECK(t.validity.ids_violated == 2);
    CHECK(t.validity.first->position == 1);
    CHECK(t.pieces() == 6);
}

TEST_CASE("an id twice in one prompt is a violation", "[tools][trace]") {
    auto const t = number_blocks(made_trace({{1, 1, 1}}));
    CHECK(t.validity.violations == 2);
    CHECK(t.validity.ids_violated == 1);
    CHECK(t.depths == numbers{1, 2, 3});
}

TEST_CASE("ids that count up by first use are told from others", "[tools][trace]") {
    auto const by_first_use = [](std::vector<prompt> const& prompts) {
        return number_blocks(made_trace(prompts)).validity.numbered_by_first_use;
    };
    CHECK(by_first_use({{0, 1}, {0, 2}, {3}, {0, 1, 4}}));
    CHECK(by_first_use({{5, 6}, {5, 7}})); // wherever they begin
    CHECK_FALSE(by_first_use({{0, 1}, {0, 3}, {2}}));
    CHECK_FALSE(by_first_use({{0, 1}, {0, 3}}));
    CHECK_FALSE(by_first_use({{9, 8}}));
}

TEST_CASE("random traces have no violation and their parents come first", "[tools][trace]") {
    auto const seed = test_seed(5);
    CAPTURE(seed);
    auto const t = number_blocks(random_trace(seed, 500));
    CHECK(t.validity.violations == 0);
    CHECK(t.validity.numbered_by_first_use);
    CHECK(t.validity.unique_ids == t.pieces());
    for (std::uint32_t block = 0; block < t.pieces(); ++block) {
        if (t.parents[block] == no_block) continue;
        REQUIRE(t.parents[block] < block);
        REQUIRE(t.depths[block] == t.depths[t.parents[block]] + 1);
    }
}

TEST_CASE("partial last blocks are left out, and requests that have no other", "[tools][trace]") {
    auto t = made_trace({{1, 2}, {3}, {4, 5, 6}});
    t.requests[0].input_length = 17;
    t.requests[1].input_length = 15;
    t.requests[2].input_length = 48;
    CHECK(leave_out_unused(t, {.block_tokens = 16, .full_blocks_only = true}) == 1);
    REQUIRE(t.requests.size() == 2);
    CHECK(t.requests[0].id_count == 1);
    CHECK(t.requests[1].id_count == 3);
    CHECK(t.requests[1].line == 3);
    CHECK(number_blocks(t).accesses == numbers{0, 1, 2, 3});
}
