// SPDX-License-Identifier: Apache-2.0
#include "support/catch.hpp"

#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

#include "tools/chains.hpp"
#include "tools/synthetic_trace.hpp"

using namespace catena::tools;
using catena::block_hash;

namespace {

struct prompt {
    std::uint32_t tokens;
    std::vector<std::uint64_t> ids;
};

trace trace_of(std::vector<prompt> const& prompts, std::uint32_t block_tokens = 512) {
    trace t;
    t.block_tokens = block_tokens;
    for (auto const& each : prompts) {
        t.requests.push_back({.line = t.requests.size() + 1,
                              .first_id = t.ids.size(),
                              .id_count = static_cast<std::uint32_t>(each.ids.size()),
                              .input_length = each.tokens});
        t.ids.insert(t.ids.end(), each.ids.begin(), each.ids.end());
    }
    return t;
}

std::vector<block_hash> chain_of(trace const& t, std::size_t at, chain_shape const& shape) {
    std::vector<block_hash> chain{{1, 2}}; // hash() replaces what is there
    chain_maker const chains(t, shape);
    chains.hash(t.requests.at(at), chain);
    REQUIRE(chain.size() == chains.blocks(t.requests.at(at)));
    return chain;
}

std::size_t common_prefix(std::vector<block_hash> const& a, std::vector<block_hash> const& b) {
    auto const [end, other] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    return static_cast<std::size_t>(end - a.begin());
}

} // namespace

TEST_CASE("uncut, a chain has one hash an id", "[tools]") {
    auto const t = trace_of({{1300, {0, 1, 2}}, {1024, {0, 1}}});
    CHECK(chain_of(t, 0, {.block_tokens = 512}).size() == 3);
    CHECK(chain_of(t, 1, {.block_tokens = 512}).size() == 2);
    CHECK(chain_of(t, 0, {.block_tokens = 512, .full_blocks_only = true}).size() == 2);
    CHECK(chain_of(t, 1, {.block_tokens = 512, .full_blocks_only = true}).size() == 2);
}

TEST_CASE("cut, a chain reaches as far as the prompt", "[tools]") {
    auto const t = trace_of({{1300, {0, 1, 2}}, {1024, {0, 1}}, {1, {9}}});
    CHECK(chain_of(t, 0, {.block_tokens = 16}).size() == 82); // 81 full ones and 4 tokens
    CHECK(chain_of(t, 0, {.block_tokens = 16, .full_blocks_only = true}).size() == 81);
    CHECK(chain_of(t, 1, {.block_tokens = 16}).size() == 64);
    CHECK(chain_of(t, 2, {.block_tokens = 16}).size() == 1);
    CHECK(chain_of(t, 2, {.block_tokens = 16, .full_blocks_only = true}).empty());
    CHECK(chain_of(t, 0, {.block_tokens = 1}).size() == 1300);
}

TEST_CASE("equal ids give equal hashes, and only as far as all before them are equal", "[tools]") {
    // the third has the ids of the first, but for the root; the fourth has them in another order
    auto const t = trace_of({{1536, {0, 1, 2}}, {2000, {0, 1, 7, 8}}, {1536, {5, 1, 2}}, {1536, {0, 2, 1}}});
    for (std::uint32_t const block : {512U, 128U, 16U}) {
        CAPTURE(block);
        chain_shape const shape{.block_tokens = block};
        auto const first = chain_of(t, 0, shape);
        CHECK(common_prefix(first, chain_of(t, 0, shape)) == first.size());
        CHECK(common_prefix(first, chain_of(t, 1, shape)) == 2 * 512 / block);
        CHECK(common_prefix(first, chain_of(t, 2, shape)) == 0);
        CHECK(common_prefix(first, chain_of(t, 3, shape)) == 512 / block);

        std::set<block_hash> all; // nothing repeats but what is shared
        for (std::size_t i = 0; i < 4; ++i)
            for (auto const& each : chain_of(t, i, shape)) all.insert(each);
        CHECK(all.size() == (3 + 2) * 512 / block - (2048 - 2000) / block + 5 * 512 / block);
    }
}

TEST_CASE("a partial block shares with another of its id what both have", "[tools]") {
    auto const t = trace_of({{600, {0, 1}}, {512 + 200, {0, 1}}, {1024, {0, 1}}});
    chain_shape const cut{.block_tokens = 16};
    CHECK(common_prefix(chain_of(t, 0, cut), chain_of(t, 1, cut)) == 32 + 6); // 88 tokens: 5 full and a part
    CHECK(common_prefix(chain_of(t, 1, cut), chain_of(t, 2, cut)) == 32 + 13);
    chain_shape const uncut{.block_tokens = 512}; // the trace says that they are the same
    CHECK(chain_of(t, 0, uncut) == chain_of(t, 2, uncut));
}

TEST_CASE("block sizes and traces do not share hashes in a pool", "[tools]") {
    auto const t = trace_of({{1024, {0, 1}}});
    auto const other = trace_of({{1024, {0, 2}}, {1024, {0, 1}}});
    auto const coarse = chain_of(t, 0, {.block_tokens = 512});
    CHECK(coarse.front() != chain_of(t, 0, {.block_tokens = 256}).front());
    CHECK(coarse.front() != chain_of(other, 1, {.block_tokens = 512}).front());
    auto const more_of_it = trace_of({{1024, {0, 1}}, {700, {0, 9}}});
    CHECK(coarse == chain_of(more_of_it, 0, {.block_tokens = 512}));
}

TEST_CASE("unique blocks are counted without hashing each of them", "[tools]") {
    auto const t = synthetic_trace({.seed = 3, .requests = 300});
    for (auto const& shape :
         {chain_shape{.block_tokens = 512}, chain_shape{.block_tokens = 512, .full_blocks_only = true},
          chain_shape{.block_tokens = 64}, chain_shape{.block_tokens = 16, .full_blocks_only = true}}) {
        CAPTURE(shape.block_tokens, shape.full_blocks_only);
        chain_maker const chains(t, shape);
        std::set<block_hash> all;
        std::vector<block_hash> chain;
        for (auto const& each : t.requests) {
            chains.hash(each, chain);
            all.insert(chain.begin(), chain.end());
        }
        CHECK(chains.unique_blocks(t.requests) == all.size());
    }
    auto const partial = trace_of({{600, {0, 1}}, {712, {0, 1}}, {1024, {5, 1}}});
    CHECK(chain_maker(partial, {.block_tokens = 16}).unique_blocks(partial.requests) == 45 + 64);
}

TEST_CASE("a size that does not divide the trace's blocks is refused in words", "[tools]") {
    auto const t = trace_of({{1024, {0, 1}}});
    CHECK_FALSE(unfit(t, {.block_tokens = 16}).has_value());
    CHECK_FALSE(unfit(t, {.block_tokens = 512}).has_value());
    for (std::uint32_t const block : {0U, 24U, 1024U}) {
        CAPTURE(block);
        REQUIRE(unfit(t, {.block_tokens = block}).has_value());
        CHECK_THAT(*unfit(t, {.block_tokens = block}), catena::test::has_text("512 tokens"));
    }
}

TEST_CASE("made-up locations differ", "[tools]") {
    auto const t = synthetic_trace({.requests = 100});
    chain_maker const chains(t, {.block_tokens = 64});
    std::set<block_hash> blocks;
    std::set<catena::location> places;
    std::vector<block_hash> chain;
    for (auto const& each : t.requests) {
        chains.hash(each, chain);
        for (auto const& block : chain) {
            blocks.insert(block);
            places.insert(made_up_location(block));
        }
    }
    CHECK(places.size() == blocks.size());
}
