// SPDX-License-Identifier: Apache-2.0
#include "tools/sim_report.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/units.hpp"

namespace catena::tools {
namespace {

using json = nlohmann::ordered_json;

json of(summary const& s) { return {{"mean", s.mean}, {"p50", s.p50}, {"p99", s.p99}, {"max", s.max}}; }

json of(sim_nic const& nic) {
    return {{"operations_per_second", nic.operations_per_second}, {"bytes_per_second", nic.bytes_per_second}};
}

json of(sim_parameters const& p) {
    return {{"preset", p.name},
            {"propagation_ns", p.propagation.count()},
            {"batch_overhead_ns", p.batch_overhead.count()},
            {"client", of(p.client)},
            {"memory_node", of(p.memory_node)},
            {"atomics_per_second", p.atomics_per_second},
            {"header_bytes", p.header_bytes}};
}

json of(sim_row const& row) {
    json utilisation;
    for (std::size_t i = 0; i < sim_resources.size(); ++i)
        utilisation[std::string(sim_resources[i])] = row.utilisation[i];
    return {{"nodes", row.nodes},
            {"clients", row.clients},
            {"requests", row.requests},
            {"blocks", row.blocks},
            {"hit_blocks", row.hit_blocks},
            {"retries", row.retries},
            {"window_us", row.window_us},
            {"requests_per_second", row.requests_per_second},
            {"blocks_per_second", row.blocks_per_second},
            {"match_us", of(row.match_us)},
            {"publish_us", of(row.publish_us)},
            {"publishes", row.publishes},
            {"round_trips_per_match", row.round_trips_per_match},
            {"round_trips_per_publish", row.round_trips_per_publish},
            {"utilisation", utilisation},
            {"saturates", row.saturates()}};
}

std::string heading(sim_description const& run) {
    auto const& n = run.setup.network;
    auto text =
        fmt::format("catena-sim  index {}, strategy {}, {} in flight per client, cache {}\n", index_of(run.setup),
                    name(run.setup.strategy), run.setup.depth, human_size(run.setup.client_cache_bytes));
    text += fmt::format("network     {}: {} ns one way, {:g} Gbit/s and {:g} million messages/s a NIC, {:g} million "
                        "atomics/s\n",
                        n.name, n.propagation.count(), n.memory_node.bytes_per_second * 8e-9,
                        n.memory_node.operations_per_second * 1e-6, n.atomics_per_second * 1e-6);
    text += fmt::format("trace       {}: {} requests, {} of them to warm up, blocks of {} tokens\n",
                        shortened(run.trace, 60), with_thousands(run.trace_requests), with_thousands(run.setup.warm_up),
                        run.block_tokens);
    if (run.skipped_lines != 0)
        text +=
            fmt::format("            {} lines skipped: not a request, see above\n", with_thousands(run.skipped_lines));
    if (run.stopped) text += "            STOPPED EARLY: combinations that were not finished are left out\n";
    return text;
}

std::string line(sim_row const& row) {
    auto text = fmt::format("{:>5} {:>7} {:>12} {:>12} {:>8} {:>8} {:>8} {:>8} {:>6}", row.nodes, row.clients,
                            with_thousands(row.requests_per_second, 0), with_thousands(row.blocks_per_second, 0),
                            with_thousands(row.match_us.p50, 1), with_thousands(row.match_us.p99, 1),
                            with_thousands(row.publish_us.p50, 1), with_thousands(row.publish_us.p99, 1),
                            with_thousands(row.round_trips_per_match, 2));
    for (auto const share : row.utilisation) text += fmt::format(" {:>3.0f}", 100 * share);
    return text + fmt::format("  {}\n", row.saturates());
}

} // namespace

std::optional<std::size_t> sim_row::saturated() const {
    auto const busiest = std::max_element(utilisation.begin(), utilisation.end());
    if (*busiest < saturated_from) return std::nullopt;
    return static_cast<std::size_t>(busiest - utilisation.begin());
}

std::string_view sim_row::saturates() const {
    auto const which = saturated();
    return which ? sim_resources[*which] : "nothing (latency)";
}

sim_row make_row(sim_setup const& setup, sim_result&& r) {
    auto const matches = static_cast<double>(r.match.latency_us.size());
    auto const publishes = r.publish.latency_us.size();
    return {.nodes = setup.nodes,
            .clients = setup.clients,
            .requests = r.requests,
            .blocks = r.blocks,
            .hit_blocks = r.hit_blocks,
            .retries = r.retries,
            .window_us = r.window_seconds * 1e6,
            .requests_per_second = ratio(static_cast<double>(r.window_requests), r.window_seconds),
            .blocks_per_second = ratio(static_cast<double>(r.window_blocks), r.window_seconds),
            .match_us = summarize(std::move(r.match.latency_us)),
            .publish_us = summarize(std::move(r.publish.latency_us)),
            .publishes = publishes,
            .round_trips_per_match = ratio(static_cast<double>(r.match.round_trips), matches),
            .round_trips_per_publish =
                ratio(static_cast<double>(r.publish.round_trips), static_cast<double>(publishes)),
            .utilisation = r.utilisation};
}

std::string to_table(sim_description const& run, std::vector<sim_row> const& rows) {
    auto text = heading(run);
    unsigned nodes = 0;
    for (auto const& row : rows) {
        if (row.nodes != nodes) {
            text += fmt::format("\n{:>5} {:>7} {:>12} {:>12} {:^17} {:^17} {:>6} {:^19}\n", "", "", "", "", "match, us",
                                "publish, us", "", "busy, %");
            text += fmt::format(
                "{:>5} {:>7} {:>12} {:>12} {:>8} {:>8} {:>8} {:>8} {:>6} {:>3} {:>3} {:>3} {:>3} {:>3}  {}\n", "nodes",
                "clients", "requests/s", "blocks/s", "p50", "p99", "p50", "p99", "trips", "c>", "c<", ">m", "m>", "at",
                "saturates");
        }
        nodes = row.nodes;
        text += line(row);
    }
    return text;
}

nlohmann::ordered_json to_json(sim_description const& run, std::vector<sim_row> const& rows) {
    json list = json::array();
    for (auto const& row : rows) list.push_back(of(row));
    return {{"index", index_of(run.setup)},
            {"strategy", name(run.setup.strategy)},
            {"depth", run.setup.depth},
            {"client_cache_bytes", run.setup.client_cache_bytes},
            {"network", of(run.setup.network)},
            {"trace", run.trace},
            {"trace_requests", run.trace_requests},
            {"warm_up_requests", run.setup.warm_up},
            {"skipped_lines", run.skipped_lines},
            {"block_tokens", run.block_tokens},
            {"seed", run.setup.seed},
            {"stopped_early", run.stopped},
            {"saturated_from", saturated_from},
            {"rows", list}};
}

} // namespace catena::tools
