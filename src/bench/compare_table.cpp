// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include <catena/version.hpp>
#include <fmt/format.h>

#include "bench/compare_report.hpp"
#include "tools/table_lines.hpp"
#include "tools/units.hpp"

namespace catena::bench {
namespace {

using tools::human_size;
using tools::with_thousands;

double median(system_figures const& s, double (*what)(round_figures const&)) { return s.over_rounds(what).median; }

std::string heading(comparison const& all) {
    auto const& d = all.about;
    auto text = fmt::format("catena-bench compare {} (commit {}, {})\n", version_string, commit(),
                            tools::shortened(d.where.compiler, 50));
    text += fmt::format("machine  {}, {} processors, {}, {}\n", tools::shortened(d.where.processor, 44),
                        d.where.processors, human_size(d.where.memory_bytes), tools::shortened(d.where.kernel, 36));
    text += fmt::format("trace    {}\n", tools::shortened(d.trace, 110));
    text += fmt::format("         {} requests, the first {} fill the stores; {} different blocks of {} tokens\n",
                        with_thousands(d.trace_requests), with_thousands(d.warm_up), with_thousands(d.unique_blocks),
                        d.block_tokens);
    if (d.skipped_lines != 0)
        text += fmt::format("         {} lines skipped: not a request, see above\n", with_thousands(d.skipped_lines));
    if (!d.redis.empty()) text += fmt::format("redis    {}, no persistence\n", d.redis);
    return text;
}

// "24.1 (23.0-25.2)"; of one round "24.1".
std::string times(spread const& s, bool with_range) {
    auto const digits = s.median < 10 ? 2 : s.median < 100 ? 1 : 0;
    auto const one = fmt::format("{:.{}f}", s.median, digits);
    return with_range ? fmt::format("{} ({:.{}f}-{:.{}f})", one, s.least, digits, s.most, digits) : one;
}

// Systems that are reached alike stand together: what is compared with what is easily overlooked else.
struct reach {
    std::string_view name; // as of system::reached
    std::string_view means;
};
constexpr std::array reaches{reach{"shm", "@shm: shared memory, held by another process that does nothing"},
                             reach{"unix", "@unix: a server, asked on a unix socket"},
                             reach{"tcp", "@tcp: a server, asked on loopback"},
                             reach{"local", "@local: memory of the client itself"},
                             reach{"process", "@process: a data structure of the client itself"}};

std::string measured(comparison const& all) {
    bool const several = all.measured.rounds > 1;
    bool const compared = !all.about.against.empty();
    // The ratio's column is missing where there is none.
    auto const line = [compared](auto const&... cells) {
        auto const row = std::array<std::string, sizeof...(cells)>{std::string(cells)...};
        auto text = fmt::format("  {:<19}{:>10}", row[0], row[1]);
        if (compared) text += fmt::format("{:>20}", row[2]);
        return text + fmt::format("{:>9}{:>9}{:>10}{:>9}{:>9}{:>9}{:>8}\n", row[3], row[4], row[5], row[6], row[7],
                                  row[8], row[9]);
    };
    auto text = fmt::format("\none client, request after request{}\n",
                            several ? fmt::format("; medians of {} rounds{}", all.measured.rounds,
                                                  compared ? ", ratios with the least and the most of them" : "")
                                    : std::string());
    text += line("", "requests", "times as many as", "match", "match", "request", "trips", "bytes", "server", "bytes");
    text += line("", "a second", tools::shortened(all.about.against, 19), "p50, us", "p99, us", "p99, us", "a match",
                 "request", "us", "a block");
    for (auto const& [name, means] : reaches) {
        std::vector<system_figures const*> group;
        for (auto const& s : all.measured.systems)
            if (s.what.reached() == name && !s.rounds.empty()) group.push_back(&s);
        if (group.empty()) continue;
        text += fmt::format("{}\n", means);
        auto const rate = [](system_figures const* s) {
            return median(*s, [](round_figures const& f) { return f.requests_per_second; });
        };
        std::stable_sort(group.begin(), group.end(), [&](auto const* a, auto const* b) { return rate(a) > rate(b); });
        for (auto const* s : group) {
            auto const r = ratios_of(all, *s);
            bool const itself = s->what.name() == all.about.against;
            text += line(s->what.way(), with_thousands(rate(s), 0),
                         itself ? std::string("1")
                         : r    ? times(r->requests_per_second, several)
                                : std::string(),
                         with_thousands(median(*s, [](round_figures const& f) { return f.match_us.at[0]; }), 1),
                         with_thousands(median(*s, [](round_figures const& f) { return f.match_us.at[2]; }), 1),
                         with_thousands(median(*s, [](round_figures const& f) { return f.request_us.at[2]; }), 1),
                         with_thousands(s->round_trips_per_match(), 2), with_thousands(s->bytes_per_request(), 0),
                         with_thousands(median(*s, [](round_figures const& f) { return f.server_us; }), 1),
                         with_thousands(s->bytes_per_block(), 1));
        }
    }
    return text;
}

std::string simulated(comparison const& all) {
    constexpr auto pattern = "  {:<17}{:>5}{:>9}{:>12}{:>14}{:>9}{:>9}{:>10}{:>9}  {}\n";
    auto const& n = all.simulated.network;
    auto text = fmt::format(
        "\nmany clients, simulated: {}, {:g} Gbit/s and {:g} million messages/s a NIC, {} ns one way\n", n.name,
        n.memory_node.bytes_per_second * 8e-9, n.memory_node.operations_per_second * 1e-6, n.propagation.count());
    text += fmt::format(pattern, "", "", "", "requests", "blocks", "match", "match", "publish", "trips", "limited");
    text += fmt::format(pattern, "", "nodes", "clients", "a second", "a second", "p50, us", "p99, us", "p99, us",
                        "a match", "by");
    std::string_view before;
    for (auto const& [way, row] : all.scale.rows) {
        text += fmt::format(pattern, way == before ? "" : way, row.nodes, row.clients,
                            with_thousands(row.requests_per_second, 0), with_thousands(row.blocks_per_second, 0),
                            with_thousands(row.match_us.p50, 1), with_thousands(row.match_us.p99, 1),
                            with_thousands(row.publish_us.p99, 1), with_thousands(row.round_trips_per_match, 2),
                            row.saturated() ? row.saturates() : "latency");
        before = way;
    }
    return text;
}

} // namespace

std::string to_table(comparison const& all) {
    auto text = heading(all);
    if (all.measured.rounds > 0) text += measured(all);
    if (!all.scale.rows.empty()) text += simulated(all);
    if (all.measured.stopped || all.scale.stopped) text += "\nSTOPPED EARLY: what was not finished is left out\n";
    if (!all.measured.same_hits) text += "\nTHE SYSTEMS DO NOT AGREE on what is cached\n";
    return text;
}

} // namespace catena::bench
