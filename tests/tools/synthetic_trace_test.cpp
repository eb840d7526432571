// SPDX-License-Identifier: Apache-2.0
#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tools/synthetic_trace.hpp"
#include "tools/trace_file.hpp"

using namespace catena::tools;

namespace {

struct shape {
    double hit_ratio = 0;
    double over_half = 0;
    double only_system_prompt = 0;
    double mean_blocks = 0;
    std::size_t median_blocks = 0;
    std::size_t p99_blocks = 0;
};

shape measure(trace const& t) {
    std::unordered_set<std::uint64_t> seen;
    std::vector<std::size_t> lengths;
    std::size_t blocks = 0;
    std::size_t hits = 0;
    std::size_t over = 0;
    std::size_t one = 0;
    for (auto const& r : t.requests) {
        auto const ids = t.ids_of(r);
        auto const hit = static_cast<std::size_t>(
            std::find_if(ids.begin(), ids.end(), [&](auto id) { return !seen.contains(id); }) - ids.begin());
        seen.insert(ids.begin(), ids.end());
        blocks += ids.size();
        hits += hit;
        if (2 * hit > ids.size()) ++over;
        if (hit == 1) ++one;
        lengths.push_back(ids.size());
    }
    std::sort(lengths.begin(), lengths.end());
    auto const n = static_cast<double>(lengths.size());
    return {.hit_ratio = static_cast<double>(hits) / static_cast<double>(blocks),
            .over_half = static_cast<double>(over) / n,
            .only_system_prompt = static_cast<double>(one) / n,
            .mean_blocks = static_cast<double>(blocks) / n,
            .median_blocks = lengths[lengths.size() / 2],
            .p99_blocks = lengths[lengths.size() * 99 / 100]};
}

} // namespace

TEST_CASE("a generated trace has the shape of the conversation trace", "[tools]") {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) { // in brackets: the conversation trace
        CAPTURE(seed);
        auto const s = measure(synthetic_trace({.seed = seed}));
        CHECK(std::abs(s.hit_ratio - 0.366) < 0.02);             // 0.366
        CHECK(std::abs(s.over_half - 0.30) < 0.02);              // 0.293
        CHECK(std::abs(s.only_system_prompt - 0.63) < 0.025);    // 0.61
        CHECK(std::abs(s.mean_blocks - 24) < 1.5);               // 24.0
        CHECK((s.median_blocks >= 12 && s.median_blocks <= 15)); // 14
        CHECK((s.p99_blocks >= 150 && s.p99_blocks <= 200));     // 167
    }
}

TEST_CASE("a short generated trace has the same shape, roughly", "[tools]") {
    auto const s = measure(synthetic_trace({.requests = 2000}));
    CHECK(std::abs(s.hit_ratio - 0.366) < 0.05);
    CHECK(std::abs(s.over_half - 0.293) < 0.05);
}

TEST_CASE("every generated request starts with the system prompt and has as many ids as its tokens take", "[tools]") {
    auto const t = synthetic_trace({.seed = 7, .requests = 3000});
    REQUIRE(t.requests.size() == 3000);
    CHECK(deduce_block_tokens(t.requests) == 512U);
    std::size_t partial = 0;
    for (auto const& r : t.requests) {
        REQUIRE(blocks_for(r.input_length, 512) == r.id_count);
        REQUIRE(t.ids_of(r).front() == 0);
        REQUIRE(r.input_length >= 891);
        REQUIRE(r.input_length <= 126'195);
        if (r.input_length % 512 != 0) ++partial;
    }
    CHECK(partial > 2900); // 99.8 % in the conversation trace
}

TEST_CASE("an id of a generated trace stands for one prefix", "[tools]") {
    auto const t = synthetic_trace({.seed = 8, .requests = 3000});
    std::unordered_map<std::uint64_t, std::uint64_t> parent;
    for (auto const& r : t.requests) {
        std::uint64_t before = ~std::uint64_t{0};
        for (auto const id : t.ids_of(r)) {
            REQUIRE(parent.try_emplace(id, before).first->second == before);
            before = id;
        }
    }
}

TEST_CASE("the same seed gives the same trace, another seed another", "[tools]") {
    auto const a = synthetic_trace({.seed = 5, .requests = 500});
    auto const b = synthetic_trace({.seed = 5, .requests = 500});
    auto const c = synthetic_trace({.seed = 6, .requests = 500});
    CHECK(a.ids == b.ids);
    CHECK(a.ids.size() != c.ids.size());
    REQUIRE(a.requests.size() == b.requests.size());
    for (std::size_t i = 0; i < a.requests.size(); ++i)
        REQUIRE(a.requests[i].input_length == b.requests[i].input_length);
}

TEST_CASE("other parameters are followed", "[tools]") {
    auto const t = synthetic_trace({.requests = 200, .block_tokens = 16, .system_prompt_tokens = 64, .second_turn = 0});
    auto const s = measure(t);
    for (auto const& r : t.requests) {
        REQUIRE(blocks_for(r.input_length, 16) == r.id_count);
        REQUIRE(t.ids_of(r)[3] == 3);
    }
    CHECK(s.over_half == 0);
}
