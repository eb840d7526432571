// SPDX-License-Identifier: Apache-2.0
// Who takes another's place takes care first that nothing of it lands any more: reaping, is_gone, the catalog's lock.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include <catena/pool/catalog.hpp>
#include <catena/pool/membership.hpp>

#include <pool/clock_fabric.hpp>
#include <support/catch.hpp>
#include <support/threads.hpp>

using namespace catena;
using namespace std::chrono_literals;
using test::clock_client;
using test::clock_fabric;
using test::ok;
using test::raw_read;
using test::raw_write;

namespace {

constexpr auto lease = 1000ms;
pool_options options() { return {.lease = lease, .chunk_bytes = 0, .patience = 100ms}; }

struct reap_world {
    clock_fabric fabric;
    clock_client first = clock_client::create(fabric, options());
    [[nodiscard]] clock_client join() { return clock_client::join(fabric, options()); }
};

constexpr std::uint64_t client_offset = offsetof(member_record, client);

member_record record(clock_fabric& f, std::uint32_t slot) {
    member_record r;
    op read = op::read(member_at(slot), &r, sizeof r);
    ok(ok(f.memory().connect()).submit(batch(&read, 1)).await_resume());
    return r;
}
member_record record(clock_fabric& f, clock_client& c) { return record(f, c.pool.self().slot); }
bool raw_cas(clock_fabric& f, remote_ptr at, word expected, word desired) {
    op cas = op::cas(at, expected, desired);
    ok(ok(f.memory().connect()).submit(batch(&cas, 1)).await_resume());
    return cas.swapped();
}
result<void> keep(clock_client& c) { return sync_wait(c.s, keep_lease(c.s)); }
result<bool> gone(clock_client& c, std::uint32_t tag) { return sync_wait(c.s, is_gone(c.s, tag)); }
result<bool> reaped(clock_client& c, std::uint32_t slot, member_record const& seen) {
    return sync_wait(c.s, reap(c.s, slot, seen));
}
/// One word in the heap's first page: can the client write?
result<void> write(clock_client& c) {
    word const value = 1;
    op one = op::write({0, heap_offset}, &value, sizeof value);
    return c.s.submit(one).await_resume();
}
bool fenced(clock_client& c) {
    auto const r = write(c);
    test::expect(r || r.error().code == errc::fenced, "another error");
    return !r;
}
/// All slots but one have a member of their own; that one is free with this incarnation and client.
void leave_one_free(clock_fabric& f, std::uint32_t slot, std::uint32_t incarnation, word client) {
    for (std::uint32_t i = 0; i < member_slots; ++i) {
        if (record(f, i).joined()) continue;
        raw_write(f.memory(), member_at(i) + client_offset, i == slot ? client : 1'000'000 + i);
        raw_write(f.memory(), member_at(i),
                  member_record::state_of(incarnation, i == slot ? member_phase::free : member_phase::joined));
    }
}

} // namespace

TEST_CASE("a record names the client of its member, and another one for each pool object") {
    reap_world w;
    auto other = w.join();
    REQUIRE(record(w.fabric, w.first).client == static_cast<word>(w.first.pool.client()));
    REQUIRE(record(w.fabric, other).client == static_cast<word>(other.pool.client()));
    REQUIRE(w.first.pool.client() != other.pool.client());
    REQUIRE(other.pool.client() != anonymous_client);
}

TEST_CASE("who is reaped is fenced first, on all its sessions; its slot is free, with the same incarnation") {
    reap_world w;
    auto victim = w.join();
    auto second = victim.session();
    auto const seen = record(w.fabric, victim);
    bool fenced_first = false;
    w.fabric.clock.on_submit = [&](batch ops) { // before the CAS that frees the slot
        if (ops[0].kind == op_kind::cas) fenced_first = fenced(victim);
    };
    REQUIRE(ok(reaped(w.first, victim.pool.self().slot, seen)));
    w.fabric.clock.on_submit = nullptr;
    REQUIRE(fenced_first);
    REQUIRE(record(w.fabric, victim).state == member_record::state_of(seen.incarnation(), member_phase::free));
    word const value = 1;
    op one = op::write({0, heap_offset}, &value, sizeof value);
    REQUIRE(second.submit(one).await_resume().error().code == errc::fenced);
    auto third = victim.session(); // and what it opens later
    REQUIRE(third.submit(one).await_resume().error().code == errc::fenced);
    word w0 = 0;
    op read = op::read({0, 0}, &w0, sizeof w0);
    ok(second.submit(read).await_resume());
    REQUIRE_FALSE(fenced(w.first));
    w.fabric.clock.now += lease / 2;
    REQUIRE(keep(victim).error().code == errc::fenced);
    ok(keep(w.first));
}

TEST_CASE("the slot of who was reaped may be another's before it notices: its end disturbs nobody") {
    reap_world w;
    std::optional<clock_client> victim(w.join());
    auto const slot = victim->pool.self().slot;
    REQUIRE(ok(reaped(w.first, slot, record(w.fabric, slot))));
    leave_one_free(w.fabric, slot, record(w.fabric, slot).incarnation(), record(w.fabric, slot).client);
    auto next = w.join();
    REQUIRE(next.pool.self().slot == slot);
    auto const state = record(w.fabric, slot).state;
    victim.reset();
    REQUIRE(record(w.fabric, slot).state == state);
    ok(keep(next));
    REQUIRE_FALSE(fenced(next));
}

TEST_CASE("a record of a claimer is reaped without a fence") {
    reap_world w;
    auto bystander = w.join();
    auto const slot = (bystander.pool.self().slot ^ 1U) == w.first.pool.self().slot ? bystander.pool.self().slot ^ 2U
                                                                                    : bystander.pool.self().slot ^ 1U;
    raw_write(w.fabric.memory(), member_at(slot), member_record::state_of(4, member_phase::claiming));
    raw_write(w.fabric.memory(), member_at(slot) + client_offset, static_cast<word>(bystander.pool.client()));
    REQUIRE(ok(reaped(w.first, slot, record(w.fabric, slot))));
    REQUIRE(record(w.fabric, slot).state == member_record::state_of(4, member_phase::free));
    REQUIRE_FALSE(fenced(bystander));
}

TEST_CASE("a member without a client is damage, not a member to be reaped") {
    reap_world w;
    member_record const r{.state = member_record::state_of(4, member_phase::joined)};
    auto const slot = w.first.pool.self().slot ^ 1U;
    raw_write(w.fabric.memory(), member_at(slot), r.state);
    REQUIRE(reaped(w.first, slot, r).error().code == errc::corrupt);
    REQUIRE(record(w.fabric, slot).joined());
}

TEST_CASE("whoever reaps what another reaped, or took again meanwhile, changes nothing more") {
    reap_world w;
    auto victim = w.join(), second = w.join();
    auto const slot = victim.pool.self().slot;
    auto const seen = record(w.fabric, slot);
    std::optional<clock_client> successor;
    bool const taken_again = GENERATE(false, true);
    bool once = false;
    w.fabric.clock.on_submit = [&](batch ops) { // the second one is faster between fence and CAS of the first
        if (std::exchange(once, true) || ops[0].kind != op_kind::cas) return;
        REQUIRE(ok(reaped(second, slot, seen)));
        if (!taken_again) return;
        leave_one_free(w.fabric, slot, record(w.fabric, slot).incarnation(), record(w.fabric, slot).client);
        successor.emplace(w.join());
        REQUIRE(successor->pool.self() == member_id{.slot = slot, .incarnation = seen.incarnation() + 1});
    };
    REQUIRE(ok(reaped(w.first, slot, seen)));
    w.fabric.clock.on_submit = nullptr;
    REQUIRE(fenced(victim));
    REQUIRE(record(w.fabric, slot).joined() == taken_again);
    if (successor) {
        ok(keep(*successor));
        REQUIRE_FALSE(fenced(*successor));
    }
}

TEST_CASE("of many threads that reap the same member all succeed and one frees the slot") {
    test::world w(4U << 20U);
    for (int round = 0; round < 50; ++round) {
        auto victim = w.join();
        auto const self = victim.pool.self();
        member_record seen;
        op read = op::read(member_at(self.slot), &seen, sizeof seen);
        ok(w.first.s.submit(read).await_resume());
        test::run_threads(3, [&](std::size_t) {
            auto mine = w.join();
            test::expect(mine.pool.self().slot != self.slot || mine.pool.self().incarnation > self.incarnation,
                         "a slot for two");
            test::expect(ok(sync_wait(mine.s, reap(mine.s, self.slot, seen))), "not reaped");
        });
        word const value = 1;
        op one = op::write({0, heap_offset}, &value, sizeof value);
        REQUIRE(victim.s.submit(one).await_resume().error().code == errc::fenced);
    }
}

// The three steps of a joiner N (READ, J1, J2, J3), and between any two of them a claimer L that claimed the same slot
// earlier, was reaped, and only now comes to its J2 and J3.
TEST_CASE("a claimer that comes late, wherever it gets in, neither joins nor signs for another") {
    for (int at = 0; at < 5; ++at) {
        CAPTURE(at);
        reap_world w;
        constexpr word before = 77, late = 88; // clients: who had the slot, and L
        auto const slot = w.first.pool.self().slot ^ 1U;
        leave_one_free(w.fabric, slot, 9, before);
        // L read (free 8, before) and took it; it was reaped to free 9.
        int step = 0;
        bool signed_late = false;
        w.fabric.clock.on_submit = [&](batch ops) {
            bool const about_the_table =
                ops[0].target.offset() >= members_offset && ops[0].target.offset() < catalog_offset;
            if (!about_the_table || step++ != at) return;
            signed_late = raw_cas(w.fabric, member_at(slot) + client_offset, before, late);
            REQUIRE_FALSE(raw_cas(w.fabric, member_at(slot), member_record::state_of(9, member_phase::claiming),
                                  member_record::state_of(9, member_phase::joined)));
        };
        w.fabric.clock.on_pause = [&] { ok(keep(w.first)); };
        auto n = w.join();
        w.fabric.clock.on_submit = nullptr;
        auto const r = record(w.fabric, n);
        REQUIRE(r.state == member_record::state_of(n.pool.self().incarnation, member_phase::joined));
        REQUIRE(r.client == static_cast<word>(n.pool.client()));
        if (n.pool.self().slot != slot) { // then L's signature was in its way, and it gave the slot back
            REQUIRE(signed_late);
            REQUIRE(record(w.fabric, slot).phase() == member_phase::free);
        }
        REQUIRE(signed_late == (at < 3));
    }
}

// Two that read the same free slot. N does all of it before L's first, second or third step.
TEST_CASE("of two claimers of one slot the slower takes another, and the faster keeps what it has") {
    for (int at = 1; at < 4; ++at) { // before L's J1, J2, J3
        CAPTURE(at);
        reap_world w;
        w.fabric.clock.on_pause = [&] { ok(keep(w.first)); };
        int step = 0;
        std::uint32_t slot = member_slots;
        constexpr word newer = 4711; // N
        word joined = 0;
        w.fabric.clock.on_submit = [&](batch ops) {
            bool const about_the_table =
                ops[0].target.offset() >= members_offset && ops[0].target.offset() < catalog_offset;
            if (!about_the_table || step++ != at) return;
            slot = static_cast<std::uint32_t>((ops[0].target.offset() - members_offset) / sizeof(member_record));
            auto const seen = record(w.fabric, slot);
            if (at > 1) { // L had claimed it, and was reaped
                REQUIRE(seen.phase() == member_phase::claiming);
                REQUIRE(ok(reaped(w.first, slot, seen)));
            }
            auto const incarnation = seen.incarnation() + 1;
            joined = member_record::state_of(incarnation, member_phase::joined);
            raw_write(w.fabric.memory(), member_at(slot) + client_offset, newer);
            raw_write(w.fabric.memory(), member_at(slot), joined);
        };
        auto late = w.join();
        w.fabric.clock.on_submit = nullptr;
        REQUIRE(slot != member_slots);
        REQUIRE(record(w.fabric, slot).state == joined);
        REQUIRE(record(w.fabric, slot).client == newer);
        REQUIRE(late.pool.self().slot != slot);
        REQUIRE(record(w.fabric, late).joined());
        REQUIRE(record(w.fabric, late).client == static_cast<word>(late.pool.client()));
    }
}

TEST_CASE("a claimer that is reaped between its steps takes another slot") {
    for (int at = 2; at < 4; ++at) { // before J2, before J3
        CAPTURE(at);
        reap_world w;
        bool const only_one = GENERATE(false, true);
        if (only_one) leave_one_free(w.fabric, w.first.pool.self().slot ^ 1U, 9, 77);
        w.fabric.clock.on_pause = [&] { ok(keep(w.first)); };
        int step = 0;
        std::uint32_t lost = member_slots;
        w.fabric.clock.on_submit = [&](batch ops) {
            bool const about_the_table =
                ops[0].target.offset() >= members_offset && ops[0].target.offset() < catalog_offset;
            if (!about_the_table || step++ != at) return;
            lost = static_cast<std::uint32_t>((ops[0].target.offset() - members_offset) / sizeof(member_record));
            auto const seen = record(w.fabric, lost);
            REQUIRE(seen.phase() == member_phase::claiming);
            REQUIRE(ok(reaped(w.first, lost, seen)));
        };
        auto n = w.join();
        w.fabric.clock.on_submit = nullptr;
        REQUIRE(lost != member_slots);
        REQUIRE(n.pool.self().slot != lost); // not even if it was the only one: an id is written to a slot once
        REQUIRE((w.fabric.clock.pauses > 0) == only_one);
        REQUIRE(record(w.fabric, lost).phase() == member_phase::free);
        REQUIRE(record(w.fabric, n).joined());
    }
}

TEST_CASE("a full table: who joins fences the member whose slot it takes") {
    reap_world w;
    auto victim = w.join();
    auto const slot = victim.pool.self().slot;
    leave_one_free(w.fabric, member_slots, 3, 0);
    w.fabric.clock.on_pause = [&] { // all live but the victim
        static word beat = 0;
        ++beat;
        for (std::uint32_t i = 0; i < member_slots; ++i)
            if (i != slot && i != w.first.pool.self().slot)
                raw_write(w.fabric.memory(), member_at(i) + offsetof(member_record, heartbeat), beat);
        ok(keep(w.first));
    };
    auto const next = w.join();
    REQUIRE(next.pool.self().slot == slot);
    REQUIRE(fenced(victim));
    REQUIRE_FALSE(fenced(w.first));
}

TEST_CASE("a client joins once") {
    reap_world w;
    REQUIRE(sync_wait(w.first.s, join(w.first.s)).error().code == errc::invalid_argument);
    ok(keep(w.first));
}

TEST_CASE(
    "a member that is silent for a lease is gone, however seldom and briefly somebody looks, and is fenced then") {
    reap_world w;
    auto victim = w.join();
    auto const tag = victim.pool.self().tag();
    for (int look = 0; look < 10; ++look) { // each of them an operation of its own
        REQUIRE_FALSE(ok(gone(w.first, tag)));
        REQUIRE_FALSE(fenced(victim));
        w.fabric.clock.now += lease / 10;
    }
    REQUIRE(ok(gone(w.first, tag)));
    REQUIRE(fenced(victim));
    REQUIRE(record(w.fabric, victim).phase() == member_phase::free);
    REQUIRE(ok(gone(w.first, tag)));
}

TEST_CASE("sessions of one client look together; those of another client look for themselves") {
    reap_world w;
    auto victim = w.join(), stranger = w.join();
    auto second = w.first.session();
    auto const tag = victim.pool.self().tag();
    REQUIRE_FALSE(ok(gone(w.first, tag)));
    w.fabric.clock.now += lease;
    REQUIRE_FALSE(ok(gone(stranger, tag)));
    REQUIRE(ok(sync_wait(second, is_gone(second, tag))));
    REQUIRE(ok(gone(stranger, tag)));
}

TEST_CASE("a member that renews is not gone") {
    reap_world w;
    auto alive = w.join();
    for (int look = 0; look < 10; ++look) {
        REQUIRE_FALSE(ok(gone(w.first, alive.pool.self().tag())));
        w.fabric.clock.now += lease - 1ms;
        ok(keep(alive));
    }
    REQUIRE_FALSE(fenced(alive));
}

TEST_CASE("a member that left, or whose slot has another one, is gone at once") {
    reap_world w;
    std::uint32_t tag = 0;
    {
        auto const brief = w.join();
        tag = brief.pool.self().tag();
    }
    auto const slot = member_name::of_tag(tag).slot;
    auto const free = record(w.fabric, slot);
    auto const trips = w.first.s.stats().round_trips;
    REQUIRE(ok(gone(w.first, tag)));
    REQUIRE(w.first.s.stats().round_trips == trips + 1);
    auto const next = GENERATE_COPY(member_record::state_of(free.incarnation() + 1, member_phase::claiming),
                                    member_record::state_of(free.incarnation() + 1, member_phase::joined));
    raw_write(w.fabric.memory(), member_at(slot), next);
    REQUIRE(ok(gone(w.first, tag)));
    REQUIRE(record(w.fabric, slot).state == next);
}

TEST_CASE("a name with few bits of an incarnation may be that of a later member: it is not gone while that one lives") {
    reap_world w;
    auto alive = w.join();
    auto const self = alive.pool.self();
    member_id const before{.slot = self.slot, .incarnation = self.incarnation - 512};
    REQUIRE_FALSE(ok(gone(w.first, before.tag())));
    // a name with 31 bits is not mistaken
    REQUIRE(ok(sync_wait(w.first.s, is_gone(w.first.s, detail::catalog_lock_owner(detail::catalog_lock_of(before))))));
    REQUIRE_FALSE(
        ok(sync_wait(w.first.s, is_gone(w.first.s, detail::catalog_lock_owner(detail::catalog_lock_of(self))))));
    REQUIRE_FALSE(fenced(alive));
}

TEST_CASE("a client never counts itself as gone, and need not look") {
    reap_world w;
    auto const trips = w.first.s.stats().round_trips;
    for (int look = 0; look < 3; ++look) {
        REQUIRE_FALSE(ok(gone(w.first, w.first.pool.self().tag())));
        w.fabric.clock.now += 2 * lease;
    }
    REQUIRE(w.first.s.stats().round_trips == trips);
}

TEST_CASE("a member that cannot be fenced in time is not gone yet") {
    reap_world w;
    auto victim = w.join();
    auto const tag = victim.pool.self().tag();
    REQUIRE_FALSE(ok(gone(w.first, tag)));
    w.fabric.clock.now += lease;
    w.fabric.clock.fences_time_out = true;
    REQUIRE_FALSE(ok(gone(w.first, tag)));
    REQUIRE(record(w.fabric, victim).joined());
    w.fabric.clock.fences_time_out = false;
    REQUIRE(ok(gone(w.first, tag)));
}

TEST_CASE("a client that was shut out itself takes nobody's place") {
    reap_world w;
    auto victim = w.join(), asleep = w.join();
    REQUIRE(ok(reaped(w.first, asleep.pool.self().slot, record(w.fabric, asleep))));
    REQUIRE_FALSE(ok(gone(asleep, victim.pool.self().tag())));
    w.fabric.clock.now += lease;
    REQUIRE(gone(asleep, victim.pool.self().tag()).error().code == errc::fenced);
    REQUIRE(record(w.fabric, victim).joined());
}

TEST_CASE(
    "the catalog lock of an owner that stands still in the middle is taken over; what it does later does nothing") {
    reap_world w;
    auto owner = clock_client::join(w.fabric, {.lease = lease, .chunk_bytes = 0, .patience = 5 * lease});
    auto other = clock_client::join(w.fabric, {.lease = lease, .chunk_bytes = 0, .patience = 5 * lease});
    index_spec spec;
    spec.set_name("a");
    spec.set_type("sherman");
    auto const root = [](catalog_handle) -> task<result<word>> { co_return word{2222}; };
    auto const stall = [&](catalog_handle) -> task<result<word>> { // the owner has the lock, and stands still
        (void)ok(sync_wait(other.s, create_index(other.s, spec, root)));
        co_return word{1111};
    };
    auto const r = sync_wait(owner.s, create_index(owner.s, spec, stall));
    REQUIRE(r.error().code == errc::fenced);
    auto const found = ok(sync_wait(other.s, find_index(other.s, "a")));
    REQUIRE(raw_read(w.fabric.memory(), found.handle.root()) == 2222);
    REQUIRE(ok(sync_wait(other.s, list_indexes(other.s))).size() == 1);
    REQUIRE(raw_read(w.fabric.memory(), detail::catalog_lock) == 0);
}

TEST_CASE("an operation with too little patience for a lease learns of the owner's death when it is tried again") {
    reap_world w;
    auto owner = w.join();
    raw_write(w.fabric.memory(), detail::catalog_lock, detail::catalog_lock_of(owner.pool.self()));
    index_spec spec;
    spec.set_name("a");
    spec.set_type("sherman");
    int tries = 0;
    for (;; ++tries) {
        auto const r = sync_wait(
            w.first.s, create_index(w.first.s, spec, [](catalog_handle) -> task<result<word>> { co_return word{1}; }));
        if (r) break;
        REQUIRE(r.error().code == errc::contended);
        REQUIRE(tries < 20);
    }
    REQUIRE(tries >= 9); // a lease is ten times the patience
}

TEST_CASE("a seed decides the client id and the names of a pool; another one has others") {
    auto const made = [](std::uint64_t seed) {
        auto f = ok(local_fabric::create(4U << 20U));
        auto const c = test::local_client::create(f, {.seed = seed});
        auto const& g = c.pool.geometry();
        return std::array{static_cast<std::uint64_t>(c.pool.client()), g.uuid.high, g.uuid.low, g.incarnation};
    };
    auto const one = made(1);
    REQUIRE(one == made(1));
    auto const two = made(2), entropy = made(0);
    for (std::size_t i = 0; i < one.size(); ++i) {
        REQUIRE(one[i] != two[i]);
        REQUIRE(one[i] != entropy[i]);
        for (std::size_t j = 0; j < i; ++j) REQUIRE(one[i] != one[j]);
    }
}
