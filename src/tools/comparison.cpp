// SPDX-License-Identifier: Apache-2.0
#include "tools/comparison.hpp"

#include <algorithm>
#include <tuple>

#include <catena/client.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/pool_size.hpp"
#include "tools/table_lines.hpp"
#include "tools/units.hpp"

namespace catena::tools {
namespace {

std::string row(run_report const& r) {
    auto const [label, match, rest] = std::tuple(
        r.run.strategy + '/' + r.run.index,
        fmt::format("{:>8}{:>7}{:>10}{:>12}{:>10}{:>10}", with_thousands(r.match.round_trips.mean, 2),
                    with_thousands(r.match.round_trips.p99, 0), with_thousands(r.match.verbs.mean, 1),
                    with_thousands(r.match.bytes_read.mean, 0), with_thousands(r.matched_blocks_per_round_trip(), 2),
                    with_thousands(r.bytes_per_matched_block(), 1)),
        fmt::format("{:>9}{:>10}{:>9}{:>12}", with_thousands(r.publish.round_trips.mean, 2),
                    with_thousands(r.index_entries_per_block(), 3), with_thousands(r.remote_bytes_per_block(), 1),
                    human_size(r.client_cache_bytes)));
    return fmt::format("{:<{}}{}{}\n", shortened(label, label_width), label_width, match, rest);
}

// Round trips and bytes are the network's, entries and bytes a block what is left at the end.
std::string columns() {
    constexpr auto pattern = "{:<{}}{:>8}{:>7}{:>10}{:>12}{:>10}{:>10}{:>9}{:>10}{:>9}{:>12}\n";
    return fmt::format("{:<{}} {:-^56}{:>9}{:>10}{:>9}\n", "", label_width, " match ", "publish", "index", "remote") +
           fmt::format(pattern, "", label_width, "trips", "trips", "verbs", "bytes", "blocks", "bytes", "trips",
                       "entries", "bytes", "client") +
           fmt::format(pattern, "", label_width, "mean", "p99", "mean", "mean", "a trip", "a block", "mean", "a block",
                       "a block", "cache");
}

std::string hits(comparison const& all) {
    auto const& first = all.rows.front();
    if (all.same_hits)
        return figure("hit blocks", first.hit_blocks,
                      fmt::format("{:.2f} % of the blocks, the same in all rows", 100 * first.hit_ratio()));
    auto const fewer = [](run_report const& a, run_report const& b) { return a.hit_blocks < b.hit_blocks; };
    auto const [least, most] = std::minmax_element(all.rows.begin(), all.rows.end(), fewer);
    return figure("hit blocks", least->hit_blocks,
                  fmt::format("to {}: THEY DIFFER{}", with_thousands(most->hit_blocks),
                              first.run.threads == 1 ? "" : " (requests in flight at the same time)"));
}

} // namespace

std::vector<compared_way> ways_to_compare(std::string_view index) {
    std::vector<compared_way> ways;
    for (auto const each : {match_strategy::extents, match_strategy::batched})
        for (auto const type : client::index_types()) ways.push_back({.strategy = each, .index = std::string(type)});
    for (auto const each : {match_strategy::galloping, match_strategy::binary, match_strategy::sequential})
        ways.push_back({.strategy = each, .index = std::string(index)});
    return ways;
}

std::string pool_of(std::string_view uri, compared_way const& way) {
    std::string out(uri);
    if (!uri.starts_with("shm:")) return out;
    return out.insert(std::min(uri.find('?'), uri.size()), fmt::format("-{}-{}", name(way.strategy), way.index));
}

std::optional<std::string> unfit_to_compare(std::string_view uri) {
    if (!uri.starts_with("shm:")) return std::nullopt;
    if (size_of(uri) == 0) return "every row makes a pool of its own: say how large, as in shm:NAME?size=1GiB";
    if (uri.find("keep=yes") != std::string_view::npos)
        return "every row makes a pool of its own, which is gone after it: leave out keep=yes";
    return std::nullopt;
}

std::string to_table(comparison const& all, std::string_view uri) {
    if (all.rows.empty()) return line("catena-replay", "stopped before the first way was finished");
    auto const& first = all.rows.front();
    auto text = line("catena-replay", fmt::format("{} to store and look up the same blocks, fabric {}",
                                                  plural(all.rows.size(), "way"), first.run.fabric));
    text += line("pool", fmt::format("{}, a new one for each row", shortened(uri, 50)));
    text += about_trace(first.run);
    if (all.stopped) text += line("", "STOPPED EARLY: ways that were not finished are left out");
    text += '\n';
    text += figure("requests", first.requests,
                   fmt::format("with {}{}", plural(first.run.threads, "thread"),
                               first.run.clients == 1 ? "" : " and " + plural(first.run.clients, "client")));
    text += figure("blocks", first.blocks, fmt::format("{} of them different", with_thousands(first.unique_blocks)));
    text += hits(all);
    text += '\n';
    text += columns();
    for (auto const& each : all.rows) text += row(each);
    return text;
}

nlohmann::ordered_json to_json(comparison const& all) {
    auto rows = nlohmann::ordered_json::array();
    for (auto const& each : all.rows) rows.push_back(to_json(each));
    return rows;
}

} // namespace catena::tools
