// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

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

member_record record(clock_fabric& f, std::uint32_t slot) {
    member_record r;
    op read = op::read(member_at(slot), &r, sizeof r);
    ok(ok(f.memory().connect()).submit(batch(&read, 1)).await_resume());
    return r;
}
result<void> keep(clock_client& c) { return sync_wait(c.s, keep_lease(c.s)); }

/// Every slot that is free gets a member who never renews.
void fill_table(clock_fabric& f) {
    for (std::uint32_t slot = 0; slot < member_slots; ++slot) {
        if (record(f, slot).joined()) continue;
        raw_write(f.memory(), member_at(slot) + offsetof(member_record, client), 1'000'000 + slot);
        raw_write(f.memory(), member_at(slot), member_record::state_of(5, member_phase::joined));
    }
}

} // namespace

TEST_CASE("a member record says who and whether") {
    for (std::uint32_t const incarnation : {0U, 1U, 0x7fffffffU, 0xffffffffU})
        for (auto const phase : {member_phase::free, member_phase::claiming, member_phase::joined}) {
            member_record const r{.state = member_record::state_of(incarnation, phase)};
            REQUIRE(r.incarnation() == incarnation);
            REQUIRE(r.phase() == phase);
            REQUIRE(r.joined() == (phase == member_phase::joined));
        }
}

TEST_CASE("the tag of a member is its slot and nine bits of its incarnation") {
    std::set<std::uint32_t> tags;
    for (std::uint32_t slot = 0; slot < member_slots; ++slot) {
        auto const tag = member_id{.slot = slot, .incarnation = 3}.tag();
        REQUIRE(tag < 1U << member_id::tag_bits);
        REQUIRE(tags.insert(tag).second);
    }
    REQUIRE(member_id{.slot = 1, .incarnation = 5}.tag() == member_id{.slot = 1, .incarnation = 5 + 512}.tag());
    REQUIRE(member_id{.slot = 1, .incarnation = 5}.tag() != member_id{.slot = 1, .incarnation = 6}.tag());
}

TEST_CASE("an observer counts a member as dead once it stood still for a whole lease, and not before") {
    lease_observer o;
    member_record seen{.state = member_record::state_of(1, member_phase::joined), .heartbeat = 1, .client = 9};
    auto const expired = [&](std::chrono::nanoseconds now) { return o.expired(seen, now, now, 1s); };
    REQUIRE_FALSE(expired(5s)); // the first look starts the lease, whatever the time
    REQUIRE_FALSE(expired(5s + 999ms));
    REQUIRE(expired(6s));
    REQUIRE(expired(7s));
    ++seen.heartbeat; // it was only slow
    REQUIRE_FALSE(expired(8s));
    REQUIRE_FALSE(expired(8s + 999ms));
    seen.state = member_record::state_of(2, member_phase::joined); // another one in its place, same heartbeat
    REQUIRE_FALSE(expired(9s));
    REQUIRE(expired(10s));
    seen.heartbeat = 0; // any change is a sign of life
    REQUIRE_FALSE(expired(11s));
}

TEST_CASE("an observer counts a slot that nobody holds as expired at once") {
    lease_observer o;
    REQUIRE(o.expired({.state = member_record::state_of(7, member_phase::free), .heartbeat = 3}, 0s, 0s, 1s));
    REQUIRE(o.expired({}, 0s, 0s, 1s));
}

TEST_CASE("an observer that itself stood still while it looked accuses nobody") {
    member_record const seen{.state = member_record::state_of(1, member_phase::joined), .heartbeat = 1, .client = 9};
    lease_observer o;
    REQUIRE_FALSE(o.expired(seen, 0s, 10s, 1s)); // the answer took ten leases: the record may be of any time in between
    REQUIRE_FALSE(o.expired(seen, 10s, 11s, 1s));
    REQUIRE_FALSE(o.expired(seen, 10s + 999ms, 30s, 1s));
    REQUIRE(o.expired(seen, 11s, 11s, 1s));
}

TEST_CASE("members that join have slots of their own, which leaving frees") {
    clock_fabric f;
    auto first = clock_client::create(f, options());
    std::set<std::uint32_t> slots{first.pool.self().slot};
    {
        std::vector<clock_client> others;
        for (int i = 0; i < 20; ++i) {
            others.push_back(clock_client::join(f, options()));
            auto const self = others.back().pool.self();
            REQUIRE(slots.insert(self.slot).second);
            REQUIRE(record(f, self.slot).state == member_record::state_of(self.incarnation, member_phase::joined));
        }
    }
    for (auto const slot : slots) REQUIRE(record(f, slot).joined() == (slot == first.pool.self().slot));
    REQUIRE(f.clock.pauses == 0); // nobody waited
}

TEST_CASE("a slot that is taken again has another incarnation") {
    clock_fabric f;
    auto first = clock_client::create(f, options());
    fill_table(f);
    raw_write(f.memory(), member_at(first.pool.self().slot ^ 1U), member_record::state_of(5, member_phase::free));
    std::set<std::pair<std::uint32_t, std::uint32_t>> lives;
    std::set<std::uint32_t> slots;
    for (int i = 0; i < 10; ++i) {
        auto const c = clock_client::join(f, options());
        REQUIRE(lives.insert({c.pool.self().slot, c.pool.self().incarnation}).second);
        slots.insert(c.pool.self().slot);
    }
    REQUIRE(slots.size() == 1);
}

TEST_CASE("leaving twice, or after the slot was taken over, is lease_lost and frees nothing") {
    clock_fabric f;
    auto c = clock_client::create(f, options());
    ok(sync_wait(c.s, leave(c.s)));
    REQUIRE(sync_wait(c.s, leave(c.s)).error().code == errc::lease_lost);
    raw_write(f.memory(), member_at(c.pool.self().slot),
              member_record::state_of(c.pool.self().incarnation + 1, member_phase::joined));
    REQUIRE(sync_wait(c.s, leave(c.s)).error().code == errc::lease_lost);
    REQUIRE(record(f, c.pool.self().slot).joined());
}

TEST_CASE("keeping a lease costs nothing for a quarter of it, then one round trip") {
    clock_fabric f;
    auto c = clock_client::create(f, options());
    auto const slot = c.pool.self().slot;
    for (int renewal = 0; renewal < 5; ++renewal) {
        CAPTURE(renewal);
        auto const trips = c.s.stats().round_trips;
        auto const beat = record(f, slot).heartbeat;
        f.clock.now += lease / 4 - 1ms;
        ok(keep(c));
        REQUIRE(c.s.stats().round_trips == trips);
        f.clock.now += 1ms;
        ok(keep(c));
        REQUIRE(c.s.stats().round_trips == trips + 1);
        REQUIRE(record(f, slot).heartbeat == beat + 1);
        ok(keep(c));
        REQUIRE(c.s.stats().round_trips == trips + 1);
    }
}

TEST_CASE("sessions of one client share its lease") {
    clock_fabric f;
    auto c = clock_client::create(f, options());
    auto second = c.session();
    f.clock.now += lease / 2;
    ok(keep(c));
    auto const trips = second.stats().round_trips;
    ok(sync_wait(second, keep_lease(second)));
    REQUIRE(second.stats().round_trips == trips);
}

TEST_CASE("a client whose slot was taken over learns it at its next renewal, and ever after") {
    clock_fabric f;
    auto c = clock_client::create(f, options());
    auto const self = c.pool.self();
    auto const taken = GENERATE_COPY(member_record::state_of(self.incarnation + 1, member_phase::joined),
                                     member_record::state_of(self.incarnation, member_phase::free),
                                     member_record::state_of(self.incarnation + 1, member_phase::free));
    raw_write(f.memory(), member_at(self.slot), taken);
    f.clock.now += lease / 4;
    for (int i = 0; i < 3; ++i) {
        REQUIRE(keep(c).error().code == errc::lease_lost);
        f.clock.now += i * lease;
    }
    REQUIRE(record(f, self.slot).state == taken); // it changed nothing but a heartbeat
}

TEST_CASE("a client that slept through its lease but kept its slot goes on") {
    clock_fabric f;
    auto c = clock_client::create(f, options());
    f.clock.now += 50 * lease;
    ok(keep(c));
}

TEST_CASE("a full table: the slot of a member whose lease runs out is taken, after one lease") {
    clock_fabric f;
    auto first = clock_client::create(f, options());
    fill_table(f);
    auto const begin = f.clock.now;
    f.clock.on_pause = [&] { ok(keep(first)); }; // one of them lives
    {
        auto const c = clock_client::join(f, options());
        REQUIRE(c.pool.self().slot != first.pool.self().slot);
        REQUIRE(c.pool.self().incarnation == 6);
        REQUIRE(f.clock.now - begin >= lease);
        REQUIRE(f.clock.now - begin <= 2 * lease);
        REQUIRE(record(f, c.pool.self().slot).state == member_record::state_of(6, member_phase::joined));
    }
    ok(keep(first));
}

TEST_CASE("a full table of members who live is full, after a bounded wait") {
    clock_fabric f;
    auto first = clock_client::create(f, options());
    fill_table(f);
    auto const begin = f.clock.now;
    word beat = 0;
    f.clock.on_pause = [&] {
        ++beat;
        for (std::uint32_t slot = 0; slot < member_slots; ++slot)
            if (slot != first.pool.self().slot) raw_write(f.memory(), member_at(slot) + word_bytes, beat);
        ok(keep(first));
    };
    auto const c = clock_client::pool_type::open(f, options());
    REQUIRE_FALSE(c);
    REQUIRE(c.error().code == errc::full);
    REQUIRE_THAT(c.error().message, test::has_text("1024 member slots"));
    REQUIRE(f.clock.now - begin <= 3 * lease);
    ok(keep(first));
}

TEST_CASE("clients that join at once from many threads have slots of their own") {
    test::world w(1U << 20U);
    std::array<member_id, 8> ids;
    test::run_threads(ids.size(), [&](std::size_t who) {
        for (int i = 0; i < 50; ++i) {
            auto const c = w.join();
            ids[who] = c.pool.self();
            auto const state = raw_read(w.fabric, member_at(ids[who].slot));
            test::expect(state == member_record::state_of(ids[who].incarnation, member_phase::joined),
                         "somebody else has my slot");
        }
    });
    std::set<std::uint32_t> joined;
    for (std::uint32_t slot = 0; slot < member_slots; ++slot)
        if ((raw_read(w.fabric, member_at(slot)) & 1U) != 0) joined.insert(slot);
    REQUIRE(joined == std::set{w.first.pool.self().slot});
}
