// SPDX-License-Identifier: Apache-2.0
// sim_cluster: memory nodes and clients on a simulated network in virtual time, ready to work.
//
// Each client is what a process on a machine of its own would be: its own NIC, its own membership in the pool, its own
// index object with its own caches, one session. All are made in calm mode, which costs no virtual time.
// Same set-up, same behaviour: all identities come from the seed.
// Thread safety: one thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <catena/client.hpp>
#include <catena/core/hash.hpp>
#include <catena/fabric/sim/parameters.hpp>
#include <catena/fabric/sim/timed_network.hpp>
#include <catena/fabric/sim_fabric.hpp>
#include <catena/index/chime_tree.hpp>
#include <catena/index/learned_hopscotch.hpp>
#include <catena/index/sherman_tree.hpp>
#include <catena/pool/memory_pool.hpp>
#include <catena/pool/node_allocator.hpp>
#include <catena/prefix/strategy.hpp>

#include "client/chain_store.hpp"
#include "tools/chains.hpp"
#include "tools/trace.hpp"

namespace catena::tools {

inline constexpr unsigned most_sim_clients = 256;
inline constexpr unsigned most_sim_nodes = 16;

struct sim_setup {
    sim_parameters network{};
    unsigned clients = 1;
    unsigned nodes = 1; ///< memory nodes
    unsigned depth = 1; ///< requests that a client has in flight
    match_strategy strategy = match_strategy::extents;
    std::string_view index{}; ///< one of sim_indexes, empty: the first; extents have theirs
    std::size_t client_cache_bytes = 0;
    std::uint64_t seed = 1;
    std::uint64_t warm_up = 0; ///< so many requests of the trace are served before the clock starts
};

using sim_pool = memory_pool<sim_fabric>;

/// How chains are stored: one entry a block ...
template <typename Index>
struct sim_blocks {
    using index = Index;
    using chains = chains_by_block<index>;
    /// Sizes of remote blocks of which every client has some when the clock starts.
    static constexpr std::array<std::uint64_t, 1> allocated{index::leaf::bytes};
    /// Sizes of which a client may have a chunk in the end: a learned index has pieces, pages and directories beside leaves.
    static constexpr std::size_t sizes = index::type_name == std::string_view("learned") ? 16 : 1;
    static constexpr std::uint64_t bytes_each = 256; ///< of a block, more than twice what any index takes
};
using sim_sherman = sim_blocks<sherman_tree<block_hash, location>>;
using sim_chime = sim_blocks<chime_tree<block_hash, location>>;
using sim_learned = sim_blocks<learned_hopscotch<block_hash, location>>;
/// ... or extents.
struct sim_extents {
    using index = chime_tree<block_hash, extent_ref, chime_heads>;
    using chains = chains_by_extents<index>;
    static constexpr std::array<std::uint64_t, 4> allocated{index::leaf::bytes, extent_class::bytes(0),
                                                            extent_class::bytes(1), extent_class::bytes(2)};
    static constexpr std::size_t sizes = allocated.size();
    static constexpr std::uint64_t bytes_each = 128;
};

/// Indexes that can be simulated with one entry a block.
inline constexpr std::array sim_indexes{sim_sherman::index::type_name, sim_chime::index::type_name,
                                        sim_learned::index::type_name};

/// The index below.
[[nodiscard]] inline std::string_view index_of(sim_setup const& setup) noexcept {
    if (setup.strategy == match_strategy::extents) return sim_extents::index::type_name;
    return setup.index.empty() ? sim_sherman::index::type_name : setup.index;
}

/// Members in the order of their lifetimes.
template <typename Storage>
struct sim_client {
    using chains_type = typename Storage::chains;

    sim_client(std::unique_ptr<sim_fabric> f, sim_pool p, sim_pool::session_type s,
               typename chains_type::stored_type stored, client_options const& options)
        : fabric(std::move(f)), pool(std::move(p)), session(std::move(s)), chains(std::move(stored), options) {}

    std::unique_ptr<sim_fabric> fabric;
    sim_pool pool;
    sim_pool::session_type session;
    chains_type chains;
};

template <typename Storage>
class sim_cluster {
public:
    using client_type = sim_client<Storage>;

    /// Room for `blocks` different blocks. Errors: those of memory_pool and of the index.
    [[nodiscard]] static setup_result<std::unique_ptr<sim_cluster>> create(sim_setup const& setup,
                                                                           std::uint64_t blocks) {
        std::unique_ptr<sim_cluster> made(new sim_cluster(setup, sufficient_bytes(setup, blocks)));
        for (std::uint64_t number = 0; number < setup.clients; ++number) {
            auto client = made->make_client(number);
            if (!client) return client.error();
            made->clients_.push_back(std::move(*client));
        }
        return made;
    }
    sim_cluster(sim_cluster const&) = delete;
    sim_cluster& operator=(sim_cluster const&) = delete;
    ~sim_cluster() { network_.set_calm(true); } // clients leave the pool, which must not wait for anything

    /// As after the first minutes of service, at no virtual time: the first client serves `requests` (match, publish),
    /// every client holds a chunk of each memory node, and its cache knows the internal nodes, or the extents.
    [[nodiscard]] result<void> warm_up(chain_maker const& chains, std::span<request const> requests) {
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

    [[nodiscard]] timed_network& network() noexcept { return network_; }
    [[nodiscard]] std::vector<std::unique_ptr<client_type>>& clients() noexcept { return clients_; }

private:
    static constexpr std::uint64_t chunk_bytes = std::uint64_t{1} << 20U; // the default of a pool of a usual size

    sim_cluster(sim_setup const& setup, std::uint64_t node_bytes)
        : setup_(setup), network_(static_cast<std::uint16_t>(setup.nodes), node_bytes, setup.network) {
        options_.index_name = "catena-sim";
        options_.strategy = setup.strategy;
        options_.client_cache_bytes = setup.client_cache_bytes;
    }

    // Each client holds a chunk of each memory node and size of blocks at most, used up or not. Memory that nobody touches costs
    // nothing.
    [[nodiscard]] static std::uint64_t sufficient_bytes(sim_setup const& setup, std::uint64_t blocks) {
        auto const chunks =
            (setup.clients + 2) * Storage::sizes + blocks * Storage::bytes_each / (setup.nodes * chunk_bytes) + 2;
        return std::max<std::uint64_t>(64, chunks + 1) * chunk_bytes;
    }

    [[nodiscard]] setup_result<std::unique_ptr<client_type>> make_client(std::uint64_t number) {
        auto fabric = std::make_unique<sim_fabric>(network_);
        pool_options options;
        options.chunk_bytes = chunk_bytes;
        options.seed = mix64(setup_.seed + mix64(number + 1)) | 1U; // 0 would ask for the system's entropy
        auto pool = number == 0 ? sim_pool::create(*fabric, options) : sim_pool::open(*fabric, options);
        if (!pool) return pool.error();
        auto session = pool->open_session();
        if (!session) return session.error();
        auto stored =
            number == 0 ? Storage::chains::create(*session, options_) : Storage::chains::open(*session, options_);
        if (!stored) return stored.error();
        return std::make_unique<client_type>(std::move(fabric), std::move(*pool), std::move(*session),
                                             std::move(*stored), options_);
    }

    [[nodiscard]] result<void> fill(client_type& first, chain_maker const& maker, std::span<request const> requests,
                                    std::vector<block_hash>& published) const {
        std::vector<block_hash> chain;
        std::vector<location> places;
        auto& s = first.session;
        for (auto const& r : requests) {
            maker.hash(r, chain);
            auto const hit = sync_wait(s, first.chains.match(s, chain, {}, {}));
            if (!hit) return hit.error();
            places.resize(chain.size());
            std::transform(chain.begin(), chain.end(), places.begin(), made_up_location);
            auto const listed = sync_wait(s, first.chains.publish(s, chain, places, hit->blocks, hit->end));
            if (!listed) return listed.error();
            published.insert(published.end(), chain.begin() + static_cast<std::ptrdiff_t>(hit->blocks), chain.end());
        }
        return {};
    }

    [[nodiscard]] result<void> learn(std::size_t number, std::span<block_hash const> sample) const {
        auto& client = *clients_[number];
        auto& s = client.session;
        if (auto const r = sync_wait(s, client.chains.warm_up(s)); !r) return r.error();
        for (auto const& block : sample)
            if (auto const r = sync_wait(s, client.chains.contains(s, std::span(&block, 1))); !r) return r.error();

        // These blocks stay unused. Without the second term all clients would put their next node on the same memory node.
        auto const blocks = setup_.nodes + number % setup_.nodes;
        for (auto const bytes : Storage::allocated)
            for (std::size_t i = 0; i < blocks; ++i)
                if (auto const one = sync_wait(s, allocate(s, bytes)); !one) return one.error();
        return {};
    }

    sim_setup setup_;
    client_options options_;
    timed_network network_;
    std::vector<std::unique_ptr<client_type>> clients_;
};

} // namespace catena::tools
