// SPDX-License-Identifier: Apache-2.0
#include <string_view>

#include <fmt/format.h>

#include "tools/report.hpp"
#include "tools/table_lines.hpp"
#include "tools/units.hpp"

namespace catena::tools {
namespace {

std::string row(std::string_view label, summary const& s, int decimals) {
    return fmt::format("  {:<{}}{:>14}{:>14}{:>14}{:>14}\n", label, label_width - 2, with_thousands(s.mean, 2),
                       with_thousands(s.p50, decimals), with_thousands(s.p99, decimals),
                       with_thousands(s.max, decimals));
}

std::string calls(std::string_view name, call_summary const& s) {
    auto text = fmt::format("{:<{}}{:>14}{:>14}{:>14}{:>14}\n", fmt::format("{} ({})", name, with_thousands(s.calls)),
                            label_width, "mean", "p50", "p99", "max");
    text += row("round trips", s.round_trips, 0);
    text += row("verbs", s.verbs, 0);
    text += row("bytes read", s.bytes_read, 0);
    text += row("bytes written", s.bytes_written, 0);
    text += row("latency, us", s.latency_us, 1);
    return text;
}

std::string heading(run_report const& report) {
    auto const& run = report.run;
    auto text =
        line("catena-replay", fmt::format("index {}, strategy {}, fabric {}", run.index, run.strategy, run.fabric));
    text += line("pool", run.pool);
    text += about_trace(run);
    if (report.stopped)
        text += line("", fmt::format("STOPPED EARLY after {} of {}: the figures are of these",
                                     with_thousands(report.requests), plural(run.trace_requests, "request")));
    return text;
}

} // namespace

std::string to_table(run_report const& report) {
    auto text = heading(report);
    text += '\n';
    text += figure("requests", report.requests,
                   fmt::format("{} a second ({:.2f} s with {}{})", with_thousands(report.requests_per_second(), 0),
                               report.seconds, plural(report.run.threads, "thread"),
                               report.run.clients == 1 ? ", hashing included"
                                                       : fmt::format(" and {}", plural(report.run.clients, "client"))));
    text += figure("blocks", report.blocks, fmt::format("{} of them different", with_thousands(report.unique_blocks)));
    text += figure("hit blocks", report.hit_blocks, fmt::format("{:.2f} % of the blocks", 100 * report.hit_ratio()));
    text += figure("hit over half", report.over_half,
                   fmt::format("{:.2f} % of the requests", 100 * report.over_half_share()));
    text += '\n';
    text += calls("match", report.match);
    text += calls("publish", report.publish);
    text += '\n';
    text += line("matched blocks", fmt::format("{} a round trip of match, {} bytes read for each",
                                               with_thousands(report.matched_blocks_per_round_trip(), 2),
                                               with_thousands(report.bytes_per_matched_block(), 1)));
    text +=
        line("index entries", fmt::format("{} a block: {} for {}", with_thousands(report.index_entries_per_block(), 3),
                                          with_thousands(report.index_entries), plural(report.entries, "block")));
    text += line("remote memory",
                 fmt::format("{} bytes a block: {} for {}", with_thousands(report.remote_bytes_per_block(), 1),
                             human_size(report.remote_bytes), plural(report.entries, "block")));
    text += line("client cache", fmt::format("{} of {}{}", human_size(report.client_cache_bytes),
                                             human_size(report.client_cache_capacity_bytes),
                                             report.run.clients == 1 ? "" : ", the fullest one"));
    text +=
        line("pool", fmt::format("{} of {} taken", human_size(report.pool_bytes_taken), human_size(report.pool_bytes)));
    return text;
}

} // namespace catena::tools
