// SPDX-License-Identifier: Apache-2.0
#include "tools/sim_cluster.hpp"

#include <algorithm>
#include <optional>
#include <span>

#include <catena/core/hash.hpp>
#include <catena/pool/node_allocator.hpp>

namespace catena::tools {
namespace {

constexpr auto index_name = "catena-sim";
constexpr std::uint64_t chunk_bytes = std::uint64_t{1} << 20U; // the default of a pool of a usual size

// Each client holds a chunk of each memory node at most, used up or not; 128 bytes a block are more than twice what a
// tree takes. Memory that nobody touches costs nothing.
std::uint64_t sufficient_bytes(sim_setup const& setup, std::uint64_t blocks) {
    auto const chunks = setup.clients + 2 + blocks * 128 / (setup.nodes * chunk_bytes) + 1;
    return std::max<std::uint64_t>(64, chunks + 1) * chunk_bytes;
}

} // namespace

setup_result<std::unique_ptr<sim_client>> sim_cluster::make_client(std::uint64_t number) {
    auto fabric = std::make_unique<sim_fabric>(network_);
    pool_options options;
    options.chunk_bytes = chunk_bytes;
    options.seed = mix64(setup_.seed + mix64(number + 1)) | 1U; // 0 would ask for the system's entropy
    auto pool = number == 0 ? sim_pool::create(*fabric, options) : sim_pool::open(*fabric, options);
    if (!pool) return pool.error();
    auto session = pool->open_session();
    if (!session) return session.error();
    auto index = number == 0 ? sim_index::create(*session, index_name, setup_.client_cache_bytes)
                             : sim_index::open(*session, index_name, setup_.client_cache_bytes);
    if (!index) return index.error();
    return std::make_unique<sim_client>(std::move(fabric), std::move(*pool), std::move(*session), std::move(*index));
}

setup_result<std::unique_ptr<sim_cluster>> sim_cluster::create(sim_setup const& setup, std::uint64_t blocks) {
    std::unique_ptr<sim_cluster> made(new sim_cluster(setup, sufficient_bytes(setup, blocks)));
    for (std::uint64_t number = 0; number < setup.clients; ++number) {
        auto client = made->make_client(number);
        if (!client) return client.error();
        made->clients_.push_back(std::move(*client));
    }
    return made;
}

result<void> sim_cluster::fill(sim_client& first, chain_maker const& chains, std::span<request const> requests,
                               std::vector<block_hash>& published) const {
    std::vector<block_hash> chain;
    std::vector<location> places;
    for (auto const& r : requests) {
        chains.hash(r, chain);
        auto const hit = sync_wait(first.session, first.prefixes.match(first.session, chain, {}, setup_.strategy));
        if (!hit) return hit.error();
        auto const missing = std::span<block_hash const>{chain}.subspan(*hit);
        places.resize(missing.size());
        std::transform(missing.begin(), missing.end(), places.begin(), made_up_location);
        auto const listed = sync_wait(first.session, first.prefixes.publish(first.session, missing, places));
        if (!listed) return listed.error();
        published.insert(published.end(), missing.begin(), missing.end());
    }
    return {};
}

result<void> sim_cluster::learn(std::size_t number, std::span<block_hash const> sample) const {
    auto& s = clients_[number]->session;
    std::vector<std::optional<location>> found(sample.size());
    if (auto const r = sync_wait(s, clients_[number]->index.find_many(s, sample, found)); !r) return r;

    // These blocks stay unused. Without the second term all clients would put their next node on the same memory node.
    auto const blocks = setup_.nodes + number % setup_.nodes;
    for (std::size_t i = 0; i < blocks; ++i)
        if (auto const one = sync_wait(s, allocate(s, sim_index::options::node_bytes)); !one) return one.error();
    return {};
}

result<void> sim_cluster::warm_up(chain_maker const& chains, std::span<request const> requests) {
    if (requests.empty()) return {};
    std::vector<block_hash> published;
    if (auto const r = fill(*clients_.front(), chains, requests, published); !r) return r;
    // An internal node just above the leaves covers hundreds of blocks: one in 32 finds them all.
    constexpr std::size_t one_in = 32;
    std::sort(published.begin(), published.end());
    std::vector<block_hash> sample;
    for (std::size_t i = 0; i < published.size(); i += one_in) sample.push_back(published[i]);
    for (std::size_t number = 0; number < clients_.size(); ++number)
        if (auto const r = learn(number, sample); !r) return r;
    return {};
}

} // namespace catena::tools
