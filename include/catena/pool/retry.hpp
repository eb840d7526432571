// SPDX-License-Identifier: Apache-2.0
// retry: how an operation waits for somebody else, and when it gives up. Every wait of the library is one of these.
// Thread safety: belongs to one operation.
#pragma once

#include <algorithm>
#include <chrono>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>

namespace catena {

/// The first tries follow at once (the other side needs one or two round trips), later ones after pauses that double
/// up to 1 ms; after pauses of pool_state::patience in all the operation ends with errc::contended. Pauses are counted,
/// not the clock: a machine that stood still for seconds is no reason to give up.
class retry {
public:
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<void>> wait(Session& s) {
        using namespace std::chrono_literals;
        ++s.stats().retries;
        ++attempts_;
        if (attempts_ <= eager) co_return result<void>{};
        if (paused_ >= s.pool().patience) co_return make_error(errc::contended);
        auto const pause = std::min<std::chrono::nanoseconds>(1us * (1U << std::min(attempts_ - eager, 10U)), 1ms);
        paused_ += pause;
        co_return co_await s.channel().pause(pause);
    }

    /// Did it wait for longer than somebody who is at work needs?
    [[nodiscard]] bool paused() const noexcept { return attempts_ > eager; }
    [[nodiscard]] unsigned attempts() const noexcept { return attempts_; }

private:
    static constexpr unsigned eager = 4;
    unsigned attempts_ = 0;
    std::chrono::nanoseconds paused_{};
};

} // namespace catena
