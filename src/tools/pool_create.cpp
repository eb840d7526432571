// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "client/open_fabric.hpp"
#include "tools/pool_access.hpp"
#include "tools/pool_commands.hpp"
#include "tools/pool_facts.hpp"
#include "tools/table_lines.hpp"
#include "tools/units.hpp"

namespace catena::tools {
namespace {

// As clients name it: what it says of the making is left out.
std::string uri_for_clients(pool_settings const& s) { return s.pool.scheme == "shm" ? "shm:" + s.pool.name : s.uri; }

} // namespace

exit_code create_pool(pool_settings const& s, complainer complain) {
    // Before a segment is made that nobody wants.
    if (s.pool.size != 0 && s.pool.size < min_node_bytes) {
        complain("{}: size is {}; a memory node has at least {} bytes", s.uri, s.pool.size, min_node_bytes);
        return exit_usage;
    }
    constexpr std::chrono::milliseconds patience{5000};
    auto nodes = open_fabric(s.pool, patience);
    if (!nodes) return complain_of(s, nodes.error(), complain);
    pool_options options;
    if (s.pool.lease) options.lease = *s.pool.lease;
    auto held = std::make_unique<opened_fabric>(std::move(*nodes)); // the pool points to it
    auto pool = any_pool::create(held->fabric, options);
    if (!pool && pool.error().code == errc::already_exists) {
        complain("{}: there is a pool already; nothing was changed", s.uri);
        complain("catena-pool info '{0}' shows it, catena-pool drop '{0}' --all removes it", uri_for_clients(s));
        return exit_failed;
    }
    if (!pool) return complain_of(s, pool.error(), complain);
    auto owned = std::make_unique<any_pool>(std::move(*pool));
    auto session = owned->open_session();
    if (!session) return complain_of(s, session.error(), complain);
    pool_access access{.nodes = std::move(held), .pool = std::move(owned), .session = std::move(*session)};
    auto const facts = facts_of(s.uri, access);
    if (!facts) return complain_of(s, facts.error(), complain);
    return print_result(complain.program, s.json,
                        line("created", s.uri) + to_table(*facts) + line("clients open", uri_for_clients(s)),
                        to_json(*facts))
               ? exit_ok
               : exit_failed;
}

} // namespace catena::tools
