// SPDX-License-Identifier: Apache-2.0
// session: one thread's way into the pool: its channel, working memory, local waits, and the chunks it cuts nodes from.
//
// Thread safety: one thread at a time, with any number of coroutines on it. Sessions of one process share a pool_state.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <utility>
#include <vector>

#include <boost/intrusive/list.hpp>

#include <catena/core/hash.hpp>
#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/fabric/client_id.hpp>
#include <catena/fabric/fabric.hpp>
#include <catena/pool/member_record.hpp>
#include <catena/pool/scratch.hpp>
#include <catena/pool/superblock.hpp>

namespace catena {

/// What the sessions of one client (usually one process) share.
struct pool_state {
    superblock geometry{};                                      ///< of memory node 0
    std::chrono::nanoseconds patience{std::chrono::seconds(2)}; ///< bound of every wait for somebody else
    client_id client{};                                         ///< of all channels of this client: what others fence
    bool read_only = false;                    ///< never joins, never writes; set before the first session
    std::atomic<bool> joining{false};          ///< it joined, or tried to: a client does so once
    member_id self;                            ///< set by membership join before the first session writes
    std::atomic<std::int64_t> lease_renewed{}; ///< channel clock, nanoseconds: when the last renewal was posted
    std::atomic<bool> lease_renewing{false};
    std::atomic<std::uint64_t> heartbeat{0};
    member_watch watch;                ///< whose lease ran out, as far as this client saw
    std::atomic<unsigned> sessions{0}; ///< made so far; spreads their allocations over the memory nodes
    std::once_flag has_locks;
    std::shared_ptr<void> locks; ///< made by the layer above on first use (protocol/local_locks.hpp)
};

/// A coroutine that waits for something inside this process (a local lock). Whoever grants it sets `granted`, last.
struct local_waiter : boost::intrusive::list_base_hook<> {
    std::coroutine_handle<> handle;
    std::atomic<bool> granted{false};
};

/// A block of remote memory and how many lives it had: whoever uses it next counts one further, so that pointers to an
/// earlier life are found out (layout/node_ref.hpp). Fresh memory has had none.
struct block {
    remote_ptr at;
    std::uint32_t lives = 0;
};

/// What a session has taken from the memory nodes and not used yet.
struct allocation_state {
    /// What is left of a chunk.
    struct range {
        std::uint64_t next = 0;
        std::uint64_t end = 0;
        std::uint64_t chunk = 0; ///< its number
    };
    /// Blocks of one size.
    struct size_class {
        std::uint64_t bytes = 0;
        std::vector<std::vector<range>> chunks; ///< of each memory node; more than one if coroutines refilled together
        std::vector<block> freed;               ///< blocks freed by this session

        void add(std::uint16_t node, range r) { chunks[node].push_back(r); }
        [[nodiscard]] bool can_cut(std::uint16_t node) noexcept {
            auto& of_node = chunks[node];
            while (!of_node.empty() && of_node.back().end - of_node.back().next < bytes) of_node.pop_back();
            return !of_node.empty();
        }
    };
    /// A block that nobody uses any more, but that somebody may be reading still (pool/rest.hpp).
    struct resting_block {
        block at_rest;
        std::uint64_t bytes = 0;
        std::chrono::nanoseconds until{}; ///< the channel's clock
    };
    std::deque<size_class> classes;     ///< as a rule one; never moves
    std::vector<resting_block> resting; ///< oldest first
    std::vector<bool> exhausted;        ///< memory nodes whose cursor ran past the end
    /// Of each memory node: nothing is allocated there until then, as it did not answer (the channel's clock; 0: it did).
    std::vector<std::chrono::nanoseconds> avoided_until;
    std::uint16_t turn = 0; ///< next memory node to allocate on

    [[nodiscard]] size_class& of(std::uint64_t bytes) {
        for (auto& c : classes)
            if (c.bytes == bytes) return c;
        auto& made = classes.emplace_back();
        made.bytes = bytes;
        made.chunks.resize(avoided_until.size());
        for (auto& of_node : made.chunks) of_node.reserve(2);
        made.freed.reserve(max_freed);
        return made;
    }

    /// A memory node did not answer: the others are used for a while. What was taken from it stays taken, and is used again then.
    void avoid(std::uint16_t node, std::chrono::nanoseconds now) noexcept { avoided_until[node] = now + avoided_for; }
    [[nodiscard]] bool avoids(std::uint16_t node, std::chrono::nanoseconds now) const noexcept {
        return now < avoided_until[node];
    }
    /// Long enough that a node that is gone costs little (an attempt waits for the fabric's patience), short enough that one that
    /// is back is filled like the others.
    static constexpr std::chrono::nanoseconds avoided_for = std::chrono::seconds(2);

    /// Of each size, so many blocks or bytes, but two blocks at least.
    static constexpr std::size_t max_freed = 64;
    static constexpr std::uint64_t max_freed_bytes = 256 * 1024;
    [[nodiscard]] static constexpr std::size_t most_freed(std::uint64_t bytes) noexcept {
        return std::clamp<std::uint64_t>(max_freed_bytes / bytes, 2, max_freed);
    }
};

template <channel Channel>
class session {
public:
    using channel_type = Channel;

    session(Channel c, pool_state& state) : channel_(std::move(c)), state_(&state), scratches_(buffers_of(channel_)) {
        allocation_.exhausted.resize(state.geometry.node_count);
        allocation_.avoided_until.resize(state.geometry.node_count);
        // Sessions begin at different memory nodes; so do clients of one session each.
        auto const mine = mix64(static_cast<std::uint64_t>(state.client)) + state.sessions++;
        allocation_.turn = static_cast<std::uint16_t>(mine % state.geometry.node_count);
    }
    session(session&&) = default;
    session& operator=(session&&) = delete;

    /// One round trip.
    [[nodiscard]] auto submit(batch ops) { return channel_.submit(ops); }
    [[nodiscard]] auto submit(op& single) { return channel_.submit(batch(&single, 1)); }

    [[nodiscard]] Channel& channel() noexcept { return channel_; }
    [[nodiscard]] Channel const& channel() const noexcept { return channel_; }
    [[nodiscard]] fabric_stats& stats() noexcept { return channel_.stats(); }
    [[nodiscard]] pool_state& pool() noexcept { return *state_; }
    [[nodiscard]] scratch_list& scratches() noexcept { return scratches_; }
    [[nodiscard]] allocation_state& allocation() noexcept { return allocation_; }

    /// Suspends nothing by itself: remembers a suspended coroutine until it is granted.
    void park(local_waiter& waiter) noexcept { waiting_.push_back(waiter); }

    /// Drives what is suspended: completions of the channel, and local waits that were granted.
    void progress() {
        channel_.poll();
        resume_granted();
    }
    /// The second half of progress(), for a driver that lets many sessions share one network (fabric/sim).
    void resume_granted() {
        for (auto it = waiting_.begin(); it != waiting_.end();) {
            auto& waiter = *it;
            if (!waiter.granted.load(std::memory_order_acquire)) {
                ++it;
                continue;
            }
            waiting_.erase(it);
            waiter.handle.resume();
            it = waiting_.begin(); // the resumed coroutine may have parked or ended others
        }
    }

    static constexpr std::size_t max_freed = allocation_state::max_freed;

private:
    [[nodiscard]] static std::pmr::memory_resource* buffers_of(Channel& c) noexcept {
        if constexpr (requires { c.memory(); })
            return c.memory();
        else
            return std::pmr::new_delete_resource();
    }

    Channel channel_;
    pool_state* state_;
    scratch_list scratches_;
    allocation_state allocation_;
    boost::intrusive::list<local_waiter> waiting_;
};

/// Runs a task to its end on the calling thread.
template <typename Session, typename T>
[[nodiscard]] T sync_wait(Session& s, task<T> work) {
    work.start();
    while (!work.done()) s.progress();
    return work.take();
}

} // namespace catena
