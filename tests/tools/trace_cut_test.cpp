// SPDX-License-Identifier: Apache-2.0
// Blocks that are cut and never listed give the same figures as the same blocks written out.
#include "support/catch.hpp"

#include <cstdint>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "made_trace.hpp"
#include "support/random.hpp"
#include "tools/trace_analysis.hpp"
#include "tools/trace_cut.hpp"

using namespace catena::test;
using namespace catena::tools;

namespace {

using numbers = std::vector<std::uint32_t>;

// Prompts of any number of tokens that need as many blocks as before.
void end_anywhere(trace& t, random_source& random) {
    for (auto& r : t.requests) r.input_length -= static_cast<std::uint32_t>(random.below(t.block_tokens));
}

// Every cut block with an id of its own.
trace written_out(trace const& t, std::uint32_t block_tokens) {
    auto const parts = t.block_tokens / block_tokens;
    trace out{.name = t.name, .block_tokens = block_tokens, .requests = t.requests, .ids = {}};
    for (auto& r : out.requests) {
        auto const ids = t.ids_of(r);
        auto const count = blocks_for(r.input_length, block_tokens);
        r.first_id = out.ids.size();
        r.id_count = static_cast<std::uint32_t>(count);
        for (std::uint64_t i = 0; i < count; ++i) out.ids.push_back(ids[i / parts] * parts + i % parts);
    }
    return out;
}

// What cutting changes: all but the ids and their order.
nlohmann::ordered_json figures(trace const& t, analysis_options const& options) {
    auto out = to_json({analyze(t, options)})["traces"][0];
    for (auto const* const own : {"trace_block_tokens", "chains", "order"}) out.erase(own);
    return out;
}

} // namespace

TEST_CASE("pieces end where prompts end, and are numbered by first use", "[tools][trace]") {
    auto t = made_trace({{7, 8}, {7}, {7, 8, 9}});
    t.requests[0].input_length = 21; // 6 blocks of 4: all of 7, half of 8
    t.requests[1].input_length = 4;  // one of 7
    t.requests[2].input_length = 33; // 9: all of 7 and 8, one of 9
    auto const cut = cut_blocks(number_blocks(t), t, {.block_tokens = 4});
    CHECK(cut.sizes == numbers{1, 3, 2, 2, 1}); // 7, 7, 8, 8, 9
    CHECK(cut.parents == numbers{no_block, 0, 1, 2, 3});
    CHECK(cut.depths == numbers{1, 2, 5, 7, 9});
    CHECK(cut.accesses == numbers{0, 1, 2, 0, 0, 1, 2, 3, 4});
    CHECK(cut.unique_blocks() == 9);
    CHECK(cut.chain(1).size() == 1);
    CHECK(cut_blocks(number_blocks(t), t, {.block_tokens = 16}).sizes.empty());
}

TEST_CASE("only divisors of the trace's block fit", "[tools][trace]") {
    auto const t = made_trace({{1}});
    CHECK_FALSE(unfit(t, trace_cut{.block_tokens = 4}));
    CHECK_FALSE(unfit(t, trace_cut{.block_tokens = 16}));
    for (auto const wrong : {0U, 3U, 32U}) CHECK(unfit(t, trace_cut{.block_tokens = wrong}));
}

TEST_CASE("figures of cut blocks are those of the same blocks written out", "[tools][trace]") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        random_source random(seed);
        auto t = random_trace(seed, 5 + static_cast<std::size_t>(random.below(150)));
        if (seed % 5 == 0) t = made_trace({{1, 2, 3}, {4, 2, 3}, {1, 3, 2}, {1, 2, 3, 4}}); // no chains
        end_anywhere(t, random);
        for (auto const block_tokens : {1U, 2U, 8U, 16U})
            for (bool const full : {false, true}) {
                CAPTURE(seed, block_tokens, full);
                analysis_options const options{.cache_percent = {1, 3, 10, 40, 70, 100}, .full_blocks_only = full};
                auto cut = options;
                cut.block_tokens = block_tokens;
                REQUIRE(figures(t, cut) == figures(written_out(t, block_tokens), options));
            }
    }
}

TEST_CASE("cutting leaves ids and their order alone", "[tools][trace]") {
    auto const t = made_trace({{1, 2, 3}, {1, 2, 4}, {9, 2}});
    auto const whole = to_json({analyze(t)})["traces"][0];
    auto const cut = to_json({analyze(t, {.block_tokens = 4})})["traces"][0];
    CHECK(cut["order"] == whole["order"]);
    CHECK(cut["chains"] == whole["chains"]);
    CHECK(cut["chains"]["violations"] == 1);
    CHECK(cut["block_tokens"] == 4);
    CHECK(cut["trace_block_tokens"] == 16);
    CHECK(cut["blocks"] == 4 * whole["blocks"].get<int>());
}

TEST_CASE("runs of numbers are summed up as the numbers are", "[tools][trace]") {
    random_source random(7);
    for (int round = 0; round < 200; ++round) {
        std::vector<number_run> runs;
        std::vector<std::uint64_t> numbers_of_runs;
        std::uint64_t next = random.below(3);
        for (auto left = 1 + random.below(6); left > 0; --left) {
            number_run const run{.first = next,
                                 .length = static_cast<std::uint32_t>(1 + random.below(20)),
                                 .times = static_cast<std::uint32_t>(1 + random.below(5))};
            for (std::uint64_t i = 0; i < run.length; ++i)
                numbers_of_runs.insert(numbers_of_runs.end(), run.times, next + i);
            next += run.length + random.below(4);
            runs.insert(runs.begin(), run);
        }
        auto const a = make_distribution(std::move(runs));
        auto const b = make_distribution(std::move(numbers_of_runs));
        REQUIRE(a.count == b.count);
        REQUIRE(near(a.mean, b.mean));
        REQUIRE(a.p10 == b.p10);
        REQUIRE(a.p50 == b.p50);
        REQUIRE(a.p90 == b.p90);
        REQUIRE(a.p99 == b.p99);
        REQUIRE(a.max == b.max);
        REQUIRE(a.histogram == b.histogram);
    }
    auto const largest = make_distribution(std::vector<number_run>{{.first = ~std::uint64_t{0}}});
    CHECK(largest.p50 == ~std::uint64_t{0});
    CHECK(largest.histogram.back() == 1);
}
