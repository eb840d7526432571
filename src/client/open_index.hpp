// SPDX-License-Identifier: Apache-2.0
// open_index: opens a pool and what is stored in it, for one type of index: all templates that a client needs of it, for any fabric
// (any_fabric.hpp). Each type has a file of its own (index_*.cpp), as each takes a compiler half a minute.
// Thread safety: pure functions.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <catena/client.hpp>
#include <catena/fabric/any_fabric.hpp>
#include <catena/pool/catalog.hpp>

#include "client/chain_store.hpp"
#include "client/implementation.hpp"
#include "client/open_fabric.hpp"
#include "client/pool_uri.hpp"

namespace catena {

using implementation_ptr = std::unique_ptr<client::implementation>;

/// What can be done to a stored index by who has its pool open already.
struct stored_calls {
    using session_type = memory_pool<any_fabric>::session_type;

    index_spec (*spec)(std::string_view name); ///< what the catalog says of one
    setup_result<index_report> (*inspect)(session_type& s, std::string_view name);
    setup_result<void> (*drop)(session_type& s, std::string_view name); ///< also one whose drop another client left
};

/// What client_options::index may name.
struct index_type {
    using open_function = setup_result<implementation_ptr> (*)(pool_uri const&, client_options const&);
    std::string_view name;
    open_function by_block;
    open_function by_extents;
    stored_calls of_blocks;
    stored_calls of_extents;
};
extern index_type const chime_index;
extern index_type const learned_index;
extern index_type const sherman_index;

namespace detail {

/// What is stored under that name, created if nobody has yet; whoever loses the race to create it opens the winner's.
template <typename Chains, typename Session>
[[nodiscard]] setup_result<typename Chains::stored_type> open_or_create(Session& s, client_options const& options) {
    auto opened = Chains::open(s, options);
    if (opened || opened.error().code != errc::not_found) return opened;
    auto created = Chains::create(s, options);
    if (created || created.error().code != errc::already_exists) return created;
    return Chains::open(s, options);
}

/// The pool on the memory nodes, made anew where they are fresh. Errors: as memory_pool's create() and open(); not_found (memory nodes
/// without a pool, which nobody makes by chance).
[[nodiscard]] inline setup_result<memory_pool<any_fabric>> enter_pool(opened_fabric& nodes, pool_uri const& uri,
                                                                      std::chrono::milliseconds patience) {
    if (!nodes.fresh && !nodes.formatted)
        return setup_error(errc::not_found,
                           "there is no pool on these memory nodes yet; make one with: catena-pool create URI");
    pool_options settings;
    settings.patience = patience;
    settings.read_only = uri.read_only;
    if (uri.lease) settings.lease = *uri.lease;
    if (nodes.fresh) return memory_pool<any_fabric>::create(nodes.fabric, settings);
    auto opened = memory_pool<any_fabric>::open(nodes.fabric, settings);
    if (opened && uri.lease && uri.lease->count() != opened->geometry().lease_ms)
        return setup_error(errc::bad_format, "the pool's lease is " + std::to_string(opened->geometry().lease_ms) +
                                                 ", expected " + std::to_string(uri.lease->count()) +
                                                 ": who joins may leave it out");
    return opened;
}

/// A client of what the URI names and the options describe. Stored: chain_store.hpp. Errors: those of client::open.
template <typename Stored>
[[nodiscard]] setup_result<implementation_ptr> open_with(pool_uri const& uri, client_options const& options) {
    auto nodes = open_fabric(uri, options.patience);
    if (!nodes) return nodes.error();
    auto held = std::make_unique<opened_fabric>(std::move(*nodes)); // the pool points to it
    auto pool = enter_pool(*held, uri, options.patience);
    if (!pool) return pool.error();
    auto owned = std::make_unique<memory_pool<any_fabric>>(std::move(*pool));
    auto session = owned->open_session();
    if (!session) return session.error();
    auto stored = uri.read_only ? Stored::open(*session, options) : open_or_create<Stored>(*session, options);
    if (auto const released = sync_wait(*session, release_all(*session)); stored && !released)
        return setup_error(released.error());
    if (!stored) return stored.error();
    auto chains = std::make_unique<Stored>(std::move(*stored), options);
    if (auto const warm = sync_wait(*session, chains->warm_up(*session)); !warm) return setup_error(warm.error());
    return implementation_ptr(std::make_unique<bound_client<Stored>>(std::move(held), std::move(owned),
                                                                     std::move(*session), std::move(chains), options));
}

template <typename Stored>
[[nodiscard]] setup_result<index_report> inspect_stored(stored_calls::session_type& s, std::string_view name) {
    client_options const options{.index_name = std::string(name), .hot_cache_bytes = 0, .warm_up = false};
    auto opened = Stored::open(s, options);
    if (!opened) return opened.error();
    Stored stored(std::move(*opened), options);
    auto report = inspect(s, stored);
    if (!report) return setup_error(report.error());
    return std::move(*report);
}

template <typename Stored>
[[nodiscard]] setup_result<void> drop_stored(stored_calls::session_type& s, std::string_view name) {
    auto dropped = Stored::stored_type::drop(s, name);
    auto const rested = sync_wait(s, end_rest(s)); // its blocks are free for others
    auto const released = sync_wait(s, release_all(s));
    if (dropped && !rested) return setup_error(rested.error());
    if (dropped && !released) return setup_error(released.error());
    return dropped;
}

template <typename Stored>
[[nodiscard]] constexpr stored_calls stored_calls_of() noexcept {
    return {.spec = &Stored::stored_type::spec, .inspect = &inspect_stored<Stored>, .drop = &drop_stored<Stored>};
}

/// ByBlock, ByExtents: the same index, from a block's hash to its location, and from that of an extent's first block.
template <typename ByBlock, typename ByExtents>
[[nodiscard]] constexpr index_type index_type_of() noexcept {
    return {.name = ByBlock::type_name,
            .by_block = &open_with<chains_by_block<ByBlock>>,
            .by_extents = &open_with<chains_by_extents<ByExtents>>,
            .of_blocks = stored_calls_of<chains_by_block<ByBlock>>(),
            .of_extents = stored_calls_of<chains_by_extents<ByExtents>>()};
}

} // namespace detail

} // namespace catena
