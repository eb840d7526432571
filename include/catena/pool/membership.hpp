// SPDX-License-Identifier: Apache-2.0
// membership: who is in the pool, and whose lease ran out.
//
// The table lies on memory node 0: member_slots pairs of words {state, heartbeat}. state = incarnation (32) | joined (1);
// it changes by CAS only. heartbeat is written by the slot's owner alone and counts up.
// A lease needs no common clock: an observer that sees the same (state, heartbeat) for a whole lease of its own time
// counts the member as dead. The owner renews every quarter of a lease, piggybacked on its operations (keep_lease), and
// stops writing once half a lease went by without a renewal until it has made sure that its slot is still its own.
// A slot that is taken again gets a new incarnation, so a lock word of its former owner names nobody who lives.
// Thread safety: any number of clients; the sessions of one client share its lease through pool_state.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <span>

#include <catena/core/hash.hpp>
#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/fabric/op.hpp>
#include <catena/pool/session.hpp>

namespace catena {

struct member_record {
    word state = 0;
    word heartbeat = 0;

    [[nodiscard]] constexpr bool joined() const noexcept { return (state & 1U) != 0; }
    [[nodiscard]] constexpr std::uint32_t incarnation() const noexcept {
        return static_cast<std::uint32_t>(state >> 32U);
    }
    [[nodiscard]] static constexpr word state_of(std::uint32_t incarnation, bool joined) noexcept {
        return word{incarnation} << 32U | (joined ? 1U : 0U);
    }
    friend constexpr bool operator==(member_record const&, member_record const&) = default;
};
static_assert(wire_struct<member_record> && sizeof(member_record) == 16);

[[nodiscard]] constexpr remote_ptr member_at(std::uint32_t slot) noexcept {
    return {0, members_offset + std::uint64_t{slot} * sizeof(member_record)};
}

/// Watches one member: has its lease run out, as far as this observer can tell?
class lease_observer {
public:
    /// Feed what was read, and when. True once the record stood still for `lease`, or names nobody.
    [[nodiscard]] bool expired(member_record const& seen, std::chrono::nanoseconds now,
                               std::chrono::nanoseconds lease) noexcept {
        if (!seen.joined()) return true;
        if (!started_ || seen != last_) {
            started_ = true;
            last_ = seen;
            since_ = now;
        }
        return now - since_ >= lease;
    }

private:
    member_record last_;
    std::chrono::nanoseconds since_{};
    bool started_ = false;
};

template <typename Session>
[[nodiscard]] std::chrono::nanoseconds lease_of(Session& s) noexcept {
    return std::chrono::milliseconds(s.pool().geometry.lease_ms);
}

namespace detail {

template <typename Session>
[[nodiscard, gnu::noinline]] task<result<bool>> claim_member(Session& s, std::uint32_t slot,
                                                             member_record const& seen) {
    auto const incarnation = seen.incarnation() + 1;
    op claim = op::cas(member_at(slot), seen.state, member_record::state_of(incarnation, true));
    if (auto const r = co_await s.submit(claim); !r) co_return r.error();
    if (!claim.swapped()) co_return false;
    s.pool().self = {.slot = slot, .incarnation = incarnation};
    s.pool().lease_renewed = s.channel().now().count();
    co_return true;
}

} // namespace detail

/// Joins the pool: claims a free slot of the table, or, if all are taken, one whose lease runs out while it watches
/// (that takes one lease). 2 round trips as a rule. Errors: full (every member is alive), unreachable.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> join(Session& s) {
    scratch_lease const memory(s.scratches());
    auto const table = memory->template take<member_record>(member_slots);
    auto const observers = memory->template take<lease_observer>(member_slots);
    auto const begin = s.channel().now();
    auto const first = static_cast<std::uint32_t>(mix64(static_cast<std::uint64_t>(begin.count())));
    for (;;) {
        op read = op::read(member_at(0), table.data(), table.size_bytes());
        if (auto const r = co_await s.submit(read); !r) co_return r.error();
        auto const now = s.channel().now();
        for (std::uint32_t i = 0; i < member_slots; ++i) {
            auto const slot = (first + i) % member_slots; // clients that join together start at different places
            if (!observers[slot].expired(table[slot], now, lease_of(s))) continue;
            auto const claimed = co_await detail::claim_member(s, slot, table[slot]);
            if (!claimed) co_return claimed.error();
            if (*claimed) co_return result<void>{};
        }
        if (now - begin > 2 * lease_of(s)) co_return make_error(errc::full);
        if (auto const r = co_await s.channel().pause(lease_of(s) / 8); !r) co_return r.error();
    }
}

/// Renews the lease if a quarter of it went by; to be awaited before an operation that will write. Costs a look at the
/// clock as a rule, 1 round trip when it renews. Errors: lease_lost (others may have taken what this client held; join
/// again), unreachable.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> keep_lease(Session& s) {
    auto& pool = s.pool();
    auto const now = s.channel().now().count();
    auto const age = now - pool.lease_renewed.load(std::memory_order_relaxed);
    auto const lease = lease_of(s).count();
    if (age < lease / 4) co_return result<void>{};
    bool const urgent = age >= lease / 2; // others may count us as dead soon: nobody may go on unsure
    if (pool.lease_renewing.exchange(true, std::memory_order_acquire) && !urgent) co_return result<void>{};
    // If the slot is no longer ours the heartbeat is somebody else's: a count too many there harms nobody.
    word state = 0;
    word const beat = pool.heartbeat.fetch_add(1, std::memory_order_relaxed) + 1;
    std::array ops{op::write(member_at(pool.self.slot) + word_bytes, &beat, word_bytes),
                   op::read(member_at(pool.self.slot), &state, word_bytes)};
    auto const sent = co_await s.submit(batch(ops));
    bool const ours = sent && state == member_record::state_of(pool.self.incarnation, true);
    if (ours) pool.lease_renewed.store(now, std::memory_order_relaxed);
    pool.lease_renewing.store(false, std::memory_order_release);
    if (!sent) co_return sent.error();
    if (!ours) co_return make_error(errc::lease_lost);
    co_return result<void>{};
}

/// Leaves the pool: the slot is free at once. 1 round trip.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> leave(Session& s) {
    auto const self = s.pool().self;
    op free = op::cas(member_at(self.slot), member_record::state_of(self.incarnation, true),
                      member_record::state_of(self.incarnation, false));
    if (auto const r = co_await s.submit(free); !r) co_return r.error();
    if (!free.swapped()) co_return make_error(errc::lease_lost);
    co_return result<void>{};
}

} // namespace catena
