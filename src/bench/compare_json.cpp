// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include <catena/version.hpp>
#include <nlohmann/json.hpp>

#include "bench/compare_report.hpp"

namespace catena::bench {
namespace {

using json = nlohmann::ordered_json;

json of(spread const& s) { return {{"median", s.median}, {"least", s.least}, {"most", s.most}}; }

json of(machine const& m) {
    return {{"processor", m.processor},
            {"processors", m.processors},
            {"memory_bytes", m.memory_bytes},
            {"kernel", m.kernel},
            {"compiler", m.compiler}};
}

json of(comparison_description const& d) {
    return {{"name", d.trace},
            {"requests", d.trace_requests},
            {"warm_up_requests", d.warm_up},
            {"skipped_lines", d.skipped_lines},
            {"trace_block_tokens", d.trace_block_tokens},
            {"block_tokens", d.block_tokens},
            {"full_blocks_only", d.full_blocks_only},
            {"unique_blocks", d.unique_blocks}};
}

// One kind of call over the rounds.
template <typename Which>
json latencies_over_rounds(system_figures const& s, Which which) {
    static constexpr std::array names{"p50", "p90", "p99", "p99.9"};
    static_assert(names.size() == latencies::per_mille.size());
    json out{{"mean", of(s.over_rounds([&](round_figures const& r) { return which(r).mean; }))}};
    for (std::size_t i = 0; i < names.size(); ++i)
        out[names[i]] = of(s.over_rounds([&](round_figures const& r) { return which(r).at[i]; }));
    out["max"] = of(s.over_rounds([&](round_figures const& r) { return which(r).max; }));
    return out;
}

// Latency by percentile, for a curve: [percentile, match, request].
json curve_of(system_figures const& s) {
    constexpr std::array per_mille{10U,  50U,  100U, 200U, 300U, 400U, 500U, 600U,
                                   700U, 800U, 900U, 950U, 980U, 990U, 995U, 999U};
    auto curve = json::array();
    if (s.match_us.empty()) return curve;
    for (auto const p : per_mille) {
        auto const at = tools::nearest_rank(s.match_us.size(), p, 1000);
        curve.push_back({p / 10.0, s.match_us[at], s.request_us[at]});
    }
    return curve;
}

json of(comparison const& all, system_figures const& s) {
    json out{{"name", s.what.name()},
             {"way", s.what.way()},
             {"reached", s.what.reached()},
             {"requests_per_second", of(s.over_rounds([](round_figures const& r) { return r.requests_per_second; }))},
             {"matches_per_second", of(s.over_rounds([](round_figures const& r) { return r.matches_per_second; }))},
             {"matched_blocks_per_second",
              of(s.over_rounds([](round_figures const& r) { return r.matched_blocks_per_second; }))},
             {"match_us", latencies_over_rounds(s, [](round_figures const& r) { return r.match_us; })},
             {"publish_us", latencies_over_rounds(s, [](round_figures const& r) { return r.publish_us; })},
             {"request_us", latencies_over_rounds(s, [](round_figures const& r) { return r.request_us; })},
             {"server_us_per_request", of(s.over_rounds([](round_figures const& r) { return r.server_us; }))},
             {"round_trips_per_match", s.round_trips_per_match()},
             {"round_trips_per_publish", s.round_trips_per_publish()},
             {"bytes_per_request", s.bytes_per_request()},
             {"bytes_per_block", s.bytes_per_block()},
             {"client_bytes", s.size.client_bytes},
             {"requests", s.requests},
             {"blocks", s.blocks},
             {"hit_blocks", s.hit_blocks},
             {"publishes", s.publishes},
             {"curve", curve_of(s)}};
    if (auto const r = ratios_of(all, s))
        out["times"] = {{"requests_per_second", of(r->requests_per_second)},
                        {"matches_per_second", of(r->matches_per_second)},
                        {"matched_blocks_per_second", of(r->matched_blocks_per_second)},
                        {"match_p99", of(r->match_p99)},
                        {"request_p99", of(r->request_p99)}};
    return out;
}

} // namespace

std::optional<ratios> ratios_of(comparison const& all, system_figures const& one) {
    auto const& systems = all.measured.systems;
    auto const base = std::find_if(systems.begin(), systems.end(),
                                   [&](system_figures const& s) { return s.what.name() == all.about.against; });
    if (base == systems.end() || one.rounds.empty()) return std::nullopt;
    auto const of_each = [&](auto what) {
        std::vector<double> values;
        for (std::size_t i = 0; i < one.rounds.size(); ++i) {
            values.push_back(tools::ratio(what(one.rounds[i]), what(base->rounds[i])));
        }
        return spread_of(std::move(values));
    };
    constexpr std::size_t p99 = 2;
    static_assert(latencies::per_mille[p99] == 990);
    return ratios{.requests_per_second = of_each([](round_figures const& r) { return r.requests_per_second; }),
                  .matches_per_second = of_each([](round_figures const& r) { return r.matches_per_second; }),
                  .matched_blocks_per_second =
                      of_each([](round_figures const& r) { return r.matched_blocks_per_second; }),
                  .match_p99 = of_each([](round_figures const& r) { return r.match_us.at[p99]; }),
                  .request_p99 = of_each([](round_figures const& r) { return r.request_us.at[p99]; })};
}

nlohmann::ordered_json to_json(comparison const& all) {
    json out{{"program", "catena-bench compare"},
             {"version", version_string},
             {"commit", commit()},
             {"machine", of(all.about.where)},
             {"redis", all.about.redis},
             {"trace", of(all.about)},
             {"rounds", all.measured.rounds},
             {"same_hits", all.measured.same_hits},
             {"against", all.about.against},
             {"stopped_early", all.measured.stopped || all.scale.stopped}};
    auto& systems = out["systems"] = json::array();
    for (auto const& each : all.measured.systems)
        if (!each.rounds.empty()) systems.push_back(of(all, each));
    if (all.scale.rows.empty()) return out;
    std::vector<tools::sim_row> rows;
    for (auto const& each : all.scale.rows) rows.push_back(each.row);
    auto simulated = tools::to_json(tools::sim_description{.trace = all.about.trace,
                                                           .trace_requests = all.about.trace_requests,
                                                           .skipped_lines = all.about.skipped_lines,
                                                           .block_tokens = all.about.block_tokens,
                                                           .setup = all.simulated,
                                                           .stopped = all.scale.stopped},
                                    rows);
    for (auto const* const one_way : {"index", "strategy"}) simulated.erase(one_way);
    for (std::size_t i = 0; i < all.scale.rows.size(); ++i) {
        json row{{"way", all.scale.rows[i].way}};
        row.update(simulated["rows"][i]);
        simulated["rows"][i] = std::move(row);
    }
    out["simulated"] = std::move(simulated);
    return out;
}

} // namespace catena::bench
