// SPDX-License-Identifier: Apache-2.0
// client: the front door for inference engines. Opens a pool by URI and answers: how much of this prompt is cached, where?
//
// Thread safety: every member may be called from any number of threads at once. Calls block the calling thread (for a
// few microseconds on RDMA); up to client_options::max_sessions calls run in parallel, further ones wait for a session.
// A thread of the client's own renews its lease four times a lease, so an idle engine is not taken for dead.
// Compiled (link catena::client): no templates, no fabric headers in your build.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/fabric/stats.hpp>
#include <catena/prefix/block_hash.hpp>
#include <catena/prefix/chain.hpp>
#include <catena/prefix/location.hpp>
#include <catena/prefix/strategy.hpp>

namespace catena {

/// How client::open works. The defaults suit an engine process.
struct client_options {
    std::string index = "sherman";                     ///< index type; see client::index_types()
    std::string index_name = "prefix";                 ///< the catalog's name; created if the pool has none of it
    match_strategy strategy = match_strategy::batched; ///< used by match and match_many
    std::size_t client_cache_bytes = 64U << 20U;       ///< bound of the internal-node cache of this process
    std::size_t max_sessions = 64;                     ///< bound of calls in parallel (each keeps up to about 1 MiB)
    std::chrono::milliseconds patience{2000};          ///< how long a call may wait for locks before errc::contended
};

/// How much of a chain is cached.
struct match_result {
    std::size_t blocks = 0; ///< the first `blocks` blocks of the chain were all present; never more than that
    fabric_stats cost;      ///< what this call asked of the fabric
};

/// What became of a publish.
struct publish_result {
    std::size_t inserted = 0;        ///< blocks that are now listed with the caller's location
    std::size_t already_present = 0; ///< blocks that another client (or an earlier call) had listed: first wins
    fabric_stats cost;
};

/// What became of a forget.
struct forget_result {
    std::size_t erased = 0;
    fabric_stats cost;
};

/// What the index holds and costs; walks the whole index, so it is slow (one READ for each node).
struct index_report {
    std::uint64_t entries = 0;
    std::uint64_t nodes = 0;
    std::uint64_t remote_bytes = 0;      ///< nodes of the index, in bytes of remote memory
    std::uint32_t height = 0;            ///< levels, leaves included
    std::vector<std::string> violations; ///< broken invariants, in words; empty means the index is sound
};

/// Where things stand now.
struct client_report {
    fabric_stats fabric;           ///< of all sessions since open
    std::uint64_t cache_bytes = 0; ///< internal-node cache in use, bytes of this process
    std::uint64_t cache_capacity_bytes = 0;
    std::uint64_t pool_bytes = 0;       ///< size of all memory nodes
    std::uint64_t pool_bytes_taken = 0; ///< handed out to clients in chunks so far (never shrinks)
    std::uint32_t memory_nodes = 0;
    std::string fabric_name; ///< "local" or "shm"
    std::string index;
    std::string index_name;
};

class client {
public:
    /// Opens or creates the pool that `uri` names, and in it the index options.index_name (created if it is missing).
    ///   local:?size=1GiB&nodes=2      a pool inside this process, gone with the client
    ///   shm:NAME?size=1GiB&nodes=2    POSIX shared memory: the first process creates it, others join
    ///     size   bytes of each memory node (K, M, G, KiB, MiB, GiB); needed to create, optional to join
    ///     nodes  memory nodes, 1 to 64 (default 1)
    ///     keep   yes: the segment outlives its last process (default no: the last one out removes it, contents and all)
    ///     lease  milliseconds until a silent client counts as dead (default 1000)
    /// Errors: invalid_argument (names the part of the URI), bad_format (names the field that differs),
    /// already_exists (a stale segment: says how to remove it), out_of_memory, unsupported, full.
    [[nodiscard]] static setup_result<client> open(std::string_view uri, client_options options = {});

    /// Names of the index types that this build offers, for client_options::index.
    [[nodiscard]] static std::vector<std::string_view> index_types();

    client(client&&) noexcept;
    client& operator=(client&&) noexcept;
    ~client();

    /// The longest prefix of `chain` whose every block is listed. `locations` (may be empty, or at least chain.size()
    /// long) receives the locations of the matched blocks. Never counts a block that was absent during the whole call.
    /// Cost: see match_strategy. Errors: contended, unreachable, dropped, corrupt; nothing is changed.
    [[nodiscard]] result<match_result> match(std::span<block_hash const> chain,
                                             std::span<location> locations = {}) const;

    /// match for several chains that share their round trips; matched[i] receives the length for chains[i].
    /// Both spans have the same length, else invalid_argument. Returns the cost.
    [[nodiscard]] result<fabric_stats> match_many(std::span<std::span<block_hash const> const> chains,
                                                  std::span<std::size_t> matched) const;

    /// Lists chain[i] at locations[i], root to leaf, for every i whose block is not listed yet: first wins.
    /// locations[i] is replaced by the location in force, so a loser learns where the winner's copy is and frees its own.
    /// Cost: 3 round trips for each batch of 512 blocks; a batch in which leaves split takes 3 more for their parents,
    /// and 3 for another round if a leaf had no room for all of its new blocks.
    /// Errors: invalid_argument (sizes differ), out_of_memory, contended, ...: a part of the chain may be listed then.
    [[nodiscard]] result<publish_result> publish(std::span<block_hash const> chain,
                                                 std::span<location> locations) const;

    /// Takes the blocks chain[keep..] off the list, leaf to root. With `expected` (as long as the chain) only blocks
    /// that are still listed at expected[i] go. Errors as publish; the blocks nearest the root may be left.
    [[nodiscard]] result<forget_result> forget(std::span<block_hash const> chain, std::size_t keep = 0,
                                               std::span<location const> expected = {}) const;

    /// Is this one block listed? One round trip with a warm cache.
    [[nodiscard]] result<bool> contains(block_hash block) const;

    /// Walks the index and reports size and every broken invariant.
    [[nodiscard]] result<index_report> inspect() const;

    [[nodiscard]] client_report report() const;

    class implementation; ///< private to src/client

private:
    explicit client(std::unique_ptr<implementation> impl) noexcept;
    std::unique_ptr<implementation> impl_;
};

} // namespace catena
