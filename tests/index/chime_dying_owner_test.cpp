// SPDX-License-Identifier: Apache-2.0
// As index/dying_owner_test.cpp, for hopscotch leaves: a client dies at every single operation of what it does, its last
// WRITE torn at random; and then whoever takes over what it held dies at every operation of that.
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <index/indexes.hpp>
#include <support/catch.hpp>
#include <support/mortal_scene.hpp>
#include <support/random.hpp>

#include <catena/core/hash.hpp>
#include <catena/index/chime_tree.hpp>

using namespace catena;
using namespace catena::test;

namespace {

using tree_type = chime_tree<std::uint64_t, std::uint64_t, leaves_of<3>>;
using change = mutation<std::uint64_t, std::uint64_t>;
using history = std::vector<change>;
using model = std::map<std::uint64_t, std::uint64_t>;
constexpr std::size_t cache_bytes = 1U << 20U;

/// What the survivor did before (where keys lie depends on the order), and what the victim does.
struct deed {
    history before;
    history changes;

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

struct scene : mortal_scene<tree_type> {
    explicit scene(history const& before) {
        for (auto m : before) survivor.apply(std::span(&m, 1));
    }
};

template <typename Client>
[[nodiscard]] result<void> act(Client& c, tree_type& tree, history changes) {
    for (auto& m : changes) {
        auto const r = sync_wait(c.s, tree.apply(c.s, std::span(&m, 1)));
        if (!r) return r;
    }
    return {};
}

/// Survivors' answers after the death.
void examine(scene& t, deed const& d) {
    auto& s = t.w.first.s;
    auto const content = d.content();
    std::map<std::uint64_t, change const*> changed;
    for (auto const& m : d.changes) changed[m.key] = &m;
    auto all = content; // every key that anybody knows of
    for (auto const& m : d.changes) all.emplace(m.key, 0);
    // A client that knows the tree as it was, and one that never saw it.
    auto fresh_tree = ok(tree_type::open(s, "t", cache_bytes));
    for (auto* const tree : {&t.tree, &fresh_tree}) {
        for (auto const& [k, v] : all) {
            auto const found = ok(sync_wait(s, tree->find(s, k)));
            auto const was = content.find(k);
            auto const touched = changed.find(k);
            bool possible = was == content.end() ? !found : found == was->second;
            if (touched != changed.end())
                possible = possible ||
                           (touched->second->kind == mutation_kind::erase ? !found : found == touched->second->value);
            expect(possible, "key " + std::to_string(k) + " has a wrong answer");
        }
    }
    auto const listed = t.survivor.scan({.from = 0, .to = {}}, 2000);
    auto next = listed.begin();
    for (auto const& [k, v] : content) {
        if (changed.contains(k)) continue;
        while (next != listed.end() && next->key < k) ++next;
        expect(next != listed.end() && next->key == k && next->value == v, "the scan missed key " + std::to_string(k));
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

/// How many operations does it take to do `d`?
[[nodiscard]] std::uint64_t operations_of(deed const& d) {
    scene t(d.before);
    auto const before = t.mortal.life().operations;
    REQUIRE(act(t.victim, t.victims_tree, d.changes));
    return t.mortal.life().operations - before;
}

/// The victim dies after each number of operations, several times: its last WRITE is torn in another way each time.
void die_at_every_operation(deed const& d, std::uint64_t tears) {
    auto const operations = operations_of(d);
    REQUIRE(operations > 0);
    auto const seed = test_seed(11);
    std::uint64_t deaths = 0;
    for (std::uint64_t last = 1; last <= operations; ++last)
        for (std::uint64_t tear = 0; tear < tears; ++tear) {
            CAPTURE(seed, last, operations, tear);
            scene t(d.before);
            t.mortal.life().tear = seed + 1000 * last + tear;
            t.mortal.life().operations_left = last;
            auto const acted = act(t.victim, t.victims_tree, d.changes);
            // How often the lease is renewed depends on the clock: one that renewed less has less to die in.
            if (acted) continue;
            ++deaths;
            REQUIRE(acted.error().code == errc::unreachable);
            REQUIRE_NOTHROW(examine(t, d));
        }
    REQUIRE(deaths >= operations * tears / 2);
}

/// Then somebody else meets what the victim left, and dies at each operation of that, too.
void die_over_what_is_left(deed const& d, std::uint64_t tears) {
    auto const operations = operations_of(d);
    auto const seed = test_seed(12);
    std::size_t both = 0;
    for (std::uint64_t round = 0; round < tears; ++round)
        for (std::uint64_t last = 1; last <= operations; ++last) {
            random_source random(seed + 1000 * round + last);
            scene t(d.before);
            t.mortal.life().tear = random.next();
            t.mortal.life().operations_left = last;
            if (act(t.victim, t.victims_tree, d.changes)) continue;
            mortal_fabric second(t.w.fabric);
            auto heir = scene::victim_client::join(second, t.options);
            auto heirs_tree = ok(tree_type::open(heir.s, "t", cache_bytes));
            auto const left = 1 + random.below(60);
            second.life().tear = random.next();
            second.life().operations_left = left;
            CAPTURE(seed, round, last, left);
            for (auto const& m : d.changes) // no other change than the victim wanted
                if (auto const r = act(heir, heirs_tree, {m}); !r) break;
            (void)sync_wait(heir.s, heirs_tree.recover(heir.s));
            both += second.life().dead();
            REQUIRE_NOTHROW(examine(t, d));
        }
    REQUIRE(both > 0);
}

void die(deed const& d, std::uint64_t tears) {
    SECTION("once") { die_at_every_operation(d, tears); }
    SECTION("and whoever mends it") { die_over_what_is_left(d, tears); }
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

/// The changes of `sequence`, made by one client alone, after which the number of nodes has changed by `nodes`; everything
/// before each is its history.
[[nodiscard]] std::vector<deed> those_that(history const& sequence, std::int64_t nodes, std::size_t most) {
    scene t({});
    std::vector<deed> found;
    auto at = t.survivor.sound();
    for (std::size_t i = 0; i < sequence.size() && found.size() < most; ++i) {
        auto m = sequence[i];
        t.survivor.apply(std::span(&m, 1));
        auto const now = t.survivor.sound();
        if (static_cast<std::int64_t>(now.nodes) - static_cast<std::int64_t>(at.nodes) == nodes &&
            now.height == at.height)
            found.push_back({.before = history(sequence.begin(), sequence.begin() + static_cast<std::ptrdiff_t>(i)),
                             .changes = {sequence[i]}});
        at = now;
    }
    REQUIRE(found.size() == most);
    return found;
}

} // namespace

TEST_CASE("hopscotch leaves: an owner that dies in an insert, an upsert or an erase harms nobody else's keys",
          "[index][dying]") {
    auto const before = inserts_in_hash_order(8);
    die({.before = before,
         .changes = {{.key = 35, .value = 7, .kind = mutation_kind::insert},
                     {.key = before[3].key, .value = 8, .kind = mutation_kind::upsert},
                     {.key = before[5].key, .value = 0, .kind = mutation_kind::erase}}},
        8);
}

TEST_CASE("hopscotch leaves: an owner that dies while keys make way harms nobody else's keys", "[index][dying]") {
    // Up to the first split the leaf is filled to its last slot, and keys move.
    auto const full = those_that(inserts_in_hash_order(60), 1, 1).front().before;
    history before = full;
    history last(before.end() - 2, before.end());
    before.resize(before.size() - 2);
    die({.before = before, .changes = last}, 8);
}

TEST_CASE("hopscotch leaves: an owner that dies while a leaf splits harms nobody else's keys", "[index][dying]") {
    for (auto const& d : those_that(inserts_in_hash_order(100), 1, 2)) die_at_every_operation(d, 8);
    die_over_what_is_left(those_that(inserts_in_hash_order(100), 1, 1).front(), 8);
}

TEST_CASE("hopscotch leaves: an owner that dies while leaves merge harms nobody else's keys", "[index][dying]") {
    for (auto const& d : those_that(inserts_then_erases(60), -1, 2)) die_at_every_operation(d, 8);
    die_over_what_is_left(those_that(inserts_then_erases(60), -1, 1).front(), 8);
}
