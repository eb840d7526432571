// SPDX-License-Identifier: Apache-2.0
// membership: who is in the pool, and whose lease ran out.
//
// The table lies on memory node 0: member_slots records (member_record.hpp).
// A lease needs no common clock: an observer that sees the same record for a whole lease of its own time counts the member
// as dead. The owner renews every quarter of a lease, piggybacked on its operations (keep_lease), and stops writing once
// half a lease went by without a renewal until it has made sure that its slot is still its own.
// A client that does nothing renews nothing: idle for longer than a lease it may be taken for dead (by a join that finds
// the table full, by pool/reclaim.hpp), and learns it from its next write.
// The dead may be merely slow. So nobody acts on such a death before the client is fenced (fabric.hpp): then nothing of it
// lands in remote memory any more.
//
// Join       J1 CAS state: free(i) -> claiming(i + 1);  J2 CAS client: the word that was read -> mine;
//            J3 CAS state: claiming(i + 1) -> joined(i + 1). If one of them fails, J gives back what it has of the slot
//            (CAS claiming -> free) and takes another.
// Reap       of a record that stood still for a lease. joined: R1 fence(client), R2 CAS state: joined(i) -> free(i).
//            claiming: R2 alone, since who claims holds nothing.
// Leave      CAS state: joined(i) -> free(i), when no operation of the member is in flight.
// I1         A record leaves joined(i) only by its member, with nothing in flight, or after that client was fenced. So a
//            lock word that names (slot, i) where the record is not joined(i) any more names nobody who can still write,
//            and may be taken over. A state never comes back: the incarnation grows with every claim.
// I2         While a record is joined(i), `client` is that of the member: J2 came before J3, and later nobody's J2 can
//            succeed. A late claimer L, who was reaped between J1 and J2, expects a client X that it read before; an id
//            is written to a slot at most once (a client joins once, and tries no slot twice), so X never comes back
//            after another claimer's J2. If L's J2 wins against that of a newer claimer N instead, then N's fails, and N
//            gives the slot back before it is joined.
// I3         R1 fences the right one: the record was read twice, a lease apart, and was the same (lease_observer). What
//            the second look read as `client` was read after joined(i) had been seen, so by I2 it is the client of i; or
//            of a later claim, which the first look could not have seen.
// Race       of two who reap, or of R and a member that leaves: the fence is idempotent, one R2 succeeds. Of R and a
//            member that wakes up and renews between the look and R1: it is fenced all the same, and learns it.
// Dies       a claimer: its record is reaped. A reaper between R1 and R2: the next one fences again.
// Thread safety: any number of clients; the sessions of one client share its lease through pool_state.
// Tests: pool/membership_test.cpp, pool/reap_test.cpp.
#pragma once

#include <array>
#include <bitset>
#include <chrono>
#include <cstdint>

#include <catena/core/hash.hpp>
#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/fabric/op.hpp>
#include <catena/pool/member_record.hpp>
#include <catena/pool/session.hpp>

namespace catena {

template <typename Session>
[[nodiscard]] std::chrono::nanoseconds lease_of(Session& s) noexcept {
    return std::chrono::milliseconds(s.pool().geometry.lease_ms);
}

namespace detail {

/// J1 to J3. False: somebody else was faster, or took us for dead meanwhile; the slot is nothing of ours.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<bool>> claim_member(Session& s, std::uint32_t slot, member_record seen) {
    auto const incarnation = seen.incarnation() + 1;
    auto const mine = static_cast<word>(s.pool().client);
    word const claiming = member_record::state_of(incarnation, member_phase::claiming);
    op claim = op::cas(member_at(slot), seen.state, claiming);
    if (auto const r = co_await s.submit(claim); !r) co_return r.error();
    if (!claim.swapped()) co_return false;
    op sign = op::cas(member_at(slot) + offsetof(member_record, client), seen.client, mine);
    if (auto const r = co_await s.submit(sign); !r) co_return r.error();
    if (!sign.swapped()) {
        op give_back = op::cas(member_at(slot), claiming, member_record::state_of(incarnation, member_phase::free));
        if (auto const r = co_await s.submit(give_back); !r) co_return r.error();
        co_return false; // whether it was ours to give back or reaped already
    }
    auto const now = s.channel().now();
    op enter = op::cas(member_at(slot), claiming, member_record::state_of(incarnation, member_phase::joined));
    if (auto const r = co_await s.submit(enter); !r) co_return r.error();
    if (!enter.swapped()) co_return false;
    s.pool().self = {.slot = slot, .incarnation = incarnation};
    s.pool().lease_renewed = now.count();
    co_return true;
}

} // namespace detail

/// Makes sure that the member of an expired record (one that a lease_observer counts as such) is out: fences it, then
/// frees its slot. True: it is, by us or by another. False: the fence could not be established in time, so it is not gone.
/// 2 round trips. Errors: corrupt (a member without a client), unreachable, fenced (so are we).
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<bool>> reap(Session& s, std::uint32_t slot, member_record seen) {
    if (seen.phase() == member_phase::free) co_return true;
    if (seen.joined()) {
        client_id const client{seen.client};
        if (client == anonymous_client) co_return make_error(errc::corrupt);
        if (auto const r = co_await s.channel().fence(client); !r) {
            if (r.error().code == errc::timed_out) co_return false;
            co_return r.error();
        }
    }
    op free = op::cas(member_at(slot), seen.state, member_record::state_of(seen.incarnation(), member_phase::free));
    if (auto const r = co_await s.submit(free); !r) co_return r.error();
    co_return true;
}

/// Can the member that a lock word names write no more, so that what it held may be taken over? True if it left, or was
/// reaped, or stood still for a lease; then it is reaped (fenced first). What earlier calls of any session of this client
/// saw counts. A client never counts itself as gone; one that only reads counts nobody so, as it can reap nobody. 1 round
/// trip, 3 when it reaps. Errors: as reap.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<bool>> is_gone(Session& s, member_name member) {
    if (s.pool().read_only || member.names(s.pool().self)) co_return false;
    member_record record;
    auto const asked = s.channel().now();
    op read = op::read(member_at(member.slot), &record, sizeof record);
    if (auto const r = co_await s.submit(read); !r) co_return r.error();
    if (!record.joined() || !member.names({.slot = member.slot, .incarnation = record.incarnation()})) co_return true;
    if (!s.pool().watch.expired(member.slot, record, asked, s.channel().now(), lease_of(s))) co_return false;
    co_return co_await reap(s, member.slot, record);
}
/// `tag`: as in the lock word of a node.
template <typename Session>
[[nodiscard]] task<result<bool>> is_gone(Session& s, std::uint32_t tag) {
    return is_gone(s, member_name::of_tag(tag));
}

/// Joins the pool: claims a free slot of the table, or, if there is none, that of a member whose lease runs out while it
/// watches (that takes one lease). Once in the life of a client (I2): after lease_lost or fenced, open the pool again.
/// 4 round trips as a rule. Errors: full (every member is alive), invalid_argument (it joined before), unreachable.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> join(Session& s) {
    if (s.pool().joining.exchange(true)) co_return make_error(errc::invalid_argument);
    scratch_lease const memory(s.scratches());
    auto const table = memory->template take<member_record>(member_slots);
    auto const begin = s.channel().now();
    auto const first = static_cast<std::uint32_t>(mix64(static_cast<std::uint64_t>(s.pool().client)));
    std::bitset<member_slots> tried;
    for (;;) {
        auto const asked = s.channel().now();
        op read = op::read(member_at(0), table.data(), table.size_bytes());
        if (auto const r = co_await s.submit(read); !r) co_return r.error();
        auto const now = s.channel().now();
        for (bool const reaping : {false, true}) {
            for (std::uint32_t i = 0; i < member_slots; ++i) {
                auto const slot = (first + i) % member_slots; // clients that join together start at different places
                auto& record = table[slot];
                bool const free = record.phase() == member_phase::free;
                if (free == reaping || tried[slot]) continue;
                if (reaping) {
                    if (!s.pool().watch.expired(slot, record, asked, now, lease_of(s))) continue;
                    auto const out = co_await reap(s, slot, record);
                    if (!out && out.error().code == errc::corrupt) continue; // others have no use for it either
                    if (!out) co_return out.error();
                    if (!*out) continue;
                    record.state = member_record::state_of(record.incarnation(), member_phase::free);
                }
                tried.set(slot);
                auto const claimed = co_await detail::claim_member(s, slot, record);
                if (!claimed) co_return claimed.error();
                if (*claimed) co_return result<void>{};
            }
        }
        if (now - begin > 2 * lease_of(s)) co_return make_error(errc::full);
        if (auto const r = co_await s.channel().pause(lease_of(s) / 8); !r) co_return r.error();
    }
}

/// Renews the lease if a quarter of it went by; to be awaited before an operation that will write. Costs a look at the
/// clock as a rule, 1 round trip when it renews. Errors: lease_lost or fenced (others may have taken what this client
/// held; open the pool again), read_only (it will not write), unreachable.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> keep_lease(Session& s) {
    auto& pool = s.pool();
    if (pool.read_only) co_return make_error(errc::read_only);
    auto const now = s.channel().now().count();
    auto const age = now - pool.lease_renewed.load(std::memory_order_relaxed);
    auto const lease = lease_of(s).count();
    if (age < lease / 4) co_return result<void>{};
    bool const urgent = age >= lease / 2; // others may count us as dead soon: nobody may go on unsure
    if (pool.lease_renewing.exchange(true, std::memory_order_acquire) && !urgent) co_return result<void>{};
    // If the slot is no longer ours the heartbeat is somebody else's: a count too many there harms nobody.
    word state = 0;
    word const beat = pool.heartbeat.fetch_add(1, std::memory_order_relaxed) + 1;
    std::array ops{op::write(member_at(pool.self.slot) + offsetof(member_record, heartbeat), &beat, word_bytes),
                   op::read(member_at(pool.self.slot), &state, word_bytes)};
    auto const sent = co_await s.submit(batch(ops));
    bool const ours = sent && state == member_record::state_of(pool.self.incarnation, member_phase::joined);
    if (ours) pool.lease_renewed.store(now, std::memory_order_relaxed);
    pool.lease_renewing.store(false, std::memory_order_release);
    if (!sent) co_return sent.error();
    if (!ours) co_return make_error(errc::lease_lost);
    co_return result<void>{};
}

/// Leaves the pool: the slot is free at once. No other operation of this client may be in flight (I1). 1 round trip.
/// Errors: lease_lost or fenced (it was not ours any more), unreachable.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> leave(Session& s) {
    auto const self = s.pool().self;
    op free = op::cas(member_at(self.slot), member_record::state_of(self.incarnation, member_phase::joined),
                      member_record::state_of(self.incarnation, member_phase::free));
    if (auto const r = co_await s.submit(free); !r) co_return r.error();
    if (!free.swapped()) co_return make_error(errc::lease_lost);
    co_return result<void>{};
}

} // namespace catena
