// SPDX-License-Identifier: Apache-2.0
// catena-sim: see --help, which sim_options.cpp holds.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/chains.hpp"
#include "tools/interrupt.hpp"
#include "tools/output.hpp"
#include "tools/progress.hpp"
#include "tools/sim_options.hpp"
#include "tools/sim_report.hpp"
#include "tools/sim_run.hpp"
#include "tools/trace_source.hpp"
#include "tools/units.hpp"

namespace {

using namespace catena::tools;

constexpr std::string_view program = "catena-sim";
constexpr complainer complain{program};

// Every client must have something to do. Says what to change if one would not.
bool enough_requests(sim_settings const& s, std::uint64_t requests, std::uint64_t warm_up) {
    std::uint64_t const most = *std::max_element(s.clients.begin(), s.clients.end()) * std::uint64_t{s.depth};
    if (warm_up <= requests && requests - warm_up >= most) return true;
    complain("{} requests, {} of them to warm up, are too few for {} clients with {} in flight each",
             with_thousands(requests), with_thousands(warm_up), most / s.depth, s.depth);
    complain("name fewer --clients, a smaller --warm-up, or a longer trace");
    return false;
}

// False: it said what went wrong.
bool sound(sim_setup const& setup, catena::setup_result<sim_result> const& done) {
    if (!done) {
        complain("{} clients, {} memory nodes: cannot be set up: {}", setup.clients, setup.nodes, done.error().message);
        return false;
    }
    if (auto const& failure = done->failure) {
        complain("{} clients, {} memory nodes: {} failed at the request of line {}: {}", setup.clients, setup.nodes,
                 failure->while_publishing ? "publish" : "match", failure->line, catena::describe(failure->why.code));
        return false;
    }
    if (done->wrong_locations == 0) return true;
    complain("{} clients, {} memory nodes: {} blocks were found at a place where nobody published them", setup.clients,
             setup.nodes, with_thousands(done->wrong_locations));
    return false;
}

exit_code run(sim_settings const& s) {
    auto const prepared = prepare(s, program);
    if (!prepared) return prepared.error();
    auto const& [loaded, shape] = *prepared;
    auto const& requests = loaded.requests;
    chain_maker const chains(requests, shape);
    auto const all = requests.requests.size();
    sim_setup setup{.network = s.network,
                    .depth = s.depth,
                    .strategy = s.strategy,
                    .index = s.index,
                    .client_cache_bytes = static_cast<std::size_t>(s.client_cache_bytes),
                    .seed = s.seed,
                    .warm_up = s.warm_up.value_or(all / 2)};
    if (!enough_requests(s, all, setup.warm_up)) return exit_usage;
    sim_description about{.trace = requests.name,
                          .trace_requests = all,
                          .skipped_lines = loaded.skipped,
                          .block_tokens = shape.block_tokens,
                          .setup = setup,
                          .stopped = false};

    progress_bar bar(stderr, s.progress && is_terminal(stderr));
    interrupt_guard const guard;
    auto const begin = std::chrono::steady_clock::now();
    auto const measured = all - setup.warm_up;
    auto const total = measured * s.clients.size() * s.nodes.size();
    std::uint64_t before = 0; // requests of the combinations that are done
    sim_run_options options{.stop = &interrupted, .progress = {}};
    options.progress = [&](std::uint64_t requests_done) {
        bar.show({.requests = before + requests_done,
                  .of = total,
                  .seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()});
    };

    std::vector<sim_row> rows;
    for (auto const nodes : s.nodes)
        for (auto const clients : s.clients) {
            if (about.stopped) continue;
            setup.nodes = nodes;
            setup.clients = clients;
            auto done = simulate(requests, chains, setup, options);
            if (!sound(setup, done)) {
                bar.clear();
                return exit_failed;
            }
            about.stopped = done->stopped;
            if (!done->stopped) rows.push_back(make_row(setup, std::move(*done)));
            before += measured;
        }
    bar.clear();
    return print_result(program, s.json, to_table(about, rows), to_json(about, rows)) ? exit_ok : exit_failed;
}

} // namespace

int main(int argc, char** argv) {
    try {
        auto const s = parse_sim_arguments(argc, argv);
        return s ? run(*s) : s.error();
    } catch (std::exception const& failure) {
        std::fprintf(stderr, "catena-sim: %s\n", failure.what());
        return exit_failed;
    }
}
