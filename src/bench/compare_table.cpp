// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <tuple>

#include <catena/version.hpp>
#include <fmt/format.h>

#include "bench/compare_report.hpp"
#include "tools/table_lines.hpp"
#include "tools/units.hpp"

namespace catena::bench {
namespace {

using tools::human_size;
using tools::with_thousands;

double per(double amount, std::uint64_t count) { return count == 0 ? 0 : amount / static_cast<double>(count); }

double median(system_figures const& s, double (*what)(round_figures const&)) { return s.over_rounds(what).median; }

std::string heading(comparison const& all) {
    auto const& d = all.about;
    auto text = fmt::format("catena-bench compare {} (commit {}, {})\n", version_string, commit(), d.where.compiler);
    text += fmt::format("machine  {}, {} processors, {}, {}\n", d.where.processor, d.where.processors,
                        human_size(d.where.memory_bytes), d.where.kernel);
    text += fmt::format("trace    {}: {} requests, the first {} fill the stores; blocks of {} tokens, {} different\n",
                        tools::shortened(d.trace, 50), with_thousands(d.trace_requests), with_thousands(d.warm_up),
                        d.block_tokens, with_thousands(d.unique_blocks));
    if (d.skipped_lines != 0)
        text += fmt::format("         {} lines skipped: not a request, see above\n", d.skipped_lines);
    if (!d.redis.empty()) text += fmt::format("redis    {}, no persistence\n", d.redis);
    return text;
}

// "x 24.1 (23.0-25.2)"
std::string times(std::optional<ratios> const& r, spread ratios::*which) {
    if (!r) return "";
    auto const& s = (*r).*which;
    auto const digits = s.median < 10 ? 2 : s.median < 100 ? 1 : 0;
    return fmt::format("{:.{}f} ({:.{}f}-{:.{}f})", s.median, digits, s.least, digits, s.most, digits);
}

std::string measured(comparison const& all) {
    constexpr auto pattern = "{:<19}{:<8}{:>10} {:>18}{:>8}{:>8}{:>9} {:>18}{:>7}{:>8}{:>7}{:>7}\n";
    auto const against = all.about.against.empty() ? std::string("other") : tools::shortened(all.about.against, 18);
    auto text = fmt::format("\none client, {} ({} rounds; medians, ratios with the least and the most of all rounds)\n",
                            "request after request", all.measured.rounds);
    text += fmt::format(pattern, "", "", "requests", "times", "match", "match", "request", "times", "trips", "bytes",
                        "server", "bytes");
    text += fmt::format(pattern, "way to ask", "reached", "a second", against, "p50, us", "p99, us", "p99, us", against,
                        "match", "request", "us", "block");
    for (auto const& s : all.measured.systems) {
        if (s.rounds.empty()) continue;
        auto const r = ratios_of(all, s);
        text += fmt::format(pattern, s.what.way(), s.what.reached(),
                            with_thousands(median(s, [](round_figures const& f) { return f.requests_per_second; }), 0),
                            times(r, &ratios::requests_per_second),
                            with_thousands(median(s, [](round_figures const& f) { return f.match_us.at[0]; }), 1),
                            with_thousands(median(s, [](round_figures const& f) { return f.match_us.at[2]; }), 1),
                            with_thousands(median(s, [](round_figures const& f) { return f.request_us.at[2]; }), 1),
                            times(r, &ratios::request_p99),
                            with_thousands(per(static_cast<double>(s.sent.match_round_trips), s.requests), 2),
                            with_thousands(per(static_cast<double>(s.sent.bytes), s.requests), 0),
                            with_thousands(median(s, [](round_figures const& f) { return f.server_us; }), 1),
                            with_thousands(per(static_cast<double>(s.size.bytes), s.size.blocks), 1));
    }
    return text;
}

std::string simulated(comparison const& all) {
    constexpr auto pattern = "{:<19}{:>5}{:>8}{:>12}{:>13}{:>9}{:>9}{:>10}{:>7}  {}\n";
    auto const& n = all.simulated.network;
    auto text = fmt::format(
        "\nmany clients, simulated: {}, {:g} Gbit/s and {:g} million messages/s a NIC, {} ns one way\n", n.name,
        n.memory_node.bytes_per_second * 8e-9, n.memory_node.operations_per_second * 1e-6, n.propagation.count());
    text += fmt::format(pattern, "", "", "", "requests", "blocks", "match", "match", "publish", "trips", "");
    text += fmt::format(pattern, "way to ask", "nodes", "clients", "a second", "a second", "p50, us", "p99, us",
                        "p99, us", "match", "saturates");
    for (auto const& [way, row] : all.scale.rows)
        text += fmt::format(pattern, way, row.nodes, row.clients, with_thousands(row.requests_per_second, 0),
                            with_thousands(row.blocks_per_second, 0), with_thousands(row.match_us.p50, 1),
                            with_thousands(row.match_us.p99, 1), with_thousands(row.publish_us.p99, 1),
                            with_thousands(row.round_trips_per_match, 2), row.saturates());
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
