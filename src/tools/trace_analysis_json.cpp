// SPDX-License-Identifier: Apache-2.0
#include <catena/version.hpp>
#include <nlohmann/json.hpp>

#include "tools/trace_analysis.hpp"

namespace catena::tools {
namespace {

using json = nlohmann::ordered_json;

json of(distribution const& d) {
    auto histogram = json::array();
    for (std::size_t i = 0; i < d.histogram.size(); ++i) {
        auto const [from, to] = bucket_bounds(i);
        histogram.push_back({{"from", from}, {"to", to}, {"count", d.histogram[i]}});
    }
    return {{"count", d.count}, {"mean", d.mean}, {"p10", d.p10}, {"p50", d.p50},
            {"p90", d.p90},     {"p99", d.p99},   {"max", d.max}, {"histogram", histogram}};
}

json of(chain_validity const& v) {
    json out{{"unique_ids", v.unique_ids},
             {"violations", v.violations},
             {"ids_violated", v.ids_violated},
             {"first_violation", nullptr},
             {"numbered_by_first_use", v.numbered_by_first_use}};
    if (v.first)
        out["first_violation"] = {{"line", v.first->line}, {"position", v.first->position}, {"id", v.first->id}};
    return out;
}

json unbounded(trace_analysis const& a) {
    auto const& cache = a.unbounded;
    return {{"hit_blocks", cache.hit_blocks},
            {"hit_ratio", share_of(cache.hit_blocks, a.accesses)},
            {"requests_with_hits", share_of(cache.hit_any, a.requests)},
            {"requests_over_half", share_of(cache.over_half, a.requests)},
            {"requests_over_nine_tenths", share_of(cache.over_nine_tenths, a.requests)},
            {"requests_hit_whole", share_of(cache.hit_all, a.requests)},
            {"hits_of_requests", of(cache.hits)}};
}

json bounded(trace_analysis const& a, bounded_cache const& cache) {
    return {{"hit_blocks", cache.hit_blocks},
            {"hit_ratio", share_of(cache.hit_blocks, a.accesses)},
            {"requests_over_half", share_of(cache.over_half, a.requests)},
            {"requests_with_holes", share_of(cache.holed, a.requests)}};
}

json caches(trace_analysis const& a) {
    auto out = json::array();
    for (auto const& size : a.caches)
        out.push_back({{"percent", size.percent},
                       {"capacity_blocks", size.leaf_first.capacity},
                       {"leaf_first", bounded(a, size.leaf_first)},
                       {"root_first", bounded(a, size.root_first)}});
    return out;
}

json of(block_reuse const& r) {
    auto within = json::array();
    for (std::size_t i = 0; i < r.within.size(); ++i)
        within.push_back({{"ms", block_reuse::spans_ms[i]}, {"share", share_of(r.within[i], r.times_ms.count)}});
    return {{"distance_blocks", of(r.distances)},
            {"time_ms", of(r.times_ms)},
            {"within", within},
            {"requests_back_in_time", r.back_in_time}};
}

json of(trie_shape const& s) {
    return {{"blocks", s.blocks},
            {"first_blocks", s.roots},
            {"leaves", s.leaves},
            {"branching", s.branching},
            {"largest_fan_out", s.largest_fan_out},
            {"depth_of_largest_fan_out", s.depth_of_largest},
            {"fan_out", of(s.fan_out)},
            {"depth", of(s.depths)},
            {"run_length", of(s.runs)},
            {"run_length_of_a_block", s.run_of_a_block},
            {"blocks_in_runs_of_8", share_of(s.blocks_in_long_runs, s.blocks)}};
}

json of(std::optional<runs_test> const& test) {
    if (!test) return nullptr;
    return {{"of_one", test->of_one}, {"of_other", test->of_other},
            {"runs", test->runs},     {"expected", test->expected},
            {"z", test->z},           {"p", test->p}};
}

json of(runs_tests const& t) {
    return {{"requests_tested", t.possible},
            {"random", share_of(t.possible_random, t.possible)},
            {"requests_with_enough", t.sound},
            {"random_of_those_with_enough", share_of(t.sound_random, t.sound)}};
}

json of(id_order const& o) {
    return {{"pairs", o.pairs},
            {"sequential", share_of(o.sequential, o.pairs)},
            {"sequential_of_a_request", o.sequential_of_a_request},
            {"stretches_of_requests", of(o.stretches)},
            {"runs_test",
             {{"hits_of_accesses", of(o.hits)},
              {"ids_of_accesses", of(o.ids)},
              {"ids_of_each_request", of(o.in_requests)},
              {"stretch_starts_of_each_request", of(o.between_stretches)}}}};
}

json of(use_skew const& s) {
    json zipf = nullptr;
    if (s.zipf) zipf = {{"exponent", s.zipf->exponent}, {"distance", s.zipf->distance}};
    auto curve = json::array();
    for (auto const& point : s.curve) curve.push_back({{"rank", point.rank}, {"uses", point.uses}});
    return {{"hottest_block", share_of(s.hottest, s.accesses)},
            {"hottest_block_uses", s.hottest},
            {"hottest_1_percent", share_of(s.hottest_hundredth, s.accesses)},
            {"hottest_10_percent", share_of(s.hottest_tenth, s.accesses)},
            {"blocks_used_once", share_of(s.used_once, s.blocks)},
            {"zipf", zipf},
            {"uses_by_rank", curve}};
}

json of(trace_analysis const& a) {
    return {{"trace", a.name},
            {"skipped_lines", a.skipped_lines},
            {"block_tokens", a.block_tokens},
            {"trace_block_tokens", a.trace_block_tokens},
            {"full_blocks_only", a.full_blocks_only},
            {"requests_left_out", a.left_out},
            {"requests", a.requests},
            {"tokens", a.tokens},
            {"span_ms", a.span_ms},
            {"blocks", a.accesses},
            {"unique_blocks", a.unique},
            {"blocks_of_requests", of(a.blocks_of_requests)},
            {"chains", of(a.validity)},
            {"unbounded_cache", unbounded(a)},
            {"lru_caches", caches(a)},
            {"reuse", of(a.reuse)},
            {"trie", of(a.shape)},
            {"order", of(a.order)},
            {"skew", of(a.skew)}};
}

} // namespace

nlohmann::ordered_json to_json(std::vector<trace_analysis> const& all) {
    auto traces = json::array();
    for (auto const& each : all) traces.push_back(of(each));
    return {{"program", "catena-trace analyze"}, {"version", version_string}, {"traces", traces}};
}

} // namespace catena::tools
