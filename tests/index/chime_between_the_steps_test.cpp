// SPDX-License-Identifier: Apache-2.0
// One interleaving each of the protocol of hopscotch leaves, set by hand (as index/between_the_steps_test.cpp for the trees'
// other protocols): what another client does gets in before a chosen batch, or a READ has words of chosen moments.
#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <index/indexes.hpp>
#include <pool/clock_fabric.hpp>
#include <support/catch.hpp>
#include <support/world.hpp>

#include <catena/index/chime_tree.hpp>
#include <catena/layout/hopscotch_edit.hpp>

using namespace catena;
using namespace catena::test;
using namespace std::chrono_literals;

namespace {

using tree_type = chime_tree<std::uint64_t, std::uint64_t, leaves_of<3>>;
using leaf = tree_type::leaf;
using view = hopscotch_view<leaf>;
using inner = detail::chime_state<leaf, leaves_of<3>>::inner;
using session_type = clock_client::session_type;
using change = mutation<std::uint64_t, std::uint64_t>;
constexpr std::size_t cache_bytes = 1U << 16U;
constexpr pool_options options{.lease = 1h, .patience = 100ms};

struct leaf_copy {
    std::array<word, leaf::words> words{};
    [[nodiscard]] view see() noexcept { return view(words.data()); }
};

/// Clients a and b with the same tree.
struct scene {
    clock_fabric fabric;
    clock_client a = clock_client::create(fabric, options);
    clock_client b = clock_client::join(fabric, options);
    tree_type as_tree = ok(tree_type::create(a.s, "t", cache_bytes));
    tree_type bs_tree = ok(tree_type::open(b.s, "t", cache_bytes));
    calls<tree_type, session_type> as{as_tree, a.s};
    calls<tree_type, session_type> bs{bs_tree, b.s};

    scene() = default;
    explicit scene(std::uint64_t node_bytes) : fabric(node_bytes) {}

    [[nodiscard]] word at(node_ref n, std::size_t i) { return raw_read(fabric.memory(), n.at() + i * word_bytes); }
    void put(node_ref n, std::size_t i, word w) { raw_write(fabric.memory(), n.at() + i * word_bytes, w); }
    [[nodiscard]] lock_word lock(node_ref n) { return lock_word(at(n, 0)); }
    [[nodiscard]] node_ref root() { return node_ref::from_word(raw_read(fabric.memory(), as_tree.handle().root())); }
    [[nodiscard]] leaf_copy copy(node_ref n) {
        leaf_copy c;
        for (std::size_t i = 0; i < leaf::words; ++i) c.words[i] = at(n, i);
        return c;
    }
    [[nodiscard]] std::vector<std::uint64_t> keys_of(node_ref n) {
        auto c = copy(n);
        std::vector<std::uint64_t> keys;
        c.see().for_each_slot([&](std::size_t slot) { keys.push_back(c.see().key(slot)); });
        return keys;
    }
    /// From left to right.
    [[nodiscard]] std::vector<node_ref> leaves() {
        auto n = root();
        while (n.level() > 0) {
            std::array<word, inner::words> words{};
            for (std::size_t i = 0; i < inner::words; ++i) words[i] = at(n, i);
            node_view<inner> const node(words.data());
            n = detail::child_for(node, node.low());
        }
        std::vector<node_ref> all;
        for (; n; n = copy(n).see().link()) all.push_back(n);
        return all;
    }
    /// Before every batch of anybody.
    void watch(std::function<void(batch)> look) { fabric.clock.on_submit = std::move(look); }
    void watch_no_more() {
        fabric.clock.on_submit = nullptr;
        for (auto const& c : complaints) FAIL_CHECK(c);
    }
    /// For the watchers: an assertion would end the coroutine that they watch.
    void check(bool holds, std::string const& otherwise) {
        if (!holds) complaints.push_back(otherwise);
    }
    std::vector<std::string> complaints;
};

[[nodiscard]] bool takes(batch ops, node_ref n) {
    return std::any_of(ops.begin(), ops.end(),
                       [&](op const& o) { return o.kind == op_kind::cas && o.target == n.at(); });
}

/// Keys of `n` leaves, in an order in which they fill.
std::vector<std::uint64_t> grow(scene& t, std::size_t n) {
    std::vector<std::uint64_t> keys;
    while (t.leaves().size() < n) {
        keys.push_back(mix64(keys.size() + 1) % 1'000'000 + 1);
        t.as.upsert(keys.back(), keys.back());
    }
    std::sort(keys.begin(), keys.end());
    return keys;
}

/// Fills a leaf until a key for which there is no room: that one.
std::uint64_t fill(scene& t, node_ref n) {
    for (;;) {
        auto c = t.copy(n);
        auto const end = c.see().meta().unbounded ? c.see().low() + 1'000'000 : c.see().high();
        auto key = std::max<std::uint64_t>(c.see().low(), 1);
        for (; key < end; ++key) {
            if (c.see().find(key) != leaf::no_slot) continue;
            if (make_room(c.see(), leaf::home_of(key), leaf::quads).slot == leaf::no_slot) return key;
        }
        for (key = std::max<std::uint64_t>(c.see().low(), 1); c.see().find(key) != leaf::no_slot;) ++key;
        t.as.insert(key, key);
        expect(t.copy(n).see().count() == c.see().count() + 1, "the leaf split too early");
    }
}

/// A leaf as a writer leaves it, which nobody else sees.
struct lone_leaf : leaf_copy {
    lone_leaf() {
        see().format(0, 7, 3);
        see().seal(1, false);
    }
    void insert(std::uint64_t key) {
        auto const room = make_room(see(), leaf::home_of(key), leaf::quads);
        REQUIRE(room.slot != leaf::no_slot);
        hopscotch_insert(see(), room, key, key, [](word_range) {});
    }
    [[nodiscard]] std::size_t quad_of(std::uint64_t key) { return see().find(key) / quad_word::slots; }
};

/// What a reader of the neighbourhood of `key` sees who reads one of the two quads early and everything else late.
[[nodiscard]] view::sighting see_mixed(leaf_copy const& early, leaf_copy const& late, std::size_t early_quad,
                                       std::uint64_t key) {
    auto mixed = late;
    for (std::size_t i = 0; i < leaf::quad_words; ++i)
        mixed.words[leaf::quad_at(early_quad) + i] = early.words[leaf::quad_at(early_quad) + i];
    return mixed.see().look_for(leaf::home_of(key), key);
}

/// The nth key of that home.
[[nodiscard]] std::uint64_t key_at(std::size_t home, std::size_t nth, std::uint64_t from = 1) {
    auto key = from;
    for (;; ++key)
        if (leaf::home_of(key) == home && nth-- == 0) return key;
}

} // namespace

TEST_CASE("H2, H3: a key that went to the right neighbour and came back to another quad is not taken for absent",
          "[index][steps]") {
    // A split takes the key out of its home, a merge brings it back to the quad behind: no key crossed their border.
    lone_leaf left;
    auto const key = key_at(0, 0, 1000);
    left.insert(key);
    auto const first = left.quad_of(key);
    auto const before = left;
    leaf_copy right;
    node_ref const right_ref({1, 640}, 0, 9);
    hopscotch_split(left.see(), right.see(), right_ref, 9, 1000);
    left.see().seal(1, false);
    right.see().seal(1, false);
    for (std::size_t n = 0; n < 2; ++n) // now the other quad is the emptier one
        left.insert(key_at(first == 0 ? 2 : 1, n));
    for (std::uint64_t n = 0; left.see().quad(first).free_slots() != 0 && n < 20; ++n) {
        auto const other = key_at(0, n);
        left.insert(other);
        if (left.quad_of(other) != first) { // only those that fill the first one stay
            hopscotch_erase(left.see(), left.see().find(other), [](word_range) {});
        }
        if (std::popcount(left.see().quad(first).occupancy()) > std::popcount(left.see().quad(1 - first).occupancy()))
            break;
    }
    REQUIRE(hopscotch_absorb(left.see(), right.see(), [](word_range) {}));
    left.see().seal(1, false);
    REQUIRE(left.quad_of(key) == 1 - first);
    REQUIRE(left.see().look_for(0, key).slot != leaf::no_slot);
    // The first quad is read late, the other one early.
    REQUIRE(see_mixed(before, left, 1 - first, key).state == neighbourhood_state::torn);
}

TEST_CASE("a key is not taken from a quad while another one says that the leaf ends below it", "[index][steps]") {
    // Whoever comes to the right leaf over this neighbourhood may have changed the key there since.
    lone_leaf left;
    std::uint64_t key = 0;
    for (std::size_t n = 0; key == 0; ++n) { // one that lies behind its home
        auto const next = key_at(0, n, 1000);
        left.insert(next);
        if (left.quad_of(next) == 1) key = next;
    }
    auto const before = left;
    leaf_copy right;
    hopscotch_split(left.see(), right.see(), node_ref({1, 640}, 0, 9), 9, 1000);
    left.see().seal(1, false);
    REQUIRE(see_mixed(before, left, 1, key).state == neighbourhood_state::right);
}

TEST_CASE("a leaf that was damaged while nobody held it is not mended", "[index][steps]") {
    scene t;
    auto const keys = grow(t, 3);
    auto const node = t.leaves()[1];
    auto c = t.copy(node);
    std::size_t slot = 0;
    while (!c.see().occupied(slot)) ++slot;
    auto const key = c.see().key(slot);
    t.put(node, leaf::payload_at(slot), c.see().payload(slot) ^ 4);
    auto const damaged = t.copy(node);
    auto const found = sync_wait(t.b.s, t.bs_tree.find(t.b.s, key));
    REQUIRE_FALSE(found);
    REQUIRE(found.error().code == errc::contended);
    REQUIRE_FALSE(sync_wait(t.b.s, t.bs_tree.upsert(t.b.s, key, 1)));
    REQUIRE_FALSE(sync_wait(t.b.s, t.bs_tree.recover(t.b.s)));
    auto const after = t.copy(node);
    for (std::size_t i = 1; i < leaf::words; ++i) {
        CAPTURE(i);
        REQUIRE(after.words[i] == damaged.words[i]);
    }
    REQUIRE_FALSE(t.lock(node).locked());
    for (auto const k : keys)
        if (k < c.see().low() || !(k < c.see().high())) REQUIRE(t.bs.find(k) == k);
}

TEST_CASE("a bulk load looks again under the lock: the word of a free lock says nothing of the contents",
          "[index][steps]") {
    scene t;
    auto const node = t.root();
    bool inserted = false;
    t.watch([&](batch ops) {
        if (inserted || !takes(ops, node)) return;
        inserted = true;
        t.as.insert(5, 50);
    });
    std::vector<entry<std::uint64_t, std::uint64_t>> const sorted{{.key = 1, .value = 1}, {.key = 2, .value = 2}};
    auto const loaded = sync_wait(t.b.s, t.bs_tree.bulk_load(t.b.s, sorted));
    t.watch_no_more();
    REQUIRE(inserted);
    REQUIRE_FALSE(loaded);
    REQUIRE(loaded.error().code == errc::invalid_argument);
    REQUIRE(t.as.find(5) == 50);
    REQUIRE_FALSE(t.lock(node).locked());
    t.as.sound();
}

TEST_CASE("a writer that cannot split gives back the lock, and the block of a split that does not happen",
          "[index][steps]") {
    scene t(std::uint64_t{256} << 10U);
    grow(t, 4);
    auto const leaves = t.leaves();
    std::array const full{leaves[0], leaves[2]};
    std::array const keys{fill(t, full[0]), fill(t, full[1])};
    std::vector<block> taken; // all there is
    for (;;) {
        auto const made = sync_wait(t.a.s, allocate(t.a.s, leaf::bytes));
        if (!made) break;
        taken.push_back(*made);
    }
    bool const one_is_left = GENERATE(false, true);
    CAPTURE(one_is_left);
    if (one_is_left) {
        ok(sync_wait(t.a.s, free_block(t.a.s, taken.back(), leaf::bytes)));
    }
    std::array changes{change{.key = keys[0], .value = 1}, change{.key = keys[1], .value = 1}};
    auto const done = sync_wait(t.a.s, t.as_tree.apply(t.a.s, changes));
    REQUIRE_FALSE(done);
    REQUIRE(done.error().code == errc::out_of_memory);
    for (auto const n : t.leaves()) REQUIRE_FALSE(t.lock(n).locked());
    if (one_is_left) REQUIRE(sync_wait(t.a.s, allocate(t.a.s, leaf::bytes)));
    t.bs.sound();
    auto const old = t.copy(full[0]).see().key(0);
    if (t.copy(full[0]).see().occupied(0)) {
        t.bs.upsert(old, 7);
        REQUIRE(t.as.find(old) == 7);
    }
}

TEST_CASE("H5: who comes over a link that is newer than the fence finds the low fence above its key",
          "[index][steps]") {
    scene t;
    auto const keys = grow(t, 3);
    for (auto const k : keys) REQUIRE(t.bs.find(k) == k); // what b knows of the root
    auto const left = t.leaves().front();
    t.as.insert(fill(t, left), 1);
    auto const right = t.leaves()[1]; // b does not know it
    REQUIRE(right == t.copy(left).see().link());
    auto const in_left = t.keys_of(left), in_right = t.keys_of(right);
    // a merges them. Of its last WRITE of left the link lands first; then b asks.
    bool asked = false;
    t.watch([&](batch ops) {
        if (asked) return;
        for (auto const& o : ops) {
            if (o.kind != op_kind::write || o.target != left.at() + leaf::contents().first * word_bytes) continue;
            auto const link = static_cast<word const*>(o.local)[leaf::link_at - leaf::contents().first];
            t.put(left, leaf::link_at, link);
            asked = true;
        }
        if (!asked) return;
        t.check(t.copy(right).see().meta().dead, "right lives");
        for (auto const k : in_right) {
            auto const found = sync_wait(t.b.s, t.bs_tree.find(t.b.s, k));
            t.check(found ? *found == k || *found == 1 : found.error().code == errc::contended,
                    "key " + std::to_string(k) + " was taken for absent");
        }
    });
    for (auto const k : in_left)
        if (!asked) t.as.erase(k);
    t.watch_no_more();
    REQUIRE(asked);
    for (auto const k : in_right) REQUIRE(t.bs.find(k).has_value());
    t.as.sound();
}

TEST_CASE("M3: a merge looks again under its locks whether left links to right still", "[index][steps]") {
    scene t;
    (void)grow(t, 3);
    auto const left = t.leaves()[0];
    auto const parent = t.root();
    auto const end = t.copy(left).see().high();
    auto const keys = t.keys_of(left);
    std::vector<std::uint64_t> between;
    // Before a takes its locks left splits, and the separator does not come.
    bool split = false;
    t.watch([&](batch ops) {
        if (split || !takes(ops, left) || !takes(ops, parent)) return;
        split = true;
        std::vector<word> before;
        for (std::size_t i = 0; i < inner::words; ++i) before.push_back(t.at(parent, i));
        auto const leaves = t.leaves().size();
        for (std::uint64_t k = 1; t.leaves().size() == leaves; ++k) {
            between.push_back(end - 1000 * k);
            if (!sync_wait(t.b.s, t.bs_tree.insert(t.b.s, between.back(), 7))) t.check(false, "an insert failed");
        }
        // Room for what right has, but no reason for b to merge: two keys are left in every neighbourhood.
        for (auto const k : t.keys_of(left)) {
            auto c = t.copy(left);
            c.see().set_occupied(c.see().find(k), false);
            bool sparse = false;
            for (std::size_t q = 0; q < leaf::quads; ++q)
                sparse |= std::popcount(c.see().quad(q).occupancy()) +
                              std::popcount(c.see().quad(leaf::next(q)).occupancy()) <
                          2;
            if (sparse) continue;
            t.check(ok(sync_wait(t.b.s, t.bs_tree.erase(t.b.s, k))), "an erase failed");
            std::erase(between, k);
        }
        for (std::size_t i = 0; i < inner::words; ++i) t.put(parent, i, before[i]);
    });
    for (auto const k : keys)
        if (!split) t.as.erase(k);
    t.watch_no_more();
    REQUIRE(split);
    for (auto const k : between) REQUIRE(t.as.find(k) == 7);
    t.as.sound();
}

TEST_CASE("H1: a quad that was damaged is never sealed anew, nor kept as hot", "[index][steps]") {
    scene t;
    for (std::uint64_t k = 1; k < 8; ++k) t.as.insert(k, 10 * k);
    auto const node = t.root();
    auto c = t.copy(node);
    std::size_t slot = 0;
    while (!c.see().occupied(slot)) ++slot;
    auto const key = c.see().key(slot);
    auto const quad = slot / quad_word::slots;
    REQUIRE(t.as.find(key) == 10 * key); // a knows it as hot, b does not
    t.put(node, leaf::payload_at(slot), c.see().payload(slot) ^ 4);
    std::size_t inserted = 0;
    for (std::uint64_t k = 100; k < 160; ++k) {
        if (leaf::home_of(k) == quad || leaf::next(leaf::home_of(k)) == quad) {
            if (k < 110) REQUIRE_FALSE(sync_wait(t.a.s, t.as_tree.insert(t.a.s, k, 1)));
        } else if (inserted < 40) {
            inserted += sync_wait(t.b.s, t.bs_tree.insert(t.b.s, k, 1)).has_value();
        }
    }
    REQUIRE(inserted > 0);
    for (auto* const tree : {&t.as_tree, &t.bs_tree}) {
        auto const found = sync_wait(t.a.s, tree->find(t.a.s, key));
        if (found) REQUIRE(*found == 10 * key);
    }
    REQUIRE_FALSE(sync_wait(t.b.s, t.bs_tree.find(t.b.s, key)));
}

TEST_CASE("a scan does not take keys that a merge has put into the left leaf before its fence", "[index][steps]") {
    scene t;
    auto const keys = grow(t, 3);
    for (auto const k : keys) REQUIRE(t.bs.find(k) == k); // what b knows of the root
    auto const left = t.leaves()[0], right = t.leaves()[1];
    auto const fence = t.copy(right).see().low();
    std::vector<std::uint64_t> in_left, in_right;
    for (auto const k : keys)
        if (k < t.copy(right).see().high()) (k < fence ? in_left : in_right).push_back(k);
    // Of the steps of a's merge the first one lands: a key of right that is not its lowest. Then b scans.
    bool asked = false;
    std::size_t erased = 0;
    t.watch([&](batch ops) {
        auto const is_in_left = [&](op const& o) {
            return o.kind == op_kind::write && o.target.node() == left.at().node() &&
                   o.target.offset() > left.at().offset() && o.target.offset() < left.at().offset() + leaf::bytes;
        };
        if (asked || !t.copy(right).see().meta().dead || !is_in_left(ops[0])) return;
        asked = true;
        auto const at = (ops[0].target.offset() - left.at().offset()) / word_bytes;
        for (std::size_t i = 0; i < ops[0].length / word_bytes; ++i)
            t.put(left, at + i, static_cast<word const*>(ops[0].local)[i]);
        t.check(t.copy(left).see().find(in_right.front()) == leaf::no_slot &&
                    t.copy(left).see().count() == in_left.size() - erased + 1,
                "it is not as it should be");
        std::vector<entry<std::uint64_t, std::uint64_t>> out(in_left.size() - erased + 1);
        auto const n = sync_wait(t.b.s, t.bs_tree.scan(t.b.s, {.from = 0, .to = {}}, std::span(out)));
        t.check(n ? *n == out.size() && out.back().key == in_right.front() : n.error().code == errc::contended,
                "a key was left out");
    });
    for (auto const k : in_left) {
        if (asked) break;
        ++erased;
        t.as.erase(k);
    }
    t.watch_no_more();
    REQUIRE(asked);
    t.as.sound();
}

TEST_CASE("a split of a hopscotch leaf: right is in remote memory before left links to it", "[index][steps]") {
    scene t; // they may lie on different memory nodes: one batch would have no order
    (void)grow(t, 2);
    auto const left = t.leaves().front();
    auto const key = fill(t, left);
    auto const before = t.copy(left).see().link();
    bool linked = false;
    t.watch([&](batch ops) {
        for (auto const& o : ops) {
            if (o.kind != op_kind::write || o.target != left.at() + leaf::contents().first * word_bytes) continue;
            leaf_copy c;
            std::copy_n(static_cast<word const*>(o.local), leaf::contents().count, &c.words[leaf::contents().first]);
            auto const right = c.see().link();
            if (right == before) continue;
            linked = true;
            auto there = t.copy(right);
            t.check(names(right, there.see().meta(), t.as_tree.handle().tag()) && there.see().sealed(),
                    "left links to what is not there yet");
        }
    });
    t.as.insert(key, 1);
    t.watch_no_more();
    REQUIRE(linked);
    t.as.sound();
}
