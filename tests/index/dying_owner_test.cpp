// SPDX-License-Identifier: Apache-2.0
// A client dies at every single operation of what it does, with its last WRITE torn at random. Whoever goes on gets right
// answers: what the dead one held is taken over as soon as its lease ran out. (tests/torture does it with many clients and
// at every word; here it is systematic: each operation of a deed, one after the other.)
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <support/catch.hpp>
#include <support/mortal_scene.hpp>
#include <support/random.hpp>

#include <catena/core/hash.hpp>
#include <catena/index/sherman_tree.hpp>

using namespace catena;
using namespace catena::test;

namespace {

struct small_nodes : tree_options {
    static constexpr std::size_t node_bytes = 256;
};
using tree_type = sherman_tree<std::uint64_t, std::uint64_t, small_nodes>;
using change = mutation<std::uint64_t, std::uint64_t>;
using history = std::vector<change>;
using model = std::map<std::uint64_t, std::uint64_t>;
constexpr std::size_t cache_bytes = 1U << 20U;

/// A little tree and what is in it.
struct scene : mortal_scene<tree_type> {
    explicit scene(history const& before) {
        for (auto m : before) survivor.apply(std::span(&m, 1));
    }
};

/// What the survivor did before (the shape of the tree depends on the order), and what the victim does.
struct deed {
    history before;
    history changes;
    bool in_one_batch = false;

    [[nodiscard]] model content() const {
        model m;
        for (auto const& c : before) {
            if (c.kind == mutation_kind::erase)
                m.erase(c.key);
            else
                m[c.key] = c.value;
        }
        return m;
    }
};

[[nodiscard]] result<void> act(scene& t, deed const& d) {
    auto changes = d.changes;
    if (d.in_one_batch) return sync_wait(t.victim.s, t.victims_tree.apply(t.victim.s, changes));
    for (auto& m : changes) {
        auto const r = sync_wait(t.victim.s, t.victims_tree.apply(t.victim.s, std::span(&m, 1)));
        if (!r) return r;
    }
    return {};
}

/// Survivors' answers after the death.
void examine(scene& t, deed const& d) {
    auto& s = t.w.first.s;
    auto const content = d.content();
    std::map<std::uint64_t, change> changed;
    for (auto const& m : d.changes) changed[m.key] = m;
    // A client that knows the tree as it was, and one that never saw it.
    auto fresh_tree = ok(tree_type::open(s, "t", cache_bytes));
    for (auto* const tree : {&t.tree, &fresh_tree}) {
        for (auto const& [k, v] : content) {
            auto const found = ok(sync_wait(s, tree->find(s, k)));
            auto const touched = changed.find(k);
            bool const as_before = found == v;
            bool const as_after =
                touched != changed.end() &&
                (touched->second.kind == mutation_kind::erase ? !found.has_value() : found == touched->second.value);
            expect(as_before || as_after, "key " + std::to_string(k) + " has a wrong answer");
        }
    }
    auto const all = t.survivor.scan({.from = 0, .to = {}}, 2000);
    auto next = all.begin();
    for (auto const& [k, v] : content) {
        if (changed.contains(k)) continue;
        while (next != all.end() && next->key < k) ++next;
        expect(next != all.end() && next->key == k && next->value == v, "the scan missed key " + std::to_string(k));
    }
    for (auto const& [k, v] : content) {
        if (changed.contains(k)) continue;
        t.survivor.upsert(k, v + 1'000'000);
        expect(t.survivor.find(k) == v + 1'000'000, "an upsert was lost");
    }
    for (auto const& m : d.changes) t.survivor.erase(m.key);
    (void)ok(sync_wait(s, t.tree.recover(s)));
    auto const check = t.survivor.sound(); // nothing is locked any more
    expect(check.unlinked == 0, "recovery left a node without a separator");
}

/// Runs the deed once to count its operations, then once for each of them, dying there.
void die_at_every_operation(deed const& d) {
    std::uint64_t operations = 0;
    {
        scene t(d.before);
        auto const before = t.mortal.life().operations;
        REQUIRE(act(t, d));
        operations = t.mortal.life().operations - before;
    }
    REQUIRE(operations > 0);
    auto const seed = test_seed(11);
    std::uint64_t deaths = 0;
    for (std::uint64_t last = 1; last <= operations; ++last) {
        CAPTURE(seed, last, operations);
        scene t(d.before);
        t.mortal.life().tear = seed + last;
        t.mortal.life().operations_left = last;
        auto const acted = act(t, d);
        // How often the lease is renewed depends on the clock: one that renewed less has less to die in.
        if (acted) continue;
        ++deaths;
        REQUIRE(acted.error().code == errc::unreachable);
        REQUIRE_NOTHROW(examine(t, d));
    }
    REQUIRE(deaths >= operations / 2);
}

/// Inserts of n keys with room between them.
[[nodiscard]] history spaced(std::uint64_t n) {
    history h;
    for (std::uint64_t i = 1; i <= n; ++i) h.push_back({.key = 10 * i, .value = i});
    return h;
}

/// The first change of `sequence`, made by one client alone, that changes the number of nodes by `nodes` and, if asked
/// for, the height; everything before it is its history.
[[nodiscard]] deed first_that(history const& sequence, std::int64_t nodes, bool grows_height = false) {
    scene t({});
    auto at = t.survivor.sound();
    for (std::size_t i = 0; i < sequence.size(); ++i) {
        auto m = sequence[i];
        t.survivor.apply(std::span(&m, 1));
        auto const now = t.survivor.sound();
        if (static_cast<std::int64_t>(now.nodes) - static_cast<std::int64_t>(at.nodes) == nodes &&
            (now.height > at.height) == grows_height)
            return {.before = history(sequence.begin(), sequence.begin() + static_cast<std::ptrdiff_t>(i)),
                    .changes = {sequence[i]},
                    .in_one_batch = false};
        at = now;
    }
    FAIL("no change of the sequence does that");
    return {};
}

[[nodiscard]] history inserts_in_hash_order(std::uint64_t n) {
    history h;
    for (std::uint64_t i = 1; i <= n; ++i) h.push_back({.key = mix64(i), .value = i});
    return h;
}

[[nodiscard]] history inserts_then_erases(std::uint64_t n) {
    auto h = inserts_in_hash_order(n);
    for (std::uint64_t i = 1; i <= n; ++i) h.push_back({.key = mix64(i), .value = 0, .kind = mutation_kind::erase});
    return h;
}

} // namespace

TEST_CASE("an owner that dies in an insert, an upsert or an erase harms nobody else's keys", "[index][dying]") {
    deed d{.before = spaced(8),
           .changes = {{.key = 35, .value = 7, .kind = mutation_kind::insert},
                       {.key = 50, .value = 8, .kind = mutation_kind::upsert},
                       {.key = 20, .value = 0, .kind = mutation_kind::erase}}};
    SECTION("one by one") { die_at_every_operation(d); }
    SECTION("in one batch") {
        d.in_one_batch = true;
        die_at_every_operation(d);
    }
}

TEST_CASE("an owner that dies while a leaf splits harms nobody else's keys", "[index][dying]") {
    die_at_every_operation(first_that(inserts_in_hash_order(100), 1));
}

TEST_CASE("an owner that dies while the root grows harms nobody else's keys", "[index][dying]") {
    SECTION("from a leaf") { die_at_every_operation(first_that(inserts_in_hash_order(20), 2, true)); }
    SECTION("from an internal node") { die_at_every_operation(first_that(inserts_in_hash_order(200), 3, true)); }
}

TEST_CASE("an owner that dies while a leaf and its parent split harms nobody else's keys", "[index][dying]") {
    die_at_every_operation(first_that(inserts_in_hash_order(600), 2));
}

TEST_CASE("an owner that dies in a batch that splits many leaves harms nobody else's keys", "[index][dying]") {
    deed d{.before = spaced(40), .changes = {}, .in_one_batch = true};
    for (std::uint64_t i = 0; i < 40; ++i) d.changes.push_back({.key = 15 + 10 * i, .value = i});
    die_at_every_operation(d);
}

TEST_CASE("an owner that dies while leaves merge harms nobody else's keys", "[index][dying]") {
    die_at_every_operation(first_that(inserts_then_erases(60), -1));
}

TEST_CASE("an owner that dies while leaves and their parents merge harms nobody else's keys", "[index][dying]") {
    die_at_every_operation(first_that(inserts_then_erases(600), -2));
}
