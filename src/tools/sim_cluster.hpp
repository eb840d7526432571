// SPDX-License-Identifier: Apache-2.0
// sim_cluster: memory nodes and clients on a simulated network in virtual time, ready to work.
//
// Each client is what a process on a machine of its own would be: its own NIC, its own membership in the pool, its own
// index object with its own cache of internal nodes, one session. All are made in calm mode, which costs no virtual time.
// Same set-up, same behaviour: all identities come from the seed.
// Thread safety: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <catena/fabric/sim/parameters.hpp>
#include <catena/fabric/sim/timed_network.hpp>
#include <catena/fabric/sim_fabric.hpp>
#include <catena/index/sherman_tree.hpp>
#include <catena/pool/memory_pool.hpp>
#include <catena/prefix/prefix_index.hpp>
#include <catena/prefix/strategy.hpp>

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
    match_strategy strategy = match_strategy::batched;
    std::size_t client_cache_bytes = 0;
    std::uint64_t seed = 1;
    std::uint64_t warm_up = 0; ///< so many requests of the trace are served before the clock starts
};

using sim_index = sherman_tree<block_hash, location>;
using sim_pool = memory_pool<sim_fabric>;

/// Members in the order of their lifetimes.
struct sim_client {
    sim_client(std::unique_ptr<sim_fabric> f, sim_pool p, sim_pool::session_type s, sim_index i)
        : fabric(std::move(f)), pool(std::move(p)), session(std::move(s)), index(std::move(i)), prefixes(index) {}

    std::unique_ptr<sim_fabric> fabric;
    sim_pool pool;
    sim_pool::session_type session;
    sim_index index;
    prefix_index<sim_index> prefixes;
};

class sim_cluster {
public:
    /// Room for `blocks` different blocks. Errors: those of memory_pool and sherman_tree.
    [[nodiscard]] static setup_result<std::unique_ptr<sim_cluster>> create(sim_setup const& setup,
                                                                           std::uint64_t blocks);
    sim_cluster(sim_cluster const&) = delete;
    sim_cluster& operator=(sim_cluster const&) = delete;
    ~sim_cluster() { network_.set_calm(true); } // clients leave the pool, which must not wait for anything

    /// As after the first minutes of service, at no virtual time: the first client serves `requests` (match, publish),
    /// every client holds a chunk of each memory node, and its cache knows the internal nodes.
    [[nodiscard]] result<void> warm_up(chain_maker const& chains, std::span<request const> requests);

    [[nodiscard]] timed_network& network() noexcept { return network_; }
    [[nodiscard]] std::vector<std::unique_ptr<sim_client>>& clients() noexcept { return clients_; }

private:
    sim_cluster(sim_setup const& setup, std::uint64_t node_bytes)
        : setup_(setup), network_(static_cast<std::uint16_t>(setup.nodes), node_bytes, setup.network) {}

    [[nodiscard]] setup_result<std::unique_ptr<sim_client>> make_client(std::uint64_t number);
    [[nodiscard]] result<void> fill(sim_client& first, chain_maker const& chains, std::span<request const> requests,
                                    std::vector<block_hash>& published) const;
    [[nodiscard]] result<void> learn(std::size_t number, std::span<block_hash const> sample) const;

    sim_setup setup_;
    timed_network network_;
    std::vector<std::unique_ptr<sim_client>> clients_;
};

} // namespace catena::tools
