// SPDX-License-Identifier: Apache-2.0
// interrupt: Ctrl-C. The first ends a run after the requests in flight, the second ends the program.
// Thread safety: one guard at a time.
#pragma once

#include <atomic>
#include <csignal>

namespace catena::tools {

inline std::atomic<bool> interrupted{false}; // a signal handler can reach nothing else
static_assert(std::atomic<bool>::is_always_lock_free, "set by a signal handler");

class interrupt_guard {
public:
    interrupt_guard() {
        struct sigaction action {};
        action.sa_handler = [](int) { interrupted.store(true, std::memory_order_relaxed); };
        action.sa_flags = static_cast<int>(SA_RESETHAND);
        sigemptyset(&action.sa_mask);
        sigaction(SIGINT, &action, &before_);
    }
    ~interrupt_guard() { sigaction(SIGINT, &before_, nullptr); }
    interrupt_guard(interrupt_guard const&) = delete;
    interrupt_guard& operator=(interrupt_guard const&) = delete;

private:
    struct sigaction before_ {};
};

} // namespace catena::tools
