// SPDX-License-Identifier: Apache-2.0
// local_locks: threads of one client queue here before they contend for a remote lock, and hand it over.
// (Sherman, Wang et al., SIGMOD 2022, section 4.3: hierarchical on-chip lock; ours lies in DRAM and names its owner.)
//
// A writer owns the local lock of a node from before it READs the node until its publication completed. If others wait
// when it publishes, it may publish the lock word as still held and hand node image and remote lock to the first of
// them, which then needs neither READ nor CAS: one round trip instead of three. After max_handovers in a row the
// remote lock is set free, so that other clients get their turn.
// Deadlock: a writer waits for a local lock only while it holds none, or those of nodes one level below: waits go up. A
// merge, which needs several, only tries.
// Bound: a request lives in its waiter's own memory; the table has a fixed number of buckets. A holder that gives up
// (errc::contended) fails all who wait behind it, so no queue adds up the patience of its members.
// One table for all index objects of a client, two of the same index among them: a remote lock that names this client while
// nobody has the local one is what an operation left behind that failed, and is taken away (index/detail/recovery.hpp).
// Thread safety: any number of threads. A request belongs to one coroutine of one session.
#pragma once

#include <array>
#include <coroutine>
#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>

#include <boost/intrusive/list.hpp>

#include <catena/core/bytes.hpp>
#include <catena/core/config.hpp>
#include <catena/core/hash.hpp>
#include <catena/layout/node_ref.hpp>
#include <catena/pool/session.hpp>

namespace catena {

using lock_hook = boost::intrusive::list_base_hook<boost::intrusive::tag<struct lock_tag>,
                                                   boost::intrusive::link_mode<boost::intrusive::normal_link>>;

/// One writer's claim to one node. Must not move or end while it is queued or held.
struct lock_request : local_waiter, lock_hook {
    using list_type = boost::intrusive::list<lock_request, boost::intrusive::base_hook<lock_hook>,
                                             boost::intrusive::constant_time_size<false>>;

    node_ref node;
    word* image = nullptr; ///< where a handed-over image goes; the node's image while held
    list_type queue;       ///< of a holder: who waits behind it, first come first served
    bool handed = false;   ///< granted together with the remote lock and the current image
    result<void>
        granted_or_why;     ///< an error: the holder before gave up for that reason, this request was never granted
    unsigned handovers = 0; ///< how many in a row brought the remote lock here
};

class local_locks {
public:
    static constexpr unsigned max_handovers = 8;

    /// Takes the lock if nobody holds it. Never waits.
    [[nodiscard]] bool try_acquire(lock_request& r) {
        auto& b = bucket_of(r.node);
        std::lock_guard const guard(b.mutex);
        if (find(b, r.node) != nullptr) return false;
        b.holders.push_front(r);
        return true;
    }

    /// Awaitable: ends when `r` holds the lock, or was refused (r.granted_or_why).
    template <typename Session>
    [[nodiscard]] auto acquire(Session& s, lock_request& r) {
        struct waiting {
            local_locks& locks;
            Session& session;
            lock_request& request;
            [[nodiscard]] bool await_ready() const { return locks.acquire_or_queue(request); }
            void await_suspend(std::coroutine_handle<> h) const noexcept {
                request.handle = h; // `granted` is only looked at by this session's own progress()
                session.park(request);
            }
            void await_resume() const noexcept {}
        };
        return waiting{*this, s, r};
    }

    /// Does somebody wait behind this holder, and may the remote lock be handed on once more? Waiters never go away, so
    /// a yes stays true until release().
    [[nodiscard]] bool may_hand_over(lock_request& r) {
        if (r.handovers >= max_handovers) return false;
        auto& b = bucket_of(r.node);
        std::lock_guard const guard(b.mutex);
        return !r.queue.empty();
    }

    /// Ends the hold. handed: the remote lock stays held and goes to the next in the queue with this image.
    void release(lock_request& r, bool handed, std::size_t image_bytes) {
        auto& b = bucket_of(r.node);
        std::lock_guard const guard(b.mutex);
        b.holders.erase(lock_request::list_type::s_iterator_to(r));
        if (r.queue.empty()) return;
        auto& next = r.queue.front();
        r.queue.pop_front();
        next.queue.swap(r.queue);
        next.handed = handed;
        next.handovers = handed ? r.handovers + 1 : 0;
        if (handed && image_bytes > 0) std::memcpy(next.image, r.image, image_bytes);
        b.holders.push_front(next);
        next.granted.store(true, std::memory_order_release);
    }

    /// Ends the hold of a writer that gave up: everybody behind it is refused, for the same reason.
    void release_and_refuse(lock_request& r, error why) {
        auto& b = bucket_of(r.node);
        std::lock_guard const guard(b.mutex);
        b.holders.erase(lock_request::list_type::s_iterator_to(r));
        r.queue.clear_and_dispose([why](lock_request* waiting) {
            waiting->granted_or_why = why;
            waiting->granted.store(true, std::memory_order_release); // it may end at once: not touched again
        });
    }

private:
    static constexpr std::size_t buckets = 256;
    struct alignas(cache_line) bucket {
        std::mutex mutex;
        lock_request::list_type holders;
    };

    [[nodiscard]] bucket& bucket_of(node_ref node) noexcept { return buckets_[mix64(node.bits()) % buckets]; }

    [[nodiscard]] static lock_request* find(bucket& b, node_ref node) noexcept {
        for (auto& holder : b.holders)
            if (holder.node == node) return &holder;
        return nullptr;
    }

    [[nodiscard]] bool acquire_or_queue(lock_request& r) {
        auto& b = bucket_of(r.node);
        std::lock_guard const guard(b.mutex);
        auto* const holder = find(b, r.node);
        if (holder == nullptr) {
            b.holders.push_front(r);
            return true;
        }
        holder->queue.push_back(r);
        return false;
    }

    std::array<bucket, buckets> buckets_;
};

/// Those of this client.
[[nodiscard]] inline local_locks& local_locks_of(pool_state& pool) {
    std::call_once(pool.has_locks, [&pool] { pool.locks = std::make_shared<local_locks>(); });
    return *static_cast<local_locks*>(pool.locks.get());
}

} // namespace catena
