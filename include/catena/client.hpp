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
#include <catena/prefix/match_end.hpp>
#include <catena/prefix/strategy.hpp>

namespace catena {

/// How client::open works. The defaults suit an engine process.
struct client_options {
    std::string index = "chime";       ///< index type; see client::index_types()
    std::string index_name = "prefix"; ///< the catalog's name; created if the pool has none of it
    /// How blocks are stored and looked up. An index that exists was made either for extents or for the others.
    match_strategy strategy = match_strategy::extents;
    std::size_t client_cache_bytes =
        64U << 20U;                           ///< bound of what this process remembers of the index: nodes, placements
    std::size_t hot_cache_bytes = 64U << 20U; ///< extents: bound of copies of those that are often read; 0: none
    bool warm_up = true; ///< extents: learn at open where all of them are (25 bytes each), else as they are met
    std::size_t max_sessions = 64;            ///< bound of calls in parallel (each keeps up to about 1 MiB)
    std::chrono::milliseconds patience{2000}; ///< how long a call may wait for locks before errc::contended
};

/// How much of a chain is cached.
struct match_result {
    std::size_t blocks = 0; ///< the first `blocks` blocks of the chain were all present; never more than that
    bool complete = true;   ///< false: the time was up; at least so many
    match_end end;          ///< for the publish of the rest
    fabric_stats cost;      ///< what this call asked of the fabric
};

/// What became of a publish.
struct publish_result {
    std::size_t inserted = 0;        ///< blocks that are now listed with the caller's location
    std::size_t already_present = 0; ///< blocks that another client (or an earlier call) had listed: first wins
    std::size_t behind_a_gap = 0;    ///< extents: blocks that were not listed, since one before them is not
    fabric_stats cost;
};

/// What became of a forget.
struct forget_result {
    std::size_t erased = 0;
    fabric_stats cost;
};

/// What the index holds and costs; walks the whole index, so it is slow (one READ for each node).
struct index_report {
    std::uint64_t entries = 0;           ///< blocks that are listed
    std::uint64_t index_entries = 0;     ///< of the index: one for each block, or for each extent
    std::uint64_t nodes = 0;             ///< of the index, and extents
    std::uint64_t remote_bytes = 0;      ///< of both
    std::uint32_t height = 0;            ///< levels, leaves included
    /// Nodes of the index in somebody's hands: of clients at work, or of dead ones, whose locks are taken over when needed.
    std::uint64_t locked = 0;
    std::vector<std::string> violations; ///< broken invariants, in words; empty means the index is sound
};

/// Where things stand now.
struct client_report {
    fabric_stats fabric;           ///< of all sessions since open
    std::uint64_t cache_bytes = 0; ///< what it remembers of the index, bytes of this process
    std::uint64_t cache_capacity_bytes = 0;
    std::uint64_t pool_bytes = 0;       ///< size of all memory nodes
    std::uint64_t pool_bytes_taken = 0; ///< handed out to clients in chunks so far (never shrinks)
    std::uint32_t memory_nodes = 0;
    std::string fabric_name; ///< "local", "shm" or "verbs"
    std::string index;
    match_strategy strategy = match_strategy::extents;
    std::string index_name;
};

class client {
public:
    /// Opens or creates the pool that `uri` names, and in it the index options.index_name (created if it is missing).
    ///   local:?size=1GiB&nodes=2      a pool inside this process, gone with the client
    ///   shm:NAME?size=1GiB&nodes=2    POSIX shared memory: the first process creates it, others join
    ///   verbs://HOST:PORT,HOST:PORT   RDMA: servers catena-memd, in the order of the pool, which catena-pool create made
    ///     size   bytes of each memory node (K, M, G, KiB, MiB, GiB); needed to create, optional to join
    ///     nodes  memory nodes, 1 to 64 (default 1)
    ///     keep   yes: the segment outlives its last process (default no: the last one out removes it, contents and all)
    ///     lease  milliseconds until a silent client counts as dead: to create (default 1000), optional to join
    ///     access read: this client only matches; what would write ends with errc::read_only (default write)
    ///     secret verbs: a file with the servers' secret, or that for readers;  device  verbs: "mlx5_0" or "mlx5_0:PORT:GID"
    /// Errors: invalid_argument (names the part of the URI), bad_format (names the field that differs),
    /// already_exists (a stale segment: says how to remove it), out_of_memory, unsupported, full, not_found (no pool on the
    /// servers), unreachable.
    [[nodiscard]] static setup_result<client> open(std::string_view uri, client_options options = {});

    /// Names of the index types that this build offers, for client_options::index.
    [[nodiscard]] static std::vector<std::string_view> index_types();

    client(client&&) noexcept;
    client& operator=(client&&) noexcept;
    ~client();

    /// The longest prefix of `chain` whose every block is listed. `locations` (may be empty, or at least chain.size()
    /// long) receives the locations of the matched blocks. Never counts a block that was absent during the whole call.
    /// within: extents: when so much time went by, no further round trip begins, and the answer says what is known by then
    /// (match_result::complete); 0: no limit.
    /// Cost: see match_strategy. Errors: contended, unreachable, dropped, corrupt; nothing is changed.
    [[nodiscard]] result<match_result> match(std::span<block_hash const> chain, std::span<location> locations = {},
                                             std::chrono::nanoseconds within = {}) const;

    /// match for several chains that share their round trips; matched[i] receives the length for chains[i].
    /// Both spans have the same length, else invalid_argument. Returns the cost.
    [[nodiscard]] result<fabric_stats> match_many(std::span<std::span<block_hash const> const> chains,
                                                  std::span<std::size_t> matched) const;

    /// Lists chain[i] at locations[i], root to leaf, for every i >= from whose block is not listed yet: first wins.
    /// locations[i] is replaced by the location in force, so a loser learns where the winner's copy is and frees its own.
    /// chain: from the prompt's first block on, as for match. from: blocks that are listed already, such as those that match found;
    /// locations before it are not looked at. after: match_result::end of that match, saves a round trip.
    /// Extents: what is behind a block that is not listed is not listed either (publish_result::behind_a_gap).
    /// Cost: extents: 2 round trips and those of an insert of the index, 1 less after a match, 1 more where blocks go into an extent
    /// that is there; else 3 for each batch of 512 blocks, and more where leaves split.
    /// Errors: invalid_argument (sizes differ, a location in segment 65535), out_of_memory, contended, ...: a part of the
    /// chain may be listed then.
    [[nodiscard]] result<publish_result> publish(std::span<block_hash const> chain, std::span<location> locations,
                                                 std::size_t from = 0, match_end const& after = {}) const;

    /// Takes the blocks chain[keep..] off the list, leaf to root. chain: from the prompt's first block on. With `expected` (as long
    /// as the chain) only blocks that are still listed at expected[i] go. Errors as publish; the blocks nearest the root may be left.
    [[nodiscard]] result<forget_result> forget(std::span<block_hash const> chain, std::size_t keep = 0,
                                               std::span<location const> expected = {}) const;

    /// Is the last block of `chain` listed? chain: from the prompt's first block on. (Extents: and those before it in its run, for a
    /// block's own hash does not say where it would be.) One round trip with a warm cache.
    [[nodiscard]] result<bool> contains(std::span<block_hash const> chain) const;

    /// Walks the index and reports size and every broken invariant.
    [[nodiscard]] result<index_report> inspect() const;

    [[nodiscard]] client_report report() const;

    class implementation; ///< private to src/client

private:
    friend class match_queue;
    explicit client(std::shared_ptr<implementation> impl) noexcept;
    std::shared_ptr<implementation> impl_; ///< shared with its match_queues
};

} // namespace catena
