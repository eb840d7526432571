// SPDX-License-Identifier: Apache-2.0
#include "bench/bench_options.hpp"

#include <algorithm>
#include <cstdio>

#include <CLI/CLI.hpp>
#include <catena/version.hpp>
#include <fmt/format.h>

#include "tools/common_options.hpp"
#include "tools/option_checks.hpp"
#include "tools/output.hpp"
#include "tools/report_page.hpp"

namespace catena::bench {
namespace {

using namespace tools;

constexpr auto about = R"(catena-bench - who serves a KV-cache workload best?

Usage: catena-bench COMMAND [OPTIONS] [TRACE]

Commands:
  compare     The same trace through Redis, a hash map, and catena's indexes and extents
  ranges      What range reads bring to an index with one entry a block

Options:
  -h,--help   This text; catena-bench COMMAND --help says what that can do
  --version   The version
)";

constexpr auto description =
    R"(catena-bench compare - the same trace through Redis, a hash map, and catena's indexes and extents

Every system serves the trace as an inference engine would ask it: for each request the longest
prefix that is cached, and where (match), then the blocks that were missing are listed (publish).
Nothing is evicted. The first half of the trace fills the store, the second is measured. All
systems take turns, in rounds; figures are medians over the rounds, ratios are taken within a round.
Many clients and memory nodes are simulated, in virtual time. Without a TRACE it generates one in
the shape of Mooncake's conversation trace.)";

constexpr auto footer = R"(
Systems, by name, by way, or by how they are reached ("redis", "extents/chime", "@shm"):
  extents/INDEX, batched/INDEX, galloping/, binary/, sequential/
               catena: runs of blocks, or one entry a block looked up so many at a time.
               @local: memory of this process. @shm: shared memory of another one, which does
               nothing: reads and writes are one-sided
  redis-get    GET one block after the other until one is missing; SET one after the other
  redis-mget   one MGET of the whole chain; one MSET
  redis-exists EXISTS of each block in one pipeline (which tells no places); SETs in one pipeline
  redis-lua    a script on the server that looks for the longest prefix; one MSET
               @unix, @tcp: a server of its own on a unix socket, and on loopback; 16-byte keys, 8-byte values
  map          std::unordered_map in this process, which nobody else can look into: the bound

Figures: a request is match and publish, without hashing the prompt; "server" is processor time of
the process that keeps the blocks, a request; bytes are those of the protocol, both ways. Redis waits
for the kernel to wake client and server in turn: where processors sleep when they are idle, as in
most virtual machines, that is most of its time, so look at its server time too.

Examples:
  catena-bench compare conversation.jsonl --report compare.html
                                                       everything, as a page with charts
  catena-bench compare conversation.jsonl --systems redis-mget@unix,extents/chime@shm --simulate none
                                                       the two that matter, measured only
  catena-bench compare conversation.jsonl --block-tokens 16 --limit 3000 --systems none
                                                       only simulated, with blocks of 16 tokens
  catena-bench compare --requests 2000 --json - 2>/dev/null | jq '.systems[] | [.name, .requests_per_second.median]'

Exit status: 0 done (also when Ctrl-C ended it early; what was measured is printed), 1 a system failed, or they do
not agree on what is cached, 2 wrong usage, 3 the trace is missing, empty or unusable.
)";

constexpr complainer complain{program};

// Answers to "catena-bench", "catena-bench --help" and the like; nothing for a command.
std::optional<exit_code> without_command(int argc, char const* const* argv) {
    std::string_view const first = argc < 2 ? "" : argv[1];
    if (first == "compare") return std::nullopt;
    if (first == "-h" || first == "--help") {
        fmt::print("{}", about);
        return exit_ok;
    }
    if (first == "--version") {
        fmt::print("{} {}\n", program, version_string);
        return exit_ok;
    }
    if (first.empty())
        complain("a command is missing: compare or ranges");
    else
        complain("there is no command \"{}\"; there are: compare, ranges", first);
    fmt::print(stderr, "{} --help says what is possible\n", program);
    return exit_usage;
}

// "none" or names of ways.
std::optional<std::vector<simulated_way>> ways_of(std::vector<std::string> const& words) {
    auto const all = simulated_ways();
    if (words.empty()) return all;
    std::vector<simulated_way> some;
    if (words == std::vector<std::string>{"none"}) return some;
    for (auto const& word : words) {
        auto const at = std::find_if(all.begin(), all.end(), [&](auto const& way) { return way.name() == word; });
        if (at == all.end()) {
            std::vector<std::string> names;
            for (auto const& each : all) names.push_back(each.name());
            complain("--simulate {}: that is none of {}", word, fmt::join(names, ", "));
            return std::nullopt;
        }
        some.push_back(*at);
    }
    return some;
}

bool choose_systems(std::vector<std::string> const& words, bool against_given, bench_settings& s) {
    if (words != std::vector<std::string>{"none"}) {
        std::optional<std::string> unknown;
        s.systems = chosen(words, unknown);
        if (unknown) {
            std::vector<std::string> names;
            for (auto const& each : all_systems()) names.push_back(each.name());
            complain("--systems {}: there is none; there are {}", *unknown, fmt::join(names, ", "));
            return false;
        }
    }
    auto const is_base = [&s](system const& each) { return each.name() == s.against; };
    if (std::any_of(s.systems.begin(), s.systems.end(), is_base)) return true;
    if (against_given) {
        complain("--against {}: not among the systems that are compared", s.against);
        return false;
    }
    s.against.clear();
    return true;
}

bool fit_for_output(bench_settings const& s) {
    if (s.report.empty()) return true;
    auto const why = unfit_for_report(s.report);
    if (why) complain("--report {}: {}", s.report, *why);
    return !why;
}

} // namespace

result<bench_settings, exit_code> parse_bench_arguments(int argc, char const* const* argv) {
    if (auto const stop = without_command(argc, argv)) return *stop;
    constexpr std::uint64_t most_rounds = 1000;
    CLI::App app(description, fmt::format("{} compare", program));
    app.footer(footer);
    bench_settings s;
    s.against = "redis-mget@unix";
    s.redis_server = "redis-server";
    s.clients = {1, 4, 16, 64};
    s.nodes = {1, 4, 16};
    std::vector<std::string> systems;
    std::vector<std::string> simulate;
    common_options common(app, s);
    common.add_generated(common.add_trace());
    app.add_option("--warm-up", s.warm_up, "Requests that are not measured\n(default: half of the trace)")
        ->option_text("N")
        ->check(whole_number(0, any_number));

    app.option_defaults()->group("Measured, with one client");
    app.add_option("--systems", systems, "Which, separated by commas; none: nothing is measured\n(default: all)")
        ->option_text("NAME,...")
        ->delimiter(',')
        ->allow_extra_args(false);
    auto* const against = app.add_option("--against", s.against, "Ratios are of this one")
                              ->option_text(fmt::format("NAME [{}]", s.against));
    app.add_option("--rounds", s.rounds, "How often each serves the trace")
        ->option_text(fmt::format("N [{}]", s.rounds))
        ->check(at_least_one(most_rounds));
    app.add_option("--redis-server", s.redis_server, "The program; it is started and stopped")
        ->option_text(fmt::format("PROGRAM [{}]", s.redis_server));

    app.option_defaults()->group("Simulated, in virtual time");
    app.add_option(
           "--simulate", simulate,
           "Ways, separated by commas; none: nothing is simulated\n(default: extents, and batched with each index)")
        ->option_text("WAY,...")
        ->delimiter(',')
        ->allow_extra_args(false);
    app.add_option("--clients", s.clients, fmt::format("How many clients, 1 to {}", most_sim_clients))
        ->option_text(fmt::format("N,... [{}]", fmt::join(s.clients, ",")))
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(at_least_one(most_sim_clients));
    app.add_option("--nodes", s.nodes, fmt::format("How many memory nodes, 1 to {}", most_sim_nodes))
        ->option_text(fmt::format("N,... [{}]", fmt::join(s.nodes, ",")))
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(at_least_one(most_sim_nodes));

    common.add_output();
    app.add_option("--report", s.report, "Write the result as a page with charts too: one HTML file")
        ->option_text("FILE");
    if (auto const stop = common.parse(argc - 1, argv + 1)) return *stop;
    auto const ways = ways_of(simulate);
    if (!ways || !choose_systems(systems, against->count() != 0, s) || !fit_for_output(s)) return exit_usage;
    s.simulate = *ways;
    if (s.simulate.empty() && s.systems.empty()) {
        complain("--systems none and --simulate none: there is nothing to do");
        return exit_usage;
    }
    return s;
}

} // namespace catena::bench
