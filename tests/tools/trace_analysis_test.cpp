// SPDX-License-Identifier: Apache-2.0
// The whole analysis: what it puts together, how it is shown, and its figures for the published traces.
#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "made_trace.hpp"
#include "published_traces.hpp"
#include "tools/trace_analysis.hpp"
#include "tools/trace_file.hpp"

using namespace catena::test;
using namespace catena::tools;

namespace {

// To three decimals, as such figures are quoted.
long thousandths(double share) { return std::lround(1000 * share); }

bool is_here(std::string const& name) {
    if (!published_trace(name).empty()) return true;
    WARN(why_skipped(name));
    return false;
}

trace_analysis of_published(std::string const& name) {
    auto loaded = load_trace(published_trace(name));
    REQUIRE(loaded);
    REQUIRE(loaded->skipped == 0);
    return analyze(std::move(loaded->requests));
}

// Hit ratios of caches of 1, 2, 5, 10, 20, 50 and 100 % in ten-thousandths.
std::vector<long> ratios(trace_analysis const& a, bounded_cache cache_size::*order) {
    std::vector<long> out;
    for (auto const& each : a.caches) out.push_back(std::lround(1e4 * share_of((each.*order).hit_blocks, a.accesses)));
    return out;
}
std::vector<long> leaf_first(trace_analysis const& a) { return ratios(a, &cache_size::leaf_first); }
std::vector<long> root_first(trace_analysis const& a) { return ratios(a, &cache_size::root_first); }

} // namespace

TEST_CASE("an analysis says what was analysed", "[tools][trace]") {
    auto t = made_trace({{1, 2, 3}, {1, 2, 4, 5}, {9}}, {2'000, 1'000, 8'000});
    t.requests[0].input_length = 33;
    t.requests[2].input_length = 5;
    auto const a = analyze(t, {.cache_percent = {50, 100}});
    CHECK(a.name == "made.jsonl");
    CHECK(a.block_tokens == 16);
    CHECK(a.requests == 3);
    CHECK(a.accesses == 8);
    CHECK(a.unique == 6);
    CHECK(a.tokens == 33 + 64 + 5);
    CHECK(a.span_ms == 7'000);
    CHECK(a.blocks_of_requests.p50 == 3);
    REQUIRE(a.caches.size() == 2);
    CHECK(a.caches[0].percent == 50);
    CHECK(a.caches[0].leaf_first.capacity == 3);
    CHECK(a.caches[1].root_first.capacity == 6);
    CHECK(a.unbounded.hit_blocks == 2);
    CHECK(a.shape.branching == 1);

    auto const full = analyze(t, {.cache_percent = {100}, .full_blocks_only = true});
    CHECK(full.left_out == 1);
    CHECK(full.requests == 2);
    CHECK(full.accesses == 6); // 1 2, 1 2 4 5
    CHECK(full.unique == 4);
}

TEST_CASE("progress goes from 0 to 1 and names what is done", "[tools][trace]") {
    std::vector<double> shares;
    std::vector<std::string> steps;
    analysis_options options;
    options.progress = [&](std::string_view what, double share) {
        shares.push_back(share);
        if (steps.empty() || steps.back() != what) steps.emplace_back(what);
    };
    (void)analyze(random_trace(1, 2'000), options);
    CHECK(std::is_sorted(shares.begin(), shares.end()));
    CHECK(shares.front() == 0);
    CHECK(shares.back() <= 1);
    CHECK(shares.back() > 0.9);
    CHECK(steps.size() == 6);
}

TEST_CASE("the table is at most 100 columns wide and has no line ends in blanks", "[tools][trace]") {
    auto t = random_trace(2, 300);
    t.name = "/a/long/way/down/to/" + std::string(150, 'x') + ".jsonl";
    std::vector<trace_analysis> all(4, analyze(t));
    all[1].skipped_lines = 1;
    all.push_back(analyze(made_trace({{1}}))); // nothing to divide by
    all.push_back(analyze(made_trace({{1, 2}, {2, 1}})));
    auto const table = to_table(all);
    std::istringstream lines(table);
    std::size_t sections = 0;
    for (std::string line; std::getline(lines, line);) {
        CAPTURE(line);
        CHECK(line.size() <= 100);
        if (!line.empty()) CHECK(line.back() != ' ');
        if (line == "What is in it") ++sections;
    }
    CHECK(sections == 2); // three by three
    CHECK_THAT(table, has_text("1 line skipped"));
    CHECK_THAT(table, has_text("the first in line"));
    CHECK(table.find("nan") == std::string::npos);
}

TEST_CASE("a violation is named by its line; without one there is nothing to name", "[tools][trace]") {
    auto const sound = to_table({analyze(made_trace({{1, 2}, {1, 3}}))});
    CHECK(sound.find("the first in line") == std::string::npos);
    auto const data = to_json({analyze(made_trace({{1, 2}, {1, 3}})), analyze(made_trace({{1, 2}, {3, 2}}))});
    CHECK(data["traces"][0]["chains"]["first_violation"].is_null());
    CHECK(data["traces"][1]["chains"]["violations"] == 1);
    CHECK(data["traces"][1]["chains"]["first_violation"]["line"] == 2);
    CHECK(data["traces"][1]["chains"]["first_violation"]["position"] == 1);
}

TEST_CASE("the JSON has the figures of the table, histograms and curves", "[tools][trace]") {
    auto const a = analyze(random_trace(3, 300), {.cache_percent = {10, 100}});
    auto const data = to_json({a});
    CHECK(data["program"] == "catena-trace analyze");
    auto const& t = data["traces"][0];
    CHECK(t["requests"] == 300);
    CHECK(t["unique_blocks"] == a.unique);
    CHECK(t["unbounded_cache"]["hit_ratio"] == share_of(a.unbounded.hit_blocks, a.accesses));
    REQUIRE(t["lru_caches"].size() == 2);
    CHECK(t["lru_caches"][0]["percent"] == 10);
    CHECK(t["lru_caches"][0]["leaf_first"]["hit_blocks"] == a.caches[0].leaf_first.hit_blocks);
    CHECK(t["lru_caches"][0]["root_first"]["hit_blocks"] == a.caches[0].root_first.hit_blocks);
    CHECK(t["trie"]["branching"] == a.shape.branching);
    CHECK(t["order"]["runs_test"]["hits_of_accesses"]["runs"] == a.order.hits->runs);
    CHECK(t["skew"]["zipf"]["exponent"] == a.skew.zipf->exponent);
    CHECK(t["skew"]["uses_by_rank"][0]["uses"] == a.skew.hottest);
    std::uint64_t counted = 0;
    for (auto const& bucket : t["reuse"]["distance_blocks"]["histogram"])
        counted += bucket["count"].get<std::uint64_t>();
    CHECK(counted == a.accesses - a.unique);
    CHECK(nlohmann::json::parse(data.dump()) == nlohmann::json(data)); // no number that JSON does not have
}

TEST_CASE("the conversation trace has the figures that are known of it", "[tools][trace][published]") {
    if (!is_here("mooncake_conversation.jsonl")) return;
    auto const a = of_published("mooncake_conversation.jsonl");
    CHECK(a.requests == 12'031);
    CHECK(a.block_tokens == 512);
    CHECK(a.accesses == 288'500);
    CHECK(a.unique == 182'790);
    CHECK(a.validity.violations == 0);
    CHECK(a.validity.numbered_by_first_use);
    CHECK(a.shape.branching == 3'876);
    CHECK(a.shape.largest_fan_out == 7'373);
    CHECK(a.shape.depth_of_largest == 1);
    CHECK(a.shape.roots == 1);
    CHECK(a.shape.runs.p50 == 2);
    CHECK(thousandths(share_of(a.unbounded.hit_blocks, a.accesses)) == 366);
    CHECK(thousandths(share_of(a.unbounded.over_half, a.requests)) == 293);
    CHECK(leaf_first(a) == std::vector<long>{525, 793, 1958, 2789, 3453, 3631, 3664});
    CHECK(root_first(a) == std::vector<long>{523, 787, 1954, 2784, 3446, 3631, 3664});
    CHECK(thousandths(share_of(a.order.sequential, a.order.pairs)) == 923);
    CHECK(thousandths(a.order.sequential_of_a_request) == 718);
    CHECK(a.reuse.times_ms.p50 == 113'999);
    CHECK(thousandths(share_of(a.skew.hottest_hundredth, a.accesses)) == 122);
    CHECK(thousandths(share_of(a.skew.hottest_tenth, a.accesses)) == 339);
    CHECK(a.skew.hottest == a.requests);
    // The starts of stretches pass a runs test where they are too few for one, and only there.
    CHECK(thousandths(share_of(a.order.between_stretches.possible_random, a.order.between_stretches.possible)) == 870);
    CHECK(a.order.between_stretches.sound == 6);
    CHECK(a.order.between_stretches.sound_random == 0);
}

TEST_CASE("the synthetic and the agent trace have the figures that are known of them", "[tools][trace][published]") {
    if (is_here("mooncake_synthetic.jsonl")) {
        auto const a = of_published("mooncake_synthetic.jsonl");
        CHECK(a.unique == 43'924);
        CHECK(a.validity.violations == 0);
        CHECK(a.shape.roots == 2'211);
        CHECK(leaf_first(a) == std::vector<long>{381, 778, 1566, 2623, 3931, 5888, 6396});
        CHECK(root_first(a) == std::vector<long>{343, 758, 1548, 2598, 3905, 5888, 6396});
        CHECK(thousandths(share_of(a.order.sequential, a.order.pairs)) == 985);
    }
    if (is_here("lmcache_miniswe_blk16.jsonl")) {
        auto const a = of_published("lmcache_miniswe_blk16.jsonl");
        CHECK(a.block_tokens == 16);
        CHECK(a.unique == 10'346);
        CHECK(a.validity.violations == 0);
        CHECK(leaf_first(a) == std::vector<long>{2501, 4415, 6585, 7906, 9185, 9322, 9331});
        CHECK(root_first(a) == std::vector<long>{215, 1456, 4812, 5765, 8382, 9322, 9331});
        CHECK(a.caches[0].root_first.holed == 343);
        CHECK(a.caches[0].leaf_first.holed == 0);
    }
}
