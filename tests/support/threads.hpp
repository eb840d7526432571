// SPDX-License-Identifier: Apache-2.0
// Threads of a test: started together, joined, and what one of them complains of fails the test on the main thread
// (Catch2's own assertions are for one thread only).
#pragma once

#include <atomic>
#include <barrier>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace catena::test {

/// Thrown by ok() and expect(): ends the thread or the test case.
struct failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void expect(bool holds, std::string const& otherwise) {
    if (!holds) throw failure(otherwise);
}

/// Runs work(i) for i in [0, n) on n threads that begin together; rethrows the first complaint.
template <typename Work>
void run_threads(std::size_t n, Work work) {
    std::barrier start(static_cast<std::ptrdiff_t>(n));
    std::mutex mutex;
    std::exception_ptr first;
    std::vector<std::thread> threads;
    threads.reserve(n);
    for (std::size_t i = 0; i < n; ++i)
        threads.emplace_back([&, i] {
            start.arrive_and_wait();
            try {
                work(i);
            } catch (...) {
                std::lock_guard const guard(mutex);
                if (!first) first = std::current_exception();
            }
        });
    for (auto& t : threads) t.join();
    if (first) std::rethrow_exception(first);
}

/// Sets a flag at the end of a scope, so that helpers that watch it stop when their thread fails, too.
class raise_at_end {
public:
    explicit raise_at_end(std::atomic<bool>& flag) noexcept : flag_(flag) {}
    raise_at_end(raise_at_end const&) = delete;
    raise_at_end& operator=(raise_at_end const&) = delete;
    ~raise_at_end() { flag_ = true; }

private:
    std::atomic<bool>& flag_;
};

} // namespace catena::test
