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
    constexpr double bytes_a_block = 64;     // a rule of thumb for when nothing was measured
    constexpr std::uint64_t measured = 1000; // fewer blocks say more about chunks than about blocks
    constexpr double reserve = 1.25;
    constexpr std::uint64_t smallest = std::uint64_t{16} << 20U;
    auto const each =
        use.blocks_listed < measured
            ? bytes_a_block
            : std::max(bytes_a_block, static_cast<double>(use.bytes_taken) / static_cast<double>(use.blocks_listed));
    auto const nodes = std::max(1U, use.memory_nodes);
    auto const needed = static_cast<std::uint64_t>(each * reserve * static_cast<double>(use.blocks_expected)) / nodes;
    return std::bit_ceil(std::max({needed, 2 * (use.pool_bytes / nodes), smallest}));
}

std::string with_size(std::string_view uri, std::uint64_t bytes) {
    std::string out(uri);
    auto const at = find_size(uri);
    if (at.found) return out.replace(at.first, at.length, exact_size(bytes));
    out += uri.find('?') == std::string_view::npos ? '?' : '&';
    if (uri.ends_with('?')) out.pop_back();
    return out + "size=" + exact_size(bytes);
}

std::uint64_t size_of(std::string_view uri) {
    auto const at = find_size(uri);
    return at.found ? parse_size(uri.substr(at.first, at.length)).value_or(0) : 0;
}

} // namespace catena::tools
