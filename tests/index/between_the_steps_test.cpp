// SPDX-License-Identifier: Apache-2.0
// One interleaving each of the tree's protocols, set by hand: what another client does, or what is under way of it, gets in
// before a chosen batch. tests/torture finds most of them by chance; here none is left to it.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <pool/clock_fabric.hpp>
#include <support/catch.hpp>
#include <support/world.hpp>

#include <catena/index/sherman_tree.hpp>

using namespace catena;
using namespace catena::test;
using namespace std::chrono_literals;

namespace {

struct small_nodes : tree_options {
    static constexpr std::size_t node_bytes = 256;
};
using tree_type = sherman_tree<std::uint64_t, std::uint64_t, small_nodes>;
using leaf = tree_type::leaf;
using inner = detail::tree_state<std::uint64_t, small_nodes>::inner;
using session_type = clock_client::session_type;
constexpr std::size_t cache_bytes = 1U << 16U;
constexpr pool_options options{.lease = 1h, .patience = 100ms};
/// Of members that never were.
constexpr std::uint32_t nobody = member_id{.slot = 7, .incarnation = 5}.tag();
constexpr std::uint32_t nobody_else = member_id{.slot = 8, .incarnation = 5}.tag();

template <typename Layout>
struct node_copy {
    std::array<word, Layout::words> words{};
    [[nodiscard]] node_view<Layout> view() noexcept { return node_view<Layout>(words.data()); }
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

    [[nodiscard]] word at(node_ref n, std::size_t i) { return raw_read(fabric.memory(), n.at() + i * word_bytes); }
    void put(node_ref n, std::size_t i, word w) { raw_write(fabric.memory(), n.at() + i * word_bytes, w); }
    [[nodiscard]] lock_word lock(node_ref n) { return lock_word(at(n, 0)); }
    [[nodiscard]] node_meta meta(node_ref n) { return node_meta::from_word(at(n, meta_word)); }
    [[nodiscard]] node_ref root() { return node_ref::from_word(raw_read(fabric.memory(), as_tree.handle().root())); }
    template <typename Layout>
    [[nodiscard]] node_copy<Layout> copy(node_ref n) {
        node_copy<Layout> c;
        for (std::size_t i = 0; i < Layout::words; ++i) c.words[i] = at(n, i);
        return c;
    }
    template <typename Layout>
    void write(node_ref n, node_copy<Layout> const& c) {
        for (std::size_t i = 0; i < Layout::words; ++i) put(n, i, c.words[i]);
    }
    /// Children of the root, from left to right.
    [[nodiscard]] std::vector<node_ref> leaves() {
        auto r = copy<inner>(root());
        slot_order<inner> order;
        auto const n = sorted_slots(r.view(), std::span(order));
        std::vector<node_ref> all;
        for (std::size_t i = 0; i < n; ++i) all.push_back(r.view().payload(order[i]));
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

[[nodiscard]] std::size_t count(batch ops, op_kind kind) {
    return static_cast<std::size_t>(std::count_if(ops.begin(), ops.end(), [&](op const& o) { return o.kind == kind; }));
}
[[nodiscard]] bool takes(batch ops, node_ref n) {
    return std::any_of(ops.begin(), ops.end(),
                       [&](op const& o) { return o.kind == op_kind::cas && o.target == n.at(); });
}
[[nodiscard]] op const* publication_of(batch ops, node_ref n) {
    auto const found = std::find_if(ops.begin(), ops.end(),
                                    [&](op const& o) { return o.kind == op_kind::write && o.target == n.at(); });
    return found == ops.end() ? nullptr : &*found;
}

/// a writes keys 10, 20, ... until there are `leaves` of them; the last writer of every node is a.
void grow(scene& t, std::size_t leaves, std::vector<std::uint64_t>& keys) {
    while (t.root().level() == 0 || t.leaves().size() < leaves) {
        keys.push_back(10 * (keys.size() + 1));
        t.as.insert(keys.back(), keys.back());
    }
}

/// b erases what the last leaf has, until it merges into the one before it, and goes on.
void empty_last_leaf(scene& t, std::vector<std::uint64_t>& keys) {
    auto const lowest = t.copy<leaf>(t.leaves().back()).view().low();
    while (keys.back() >= lowest) {
        expect(t.bs.erase(keys.back()), "a key was lost"); // also what moved
        keys.pop_back();
    }
}

/// The occupancy that a wrote last to `n` is under way when b takes the lock there (the first batch for which `locks` says
/// so): b read it in time, the memory node has it only a while later.
struct straggler {
    /// It lands before the batch `lands`, counted from the one that takes the lock.
    straggler(scene& t, node_ref n, unsigned lands, std::function<bool(batch)> locks)
        : t_(&t), node_(n), final_(t.at(n, 1)), lands_(lands), locks_(std::move(locks)) {
        t.watch([this](batch ops) { before(ops); });
    }
    ~straggler() { t_->watch_no_more(); }
    void before(batch ops) {
        if (since_ == 0 && !locks_(ops)) return;
        ++since_;
        if (since_ == 1) t_->put(node_, 1, final_ & (final_ - 1)); // one entry fewer
        if (since_ == lands_) land();
    }
    void land() {
        locked_while_under_way = t_->lock(node_).locked();
        t_->put(node_, 1, final_);
    }
    bool locked_while_under_way = false;
    [[nodiscard]] bool landed() const noexcept { return since_ >= lands_; }

private:
    scene* t_;
    node_ref node_;
    word final_;
    unsigned lands_;
    std::function<bool(batch)> locks_;
    unsigned since_ = 0; ///< batches
};

/// No WRITE that sets a node free carries an occupancy that is there already: it could land over the next writer's.
void watch_occupancies(scene& t, node_ref n, std::size_t& seen) {
    t.watch([&t, &seen, n](batch ops) {
        auto const* const o = publication_of(ops, n);
        if (o == nullptr) return;
        ++seen;
        if (o->length > word_bytes)
            t.check(static_cast<word const*>(o->local)[1] != t.at(n, 1), "the same occupancy goes with the lock word");
    });
}

/// Left is locked by one who is gone, right is dead: killed by `killer` in a merge that did not come to its end.
struct half_merged {
    scene t;
    std::vector<std::uint64_t> keys;
    node_ref left, right;

    explicit half_merged(std::function<std::uint32_t(scene&)> const& killer) {
        grow(t, 4, keys);
        auto const leaves = t.leaves();
        left = leaves[1];
        right = leaves[2];
        auto c = t.copy<leaf>(right);
        auto meta = c.view().meta();
        meta.dead = true;
        c.view().set_meta(meta);
        c.view().seal(killer(t), true);
        t.write(right, c);
        t.put(left, 0, t.lock(left).held_by(nobody).bits());
    }
};

} // namespace

TEST_CASE("W2: a writer does not go on while an occupancy of the last writer is under way", "[index][steps]") {
    scene t;
    std::vector<std::uint64_t> keys;
    while (keys.size() < 3) t.as.insert(keys.emplace_back(10 * (keys.size() + 1)), 1);
    auto const node = t.root();
    {
        straggler late(t, node, 3, [&](batch ops) { return takes(ops, node); });
        t.bs.insert(5, 5);
        REQUIRE(late.landed());
        REQUIRE_FALSE(late.locked_while_under_way); // others need not wait for what b cannot use
    }
    for (auto const k : keys) REQUIRE(t.as.find(k).has_value());
    REQUIRE(t.as.find(5) == 5);
    t.as.sound();
}

TEST_CASE("M3: a merger does not go on while an occupancy of the last writer is under way", "[index][steps]") {
    scene t;
    std::vector<std::uint64_t> keys;
    grow(t, 4, keys);
    auto const left = t.leaves()[2]; // a wrote it last
    straggler late(t, left, 4, [](batch ops) { return count(ops, op_kind::cas) == 3; });
    empty_last_leaf(t, keys);
    REQUIRE(late.landed());
    t.watch_no_more();
    for (auto const k : keys) REQUIRE(t.as.find(k) == k);
    t.as.sound();
}

TEST_CASE("M3: a merger that does not get all three locks gives back those it got", "[index][steps]") {
    for (std::size_t refused = 0; refused < 3; ++refused) {
        CAPTURE(refused);
        scene t;
        std::vector<std::uint64_t> keys;
        grow(t, 4, keys);
        auto const leaves = t.leaves();
        std::array const nodes{t.root(), leaves[2], leaves[3]};
        // a is faster at one of the three, holds it for two batches of b (the one that takes, the one that gives back), and
        // gives it back itself.
        unsigned since = 0;
        word before = 0;
        t.watch([&](batch ops) {
            if (since == 0 && count(ops, op_kind::cas) != 3) return;
            ++since;
            auto const a_has_it = t.lock(nodes[refused]).held_by(t.a.pool.self().tag());
            if (since == 1) {
                before = t.at(nodes[refused], 0);
                t.put(nodes[refused], 0, a_has_it.bits());
            } else if (since == 3) {
                t.check(t.at(nodes[refused], 0) == a_has_it.bits(), "a lost its lock");
                for (auto const n : nodes)
                    if (n != nodes[refused]) t.check(!t.lock(n).locked(), "a lock was kept");
                t.put(nodes[refused], 0, before);
            }
        });
        empty_last_leaf(t, keys);
        t.watch_no_more();
        REQUIRE(since >= 3);
        for (auto const n : t.leaves()) REQUIRE_FALSE(t.lock(n).locked());
        t.as.sound();
    }
}

TEST_CASE("M4 before M5: right is dead before anything of left is published", "[index][steps]") {
    scene t;
    std::vector<std::uint64_t> keys;
    grow(t, 4, keys);
    auto const leaves = t.leaves();
    auto const left = leaves[2], right = leaves[3];
    std::size_t seen = 0;
    t.watch([&](batch ops) {
        if (t.lock(left).locked() && t.lock(right).locked() && publication_of(ops, left) != nullptr) {
            ++seen;
            t.check(t.meta(right).dead, "left is published, right lives");
        }
    });
    empty_last_leaf(t, keys);
    t.watch_no_more();
    REQUIRE(seen > 0);
}

TEST_CASE("a split: right is in remote memory before left links to it", "[index][steps]") {
    scene t; // left and right may lie on different memory nodes: one batch would have no order
    std::vector<std::uint64_t> keys;
    grow(t, 2, keys);
    auto const left = t.leaves().front();
    auto const link_word = left.at() + 3 * word_bytes;
    auto const before = t.at(left, 3);
    std::size_t seen = 0;
    t.watch([&](batch ops) {
        for (auto const& o : ops) {
            if (o.kind != op_kind::write || o.target.offset() > link_word.offset() ||
                o.target.offset() + o.length <= link_word.offset())
                continue;
            auto const link = static_cast<word const*>(o.local)[(link_word.offset() - o.target.offset()) / word_bytes];
            if (link == before) continue;
            ++seen;
            auto const right = node_ref::from_word(link);
            t.check(names(right, t.meta(right), t.as_tree.handle().tag()) && t.copy<leaf>(right).view().sealed(),
                    "left links to what is not there yet");
        }
    });
    for (std::uint64_t k = 1; seen == 0 && k < 10; ++k) t.bs.insert(k, k); // below the first key of a: they fill left
    t.watch_no_more();
    REQUIRE(seen == 1);
    t.as.sound();
}

TEST_CASE("an occupancy that does not change is not written along with the lock word", "[index][steps]") {
    using change = mutation<std::uint64_t, std::uint64_t>;
    scene t;
    t.as.insert(10, 1);
    auto const node = t.root();
    std::size_t seen = 0;
    watch_occupancies(t, node, seen);
    SECTION("one key comes and goes in a batch") {
        std::array both{change{.key = 20, .value = 2, .kind = mutation_kind::insert},
                        change{.key = 20, .value = 2, .kind = mutation_kind::erase}};
        t.bs.apply(both);
        std::array all{change{.key = 20, .value = 2, .kind = mutation_kind::insert},
                       change{.key = 20, .value = 2, .kind = mutation_kind::erase},
                       change{.key = 10, .value = 5, .kind = mutation_kind::upsert}};
        t.bs.apply(all);
    }
    SECTION("a node whose owner died before it changed anything is mended") {
        t.put(node, 0, t.lock(node).held_by(nobody).bits());
        REQUIRE(ok(sync_wait(t.b.s, t.bs_tree.recover(t.b.s))).nodes == 1);
    }
    t.watch_no_more();
    REQUIRE(seen > 0);
    t.as.sound();
}

TEST_CASE("T3: what the owner wrote until it was shut out is read again after its node was taken", "[index][steps]") {
    half_merged h([](scene&) { return nobody; });
    auto& t = h.t;
    // The owner of left was replacing a value in place. The word lands just before it is known that the owner is gone.
    auto c = t.copy<leaf>(h.left);
    auto const key = c.view().low();
    auto const slot = c.view().find(key);
    REQUIRE(slot != leaf::slots);
    t.put(h.left, 0, t.lock(h.left).held_by(nobody_else).bits()); // not right's: asked for later
    bool landed = false;
    std::size_t asked = 0;
    t.watch([&](batch ops) {
        if (ops[0].kind != op_kind::read || ops[0].target != member_at(member_name::of_tag(nobody_else).slot)) return;
        if (asked++ > 0) return;
        t.put(h.left, leaf::payload_at(slot), 4711);
        landed = true;
    });
    auto const in_right = t.copy<leaf>(h.right).view().low();
    REQUIRE(t.bs.find(in_right) == in_right);
    t.watch_no_more();
    REQUIRE(landed);
    REQUIRE(t.copy<leaf>(h.left).view().sealed());
    REQUIRE(t.bs.find(key) == 4711);
    for (auto const k : h.keys)
        if (k != key) REQUIRE(t.as.find(k) == k);
    (void)ok(sync_wait(t.b.s, t.bs_tree.recover(t.b.s)));
    t.bs.sound();
}

TEST_CASE("T1, T2: right was killed by one who lives: it stays dead, and left is left as it was", "[index][steps]") {
    half_merged h([](scene& t) { return t.a.pool.self().tag(); });
    auto& t = h.t;
    auto const left_lock = t.at(h.left, 0), right_lock = t.at(h.right, 0);
    auto const key = t.copy<leaf>(h.left).view().low();
    auto const r = sync_wait(t.b.s, t.bs_tree.upsert(t.b.s, key, 1));
    REQUIRE_FALSE(r);
    REQUIRE(r.error().code == errc::contended); // a does not end what it began
    REQUIRE(t.at(h.left, 0) == left_lock);
    REQUIRE(t.at(h.right, 0) == right_lock);
    REQUIRE(t.meta(h.right).dead);
}

TEST_CASE("a bulk load does not replace a leaf that was the root when it looked", "[index][steps]") {
    scene t;
    auto const node = t.root();
    unsigned batches = 0;
    t.watch([&](batch ops) {
        if (ops[0].kind != op_kind::read || ops[0].target != node.at() || batches++ > 0) return;
        // b knows the root and is about to read it. It splits, absorbs its sibling again, and is empty.
        std::uint64_t n = 0;
        while (t.root() == node) t.as.insert(++n, n);
        while (n > 0) t.as.erase(n--);
        while (t.leaves().size() > 1) {
            t.as.insert(1000, 1);
            t.as.erase(1000);
        }
        t.check(t.leaves().front() == node && t.copy<leaf>(node).view().count() == 0, "the leaf is not as it was");
    });
    std::vector<entry<std::uint64_t, std::uint64_t>> const sorted{{.key = 1, .value = 1}, {.key = 2, .value = 2}};
    auto const loaded = sync_wait(t.b.s, t.bs_tree.bulk_load(t.b.s, sorted));
    t.watch_no_more();
    REQUIRE(batches > 0);
    REQUIRE_FALSE(loaded);
    REQUIRE(loaded.error().code == errc::invalid_argument);
    REQUIRE_FALSE(t.lock(node).locked());
    t.as.insert(1, 1);
    REQUIRE(t.as.find(1) == 1);
    t.as.sound();
}

TEST_CASE("a leaf that a bulk load of another session replaced meanwhile is not revived", "[index][steps]") {
    scene t;
    t.as.insert(1, 1);
    auto const node = t.root();
    auto const made = ok(sync_wait(t.a.s, allocate(t.a.s, leaf::bytes)));
    node_ref const loaded(made.at, 0, made.lives + 1);
    auto c = t.copy<leaf>(node); // what b's other session built
    auto meta = c.view().meta();
    meta.incarnation = made.lives + 1;
    c.view().set_meta(meta);
    c.view().set_payload(c.view().find(1), 2);
    c.view().seal(t.b.pool.self().tag(), false);
    t.write(loaded, c);
    c = t.copy<leaf>(node);
    meta = c.view().meta();
    meta.dead = true;
    c.view().set_meta(meta);
    c.view().seal(t.b.pool.self().tag(), true);
    t.write(node, c);
    bool installed = false;
    t.watch([&](batch ops) {
        if (installed || !takes(ops, node)) return;
        raw_write(t.fabric.memory(), t.as_tree.handle().root(), loaded.bits());
        installed = true;
    });
    REQUIRE(t.bs.find(1) == 2);
    t.watch_no_more();
    REQUIRE(installed);
    REQUIRE(t.meta(node).dead);
    t.as.sound();
}

TEST_CASE("a dead node that nobody holds is free: nobody takes its lock", "[index][steps]") {
    scene t;
    auto const node = t.root();
    auto c = t.copy<leaf>(node);
    auto meta = c.view().meta();
    meta.dead = true;
    c.view().set_meta(meta);
    c.view().seal(nobody, false);
    t.write(node, c);
    bool taken = false;
    t.watch([&](batch ops) { taken |= takes(ops, node); });
    auto const found = sync_wait(t.b.s, t.bs_tree.find(t.b.s, 1));
    REQUIRE_FALSE(found);
    REQUIRE(found.error().code == errc::contended);
    auto const inserted = sync_wait(t.b.s, t.bs_tree.insert(t.b.s, 1, 1));
    REQUIRE_FALSE(inserted);
    REQUIRE(inserted.error().code == errc::contended);
    t.watch_no_more();
    REQUIRE_FALSE(taken);
}

TEST_CASE("a drop frees a root that grew while it retired the old one", "[index][steps]") {
    scene t;
    t.as.insert(1, 1);
    auto const node = t.root();
    auto const made = ok(sync_wait(t.a.s, allocate(t.a.s, inner::bytes)));
    node_ref const grown(made.at, 1, made.lives + 1);
    node_copy<inner> c;
    c.view().format(1, t.as_tree.handle().tag(), made.lives + 1);
    c.view().set_entry(0, c.view().low(), node);
    c.view().set_occupancy(1);
    c.view().seal(t.a.pool.self().tag(), false);
    auto const root_word = t.as_tree.handle().root();
    bool installed = false;
    t.watch([&](batch ops) {
        bool const forgets = std::any_of(ops.begin(), ops.end(), [&](op const& o) {
            return o.target == root_word && (o.kind == op_kind::cas || o.kind == op_kind::write);
        });
        if (installed || !forgets) return;
        t.write(grown, c);
        raw_write(t.fabric.memory(), root_word, grown.bits());
        installed = true;
    });
    ok(sync_wait(t.b.s, t.bs_tree.drop(t.b.s)));
    t.watch_no_more();
    REQUIRE(installed);
    REQUIRE(t.meta(grown).dead);
    REQUIRE(t.meta(node).dead);
    REQUIRE(raw_read(t.fabric.memory(), root_word) == 0);
}

TEST_CASE("a root of another index, which took the entry while it was read, is not built upon", "[index][steps]") {
    scene t;
    auto const other = ok(tree_type::create(t.a.s, "other", cache_bytes));
    auto const others_root = raw_read(t.fabric.memory(), other.handle().root());
    auto const entry = t.as_tree.handle().entry();
    auto const root_word = t.as_tree.handle().root();
    auto const own = raw_read(t.fabric.memory(), root_word);
    t.bs.insert(1, 1);
    // b asks for the root: the words that it gets are of different moments, twice. Then it looks for the level above the
    // leaves and, since there is none, makes it. The third time it knows better.
    unsigned asked = 0;
    t.watch([&](batch ops) {
        if (ops[0].kind != op_kind::read || ops[0].target != entry || ++asked > 3) return;
        if (asked == 3)
            t.check(raw_read(t.fabric.memory(), root_word) == others_root, "the other index has a new root");
        raw_write(t.fabric.memory(), root_word, asked < 3 ? others_root : own);
    });
    std::uint64_t key = 1;
    while (t.root().level() == 0 && ++key < 100) t.bs.insert(key, key);
    t.watch_no_more();
    REQUIRE(asked >= 3);
    for (std::uint64_t k = 1; k <= key; ++k) REQUIRE(t.bs.find(k) == k);
    t.bs.sound();
}

TEST_CASE("a catalog entry whose state is older than its root, which is gone, says that the index is dropped",
          "[index][steps]") {
    scene t;
    t.as.insert(1, 1);
    raw_write(t.fabric.memory(), t.as_tree.handle().root(), 0);
    auto tree = ok(tree_type::open(t.b.s, "t", cache_bytes));
    auto const found = sync_wait(t.b.s, tree.find(t.b.s, 1));
    REQUIRE_FALSE(found);
    REQUIRE(found.error().code == errc::dropped);
    auto const inserted = sync_wait(t.b.s, tree.insert(t.b.s, 2, 2));
    REQUIRE_FALSE(inserted);
    REQUIRE(inserted.error().code == errc::dropped);
}

TEST_CASE("recover ends where a node does not begin where its left neighbour ends, however long it looks", "[index]") {
    scene t;
    for (std::uint64_t i = 1; i <= 40; ++i) t.as.insert(10 * i, i);
    auto const damaged = t.leaves()[1];
    auto c = t.copy<leaf>(damaged);
    auto const low = c.view().low();
    c.view().set_low(low + 1); // no key is there
    c.view().seal(t.a.s.pool().self.tag(), false);
    t.write(damaged, c);
    auto const r = sync_wait(t.b.s, t.bs_tree.recover(t.b.s));
    REQUIRE_FALSE(r);
    REQUIRE(r.error().code == errc::contended);
}
