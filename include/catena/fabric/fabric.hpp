// SPDX-License-Identifier: Apache-2.0
// The fabric concepts: what a transport must offer. The compiler checks the shape, the comments give the meaning.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <string_view>

#include <catena/core/result.hpp>
#include <catena/fabric/client_id.hpp>
#include <catena/fabric/guarantees.hpp>
#include <catena/fabric/op.hpp>
#include <catena/fabric/stats.hpp>

namespace catena {

/// What co_await gives for T.
template <typename A>
concept completion_awaitable = requires(A a) {
    { a.await_ready() } -> std::convertible_to<bool>;
    { a.await_resume() } -> std::same_as<result<void>>;
};

// Version 14 of clang-format would break lines before `noexcept` in requirements.
// clang-format off

/// A channel posts one-sided operations to all memory nodes of a fabric. One thread at a time.
///   submit(ops)  posts the batch when awaited; the await ends when all operations completed: one round trip. An error
///                names the first operation that failed; what the others did is unknown. errc::fenced: this client was
///                shut out (below); a WRITE or an atomic of it fails so from then on, a READ may still succeed.
///   fence(id)    shuts a client out; the awaited value is a result<void>. After it ended without an error no operation of
///                any channel of that client takes effect any more on any memory node, nor of channels that it opens
///                later: what was in flight took effect before, or never will. Idempotent. One round trip. Errors:
///                timed_out (it could not be established within a bound: nothing of that client may be taken over;
///                fence it again), invalid_argument (anonymous).
///   pause(d)     lets time pass between retries: awaits at most about d.
///   poll()       drives completions of suspended coroutines; a no-op where submit never suspends.
///   now()        the channel's clock, for leases and budgets (virtual time on a simulated fabric).
///   stats()      counters since the channel was made.
template <typename C>
concept channel = std::movable<C> && requires(C c, C const constant, batch ops, client_id id, std::chrono::nanoseconds d) {
    { C::guarantees } -> std::convertible_to<fabric_guarantees>;
    { c.submit(ops) } -> completion_awaitable;
    { c.fence(id) } -> completion_awaitable;
    { c.pause(d) } -> completion_awaitable;
    { c.poll() } noexcept;
    { constant.now() } noexcept -> std::same_as<std::chrono::nanoseconds>;
    { c.stats() } noexcept -> std::same_as<fabric_stats&>;
};

/// A fabric knows the memory nodes and makes channels. connect(id) may be called from any thread; `id` says whose channel
/// it is, so that the client can be fenced as a whole. Channels end before their fabric.
template <typename F>
concept fabric = requires(F f, F const constant, client_id id) {
    requires channel<typename F::channel_type>;
    { F::name } -> std::convertible_to<std::string_view>;
    { constant.node_count() } noexcept -> std::same_as<std::uint16_t>;
    { constant.node_bytes() } noexcept -> std::same_as<std::uint64_t>; // of each memory node
    { f.connect(id) } -> std::same_as<setup_result<typename F::channel_type>>;
};

// clang-format on

} // namespace catena
