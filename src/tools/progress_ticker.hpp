// SPDX-License-Identifier: Apache-2.0
// progress_ticker: a line that counts seconds while a call is under way that does not say how far it is.
// Thread safety: made and destroyed by one thread; draws from one of its own, so nobody else writes to `out` meanwhile.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include <fmt/format.h>

namespace catena::tools {

class progress_ticker {
public:
    /// Draws "text  12 s" on `out` only if `enabled`, and not before a second went by.
    progress_ticker(std::FILE* out, bool enabled, std::string text) : out_(out), text_(std::move(text)) {
        if (enabled) thread_ = std::jthread([this](std::stop_token const& stop) { run(stop); });
    }
    progress_ticker(progress_ticker const&) = delete;
    progress_ticker& operator=(progress_ticker const&) = delete;
    ~progress_ticker() = default;

private:
    void run(std::stop_token const& stop) {
        std::unique_lock lock(mutex_);
        int seconds = 0;
        while (!wake_.wait_for(lock, stop, std::chrono::seconds(1), [&] { return stop.stop_requested(); })) {
            fmt::print(out_, "\r{}  {} s\x1b[K", text_, ++seconds);
            std::fflush(out_);
        }
        if (seconds == 0) return;
        fmt::print(out_, "\r\x1b[K");
        std::fflush(out_);
    }

    std::FILE* out_;
    std::string text_;
    std::mutex mutex_; ///< of the wait alone
    std::condition_variable_any wake_;
    std::jthread thread_; ///< last: it uses the others
};

} // namespace catena::tools
