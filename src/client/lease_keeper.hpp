// SPDX-License-Identifier: Apache-2.0
// lease_keeper: renews the lease of a client whose engine is idle, so that nobody takes it for dead: a thread that wakes four
// times a lease, one round trip each (none if a call renewed it meanwhile).
// A process that stands still (suspended, swapped out, a debugger) is taken for dead all the same, which is right: others
// wait for what it holds. Then the keeper ends, and calls that write end with errc::fenced or lease_lost.
// Thread safety: made and destroyed by one thread.
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

#include <catena/core/task.hpp>
#include <catena/pool/membership.hpp>

namespace catena {

template <typename Session>
class lease_keeper {
public:
    explicit lease_keeper(Session s)
        : s_(std::move(s)), thread_([this](std::stop_token stop) { run(std::move(stop)); }) {}
    lease_keeper(lease_keeper const&) = delete;
    lease_keeper& operator=(lease_keeper const&) = delete;
    ~lease_keeper() {
        thread_.request_stop();
        thread_.join();
    }

    [[nodiscard]] Session const& session() const noexcept { return s_; }

private:
    void run(std::stop_token stop) {
        std::unique_lock lock(mutex_);
        while (!wake_.wait_for(lock, stop, lease_of(s_) / 4, [&] { return stop.stop_requested(); })) {
            auto const kept = sync_wait(s_, keep_lease(s_));
            if (!kept && kept.error().code != errc::unreachable) return; // calls will say so, if they write
        }
    }

    Session s_;
    std::mutex mutex_; ///< of the wait alone
    std::condition_variable_any wake_;
    std::jthread thread_; ///< last: it uses the others
};

} // namespace catena
