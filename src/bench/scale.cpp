// SPDX-License-Identifier: Apache-2.0
#include "bench/scale.hpp"

#include <utility>

#include <fmt/format.h>

#include "tools/sim_run.hpp"

namespace catena::bench {
namespace {

std::optional<std::string> failure_of(setup_result<tools::sim_result> const& done) {
    if (!done) return done.error().message;
    if (auto const& failure = done->failure)
        return fmt::format("{} failed at the request of line {}: {}", failure->while_publishing ? "publish" : "match",
                           failure->line, describe(failure->why.code));
    if (done->wrong_locations != 0)
        return fmt::format("{} blocks were found at a place where nobody published them", done->wrong_locations);
    return std::nullopt;
}

} // namespace

std::string simulated_way::name() const { return fmt::format("{}/{}", catena::name(strategy), index); }

std::vector<simulated_way> simulated_ways() {
    std::vector<simulated_way> ways{
        {.strategy = match_strategy::extents, .index = tools::sim_extents::index::type_name}};
    for (auto const index : tools::sim_indexes) ways.push_back({.strategy = match_strategy::batched, .index = index});
    return ways;
}

result<scale_result, std::string> run_scale(tools::trace const& trace, tools::chain_maker const& chains,
                                            scale_setup const& setup) {
    scale_result all;
    auto const measured = static_cast<double>(trace.requests.size() - setup.setup.warm_up);
    auto const combinations = static_cast<double>(setup.ways.size() * setup.nodes.size() * setup.clients.size());
    double finished = 0;
    for (auto const& way : setup.ways)
        for (auto const nodes : setup.nodes)
            for (auto const clients : setup.clients) {
                tools::sim_run_options options{.stop = setup.stop};
                options.progress = [&](std::uint64_t served) {
                    if (setup.progress)
                        setup.progress((finished + static_cast<double>(served) / measured) / combinations, way.name());
                };
                auto one = setup.setup;
                one.strategy = way.strategy;
                one.index = way.index;
                one.nodes = nodes;
                one.clients = clients;
                auto done = tools::simulate(trace, chains, one, options);
                if (auto const why = failure_of(done))
                    return fmt::format("{} with {} clients and {} memory nodes: {}", way.name(), clients, nodes, *why);
                if (done->stopped) {
                    all.stopped = true;
                    return all;
                }
                all.rows.push_back({.way = way.name(), .row = tools::make_row(one, std::move(*done))});
                ++finished;
            }
    return all;
}

} // namespace catena::bench
