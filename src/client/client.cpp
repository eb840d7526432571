// SPDX-License-Identifier: Apache-2.0
// Opens what a URI names: the run-time choice of fabric and index. Everything behind it is chosen at compile time.
#include <catena/client.hpp>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catena/fabric/local_fabric.hpp>
#include <catena/fabric/shm_fabric.hpp>
#include <catena/index/chime_tree.hpp>
#include <catena/index/learned_hopscotch.hpp>
#include <catena/index/sherman_tree.hpp>

#include "client/chain_store.hpp"
#include "client/implementation.hpp"
#include "client/pool_uri.hpp"

namespace catena {

namespace {

using implementation_ptr = std::unique_ptr<client::implementation>;

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

/// What client_options::index may name.
struct index_type {
    using open_function = setup_result<implementation_ptr> (*)(pool_uri const&, client_options const&);
    std::string_view name;
    open_function by_block;
    open_function by_extents;
};
template <template <typename, typename> typename Index>
constexpr index_type offered{.name = Index<block_hash, location>::type_name,
                             .by_block = &open_with<chains_by_block<Index<block_hash, location>>>,
                             .by_extents = &open_with<chains_by_extents<Index<block_hash, extent_ref>>>};

template <typename Key, typename Value>
using sherman = sherman_tree<Key, Value>;
template <typename Key, typename Value>
using chime = chime_tree<Key, Value>;
template <typename Key, typename Value>
using learned = learned_hopscotch<Key, Value>;

constexpr std::array index_list{offered<chime>, offered<learned>, offered<sherman>};

} // namespace

setup_result<client> client::open(std::string_view uri, client_options options) {
    auto const parsed = parse_pool_uri(uri);
    if (!parsed) return parsed.error();
    for (auto const& type : index_list) {
        if (options.index != type.name) continue;
        auto const open = options.strategy == match_strategy::extents ? type.by_extents : type.by_block;
        auto opened = open(*parsed, options);
        if (!opened) return opened.error();
        return client(std::shared_ptr<implementation>(std::move(*opened)));
    }
    std::string known;
    for (auto const& type : index_list) known.append(known.empty() ? "" : ", ").append(type.name);
    return setup_error(errc::invalid_argument, "unknown index type '" + options.index + "'; this build has " + known);
}

std::vector<std::string_view> client::index_types() {
    std::vector<std::string_view> names;
    for (auto const& type : index_list) names.push_back(type.name);
    return names;
}

client::client(std::shared_ptr<implementation> impl) noexcept : impl_(std::move(impl)) {}
client::client(client&&) noexcept = default;
client& client::operator=(client&&) noexcept = default;
client::~client() = default;

result<match_result> client::match(std::span<block_hash const> chain, std::span<location> locations,
                                   std::chrono::nanoseconds within) const {
    return impl_->match(chain, locations, within);
}
result<fabric_stats> client::match_many(std::span<std::span<block_hash const> const> chains,
                                        std::span<std::size_t> matched) const {
    return impl_->match_many(chains, matched);
}
result<publish_result> client::publish(std::span<block_hash const> chain, std::span<location> locations,
                                       std::size_t from, match_end const& after) const {
    return impl_->publish(chain, locations, from, after);
}
result<forget_result> client::forget(std::span<block_hash const> chain, std::size_t keep,
                                     std::span<location const> expected) const {
    return impl_->forget(chain, keep, expected);
}
result<bool> client::contains(std::span<block_hash const> chain) const { return impl_->contains(chain); }
result<index_report> client::inspect() const { return impl_->inspect(); }
client_report client::report() const { return impl_->report(); }

} // namespace catena
