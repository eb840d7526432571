// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <catena/pool/catalog.hpp>

#include <pool/clock_fabric.hpp>
#include <support/catch.hpp>
#include <support/threads.hpp>

using namespace catena;
using namespace std::chrono_literals;
using test::clock_client;
using test::clock_fabric;
using test::has_text;
using test::ok;
using test::raw_read;
using test::raw_write;

namespace {

constexpr auto lease = 1000ms;
using session_type = clock_client::session_type;

struct catalog_world {
    clock_fabric fabric;
    clock_client first = clock_client::create(fabric, {.lease = lease, .chunk_bytes = 0, .patience = 5 * lease});
    session_type& s = first.s;
};

index_spec spec(std::string_view name) {
    index_spec s;
    s.set_name(name);
    s.set_type("sherman");
    s.layout_version = 1;
    s.key_bytes = 8;
    s.value_bytes = 16;
    s.node_bytes = 1024;
    return s;
}

task<result<word>> root_of(catalog_handle h) { co_return 1000 + h.slot; }
task<result<word>> no_root(catalog_handle) { co_return make_error(errc::out_of_memory); }
task<result<void>> nothing() { co_return result<void>{}; }
task<result<void>> unreachable_nodes() { co_return make_error(errc::unreachable, 3); }

result<catalog_handle> create(session_type& s, index_spec const& what) {
    return sync_wait(s, create_index(s, what, [](catalog_handle h) { return root_of(h); }));
}
result<catalog_handle> create(session_type& s, std::string_view name) { return create(s, spec(name)); }
result<void> drop(session_type& s, catalog_handle h) {
    return sync_wait(s, drop_index(s, h, [] { return nothing(); }));
}
result<catalog_listing> find(session_type& s, std::string_view name) { return sync_wait(s, find_index(s, name)); }
std::vector<catalog_listing> list(session_type& s) { return ok(sync_wait(s, list_indexes(s))); }

word lock_of(catalog_world& w) { return raw_read(w.fabric.memory(), detail::catalog_lock); }

} // namespace

TEST_CASE("an empty catalog lists nothing and finds nothing") {
    catalog_world w;
    REQUIRE(list(w.s).empty());
    REQUIRE(find(w.s, "a").error().code == errc::not_found);
}

TEST_CASE("an index that was created is found with its spec and root, by every client") {
    catalog_world w;
    auto const h = ok(create(w.s, "blocks"));
    auto second = clock_client::join(w.fabric);
    for (auto* const s : {&w.s, &second.s}) {
        auto const found = ok(find(*s, "blocks"));
        REQUIRE(found.handle == h);
        REQUIRE(found.spec == spec("blocks"));
        REQUIRE(found.phase == index_phase::ready);
        REQUIRE(list(*s).size() == 1);
    }
    REQUIRE(raw_read(w.fabric.memory(), h.root()) == 1000 + h.slot);
    REQUIRE(lock_of(w) == 0);
    REQUIRE(find(w.s, "block").error().code == errc::not_found);
    REQUIRE(find(w.s, "blocks2").error().code == errc::not_found);
}

TEST_CASE("listing takes one round trip") {
    catalog_world w;
    (void)ok(create(w.s, "a"));
    auto const before = w.s.stats().round_trips;
    REQUIRE(list(w.s).size() == 1);
    REQUIRE(w.s.stats().round_trips == before + 1);
}

TEST_CASE("a name is there once, also while its index is being dropped") {
    catalog_world w;
    auto const h = ok(create(w.s, "a"));
    REQUIRE(create(w.s, "a").error().code == errc::already_exists);
    REQUIRE(lock_of(w) == 0); // no lock is left behind
    REQUIRE(sync_wait(w.s, drop_index(w.s, h, [] { return unreachable_nodes(); })).error() ==
            make_error(errc::unreachable, 3));
    REQUIRE(lock_of(w) == 0);
    REQUIRE(create(w.s, "a").error().code == errc::already_exists);
    REQUIRE(find(w.s, "a").error().code == errc::dropped);
    REQUIRE(list(w.s).at(0).phase == index_phase::dropping);
    ok(drop(w.s, h)); // dropping it again finishes it
    (void)ok(create(w.s, "a"));
}

TEST_CASE("a slot that is used again has another generation; handles of its former use are dropped") {
    catalog_world w;
    std::set<std::uint16_t> tags;
    catalog_handle last{};
    for (std::uint32_t i = 0; i < 20; ++i) {
        auto const h = ok(create(w.s, "a"));
        REQUIRE(h.slot == 0);
        REQUIRE(h.generation == i);
        REQUIRE(tags.insert(h.tag()).second); // its nodes are told from those of the dropped ones
        if (i > 0) REQUIRE(drop(w.s, last).error().code == errc::dropped);
        REQUIRE(ok(find(w.s, "a")).handle == h);
        ok(drop(w.s, h));
        REQUIRE(drop(w.s, h).error().code == errc::dropped);
        REQUIRE(find(w.s, "a").error().code == errc::not_found);
        last = h;
    }
    REQUIRE(lock_of(w) == 0);
}

TEST_CASE("nodes are freed after nobody can open the index, and before its slot is free") {
    catalog_world w;
    auto const h = ok(create(w.s, "a"));
    bool called = false;
    auto const free_nodes = [&]() -> task<result<void>> {
        called = true;
        auto const found = co_await find_index(w.s, "a");
        REQUIRE(found.error().code == errc::dropped);
        co_return result<void>{};
    };
    ok(sync_wait(w.s, drop_index(w.s, h, free_nodes)));
    REQUIRE(called);
}

TEST_CASE("a pool holds 64 indexes; one more is full and changes nothing; a dropped one makes room") {
    catalog_world w;
    std::vector<catalog_handle> handles;
    std::set<std::uint16_t> tags;
    for (std::uint32_t i = 0; i < catalog_slots; ++i) {
        handles.push_back(ok(create(w.s, "index" + std::to_string(i))));
        REQUIRE(tags.insert(handles.back().tag()).second);
    }
    auto const before = list(w.s);
    REQUIRE(before.size() == catalog_slots);
    REQUIRE(create(w.s, "one more").error().code == errc::full);
    REQUIRE(create(w.s, "index7").error().code == errc::already_exists); // says the more useful thing
    REQUIRE(list(w.s).size() == catalog_slots);
    REQUIRE(lock_of(w) == 0);
    ok(drop(w.s, handles[40]));
    REQUIRE(ok(create(w.s, "one more")).slot == 40);
    for (std::uint32_t i = 0; i < catalog_slots; ++i)
        if (i != 40) REQUIRE(ok(find(w.s, "index" + std::to_string(i))).handle == handles[i]);
}

TEST_CASE("an index whose root cannot be made is not entered, and the catalog stays usable") {
    catalog_world w;
    auto const r = sync_wait(w.s, create_index(w.s, spec("a"), [](catalog_handle h) { return no_root(h); }));
    REQUIRE(r.error().code == errc::out_of_memory);
    REQUIRE(list(w.s).empty());
    REQUIRE(lock_of(w) == 0);
    (void)ok(create(w.s, "a"));
}

TEST_CASE("names have 1 to 47 characters; others are refused and nothing is entered") {
    catalog_world w;
    REQUIRE(create(w.s, "").error().code == errc::invalid_argument);
    index_spec endless = spec("x");
    endless.name.fill('n'); // no zero at its end
    REQUIRE(create(w.s, endless).error().code == errc::invalid_argument);
    REQUIRE(list(w.s).empty());
    REQUIRE(lock_of(w) == 0);
    std::string const longest(index_spec::max_name, 'n');
    auto const h = ok(create(w.s, longest));
    REQUIRE(ok(find(w.s, longest)).handle == h);
    REQUIRE(ok(find(w.s, longest)).spec.name_view() == longest);
    REQUIRE(find(w.s, longest + "n").error().code == errc::not_found);
}

TEST_CASE("the first field in which an index differs is named, with what it is and what was expected") {
    auto const wanted = spec("a");
    REQUIRE_FALSE(mismatch(wanted, wanted));
    auto found = wanted;
    SECTION("type") {
        found.type = {};
        found.set_type("chime");
        REQUIRE_THAT(*mismatch(found, wanted), has_text("type is chime, expected sherman"));
    }
    SECTION("layout_version") {
        found.layout_version = 2;
        REQUIRE_THAT(*mismatch(found, wanted), has_text("layout_version is 2, expected 1"));
    }
    SECTION("key_bytes") {
        found.key_bytes = 32;
        REQUIRE_THAT(*mismatch(found, wanted), has_text("key_bytes is 32, expected 8"));
    }
    SECTION("value_bytes") {
        found.value_bytes = 1;
        REQUIRE_THAT(*mismatch(found, wanted), has_text("value_bytes is 1, expected 16"));
    }
    SECTION("node_bytes") {
        found.node_bytes = 512;
        REQUIRE_THAT(*mismatch(found, wanted), has_text("node_bytes is 512, expected 1024"));
    }
    if (!(found == wanted)) REQUIRE_THAT(*mismatch(found, wanted), has_text("index 'a'"));
}

TEST_CASE("an entry whose spec is damaged in any word is corrupt, never taken") {
    catalog_world w;
    auto const h = ok(create(w.s, "a"));
    auto hasty = clock_client::join(w.fabric, {.lease = lease, .chunk_bytes = 0, .patience = 5ms});
    auto& s = hasty.s;
    for (std::size_t i = 0; i < sizeof(index_spec) / word_bytes + 1; ++i) { // the words of the spec, and the seal
        CAPTURE(i);
        auto const at = h.entry() + 16 + i * word_bytes;
        auto const whole = raw_read(w.fabric.memory(), at);
        raw_write(w.fabric.memory(), at, whole ^ word{1} << (7 * i % 64));
        REQUIRE(sync_wait(s, list_indexes(s)).error().code == errc::corrupt);
        REQUIRE(find(s, "a").error().code == errc::corrupt);
        REQUIRE(create(s, "b").error().code == errc::corrupt);
        REQUIRE(lock_of(w) == 0);
        raw_write(w.fabric.memory(), at, whole);
    }
    // the generation is sealed, too: an entry under a state that is not its own does not count
    raw_write(w.fabric.memory(), h.entry(), catalog_entry::state_of(h.generation + 1, index_phase::ready));
    REQUIRE(find(s, "a").error().code == errc::corrupt);
    raw_write(w.fabric.memory(), h.entry(), catalog_entry::state_of(h.generation, index_phase::ready));
    REQUIRE(ok(find(s, "a")).handle == h);
}

TEST_CASE("a torn entry is read again until it is whole") {
    catalog_world w;
    auto const h = ok(create(w.s, "a"));
    auto const at = h.entry() + 16;
    auto const whole = raw_read(w.fabric.memory(), at);
    raw_write(w.fabric.memory(), at, ~whole);
    int pauses = 0;
    w.fabric.clock.on_pause = [&] {
        if (++pauses == 3) raw_write(w.fabric.memory(), at, whole);
    };
    auto const before = w.s.stats().retries;
    REQUIRE(ok(find(w.s, "a")).handle == h);
    REQUIRE(pauses == 3);
    REQUIRE(w.s.stats().retries > before);
}

TEST_CASE("what a creator that died wrote into a free entry is not seen, and overwritten") {
    catalog_world w;
    for (std::size_t i = 1; i < catalog_entry_bytes / word_bytes; ++i)
        raw_write(w.fabric.memory(), {0, catalog_offset + i * word_bytes}, 0xdeadbeefULL * i);
    REQUIRE(list(w.s).empty());
    auto const h = ok(create(w.s, "a"));
    REQUIRE(h.slot == 0);
    REQUIRE(ok(find(w.s, "a")).spec == spec("a"));
}

TEST_CASE("the catalog lock of a member who lives is waited for, and left alone") {
    catalog_world w;
    auto other = clock_client::join(w.fabric);
    auto const held = detail::catalog_lock_of(other.pool.self());
    raw_write(w.fabric.memory(), detail::catalog_lock, held);
    auto const begin = w.fabric.clock.now;
    w.fabric.clock.on_pause = [&] { ok(sync_wait(other.s, keep_lease(other.s))); };
    REQUIRE(create(w.s, "a").error().code == errc::contended);
    REQUIRE(w.fabric.clock.now - begin >= 5 * lease); // for all its patience, several leases
    REQUIRE(lock_of(w) == held);
    REQUIRE(list(w.s).empty());
    SECTION("until it is given up") {
        int pauses = 0;
        w.fabric.clock.on_pause = [&] {
            if (++pauses == 10) raw_write(w.fabric.memory(), detail::catalog_lock, 0);
        };
        (void)ok(create(w.s, "a"));
        REQUIRE(lock_of(w) == 0);
    }
}

TEST_CASE("the catalog lock of a member whose lease ran out is taken over, after one lease") {
    catalog_world w;
    auto other = clock_client::join(w.fabric); // takes the lock and is heard of no more
    raw_write(w.fabric.memory(), detail::catalog_lock, detail::catalog_lock_of(other.pool.self()));
    auto const begin = w.fabric.clock.now;
    (void)ok(create(w.s, "a"));
    REQUIRE(w.fabric.clock.now - begin >= lease);
    REQUIRE(w.fabric.clock.now - begin <= 2 * lease);
    REQUIRE(lock_of(w) == 0);
    (void)ok(find(w.s, "a"));
}

TEST_CASE("the catalog lock of a member whose slot is another's now, or nobody's, is taken over at once") {
    catalog_world w;
    member_id gone{};
    {
        auto const other = clock_client::join(w.fabric);
        gone = other.pool.self();
    }
    raw_write(w.fabric.memory(), detail::catalog_lock, detail::catalog_lock_of(gone));
    SECTION("nobody's") {}
    SECTION("another's") {
        raw_write(w.fabric.memory(), member_at(gone.slot),
                  member_record::state_of(gone.incarnation + 1, member_phase::joined));
    }
    auto const begin = w.fabric.clock.now;
    (void)ok(create(w.s, "a"));
    REQUIRE(w.fabric.clock.now - begin < lease / 2);
    REQUIRE(lock_of(w) == 0);
}

TEST_CASE("an index that a dead member was dropping is dropped by the next one") {
    catalog_world w;
    auto const h = ok(create(w.s, "a"));
    auto other = clock_client::join(w.fabric);
    raw_write(w.fabric.memory(), detail::catalog_lock, detail::catalog_lock_of(other.pool.self()));
    raw_write(w.fabric.memory(), h.entry(), catalog_entry::state_of(h.generation, index_phase::dropping));
    REQUIRE(find(w.s, "a").error().code == errc::dropped);
    ok(drop(w.s, h));
    REQUIRE(ok(create(w.s, "a")).generation == h.generation + 1);
}

TEST_CASE("a late owner does not unlock what was taken from it") {
    catalog_world w;
    auto other = clock_client::join(w.fabric);
    raw_write(w.fabric.memory(), detail::catalog_lock, detail::catalog_lock_of(other.pool.self()));
    ok(sync_wait(w.s, detail::unlock_catalog(w.s)));
    REQUIRE(lock_of(w) == detail::catalog_lock_of(other.pool.self()));
}

TEST_CASE("clients of many threads that create the same names agree on one creator each") {
    test::world w(4U << 20U);
    constexpr std::size_t names = 12;
    std::array<std::atomic<int>, names> creators{};
    test::run_threads(4, [&](std::size_t) {
        auto c = w.join({.lease = 60s, .chunk_bytes = 0, .patience = 60s});
        for (std::size_t i = 0; i < names; ++i) {
            auto const r = sync_wait(c.s, create_index(c.s, spec(std::string("n") + std::to_string(i)),
                                                       [](catalog_handle h) { return root_of(h); }));
            if (r)
                ++creators[i];
            else
                test::expect(r.error().code == errc::already_exists, "another error: " + test::words_of(r.error()));
        }
    });
    for (auto const& n : creators) REQUIRE(n == 1);
    REQUIRE(ok(sync_wait(w.first.s, list_indexes(w.first.s))).size() == names);
}
