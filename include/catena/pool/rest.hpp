// SPDX-License-Identifier: Apache-2.0
// rest: blocks that are freed while somebody may be reading them, where a reader could not tell a mix of two lives.
//
// Tree nodes need no such thing: their seals and incarnations tell (pool/node_allocator.hpp). A slot of an extent
// (prefix/extent.hpp) is two words without a seal; a READ that began in one life of the block and ended in the next could
// put the tag of one block beside the place of another. Hence the grace rule:
//   G1  A block is used again only `rest_time` after nothing leads to it any more, by the clock of who frees it.
//   G2  A reader who waited for a READ for longer than half of that, by its own clock, does not use what it got
//       (read_in_time). A READ that was answered in time began after nothing led to the block, and then saw that it is dead,
//       or ended before it was used again. Clocks need not agree, only go at the same pace, to a factor of two.
// A client that dies leaves resting blocks as it leaves any other: whoever reclaims them has watched it for a lease first.
// Thread safety: as the session. Bound: most_resting blocks a session; who frees more waits for the oldest.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/pool/node_allocator.hpp>
#include <catena/pool/session.hpp>

namespace catena {

inline constexpr std::chrono::milliseconds rest_time{20};
inline constexpr std::size_t most_resting = 256;

/// G2. begun: the channel's clock before the READ was posted.
template <typename Session>
[[nodiscard]] bool read_in_time(Session& s, std::chrono::nanoseconds begun) noexcept {
    return s.channel().now() - begun <= rest_time / 2;
}

/// Frees those that have rested. No round trip as a rule, 2 for each block that goes to a free list.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> free_rested(Session& s) {
    auto& resting = s.allocation().resting;
    auto const now = s.channel().now();
    while (!resting.empty() && resting.front().until <= now) {
        auto const rested = resting.front();
        resting.erase(resting.begin());
        if (auto const r = co_await free_block(s, rested.at_rest, rested.bytes); !r) co_return r.error();
    }
    co_return result<void>{};
}

/// G1. The caller has made sure that nothing leads to the block any more, and that its header says that it is dead and names
/// this member. Waits for `rest_time` at most, and only if most_resting blocks rest.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> rest_block(Session& s, block freed, std::uint64_t bytes) {
    auto& resting = s.allocation().resting;
    if (resting.capacity() == 0) resting.reserve(most_resting);
    for (;;) {
        if (auto const r = co_await free_rested(s); !r) co_return r.error();
        if (resting.size() < most_resting) break;
        auto const left = std::max<std::chrono::nanoseconds>(resting.front().until - s.channel().now(),
                                                             std::chrono::microseconds(1));
        if (auto const r = co_await s.channel().pause(left); !r) co_return r.error();
    }
    resting.push_back({.at_rest = freed, .bytes = bytes, .until = s.channel().now() + rest_time});
    co_return result<void>{};
}

/// Waits until all that rest have rested, and frees them: before a session ends (release_all).
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> end_rest(Session& s) {
    auto& resting = s.allocation().resting;
    while (!resting.empty()) {
        auto const left = std::max<std::chrono::nanoseconds>(resting.back().until - s.channel().now(),
                                                             std::chrono::microseconds(1));
        if (auto const r = co_await s.channel().pause(left); !r) co_return r.error();
        if (auto const r = co_await free_rested(s); !r) co_return r.error();
    }
    co_return result<void>{};
}

} // namespace catena
