// SPDX-License-Identifier: Apache-2.0
#include "tools/sim_options.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/common_options.hpp"
#include "tools/option_checks.hpp"
#include "tools/sim_cluster.hpp"

namespace catena::tools {
namespace {

constexpr auto description =
    R"(catena-sim - how far does a KV-cache index scale, and what stops it?

Replays a trace of LLM requests as catena-replay does (match, then publish what was missing), but
with many clients on a simulated RDMA network, for each combination of --clients and --nodes. The
index code is the real one: extents over chime_tree, with the other strategies one entry a block in
sherman_tree. Time is virtual, so the figures are those of the network that was asked for, not of this
machine, and the same command prints the same bytes everywhere. For each combination it prints
throughput, latencies, and how busy the parts of the network were.
)";

constexpr auto footer = R"~(
Sizes are bytes or 64K, 64KiB, 1.5MiB, 2GiB (powers of 1024). Trace format: as catena-replay --help
says.

What is simulated. A message waits for the client's NIC, the wire, the memory node's NIC, for the
node's atomic unit if it is a CAS or FAA, and the same way back. NICs handle so many messages and so
many bytes a second each way; the atomic unit so many atomics a second, whatever their addresses.
A batch costs the client a fixed overhead, and ends with its last answer.
What is not. CPU time of clients (a lookup costs a real one some 0.5 us a block), congestion inside
the network, and engines that think between requests: each client asks again at once, so N clients
here load the network like many more engines would.

Reading the table. Times are virtual microseconds. requests/s and blocks/s (looked up) are of the
time in which all clients were at work: it ends when the first finds no request left. Latencies are
of all calls, percentiles exact (nearest rank); "trips" is round trips per match. The five
percentages are the time that the busiest part of its kind was busy: c> and c< the NIC of a client,
sending and receiving; >m and m> the NIC of a memory node, receiving and sending; at its atomics.
"saturates" names the busiest of them if it is at 70 % or more, where waiting for it begins to
dominate (a queue at 70 % makes random arrivals wait twice its service time). Below that it says
"nothing (latency)": more clients would do more.

The warm-up serves the first requests before the clock starts, and lets every client learn the
internal nodes. --warm-up 0 measures an empty index and cold caches. A client should have tens of
requests left after it; with fewer, chance shows.

Examples:
  catena-sim                                           a generated trace, the default curves
  catena-sim conversation.jsonl --requests 3000        the first 3,000 requests of a file: quicker
  catena-sim conversation.jsonl --clients 1,16,256 --nodes 4 --depth 4
                                                       clients with 4 requests in flight
  catena-sim --nic ethernet-25g                        a slower network
  catena-sim --nic connectx6-100g --atomic-mops 20     ... or one with faster atomics
  catena-sim --nodes 4 --json - 2>/dev/null | jq '.rows[] | [.clients, .requests_per_second]'

Exit status: 0 done (also when Ctrl-C ended it early; what was measured is printed), 1 a run failed,
2 wrong usage, 3 the trace is missing, empty or unusable.
)~";

constexpr std::array<sim_parameters, 2> presets{sim_parameters::connectx6_100g(), sim_parameters::ethernet_25g()};

CLI::Validator a_rate() {
    return CLI::Validator(
        [](std::string const& text) {
            double value = 0;
            if (CLI::detail::lexical_cast(text, value) && value >= 0.001 && value <= 1e6) return std::string{};
            return fmt::format("\"{}\" is not a number from 0.001 to 1000000", text);
        },
        "");
}

// What may be changed of a preset.
struct changes {
    std::optional<std::uint64_t> propagation_ns;
    std::optional<double> gbit;
    std::optional<double> mops;
    std::optional<double> atomic_mops;

    [[nodiscard]] sim_parameters of(sim_parameters p) const {
        if (propagation_ns) p.propagation = std::chrono::nanoseconds(*propagation_ns);
        for (auto* const nic : {&p.client, &p.memory_node}) {
            if (gbit) nic->bytes_per_second = *gbit * 1e9 / 8;
            if (mops) nic->operations_per_second = *mops * 1e6;
        }
        if (atomic_mops) p.atomics_per_second = *atomic_mops * 1e6;
        return p;
    }
};

} // namespace

result<sim_settings, exit_code> parse_sim_arguments(int argc, char const* const* argv) {
    constexpr std::uint64_t most_in_flight = 64;
    std::vector<std::string_view> nics;
    for (auto const& preset : presets) nics.push_back(preset.name);

    CLI::App app(description, "catena-sim");
    app.footer(footer);
    sim_settings s;
    s.clients = {1, 2, 4, 8, 16, 32, 64, 128, 256};
    s.nodes = {1, 4, 16};
    std::optional<std::uint64_t> requests;
    std::string nic(presets.front().name);
    changes change;
    common_options common(app, s);
    common.add_trace();
    app.add_option("--requests", requests, "Length of the generated trace;\nof a file: only the first N requests")
        ->option_text(fmt::format("N [{} or all]", s.requests))
        ->check(at_least_one(any_number));
    app.add_option("--seed", s.seed, "Makes another generated trace, and other identities of clients")
        ->option_text(fmt::format("N [{}]", s.seed));

    app.option_defaults()->group("Cluster");
    app.add_option("--clients", s.clients,
                   fmt::format("How many clients, 1 to {}; a curve over these", most_sim_clients))
        ->option_text(fmt::format("N,... [{}]", fmt::join(s.clients, ",")))
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(at_least_one(most_sim_clients));
    app.add_option("--nodes", s.nodes, fmt::format("How many memory nodes, 1 to {}; a curve for each", most_sim_nodes))
        ->option_text(fmt::format("N,... [{}]", fmt::join(s.nodes, ",")))
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(at_least_one(most_sim_nodes));
    app.add_option("--depth", s.depth, "Requests that a client has in flight")
        ->option_text("N [1]")
        ->check(at_least_one(most_in_flight));
    common.add_lookup();
    app.add_option("--index", s.index,
                   fmt::format("With one entry a block: {}\n(extents have {})", fmt::join(sim_indexes, ", "),
                               sim_extents::index::type_name))
        ->option_text(fmt::format("NAME [{}]", sim_indexes.front()))
        ->check(one_of({sim_indexes.begin(), sim_indexes.end()}, "index"));
    app.add_option("--warm-up", s.warm_up, "Requests served before the clock starts\n(default: half of the trace)")
        ->option_text("N")
        ->check(whole_number(0, any_number));

    app.option_defaults()->group("Network");
    app.add_option("--nic", nic, joined(nics))->option_text(fmt::format("NAME [{}]", nic))->check(one_of(nics, "NIC"));
    app.add_option("--propagation-ns", change.propagation_ns, "One way, without queues")
        ->option_text("NS")
        ->check(whole_number(0, 1'000'000'000));
    app.add_option("--gbit", change.gbit, "Of each NIC and direction, in 10^9 bits a second")
        ->option_text("R")
        ->check(a_rate());
    app.add_option("--mops", change.mops, "Of each NIC and direction, in 10^6 messages a second")
        ->option_text("R")
        ->check(a_rate());
    app.add_option("--atomic-mops", change.atomic_mops, "Of each memory node, in 10^6 CAS and FAA a second")
        ->option_text("R")
        ->check(a_rate());

    common.add_output();
    if (auto const stop = common.parse(argc, argv)) return *stop;
    if (!s.index.empty() && s.strategy == match_strategy::extents && s.index != sim_extents::index::type_name) {
        fmt::print(stderr, "catena-sim: --index {}: extents are simulated with {} only; name another --strategy\n",
                   s.index, sim_extents::index::type_name);
        return exit_usage;
    }
    if (requests) {
        if (s.trace.empty())
            s.requests = *requests;
        else
            s.limit = std::min(*requests, s.limit.value_or(any_number));
    }
    s.network = change.of(*std::find_if(presets.begin(), presets.end(), [&](auto const& p) { return p.name == nic; }));
    return s;
}

} // namespace catena::tools
