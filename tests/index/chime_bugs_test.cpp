// SPDX-License-Identifier: Apache-2.0
// The bugs of the original CHIME that were reproduced or read in its code, as tests that ours must pass. Each says what
// would make it fail. (What a reader concludes from words of different moments, and what is left of a dead writer:
// layout/hopscotch_edit_test.cpp cuts and mixes everywhere, the torture suites over all protocols.)
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <pool/clock_fabric.hpp>
#include <support/catch.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>
#include <support/world.hpp>

#include <catena/core/hash.hpp>
#include <catena/index/chime_tree.hpp>

#include "index/indexes.hpp"

using namespace catena;
using namespace catena::test;
using namespace std::chrono_literals;

namespace {

using model = std::map<std::uint64_t, std::uint64_t>;

template <typename Index>
struct shared_index {
    explicit shared_index(std::size_t cache = 1U << 20U)
        : w(32U << 20U, 2), index(ok(Index::create(w.first.s, "t", cache))), t(index, w.first.s) {}
    world w;
    Index index;
    calls<Index, local_session> t;
};

/// The `n` first keys from `from` on that have this home.
template <typename Index>
[[nodiscard]] std::vector<std::uint64_t> keys_of_home(std::size_t home, std::size_t n, std::uint64_t from = 1) {
    std::vector<std::uint64_t> keys;
    for (auto k = from; keys.size() < n; ++k)
        if (Index::leaf::home_of(k) == home) keys.push_back(k);
    return keys;
}

template <typename Calls>
void require_exactly(Calls& t, model const& expected) {
    auto const found = t.all(0, [](std::uint64_t k) { return k + 1; });
    REQUIRE(found.size() == expected.size());
    auto next = expected.begin();
    for (auto const& e : found) {
        REQUIRE(e.key == next->first); // each once
        REQUIRE(e.value == next->second);
        ++next;
    }
    for (auto const& [k, v] : expected) REQUIRE(t.find(k) == v);
    REQUIRE(t.sound().entries == expected.size());
}

constexpr pool_options clock_options{.lease = 1h, .patience = 10ms};

/// Clients a and b with the same tree, on a fabric where one gets in between the steps of the other.
template <typename Index>
struct two_clients {
    using session_type = clock_client::session_type;

    clock_fabric fabric{16U << 20U};
    clock_client a = clock_client::create(fabric, clock_options);
    clock_client b = clock_client::join(fabric, clock_options);
    Index as_tree = ok(Index::create(a.s, "t", 1U << 16U));
    Index bs_tree = ok(Index::open(b.s, "t", 1U << 16U));
    calls<Index, session_type> as{as_tree, a.s};
    calls<Index, session_type> bs{bs_tree, b.s};

    [[nodiscard]] word at(remote_ptr p) { return raw_read(fabric.memory(), p); }
    [[nodiscard]] node_ref root() { return node_ref::from_word(at(as_tree.handle().root())); }
    /// All leaves, over their links.
    [[nodiscard]] std::vector<node_ref> leaves() {
        using inner = typename Index::leaf;
        static_assert(inner::link_at == 3);
        auto n = root();
        while (n.level() > 0) n = first_child(n);
        std::vector<node_ref> all;
        for (; n; n = link_of(n)) all.push_back(n);
        return all;
    }
    [[nodiscard]] node_ref link_of(node_ref n) {
        std::array<word, Index::leaf::words> image{};
        image[Index::leaf::link_at] = at(n.at() + Index::leaf::link_at * word_bytes);
        return hopscotch_view<typename Index::leaf>(image.data()).link();
    }
    [[nodiscard]] node_ref first_child(node_ref n) {
        using layout = node_layout<std::uint64_t, node_ref, Index::leaf::bytes>;
        std::array<word, layout::words> image{};
        for (std::size_t i = 0; i < image.size(); ++i) image[i] = at(n.at() + i * word_bytes);
        node_view<layout> const view(image.data());
        std::optional<std::size_t> first;
        for (std::size_t slot = 0; slot < layout::slots; ++slot)
            if ((view.occupancy() >> slot & 1U) != 0 && (!first || view.key(slot) < view.key(*first))) first = slot;
        REQUIRE(first.has_value());
        return view.payload(*first);
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

[[nodiscard]] bool covers(op const& o, remote_ptr p) {
    return o.kind == op_kind::write && o.target.node() == p.node() && o.target.offset() <= p.offset() &&
           p.offset() < o.target.offset() + o.length;
}
/// The batch that publishes a change of this leaf: the lock word is set free.
[[nodiscard]] bool publishes(batch ops, node_ref leaf) {
    return std::any_of(ops.begin(), ops.end(), [&](op const& o) { return covers(o, leaf.at()); });
}

} // namespace

// Fails if an upsert takes a key for absent that lies in the quad behind its home.
TEMPLATE_TEST_CASE("C1: an upsert finds its key wherever it moved, and never makes a second one", "[index][chime]",
                   chime_8_8, chime_8_8_small) {
    shared_index<TestType> f;
    auto const seed = test_seed(51);
    CAPTURE(seed);
    random_source random(seed);
    model expected;
    SECTION("keys of one home, when their home has room again") {
        auto const keys = keys_of_home<TestType>(1, 8);
        for (auto const k : keys) f.t.insert(k, 0);
        for (std::size_t gone = 0; gone < 4; ++gone) REQUIRE(f.t.erase(keys[gone])); // some were at home, some behind
        for (std::size_t i = 4; i < 8; ++i) {
            REQUIRE_FALSE(f.t.upsert(keys[i], i));
            expected[keys[i]] = i;
        }
        require_exactly(f.t, expected);
    }
    SECTION("half of the changes are of keys that are there, leaves fill, split and empty again") {
        auto other = f.w.join();
        auto second = ok(TestType::open(other.s, "t", 1U << 20U));
        calls<TestType, local_session> others(second, other.s);
        for (std::size_t n = 0; n < scaled(60'000); ++n) {
            auto& t = random.one_in(3) ? others : f.t;
            auto const k = mix64(random.below(3'000));
            bool const there = expected.contains(k);
            if (random.below(100) < (n / 10'000 % 2 == 0 ? 20U : 55U)) { // grows, shrinks, grows
                REQUIRE(t.erase(k) == there);
                expected.erase(k);
            } else {
                REQUIRE(t.upsert(k, n) == !there);
                expected[k] = n;
            }
            if (n % 10'000 == 0) require_exactly(f.t, expected);
        }
        require_exactly(f.t, expected);
        require_exactly(others, expected);
    }
}

// Fails if a value that was seen before is taken for the one of now: a hot entry without a look at its control word.
TEST_CASE("C2: a lookup never answers with a value from before it was asked", "[index][chime]") {
    shared_index<chime_8_8> f;
    auto other = f.w.join();
    auto second = ok(chime_8_8::open(other.s, "t", 1U << 20U));
    calls<chime_8_8, local_session> others(second, other.s);
    std::vector<std::uint64_t> keys;
    for (std::uint64_t i = 0; i < 40; ++i) keys.push_back(mix64(i));

    SECTION("another client changes, erases and moves what is hot") {
        auto const seed = test_seed(52);
        CAPTURE(seed);
        random_source random(seed);
        model expected;
        for (std::uint64_t n = 1; n < scaled(20'000); ++n) {
            for (int i = 0; i < 2; ++i) { // the second lookup is of a hot key
                auto const k = keys[random.below(keys.size())];
                auto const in_force = expected.find(k);
                auto const value = in_force == expected.end() ? std::nullopt : std::optional(in_force->second);
                REQUIRE(f.t.find(k) == value);
                REQUIRE(f.t.find(k) == value);
            }
            if (n % 16 == 0) {
                auto const found = f.t.find_many(keys);
                for (std::size_t i = 0; i < keys.size(); ++i)
                    REQUIRE(found[i].has_value() == expected.contains(keys[i]));
                for (std::size_t i = 0; i < keys.size(); ++i)
                    if (found[i]) REQUIRE(*found[i] == expected[keys[i]]);
            }
            auto const k = keys[random.below(keys.size())];
            auto& t = random.one_in(2) ? others : f.t; // the owner of the hot entries refreshes them
            if (random.one_in(4)) {
                t.erase(k);
                expected.erase(k);
            } else {
                t.upsert(k, n);
                expected[k] = n;
            }
        }
    }
    SECTION("while other threads read: a register never goes back") {
        for (auto const k : keys) others.upsert(k, 1);
        std::atomic<std::uint64_t> written{1};
        std::atomic<bool> stop{false};
        run_threads(4, [&](std::size_t thread) {
            raise_at_end const end(stop);
            auto s = (thread < 2 ? f.w.first : other).session();
            calls<chime_8_8, local_session> t(thread < 2 ? f.index : second, s);
            if (thread == 3) { // keys around come and go, so that ours move
                while (!stop) {
                    for (std::uint64_t i = 0; i < 8; ++i) t.upsert(mix64(1000 + i), i);
                    for (std::uint64_t i = 0; i < 8; ++i) t.erase(mix64(1000 + i));
                }
                return;
            }
            for (std::uint64_t n = 2; n < scaled(60'000) && !stop; ++n) {
                if (thread == 2) {
                    t.upsert(keys[n % 4], n);
                    written = n;
                    continue;
                }
                auto const before = written.load();
                auto const found = t.find(keys[before % 4]);
                expect(found.has_value(), "a key that is always there was missed");
                expect(*found >= before, "a value from before it was asked");
            }
        });
    }
}

// Fails if who lost the race for a new root installs its own all the same.
TEST_CASE("C3: a root that grows while another client's split of it is under way takes that split, too",
          "[index][chime]") {
    for (std::uint64_t const more : {1U, 40U, 4'000U}) { // the last: the new root splits, too
        CAPTURE(more);
        two_clients<chime_8_8_small> t;
        model expected;
        std::uint64_t next = 0;
        auto const add = [&](clock_client& c, chime_8_8_small& tree) {
            auto const i = ++next; // the other one goes on meanwhile
            auto const done = sync_wait(c.s, tree.insert(c.s, mix64(i), i));
            if (done)
                expected[mix64(i)] = i;
            else
                t.check(done.error().code == errc::contended, "an insert failed");
            return done.has_value();
        };
        std::size_t times = 0;
        bool grown = false;
        std::uint32_t reached = 0;
        t.watch([&](batch ops) {
            auto const old = t.root(); // a node above leaves: those stay locked until their halves are linked
            bool const grows = std::any_of(ops.begin(), ops.end(), [&](op const& o) { // asks whose the old root is
                return o.kind == op_kind::read && o.target == old.at() + meta_word * word_bytes;
            });
            if (!grows || times > 0 || old.level() == 0) return;
            ++times;
            for (int i = 0; i < 2'000 && t.root() == old; ++i) add(t.b, t.bs_tree); // a half splits as well
            grown = t.root() != old;
            for (std::uint64_t i = 0; i < more; ++i) add(t.b, t.bs_tree);
            reached = t.root().level();
        });
        for (std::uint64_t i = 0; i < 400; ++i) REQUIRE(add(t.a, t.as_tree));
        t.watch_no_more();
        REQUIRE(times == 1);
        REQUIRE(grown);
        REQUIRE(t.root().level() >= reached); // a tree never loses levels
        require_exactly(t.as, expected);
        require_exactly(t.bs, expected);
    }
}

// Fails if what a lookup takes depends on the order in which the words of one WRITE land, or on their landing together:
// a quad without its seal, a new control word for the old payload.
TEST_CASE("C4, C5: the words of a change land in any order, and every lookup between them is right", "[index][chime]") {
    auto const seed = test_seed(54);
    CAPTURE(seed);
    random_source random(seed);
    two_clients<chime_8_8> t;
    model expected;
    std::vector<std::uint64_t> keys;
    for (std::uint64_t i = 0; i < 30; ++i) keys.push_back(mix64(i + 1));
    std::size_t answers = 0, waits = 0;
    for (std::size_t n = 0; n < scaled(400); ++n) {
        auto const k = keys[random.below(keys.size())];
        auto after = expected;
        bool const erases = expected.contains(k) && random.one_in(3);
        if (erases)
            after.erase(k);
        else
            after[k] = n;
        std::set<std::uint64_t> changed; // keys of which b has seen the new state
        auto const look = [&](std::uint64_t wanted) {
            auto const in = [&](model const& m) {
                auto const at = m.find(wanted);
                return at == m.end() ? std::nullopt : std::optional(at->second);
            };
            auto const found = sync_wait(t.b.s, t.bs_tree.find(t.b.s, wanted));
            if (!found) {
                ++waits;
                t.check(found.error().code == errc::contended, "a lookup failed");
                return;
            }
            ++answers;
            if (in(expected) == in(after)) {
                t.check(*found == in(after), "a key that nobody changes has another value");
            } else if (*found == in(after)) {
                changed.insert(wanted);
            } else {
                t.check(*found == in(expected), "a value that never was");
                t.check(!changed.contains(wanted), "an old value after the new one");
            }
        };
        auto const leaf = t.root();
        t.watch([&](batch ops) {
            if (!publishes(ops, leaf)) return;
            for (auto const& o : ops.first(ops.size() - 1)) {
                auto const* const words = static_cast<word const*>(o.local);
                std::vector<std::size_t> order(o.length / word_bytes);
                for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
                for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
                for (auto const i : order) {
                    raw_write(t.fabric.memory(), o.target + i * word_bytes, words[i]);
                    look(k);
                    look(keys[random.below(keys.size())]);
                }
            }
        });
        if (erases)
            t.as.erase(k);
        else
            t.as.upsert(k, n);
        t.watch_no_more();
        expected = std::move(after);
        REQUIRE(t.root() == leaf); // it never splits: thirty keys
        for (auto const& [key, value] : expected) REQUIRE(t.bs.find(key) == value);
    }
    REQUIRE(answers > waits);
    REQUIRE(waits > 0);
}

// Fails, by chance, if a key is taken for absent because it was in neither place when that was looked at: borders that
// are not compared, a departure that is not counted. (Systematically: layout/hopscotch_edit_test.cpp.)
TEST_CASE("C6: a key that is pushed to and fro is never missed", "[index][chime]") {
    shared_index<chime_8_8> f;
    auto other = f.w.join();
    auto second = ok(chime_8_8::open(other.s, "t", 1U << 20U));
    f.index.keep_hotspots(0);
    std::vector<std::uint64_t> stable;
    for (std::uint64_t i = 0; i < 26; ++i) stable.push_back(mix64(i + 1));
    for (auto const k : stable) f.t.insert(k, k);
    // Keys of one home push the others out of it: erased, they leave room for those to be pushed back.
    std::vector<std::vector<std::uint64_t>> crowds;
    for (std::size_t home = 0; home < chime_8_8::leaf::quads; ++home)
        crowds.push_back(keys_of_home<chime_8_8>(home, 7, 1'000'000));
    std::atomic<bool> stop{false};
    run_threads(3, [&](std::size_t thread) {
        raise_at_end const end(stop);
        auto s = (thread == 0 ? f.w.first : other).session();
        calls<chime_8_8, local_session> t(thread == 0 ? f.index : second, s);
        random_source random(test_seed(56), thread);
        for (std::size_t n = 0; n < scaled(400'000) && !stop; ++n) {
            if (thread < 2) {
                auto const k = stable[random.below(stable.size())];
                expect(t.find(k) == k, "a key that is always there was missed");
                continue;
            }
            auto const& crowd = crowds[random.below(crowds.size())];
            for (auto const k : crowd) t.insert(k, k);
            for (auto const k : crowd) t.erase(k);
        }
    });
    require_exactly(f.t, [&] {
        model m;
        for (auto const k : stable) m[k] = k;
        for (auto const& crowd : crowds)
            for (auto const k : crowd)
                if (f.t.find(k)) m[k] = k;
        return m;
    }());
}

// Fails if the two quads of a neighbourhood are not asked whether they agree about their border.
TEST_CASE("C6: a key that crossed over between the looks at its two quads is not absent", "[index][chime]") {
    using layout = chime_8_8::leaf;
    auto const seed = test_seed(57);
    CAPTURE(seed);
    random_source random(seed);
    std::size_t crossed = 0;
    for (std::size_t leaves = 0; leaves < 50; ++leaves) {
        std::array<word, layout::words> now{};
        hopscotch_view<layout> const leaf(now.data());
        leaf.format(0, 7, 3);
        leaf.seal(1, false);
        for (;;) {
            auto const key = random.next();
            auto const room = make_room(leaf, layout::home_of(key), layout::quads);
            if (room.slot == layout::no_slot) break;
            auto const before = now;
            std::vector<std::uint64_t> movers;
            for (std::size_t i = 0; i < room.count; ++i) movers.push_back(leaf.key(room.moves[i].from));
            hopscotch_insert(leaf, room, key, std::uint64_t{1}, [](word_range) {});
            for (auto const k : movers) {
                auto const home = layout::home_of(k);
                auto const quad = leaf.find(k) / quad_word::slots; // where it is now: that was looked at before
                auto seen = now;
                std::copy_n(&before[layout::quad_at(quad)], layout::quad_words, &seen[layout::quad_at(quad)]);
                auto const found = hopscotch_view<layout>(seen.data()).look_for(home, k);
                REQUIRE(found.state == neighbourhood_state::torn);
                ++crossed;
            }
        }
    }
    REQUIRE(crossed > 50);
}

// Fails if a leaf that cannot take a key splits where that does not help, or gives up, or tries for ever: eight keys of
// one home are all that a leaf holds.
TEMPLATE_TEST_CASE("C7: keys that all have the same home go in, leaf by leaf, and out again", "[index][chime]",
                   chime_8_8, chime_8_8_small, chime_8_8_plain) {
    using leaf = typename TestType::leaf;
    constexpr std::size_t most = 2 * quad_word::slots;
    shared_index<TestType> f;
    for (std::size_t const home : {std::size_t{1}, leaf::homes - 1}) {
        CAPTURE(home);
        constexpr std::size_t n = 1'000;
        auto const keys = keys_of_home<TestType>(home, n);
        model expected;
        SECTION("in order, home " + std::to_string(home)) {
            for (auto const k : keys) {
                REQUIRE(f.t.insert(k, k));
                expected[k] = k;
            }
        }
        SECTION("in any order, home " + std::to_string(home)) {
            for (std::size_t i = 0; i < n; ++i) {
                auto const k = keys[i * 367 % n];
                REQUIRE(f.t.insert(k, k));
                expected[k] = k;
            }
        }
        SECTION("in one batch, home " + std::to_string(home)) {
            std::vector<mutation<std::uint64_t, std::uint64_t>> all;
            for (auto const k : keys) {
                all.push_back({.key = k, .value = k, .kind = mutation_kind::upsert});
                expected[k] = k;
            }
            f.t.apply(all);
        }
        SECTION("loaded in bulk, home " + std::to_string(home)) {
            std::vector<entry<std::uint64_t, std::uint64_t>> sorted;
            for (auto const k : keys) {
                sorted.push_back({.key = k, .value = k});
                expected[k] = k;
            }
            f.t.bulk_load(sorted);
        }
        if (expected.empty()) continue; // a section of another home
        REQUIRE(f.t.sound().nodes >= n / most);
        require_exactly(f.t, expected);
        for (auto const k : keys) REQUIRE(f.t.erase(k));
        REQUIRE(f.t.sound().entries == 0);
    }
}

// Fails where code counts on keys that are apart or hashes that differ, or reserves a key.
TEST_CASE("C7: adjacent integers and the ends of the range are keys like any others", "[index][chime]") {
    shared_index<chime_8_8_small> f;
    model expected;
    for (std::uint64_t const from : {std::uint64_t{0}, ~std::uint64_t{0} - 999, std::uint64_t{1} << 63U}) {
        for (std::uint64_t i = 0; i < 1'000; ++i) {
            REQUIRE(f.t.insert(from + i, i));
            expected[from + i] = i;
        }
    }
    for (std::uint64_t const k : {std::uint64_t{0}, ~std::uint64_t{0}}) {
        REQUIRE(f.t.find(k).has_value());
        REQUIRE_FALSE(f.t.upsert(k, ~std::uint64_t{0}));
        REQUIRE(f.t.erase(k));
        REQUIRE_FALSE(f.t.find(k));
        REQUIRE(f.t.insert(k, 0));
        expected[k] = 0;
    }
    auto const found = f.t.scan({.from = 0, .to = {}}, 4'000);
    REQUIRE(found.size() == expected.size());
    for (auto const& [k, v] : expected) REQUIRE(f.t.find(k) == v);
    f.t.sound();
}

// Fails if a lock word is written by who does not hold it, after a CAS that was lost for example. What a CAS and a
// WRITE make of each other is then nobody's question: all others' CAS fail as long as the word names its holder.
TEST_CASE("C8: only its holder writes a lock word", "[index][chime]") {
    auto const seed = test_seed(58);
    CAPTURE(seed);
    random_source random(seed);
    two_clients<chime_8_8_small> t;
    std::vector<std::uint64_t> keys;
    for (std::uint64_t i = 0; i < 120; ++i) keys.push_back(mix64(i + 1));
    for (auto const k : keys) t.as.insert(k, k);
    std::uint32_t acting = 0;
    std::size_t written = 0, refused = 0;
    auto const names_writer = [&](batch ops) {
        for (auto const& n : t.leaves()) {
            if (!publishes(ops, n)) continue;
            ++written;
            lock_word const lock(t.at(n.at()));
            t.check(lock.locked() && lock.owner() == acting, "a lock word was written by who does not hold it");
        }
    };
    auto const act = [&](clock_client& c, chime_8_8_small& tree) {
        acting = c.pool.self().tag();
        auto const k = keys[random.below(keys.size())];
        auto const done =
            random.one_in(3) ? sync_wait(c.s, tree.erase(c.s, k)) : sync_wait(c.s, tree.upsert(c.s, k, random.next()));
        if (done) return;
        ++refused;
        t.check(done.error().code == errc::contended, "a change failed");
    };
    for (std::size_t n = 0; n < scaled(2'000); ++n) {
        auto const gets_in = random.below(4); // before which batch of a's
        std::size_t batches = 0;
        std::function<void(batch)> const look = [&](batch ops) {
            if (batches++ == gets_in && acting == t.a.pool.self().tag()) {
                t.watch(names_writer);
                act(t.b, t.bs_tree);
                acting = t.a.pool.self().tag();
            }
            names_writer(ops);
            t.watch(look);
        };
        t.watch(look);
        act(t.a, t.as_tree);
        t.fabric.clock.on_submit = nullptr;
    }
    t.watch_no_more();
    REQUIRE(written > scaled(2'000));
    REQUIRE(refused > 0);
    for (auto const n : t.leaves()) REQUIRE_FALSE(lock_word(t.at(n.at())).locked());
    t.as.sound();
}

// Fails if waiters are counted in less than they can be, or one of them is forgotten or let in beside another.
TEST_CASE("C9: six hundred writers that wait for one leaf get their turns, one after the other", "[index][chime]") {
    using change = mutation<std::uint64_t, std::uint64_t>;
    constexpr std::size_t waiters = 600; // more than a byte counts
    two_clients<chime_8_8> t;
    auto s = t.a.session();
    struct waiter {
        change what;
        std::optional<task<result<void>>> work;
    };
    std::vector<waiter> all(waiters);
    for (std::size_t i = 0; i < waiters; ++i)
        all[i].what = {.key = 7, .value = i, .kind = i % 2 == 0 ? mutation_kind::erase : mutation_kind::insert};
    bool begun = false;
    t.watch([&](batch ops) {
        if (begun || !publishes(ops, t.root())) return;
        begun = true; // a holds the leaf: all others line up
        for (auto& w : all) {
            w.work.emplace(t.as_tree.apply(s, std::span(&w.what, 1)));
            w.work->start();
            t.check(!w.work->done(), "a writer did not wait");
        }
    });
    REQUIRE(t.as.insert(7, 0));
    t.watch_no_more();
    REQUIRE(begun);
    for (std::size_t turns = 0; turns < 100 * waiters && !all.back().work->done(); ++turns) {
        s.progress();
        t.a.s.progress();
    }
    for (std::size_t i = 0; i < waiters; ++i) {
        CAPTURE(i);
        REQUIRE(all[i].work->done());
        REQUIRE(all[i].work->take());
        REQUIRE(all[i].what.outcome == (i % 2 == 0 ? mutation_outcome::erased : mutation_outcome::inserted));
    }
    REQUIRE(t.bs.find(7) == waiters - 1);
    REQUIRE_FALSE(lock_word(t.at(t.root().at())).locked());
    t.bs.sound();
}

// Fails if a cache keeps more than it was given room for, or an entry that was driven out is used.
TEST_CASE("C10: caches stay within their bounds while everything is driven out of them", "[index][chime]") {
    for (std::size_t const cache : {0U, 2'000U, 20'000U}) {
        CAPTURE(cache);
        shared_index<chime_8_8_small> f(cache);
        f.index.keep_hotspots(cache);
        auto const seed = test_seed(60);
        CAPTURE(seed);
        random_source random(seed);
        constexpr std::uint64_t n = 10'000;
        for (std::uint64_t i = 0; i < n; ++i) f.t.insert(mix64(i), i);
        run_threads(2, [&](std::size_t thread) {
            auto own = f.w.first.session();
            calls<chime_8_8_small, local_session> t(f.index, own);
            random_source which(seed, thread);
            for (std::size_t i = 0; i < scaled(40'000); ++i) {
                auto const k = which.one_in(2) ? which.below(n) : which.below(50);
                expect(t.find(mix64(k)) == k, "a key has another value");
            }
        });
        REQUIRE(f.index.cache_bytes() <= f.index.cache_capacity_bytes());
        REQUIRE(f.index.cache_capacity_bytes() <= std::max<std::size_t>(cache, 16'384)); // some nodes in any case
        f.t.sound();
    }
}

// Fails if a hot entry is believed by the contents of its quad alone: which life of which leaf of which index it is of
// must be part of its control word.
TEST_CASE("C11: a hot entry does not outlive its leaf, whatever its block holds next", "[index][chime]") {
    two_clients<chime_8_8> t;
    constexpr std::uint64_t n = 400;
    auto const blocks = [&] {
        std::set<std::uint64_t> all;
        for (auto const& leaf : t.leaves()) all.insert(leaf.at().offset());
        return all;
    };
    SECTION("leaves are merged away, and their blocks have other keys") {
        for (std::uint64_t i = 0; i < n; ++i) t.bs.insert(i, i);
        for (int twice = 0; twice < 2; ++twice)
            for (std::uint64_t i = 0; i < n; ++i) REQUIRE(t.as.find(i) == i);
        auto const before = blocks();
        for (std::uint64_t i = 0; i < n; ++i) REQUIRE(t.bs.erase(i));
        for (std::uint64_t i = 0; i < n; ++i) t.bs.insert(1'000'000 + i, i);
        for (std::uint64_t i = 0; i < n; i += 10) t.bs.insert(i, n + i);
        auto const after = blocks();
        std::vector<std::uint64_t> reused;
        std::set_intersection(before.begin(), before.end(), after.begin(), after.end(), std::back_inserter(reused));
        REQUIRE(reused.size() > 3);
        for (std::uint64_t i = 0; i < n; ++i) {
            auto const found = t.as.find(i);
            if (i % 10 == 0)
                REQUIRE(found == n + i);
            else
                REQUIRE_FALSE(found.has_value());
        }
    }
    SECTION("the index is dropped, and another one has the same entries in the same block") {
        for (std::uint64_t i = 0; i < 30; ++i) t.bs.insert(mix64(i), i);
        for (int twice = 0; twice < 2; ++twice)
            for (std::uint64_t i = 0; i < 30; ++i) REQUIRE(t.as.find(mix64(i)) == i);
        auto const before = t.root();
        t.bs.drop();
        auto other = ok(chime_8_8::create(t.b.s, "other", 1U << 16U));
        calls<chime_8_8, clock_client::session_type> others(other, t.b.s);
        for (std::uint64_t i = 0; i < 30; ++i) others.insert(mix64(i), i);
        auto const root = node_ref::from_word(t.at(other.handle().root()));
        REQUIRE(root.at() == before.at()); // else this tests nothing
        for (std::uint64_t i = 0; i < 30; ++i) {
            auto const found = sync_wait(t.a.s, t.as_tree.find(t.a.s, mix64(i)));
            REQUIRE_FALSE(found);
            REQUIRE(found.error().code == errc::dropped);
        }
        others.sound();
    }
}

// Fails if keys are compared as text, or by their first words.
TEMPLATE_TEST_CASE("C12: keys with zero bytes anywhere are compared as a whole", "[index][chime]", chime_8_8_small,
                   chime_blocks, chime_blocks_24, chime_wide) {
    using key_type = typename TestType::key_type;
    using value_type = typename TestType::value_type;
    shared_index<TestType> f;
    constexpr std::size_t size = sizeof(key_type);
    std::map<key_type, std::uint64_t> keys; // zero but for two bytes, at all places
    for (std::size_t first = 0; first < size; ++first)
        for (std::size_t second = first; second < size; ++second)
            for (unsigned const b : {1U, 0x80U}) {
                std::array<unsigned char, size> bytes{};
                bytes[first] = static_cast<unsigned char>(b);
                bytes[second] = static_cast<unsigned char>(bytes[second] | 2U);
                key_type k;
                std::memcpy(&k, bytes.data(), size);
                keys.emplace(k, keys.size());
            }
    for (auto const& [k, v] : keys) REQUIRE(f.t.insert(k, make_value<value_type>(v)));
    for (int twice = 0; twice < 2; ++twice) // the second time from the hot ones
        for (auto const& [k, v] : keys) REQUIRE(f.t.find(k) == make_value<value_type>(v));
    REQUIRE_FALSE(f.t.find(key_type{}).has_value());
    for (auto const& [k, v] : keys) REQUIRE_FALSE(f.t.upsert(k, make_value<value_type>(v + 1'000)));
    std::size_t n = 0;
    for (auto const& [k, v] : keys) {
        if (n++ % 2 == 0)
            REQUIRE(f.t.erase(k));
        else
            REQUIRE(f.t.find(k) == make_value<value_type>(v + 1'000));
    }
    REQUIRE(f.t.sound().entries == keys.size() / 2);
}
