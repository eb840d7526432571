// SPDX-License-Identifier: Apache-2.0
// A client dies at every single operation of what it does; whoever goes on finds every byte that it held. (tests/torture
// does it with many clients at every word, while others go on.)
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <pool/clock_fabric.hpp>
#include <support/accounting.hpp>
#include <support/catch.hpp>
#include <support/mortal_scene.hpp>

#include <catena/core/hash.hpp>
#include <catena/index/sherman_tree.hpp>

using namespace catena;
using namespace catena::test;

namespace {

struct small_nodes : tree_options {
    static constexpr std::size_t node_bytes = 256;
};
using tree_type = sherman_tree<std::uint64_t, std::uint64_t, small_nodes>;
using victim_session = mortal_scene<tree_type>::victim_client::session_type;
using entry_type = entry<std::uint64_t, std::uint64_t>;
constexpr std::size_t cache_bytes = 1U << 20U;
constexpr std::uint64_t chunk = 4096;

struct scene : mortal_scene<tree_type> {
    explicit scene(std::uint64_t node_bytes = 1U << 20U) : mortal_scene(node_bytes, chunk) {}
    [[nodiscard]] census count() { return take_census(w.fabric, w.first.pool.geometry()); }
};

using deed = std::function<result<void>(scene&)>;

/// After a reclaim: every byte is in a node of the tree, on a list, released, or in the hands of the survivor. Returns how
/// many bytes were in transit when the victim died.
std::uint64_t require_all_found(scene& t) {
    auto const report = ok(sync_wait(t.w.first.s, t.tree.reclaim(t.w.first.s)));
    auto const check = t.survivor.sound();
    REQUIRE(check.unlinked == 0);
    auto const c = t.count();
    CAPTURE(report.blocks, report.chunks, c.alive, c.held, c.unwritten, c.astray, c.unclaimed);
    for (auto const& complaint : c.complaints) FAIL(complaint);
    REQUIRE(c.unclaimed == 0);
    REQUIRE(c.in_use() - c.astray == check.remote_bytes + bytes_in_hand(t.w.first.s));
    REQUIRE(c.astray <= small_nodes::node_bytes);
    return c.astray;
}

/// prepare: what was there before; then the deed is done once for each of its operations, dying there.
void die_at_every_operation(deed const& prepare, deed const& act) {
    std::uint64_t operations = 0;
    {
        scene t;
        REQUIRE(prepare(t));
        auto const before = t.mortal.life().operations;
        REQUIRE(act(t));
        operations = t.mortal.life().operations - before;
    }
    REQUIRE(operations > 0);
    auto const seed = test_seed(12);
    std::uint64_t astray = 0;
    for (std::uint64_t last = 1; last <= operations; ++last) {
        CAPTURE(seed, last, operations);
        scene t;
        REQUIRE(prepare(t));
        t.mortal.life().tear = seed + last;
        t.mortal.life().operations_left = last;
        (void)act(t); // it may end just before: renewals of the lease come as the clock has it
        astray += require_all_found(t);
    }
    REQUIRE(astray <= operations * small_nodes::node_bytes / 3);
}

result<void> nothing(scene&) { return {}; }

/// Keys [from, to) in an order that is not theirs, one by one.
result<void> change(victim_session& s, tree_type& tree, std::uint64_t from, std::uint64_t to, mutation_kind kind) {
    for (auto i = from; i < to; ++i) {
        mutation<std::uint64_t, std::uint64_t> m{.key = mix64(i), .value = i, .kind = kind};
        if (auto const r = sync_wait(s, tree.apply(s, std::span(&m, 1))); !r) return r;
    }
    return {};
}

std::vector<entry_type> ascending(std::uint64_t n) {
    std::vector<entry_type> all;
    for (std::uint64_t i = 1; i <= n; ++i) all.push_back({.key = i, .value = i});
    return all;
}

} // namespace

TEST_CASE("what a client held that dies in inserts, splits and growing roots is found", "[index][reclaim]") {
    die_at_every_operation(nothing,
                           [](scene& t) { return change(t.victim.s, t.victims_tree, 0, 60, mutation_kind::insert); });
}

TEST_CASE("what a client held that dies in erases and merges is found", "[index][reclaim]") {
    die_at_every_operation(
        [](scene& t) -> result<void> {
            for (std::uint64_t i = 0; i < 60; ++i) t.survivor.insert(mix64(i), i);
            return {};
        },
        [](scene& t) { return change(t.victim.s, t.victims_tree, 0, 60, mutation_kind::erase); });
}

TEST_CASE("what a client held that dies in a bulk load is found", "[index][reclaim]") {
    auto const sorted = ascending(300);
    die_at_every_operation(
        nothing, [&](scene& t) { return sync_wait(t.victim.s, t.victims_tree.bulk_load(t.victim.s, sorted)); });
}

TEST_CASE("what a client held that dies while it leaves is found", "[index][reclaim]") {
    die_at_every_operation(
        [](scene& t) {
            auto const r = change(t.victim.s, t.victims_tree, 0, 60, mutation_kind::insert);
            return r ? change(t.victim.s, t.victims_tree, 0, 60, mutation_kind::erase) : r;
        },
        [](scene& t) { return sync_wait(t.victim.s, release_all(t.victim.s)); });
}

TEST_CASE("what a client held that dies while it drops an index is found once the drop is done", "[index][reclaim]") {
    auto const fill = [](scene& t) -> result<void> {
        auto other = ok(tree_type::create(t.w.first.s, "other", cache_bytes));
        calls<tree_type, local_session> o(other, t.w.first.s);
        for (std::uint64_t i = 0; i < 400; ++i) o.insert(mix64(i), i); // more nodes than a session keeps
        return {};
    };
    std::uint64_t operations = 0;
    for (std::uint64_t last = 0; last <= operations; ++last) {
        scene t;
        ok(fill(t));
        auto victims = ok(tree_type::open(t.victim.s, "other", cache_bytes));
        auto survivors = ok(tree_type::open(t.w.first.s, "other", cache_bytes));
        auto const before = t.mortal.life().operations;
        if (last > 0) t.mortal.life().operations_left = last;
        auto const dropped = sync_wait(t.victim.s, victims.drop(t.victim.s));
        if (last == 0) {
            REQUIRE(dropped);
            operations = t.mortal.life().operations - before;
        }
        CAPTURE(last, operations);
        auto const again = sync_wait(t.w.first.s, survivors.drop(t.w.first.s));
        if (!again) REQUIRE(again.error().code == errc::dropped);
        (void)require_all_found(t);
    }
}

TEST_CASE("a pool that is full of a dead client's garbage can be filled again", "[index][reclaim]") {
    scene t(heap_begin(64) + 64 * chunk);
    auto const sorted = ascending(60 * chunk / 256 * 10);
    t.mortal.life().operations_left = 700; // most of the leaves
    REQUIRE_FALSE(sync_wait(t.victim.s, t.victims_tree.bulk_load(t.victim.s, sorted)));
    REQUIRE(t.count().alive + t.count().unwritten > 30 * chunk);
    std::uint64_t key = 0;
    auto const fill = [&] {
        for (;; ++key) {
            auto const r = sync_wait(t.w.first.s, t.tree.insert(t.w.first.s, mix64(key), key));
            if (r) continue;
            REQUIRE(r.error().code == errc::out_of_memory);
            return t.survivor.check().remote_bytes;
        }
    };
    auto const before = fill();
    REQUIRE(before < 35 * chunk);
    auto const report = ok(sync_wait(t.w.first.s, t.tree.reclaim(t.w.first.s)));
    REQUIRE(report.bytes > 30 * chunk);
    REQUIRE(fill() > 63 * chunk);
}

TEST_CASE("a reclaim leaves alone what the living hold", "[index][reclaim]") {
    world w(8U << 20U, 2, {.lease = std::chrono::seconds(3600), .chunk_bytes = chunk});
    auto tree = ok(tree_type::create(w.first.s, "t", cache_bytes));
    auto other = w.join({.lease = std::chrono::seconds(3600)});
    auto const held = ok(sync_wait(other.s, allocate(other.s, 256)));
    std::vector<block> freed;
    for (int i = 0; i < 10; ++i) freed.push_back(ok(sync_wait(other.s, allocate(other.s, 256))));
    for (auto const& b : freed) ok(sync_wait(other.s, free_block(other.s, b, 256)));
    auto const before = take_census(w.fabric, w.first.pool.geometry());
    reclaim_report report;
    detail::gone_members gone;
    ok(sync_wait(w.first.s, detail::read_members(w.first.s, gone.seen)));
    ok(sync_wait(w.first.s, detail::sweep(
                                w.first.s, gone, [](remote_ptr, block_header const&) { return true; }, report)));
    REQUIRE(report.blocks == 0);
    REQUIRE(report.chunks == 0);
    auto const after = take_census(w.fabric, w.first.pool.geometry());
    REQUIRE(after.hands == before.hands);
    REQUIRE(after.blocks == before.blocks);
    REQUIRE(held.at);
}

TEST_CASE("whose tag is newer than the look at the members is not gone", "[index][reclaim]") {
    detail::gone_members gone;
    auto now = gone.seen;
    auto const tag = [](std::uint32_t incarnation) { return member_id{.slot = 3, .incarnation = incarnation}.tag(); };
    auto const set = [](member_record& r, std::uint32_t incarnation, member_phase phase) {
        r.state = member_record::state_of(incarnation, phase);
    };
    set(gone.seen[3], 700, member_phase::joined);
    set(now[3], 702, member_phase::joined);
    REQUIRE_FALSE(gone.perhaps(tag(700)));
    REQUIRE_FALSE(gone.surely(tag(700), now));
    REQUIRE_FALSE(gone.surely(tag(701), now)); // joined after the look; left since, or not
    REQUIRE_FALSE(gone.surely(tag(702), now));
    REQUIRE(gone.surely(tag(699), now));
    REQUIRE(gone.surely(tag(703), now)); // that is 191: it was long before
    set(gone.seen[3], 700, member_phase::free);
    REQUIRE(gone.surely(tag(700), now));
    REQUIRE_FALSE(gone.surely(tag(701), now));
    set(gone.seen[3], 700, member_phase::claiming); // it may be joined the next moment
    REQUIRE_FALSE(gone.surely(tag(700), now));
}

TEST_CASE("what was cut, not written and has written blocks behind it is signed before its chunk is given away",
          "[index][reclaim]") {
    scene t;
    auto& s = t.victim.s;
    auto const hole = ok(sync_wait(s, allocate(s, 256)));
    auto const used = ok(sync_wait(s, allocate(s, 256)));
    auto const me = t.w.first.pool.self().tag();
    raw_write(t.w.fabric, used.at, block_header::held_by(me)); // the survivor has it
    REQUIRE(raw_read(t.w.fabric, hole.at) == 0);
    auto const report = ok(sync_wait(t.w.first.s, t.tree.reclaim(t.w.first.s)));
    REQUIRE(report.blocks == 1);
    REQUIRE(report.chunks == 1);
    REQUIRE(raw_read(t.w.fabric, hole.at) == block_header::held_by(me));
    auto const number = (hole.at.offset() - heap_begin(t.w.first.pool.geometry())) / chunk;
    REQUIRE(raw_read(t.w.fabric, chunk_word_at(0, number)) == chunk_word::released(256, 512).bits());
}

TEST_CASE("of two that adopt the chunk of a dead client the slower leaves it alone", "[index][reclaim]") {
    clock_fabric fabric;
    pool_options const options{.lease = std::chrono::milliseconds(1), .chunk_bytes = chunk};
    auto a = clock_client::create(fabric, options);
    auto b = clock_client::join(fabric, options);
    auto victim = clock_client::join(fabric, options);
    auto const hole = ok(sync_wait(victim.s, allocate(victim.s, 256)));
    auto const used = ok(sync_wait(victim.s, allocate(victim.s, 256)));
    raw_write(fabric.memory(), used.at, block_header::held_by(a.pool.self().tag()));
    auto const number = (hole.at.offset() - heap_begin(a.pool.geometry())) / chunk;
    auto const chunk_at = chunk_word_at(0, number);
    auto const faster = chunk_word::owned(a.pool.self().tag(), 256).bits();
    unsigned adopted = 0;
    fabric.clock.on_pause = [&] { ok(sync_wait(a.s, keep_lease(a.s))); };
    fabric.clock.on_submit = [&](batch ops) {
        for (auto const& o : ops)
            if (o.target == chunk_at && o.kind == op_kind::cas && adopted++ == 0)
                raw_write(fabric.memory(), chunk_at, faster);
    };
    reclaim_report report;
    auto const gone = ok(sync_wait(b.s, detail::find_gone(b.s, report)));
    auto const any = [](remote_ptr, block_header const&) { return true; };
    ok(sync_wait(b.s, detail::sweep(b.s, gone, any, report)));
    fabric.clock.on_submit = nullptr;
    REQUIRE(adopted == 1);
    REQUIRE(raw_read(fabric.memory(), chunk_at) == faster);
    REQUIRE(report.blocks == 0);
    REQUIRE(report.chunks == 0);
    REQUIRE(raw_read(fabric.memory(), hole.at) == 0); // not signed by b
}

TEST_CASE("which blocks lead nowhere depends on what the catalog says about their index", "[index][reclaim]") {
    std::vector<catalog_entry> catalog(catalog_slots);
    auto const enter = [&](std::uint32_t slot, std::uint32_t generation, index_phase phase, word root) {
        catalog[slot].state = catalog_entry::state_of(generation, phase);
        catalog[slot].root = root;
        return catalog_handle{.slot = slot, .generation = generation}.tag();
    };
    auto const mine = enter(0, 5, index_phase::ready, 1);
    auto const other = enter(1, 1500, index_phase::ready, 1);
    auto const dropping = enter(2, 0, index_phase::dropping, 1);
    auto const dropped = enter(3, 0, index_phase::dropping, 0);
    auto const free = enter(4, 9, index_phase::free, 1);
    std::uint16_t const older = mine - 1;
    remote_ptr const at(1, 1U << 20U);
    std::vector<word> met;
    auto const lost = [&](std::uint16_t tag, bool dead) {
        auto const meta = node_meta{.dead = dead, .index_tag = tag, .incarnation = 3}.bits();
        return detail::leads_nowhere(at, block_header{{1, 0, meta}}, mine, catalog, met);
    };
    for (bool const dead : {false, true}) {
        REQUIRE(lost(mine, dead));
        REQUIRE_FALSE(lost(other, dead));
        REQUIRE_FALSE(lost(dropping, dead));
        REQUIRE(lost(dropped, dead));
        REQUIRE(lost(free, dead));
        REQUIRE(lost(older, dead));
    }
    met.push_back(at.word());
    REQUIRE_FALSE(lost(mine, false));
    REQUIRE(lost(mine, true));
    // In transit from a free list, or torn while it was written first: in no index, whatever the other bits say.
    REQUIRE(detail::leads_nowhere(at, block_header{{1, 0, block_header::meta_of(3, true, true)}}, mine, catalog, met));
    REQUIRE(detail::leads_nowhere(at, block_header{{1, 0, 0}}, mine, catalog, met));
}
