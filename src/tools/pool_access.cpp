// SPDX-License-Identifier: Apache-2.0
#include "tools/pool_access.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "client/known_index.hpp"

namespace catena::tools {
namespace {

constexpr std::chrono::milliseconds patience{5000};
// For a create that is under way, and for nodes that are being written.
constexpr std::chrono::milliseconds patience_of_readers{500};

} // namespace

setup_result<opened_fabric> reach_nodes(pool_settings const& s, access_kind kind) {
    auto uri = s.pool;
    uri.read_only = kind == access_kind::read; // servers then give no key to write with
    if (uri.scheme == "shm") uri.size = 0;     // or it would make a segment
    auto nodes = open_fabric(uri, patience);
    if (!nodes) {
        if (uri.scheme == "shm" && nodes.error().code == errc::not_found)
            return setup_error(errc::not_found, fmt::format("there is no segment /dev/shm/catena.{}", uri.name));
        return nodes.error();
    }
    if (auto const found = nodes->fabric.node_bytes(); s.pool.size != 0 && s.pool.size != found)
        return setup_error(errc::bad_format, fmt::format("size is {}, expected {}", found, s.pool.size));
    return nodes;
}

setup_result<pool_access> open_pool(pool_settings const& s, access_kind kind) {
    auto nodes = reach_nodes(s, kind);
    if (!nodes) return nodes.error();
    auto held = std::make_unique<opened_fabric>(std::move(*nodes)); // the pool points to it
    pool_options options;
    options.read_only = kind == access_kind::read;
    if (options.read_only) options.patience = patience_of_readers;
    auto pool = any_pool::open(held->fabric, options);
    if (!pool) return pool.error();
    auto owned = std::make_unique<any_pool>(std::move(*pool));
    auto session = owned->open_session();
    if (!session) return session.error();
    return pool_access{.nodes = std::move(held), .pool = std::move(owned), .session = std::move(*session)};
}

exit_code complain_of(pool_settings const& s, setup_error const& why, complainer complain) {
    complain("{}: {}", s.uri, why.message);
    if (why.code == errc::not_found && s.command != pool_command::create)
        complain("to make a pool: catena-pool create '{}'",
                 s.pool.scheme == "shm" ? fmt::format("shm:{}?size=1GiB&keep=yes", s.pool.name) : s.uri);
    return why.code == errc::invalid_argument ? exit_usage : exit_failed;
}

result<pool_view, exit_code> look_at_pool(pool_settings const& s, complainer complain) {
    auto access = open_pool(s, access_kind::read);
    if (!access) return complain_of(s, access.error(), complain);
    auto catalog = sync_wait(access->session, list_indexes(access->session));
    if (!catalog) {
        complain("{}: the catalog cannot be read: {}", s.uri, describe(catalog.error().code));
        return exit_failed;
    }
    std::sort(catalog->begin(), catalog->end(),
              [](auto const& a, auto const& b) { return a.spec.name_view() < b.spec.name_view(); });
    return pool_view{.access = std::move(*access), .catalog = std::move(*catalog)};
}

catalog_listing const* find_named(pool_settings const& s, std::vector<catalog_listing> const& catalog,
                                  complainer complain) {
    auto const* const named = find_listing(catalog, s.index);
    if (named == nullptr) {
        std::string known;
        for (auto const& each : catalog)
            if (!whole_of(catalog, each)) known.append(known.empty() ? "" : ", ").append(each.spec.name_view());
        complain("{}: the pool has no index '{}'; it has {}", s.uri, s.index, known.empty() ? "none" : known);
        return nullptr;
    }
    if (auto const whole = whole_of(catalog, *named)) {
        complain("{}: '{}' is a part of the index '{}': name that", s.uri, s.index, *whole);
        return nullptr;
    }
    return named;
}

} // namespace catena::tools
