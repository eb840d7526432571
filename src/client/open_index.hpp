// SPDX-License-Identifier: Apache-2.0
// open_index: opens a pool and what is stored in it, for one type of index: all templates that a client needs of it. Each type
// has a file of its own (index_*.cpp), as each takes a compiler half a minute.
// Thread safety: pure functions.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include <catena/client.hpp>
#include <catena/fabric/local_fabric.hpp>
#include <catena/fabric/shm_fabric.hpp>

#include "client/chain_store.hpp"
#include "client/implementation.hpp"
#include "client/pool_uri.hpp"

namespace catena {

using implementation_ptr = std::unique_ptr<client::implementation>;

/// What client_options::index may name.
struct index_type {
    using open_function = setup_result<implementation_ptr> (*)(pool_uri const&, client_options const&);
    std::string_view name;
    open_function by_block;
    open_function by_extents;
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

template <typename Stored, typename Fabric>
[[nodiscard]] setup_result<implementation_ptr> bind(Fabric found, bool create, pool_uri const& uri,
                                                    client_options const& options) {
    auto fabric = std::make_unique<Fabric>(std::move(found));
    pool_options pool_settings{.lease = pool_options{}.lease, .chunk_bytes = 0, .patience = options.patience};
    if (uri.lease) pool_settings.lease = *uri.lease;
    auto pool = create ? memory_pool<Fabric>::create(*fabric, pool_settings)
                       : memory_pool<Fabric>::open(*fabric, pool_settings);
    if (!pool) return pool.error();
    auto owned = std::make_unique<memory_pool<Fabric>>(std::move(*pool));
    auto session = owned->open_session();
    if (!session) return session.error();
    auto stored = open_or_create<Stored>(*session, options);
    if (auto const released = sync_wait(*session, release_all(*session)); stored && !released)
        return setup_error(released.error());
    if (!stored) return stored.error();
    auto chains = std::make_unique<Stored>(std::move(*stored), options);
    if (auto const warm = sync_wait(*session, chains->warm_up(*session)); !warm) return setup_error(warm.error());
    return implementation_ptr(std::make_unique<bound_client<Fabric, Stored>>(
        std::move(fabric), std::move(owned), std::move(*session), std::move(chains), options));
}

template <typename Stored>
[[nodiscard]] setup_result<implementation_ptr> open_with(pool_uri const& uri, client_options const& options) {
    if (uri.scheme == "local") {
        constexpr std::uint64_t default_size = std::uint64_t{1} << 30U;
        auto fabric = local_fabric::create(uri.size == 0 ? default_size : uri.size,
                                           uri.nodes == 0 ? std::uint16_t{1} : uri.nodes);
        if (!fabric) return fabric.error();
        return bind<Stored>(std::move(*fabric), true, uri, options);
    }
    auto fabric = shm_fabric::open(
        uri.name, {.node_bytes = uri.size, .nodes = uri.nodes, .keep = uri.keep, .patience = options.patience});
    if (!fabric) return fabric.error();
    bool const create = fabric->created();
    return bind<Stored>(std::move(*fabric), create, uri, options);
}

/// ByBlock, ByExtents: the same index, from a block's hash to its location, and from that of an extent's first block.
template <typename ByBlock, typename ByExtents>
[[nodiscard]] constexpr index_type index_type_of() noexcept {
    return {.name = ByBlock::type_name,
            .by_block = &open_with<chains_by_block<ByBlock>>,
            .by_extents = &open_with<chains_by_extents<ByExtents>>};
}

} // namespace detail

} // namespace catena
