// SPDX-License-Identifier: Apache-2.0
#include "tools/pool_size.hpp"

#include <algorithm>
#include <bit>

#include "tools/units.hpp"

namespace catena::tools {
namespace {

// Where the value of "size" stands in a URI; empty at the end if it is not there.
struct value_position {
    std::size_t first;
    std::size_t length;
    bool found;
};

value_position find_size(std::string_view uri) {
    constexpr std::string_view key = "size=";
    auto at = uri.find('?');
    while (at != std::string_view::npos) {
        ++at;
        auto const end = std::min(uri.find('&', at), uri.size());
        if (uri.substr(at, end - at).starts_with(key))
            return {.first = at + key.size(), .length = end - at - key.size(), .found = true};
        at = uri.find('&', at);
    }
    return {.first = uri.size(), .length = 0, .found = false};
}

} // namespace

std::uint64_t sufficient_node_size(pool_use const& use) {
    double const bytes_a_block = use.by_extents ? 40 : 64; // a rule of thumb for when nothing was measured
    constexpr std::uint64_t measured = 1000;               // fewer blocks say more about chunks than about blocks
    constexpr double reserve = 1.25;
    constexpr std::uint64_t smallest = std::uint64_t{16} << 20U;
    // One for each size of an extent or node, of 1 MiB (less in small pools), on each memory node, turn by turn.
    constexpr std::uint64_t chunks_a_session = std::uint64_t{6} << 20U;
    auto const each =
        use.blocks_listed < measured
            ? bytes_a_block
            : std::max(bytes_a_block, static_cast<double>(use.bytes_taken) / static_cast<double>(use.blocks_listed));
    auto const nodes = std::max(1U, use.memory_nodes);
    auto const blocks = static_cast<std::uint64_t>(each * reserve * static_cast<double>(use.blocks_expected)) / nodes;
    auto const chunks = (std::max(1U, use.sessions) - 1) * chunks_a_session; // those of one are in the reserve
    return std::bit_ceil(std::max({blocks + chunks, 2 * (use.pool_bytes / nodes), smallest}));
}

std::string with_size(std::string_view uri, std::uint64_t bytes) {
    std::string out(uri);
    auto const at = find_size(uri);
    if (at.found) return out.replace(at.first, at.length, exact_size(bytes));
    out += uri.find('?') == std::string_view::npos ? '?' : '&';
    if (uri.ends_with('?')) out.pop_back();
    return out + "size=" + exact_size(bytes);
}

std::string advice_to_enlarge(std::string_view uri, std::uint64_t bytes) {
    if (uri.starts_with("verbs:"))
        return "give each memory node more (catena-memd --size " + exact_size(bytes) +
               "), then make the pool again (catena-pool create)";
    auto const advice = "try --pool '" + with_size(uri, bytes) + "'";
    return uri.starts_with("local:") ? advice : advice + " under another name: a pool that exists keeps its size";
}

std::uint64_t size_of(std::string_view uri) {
    auto const at = find_size(uri);
    return at.found ? parse_size(uri.substr(at.first, at.length)).value_or(0) : 0;
}

} // namespace catena::tools
