// SPDX-License-Identifier: Apache-2.0
#include "tools/pool_facts.hpp"

#include <algorithm>
#include <numeric>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "client/known_index.hpp"
#include "tools/table_lines.hpp"
#include "tools/units.hpp"

namespace catena::tools {
namespace {

task<result<void>> read_word(any_pool::session_type& s, remote_ptr at, word& to) {
    op read = op::read(at, &to, word_bytes);
    co_return co_await s.submit(read);
}

std::string uuid_of(superblock const& geometry) { return hex(geometry.uuid.high) + hex(geometry.uuid.low); }

std::string taken_by_node(pool_facts const& facts) {
    constexpr std::size_t most = 6; // what fits a line
    std::string text;
    for (std::size_t node = 0; node < std::min(most, facts.bytes_taken.size()); ++node)
        text += fmt::format("{}{}", node == 0 ? "" : " + ", human_size(facts.bytes_taken[node]));
    return facts.bytes_taken.size() > most ? text + " + ..." : text;
}

std::string_view state_of(index_phase phase) { return phase == index_phase::ready ? "ready" : "being dropped"; }

} // namespace

std::uint64_t pool_facts::all_bytes_taken() const noexcept {
    return std::accumulate(bytes_taken.begin(), bytes_taken.end(), std::uint64_t{0});
}

result<pool_facts> facts_of(std::string const& uri, pool_access& access) {
    pool_facts facts{.uri = uri,
                     .fabric = std::string(access.nodes->fabric.kind()),
                     .geometry = access.pool->geometry(),
                     .bytes_taken = {}};
    auto const& geometry = facts.geometry;
    for (std::uint16_t node = 0; node < geometry.node_count; ++node) {
        word cursor = 0;
        auto const r = sync_wait(access.session, read_word(access.session, {node, cursor_offset}, cursor));
        if (!r) return r.error();
        facts.bytes_taken.push_back(std::min(geometry.node_bytes, heap_begin(geometry) + cursor));
    }
    return facts;
}

std::string to_table(pool_facts const& facts) {
    auto const& g = facts.geometry;
    auto text =
        line("memory nodes",
             fmt::format("{} of {}{}, fabric {}", with_thousands(std::uint64_t{g.node_count}), human_size(g.node_bytes),
                         g.node_count == 1 ? "" : ": " + human_size(facts.bytes()), facts.fabric));
    auto const taken = facts.all_bytes_taken();
    text += line("taken", fmt::format("{}, {:.1f} %{}", human_size(taken),
                                      100 * static_cast<double>(taken) / static_cast<double>(facts.bytes()),
                                      g.node_count == 1 ? "" : ": " + taken_by_node(facts)));
    text += line("chunks", human_size(g.chunk_bytes));
    text += line("lease", fmt::format("{} ms", with_thousands(std::uint64_t{g.lease_ms})));
    text += line("format", fmt::format("version {}", g.format_version));
    text += line("uuid", uuid_of(g));
    text += line("incarnation", hex(g.incarnation));
    return text;
}

nlohmann::ordered_json to_json(pool_facts const& facts) {
    auto const& g = facts.geometry;
    return {{"uri", facts.uri},
            {"fabric", facts.fabric},
            {"memory_nodes", g.node_count},
            {"node_bytes", g.node_bytes},
            {"bytes", facts.bytes()},
            {"bytes_taken", facts.all_bytes_taken()},
            {"bytes_taken_by_node", facts.bytes_taken},
            {"chunk_bytes", g.chunk_bytes},
            {"lease_ms", g.lease_ms},
            {"format_version", g.format_version},
            {"uuid", uuid_of(g)},
            {"incarnation", hex(g.incarnation)}};
}

std::string indexes_in_words(std::size_t number) {
    return fmt::format("{} {}", with_thousands(std::uint64_t{number}), number == 1 ? "index" : "indexes");
}

std::string indexes_in_words(std::span<catalog_listing const> catalog) {
    auto const is_whole = [&](auto const& each) { return !whole_of(catalog, each); };
    return indexes_in_words(static_cast<std::size_t>(std::count_if(catalog.begin(), catalog.end(), is_whole)));
}

std::string to_table(std::span<catalog_listing const> catalog) {
    if (catalog.empty()) return "no index\n";
    std::size_t width = 4;
    for (auto const& each : catalog) width = std::max(width, each.spec.name_view().size() + 2);
    constexpr std::string_view pattern = "{:<{}}{:<10}{:>6}{:>6}{:>7}{:>8}   {}\n";
    auto text = fmt::format(fmt::runtime(pattern), "name", width, "type", "key", "value", "node", "layout", "state");
    for (auto const& [handle, spec, phase] : catalog)
        text += fmt::format(fmt::runtime(pattern), spec.name_view(), width, spec.type_view(), spec.key_bytes,
                            spec.value_bytes, spec.node_bytes, spec.layout_version, state_of(phase));
    return text;
}

nlohmann::ordered_json to_json(std::span<catalog_listing const> catalog) {
    auto all = nlohmann::ordered_json::array();
    for (auto const& [handle, spec, phase] : catalog)
        all.push_back({{"name", spec.name_view()},
                       {"type", spec.type_view()},
                       {"key_bytes", spec.key_bytes},
                       {"value_bytes", spec.value_bytes},
                       {"node_bytes", spec.node_bytes},
                       {"layout_version", spec.layout_version},
                       {"state", state_of(phase)}});
    return all;
}

std::string hex(std::uint64_t number) { return fmt::format("{:016x}", number); }

} // namespace catena::tools
