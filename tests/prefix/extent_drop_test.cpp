// SPDX-License-Identifier: Apache-2.0
// extent_index::drop: the index is gone for everybody, and every block of it is free, once, but for the ring of news; whatever others
// do at the same time, and whoever dies in it.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <pool/clock_fabric.hpp>
#include <support/accounting.hpp>
#include <support/catch.hpp>
#include <support/chains.hpp>
#include <support/every_death.hpp>
#include <support/joined.hpp>
#include <support/mortal_scene.hpp>
#include <support/sound.hpp>
#include <support/world.hpp>

#include <catena/index/chime_tree.hpp>
#include <catena/index/learned_hopscotch.hpp>
#include <catena/index/sherman_tree.hpp>
#include <catena/prefix/extent_index.hpp>

using namespace catena;
using namespace catena::test;
using namespace std::chrono_literals;

namespace {

struct windows_of_eight : extent_options {
    static constexpr std::size_t window = 8;
    static constexpr std::size_t news_bytes = 1024;
};
constexpr std::size_t window = windows_of_eight::window;
/// Leaves of a few entries.
struct few_entries : tree_options {
    static constexpr std::size_t node_bytes = 192;
};
struct few_quads : chime_options {
    static constexpr hopscotch_shape shape{.quads = 4};
};
struct small_model : learned_options {
    static constexpr hopscotch_shape shape{.quads = 4};
    static constexpr std::size_t page_bytes = 256;
    static constexpr std::size_t directory_bytes = 4096;
    static constexpr std::size_t extent_bytes = 4096;
};
template <typename Heads>
using extents_over = extent_index<Heads, windows_of_eight>;
using over_sherman = extents_over<sherman_tree<block_hash, extent_ref, few_entries>>;
using over_chime = extents_over<chime_tree<block_hash, extent_ref, few_quads>>;
using over_learned = extents_over<learned_hopscotch<block_hash, extent_ref, small_model>>;

using chain = std::vector<block_hash>;
constexpr std::size_t cache_bytes = 1U << 18U;
constexpr auto ring_bytes = windows_of_eight::news_bytes;

/// Calls of a client; they may fail.
template <typename Index, typename Session>
struct user {
    Session* s;
    Index* index;

    [[nodiscard]] result<publish_counts> publish(std::span<block_hash const> c, std::size_t from = 0,
                                                 match_end const& after = {}) {
        auto l = places(1, c.size());
        return sync_wait(*s, index->publish(*s, c, l, from, after));
    }
    [[nodiscard]] result<match_answer> match(std::span<block_hash const> c) {
        return sync_wait(*s, index->match(*s, c, {}));
    }
    [[nodiscard]] result<std::size_t> forget(std::span<block_hash const> c, std::size_t keep = 0) {
        return sync_wait(*s, index->forget(*s, c, keep, {}));
    }
    [[nodiscard]] result<void> drop() { return sync_wait(*s, index->drop(*s)); }
    /// Nobody has an answer from an index that was dropped, whatever he remembers of it.
    void require_dropped(std::span<chain const> chains) {
        for (auto const& c : chains) {
            REQUIRE(is_dropped(match(c)));
            REQUIRE(is_dropped(forget(c)));
            REQUIRE(is_dropped(sync_wait(*s, index->contains(*s, c))));
            REQUIRE(is_dropped(publish(c)));
        }
        REQUIRE(is_dropped(sync_wait(*s, index->warm_up(*s))));
        REQUIRE(is_dropped(drop()));
    }
    [[nodiscard]] static bool is_dropped(auto const& r) { return !r && r.error().code == errc::dropped; }
};
template <typename Index, typename Session>
[[nodiscard]] user<Index, Session> user_of(Session& s, Index& index) {
    return {.s = &s, .index = &index};
}

/// Chains of all lengths, and branches inside a window, at its end and at the root.
[[nodiscard]] std::vector<chain> chains_of(std::uint64_t number, std::size_t count) {
    std::vector<chain> all;
    for (std::size_t i = 0; i < count; ++i) {
        all.push_back(chain_of(1000 * number + i, 1 + 5 * i % (6 * window)));
        all.push_back(joined(std::span(all.back()).first(all.back().size() / 2), chain_of(1000 * number + 500 + i, 3)));
    }
    return all;
}

/// All that was handed out is in the hands of these sessions, but for so many rings.
template <typename Session>
void require_free(local_fabric& memory, std::uint64_t rings, std::initializer_list<Session*> sessions) {
    for (auto* const s : sessions) ok(sync_wait(*s, end_rest(*s)));
    auto const geometry = (*sessions.begin())->pool().geometry;
    auto const seen = take_census(memory, geometry);
    for (auto const& c : seen.complaints) FAIL_CHECK(c);
    CAPTURE(seen.alive, seen.held, seen.unwritten, seen.astray);
    REQUIRE(bytes_in_use(memory, geometry, sessions) == rings * ring_bytes);
}

/// The same block twice in the hands of these sessions is one that was freed twice.
template <typename Session>
void require_once(std::initializer_list<Session*> sessions) {
    std::set<word> seen;
    for (auto* const s : sessions) {
        for (auto const& c : s->allocation().classes)
            for (auto const& f : c.freed) expect(seen.insert(f.at.word()).second, "a block was freed twice");
        for (auto const& r : s->allocation().resting)
            expect(seen.insert(r.at_rest.at.word()).second, "a block was freed twice, and rests");
    }
}

} // namespace

TEMPLATE_TEST_CASE("extents: a dropped index is gone for everyone, and all of it is free but the ring",
                   "[extents][drop]", over_sherman, over_chime, over_learned) {
    world w{8U << 20U, 2};
    auto other = w.join();
    auto& s = w.first.s;
    for (std::uint64_t round = 0; round < 6; ++round) {
        CAPTURE(round);
        auto own = ok(TestType::create(s, "t", cache_bytes, cache_bytes));
        auto theirs = ok(TestType::open(other.s, "t", cache_bytes, cache_bytes));
        auto a = user_of(s, own);
        auto b = user_of(other.s, theirs);
        auto const chains = chains_of(round, 120); // more extents than rest at once, and than a session keeps
        for (std::size_t i = 0; i < chains.size(); ++i)
            (void)ok(i % 3 == 0 ? a.publish(chains[i]) : b.publish(chains[i]));
        for (std::size_t i = 0; i < chains.size(); i += 7) (void)ok(b.forget(chains[i], chains[i].size() / 3));
        for (auto const& c : chains) { // known, and copied
            (void)ok(b.match(c));
            (void)ok(b.match(c));
            (void)ok(b.match(c));
        }
        (void)must_be_sound(ok(sync_wait(s, own.verify(s))));
        REQUIRE(own.extents() > 300);
        auto const taken = TestType::create(s, "t", cache_bytes);
        REQUIRE_FALSE(taken);
        REQUIRE(taken.error().code == errc::already_exists);
        if (round % 2 == 0)
            ok(a.drop());
        else
            ok(TestType::drop(s, "t"));
        require_once({&s, &other.s});
        b.require_dropped(chains);
        a.require_dropped(std::span(chains).first(10));
        REQUIRE(TestType::drop(s, "t").error().code == errc::not_found);
        REQUIRE(TestType::open(s, "t", cache_bytes).error().code == errc::not_found);
        REQUIRE(ok(sync_wait(s, list_indexes(s))).empty());
        require_free(w.fabric, round + 1, {&s, &other.s});
    }
}

TEST_CASE("extents: an index of another kind is not dropped by that name", "[extents][drop]") {
    world w;
    auto& s = w.first.s;
    auto own = ok(over_sherman::create(s, "t", cache_bytes));
    REQUIRE(extent_index<sherman_tree<block_hash, extent_ref>>::drop(s, "t").error().code == errc::bad_format);
    (void)ok(user_of(s, own).publish(chain_of(1, 20)));
    ok(over_sherman::drop(s, "t"));
}

TEST_CASE("extents: who made the ring of a dropped index may go, and nobody gets its memory", "[extents][drop]") {
    world w{1U << 20U, 1, {.lease = 1ms, .chunk_bytes = 16384}};
    auto second = w.join();
    auto own = ok(over_sherman::create(w.first.s, "t", cache_bytes));
    auto const ring = ok(sync_wait(w.first.s, detail::find_news_ring(w.first.s, own.handle()))).first;
    REQUIRE(ring.bytes() <= ring_bytes);
    auto late = ok(over_sherman::open(second.s, "t", cache_bytes));
    (void)ok(user_of(w.first.s, own).publish(chain_of(1, 20)));
    ok(sync_wait(w.first.s, own.drop(w.first.s)));
    ok(sync_wait(w.first.s, release_all(w.first.s)));
    std::this_thread::sleep_for(5ms); // now he is gone
    auto tree = ok(sherman_tree<block_hash, extent_ref, few_entries>::create(second.s, "tree", 0));
    (void)ok(sync_wait(second.s, tree.reclaim(second.s)));
    auto another = ok(over_sherman::create(second.s, "u", cache_bytes));
    (void)ok(sync_wait(second.s, another.reclaim(second.s)));
    REQUIRE(ok(sync_wait(second.s, detail::find_news_ring(second.s, another.handle()))).first.at != ring.at);
    for (auto got = sync_wait(second.s, allocate(second.s, ring_bytes)); got;
         got = sync_wait(second.s, allocate(second.s, ring_bytes)))
        REQUIRE(got->at != ring.at);
}

TEMPLATE_TEST_CASE("extents: a publish that learns of the drop too late frees what it made", "[extents][drop]",
                   over_sherman, over_chime, over_learned) {
    world w{8U << 20U};
    auto other = w.join();
    auto own = ok(TestType::create(w.first.s, "t", cache_bytes));
    auto theirs = ok(TestType::open(other.s, "t", cache_bytes));
    auto a = user_of(w.first.s, own);
    auto b = user_of(other.s, theirs);
    auto const trunk = chain_of(1, 9 * window + 3);
    (void)ok(a.publish(trunk));
    for (std::size_t const at : {std::size_t{0}, std::size_t{3}, window, 2 * window + 1, trunk.size()}) {
        auto const c = joined(std::span(trunk).first(at), chain_of(2 + at, 5 * window));
        auto const found = ok(b.match(c));
        REQUIRE(found.blocks == at);
        (void)ok(b.publish(c, at, found.end));
    }
    std::vector<std::pair<chain, match_answer>> wanted;
    for (std::size_t at = 0; at <= trunk.size(); ++at) {
        wanted.emplace_back(joined(std::span(trunk).first(at), chain_of(100 + at, 5 * window)), match_answer{});
        wanted.back().second = ok(b.match(wanted.back().first));
    }
    ok(a.drop());
    for (auto const& [c, found] : wanted) REQUIRE(b.is_dropped(b.publish(c, found.blocks, found.end)));
    require_once({&w.first.s, &other.s});
    require_free(w.fabric, 1, {&w.first.s, &other.s});
}

namespace {

/// Clients a and b of one index, b gets in before a batch of a's.
template <typename Index>
struct two_clients {
    clock_fabric fabric{1U << 20U};
    clock_client as = clock_client::create(fabric, {.lease = 1h, .patience = 100ms});
    clock_client bs = clock_client::join(fabric, {.lease = 1h, .patience = 100ms});
    Index as_index = ok(Index::create(as.s, "t", cache_bytes));
    Index bs_index = ok(Index::open(bs.s, "t", cache_bytes));
    user<Index, clock_client::session_type> a = user_of(as.s, as_index);
    user<Index, clock_client::session_type> b = user_of(bs.s, bs_index);

    /// Returns of how many batches act consists.
    template <typename Act>
    std::size_t run(std::size_t before, Act act, std::function<void()> const& get_in) {
        std::size_t batches = 0;
        fabric.clock.on_submit = [&](batch) {
            if (++batches == before) get_in();
        };
        act();
        fabric.clock.on_submit = nullptr;
        return batches;
    }
    /// Whoever was to drop it may have given up: a lock was held.
    void settle(std::span<chain const> chains) {
        if (auto const r = b.drop(); !r) REQUIRE(r.error().code == errc::dropped);
        REQUIRE(ok(sync_wait(as.s, list_indexes(as.s))).empty());
        a.require_dropped(chains);
        b.require_dropped(chains);
        require_once({&as.s, &bs.s});
        require_free(fabric.memory(), 1, {&as.s, &bs.s});
    }
};
[[nodiscard]] bool is_passing(auto const& r) {
    return r || r.error().code == errc::dropped || r.error().code == errc::contended;
}

chain const trunk = chain_of(1, 2 * window + 3);
/// What is done beside a drop.
std::vector<chain> const wanted{chain_of(2, 3 * window), joined(trunk, chain_of(3, 2 * window)),
                                joined(std::span(trunk).first(window / 2), chain_of(4, window)),
                                joined(std::span(trunk).first(window), chain_of(5, window))};
constexpr std::size_t most_batches = 200;

} // namespace

// A tree with hopscotch leaves is dropped by the code that drops any tree (index/detail/drop.hpp): not compiled from here on.
TEMPLATE_TEST_CASE("extents, step by step: a drop gets into a publish, and into a forget", "[extents][drop][steps]",
                   over_sherman, over_learned) {
    for (bool const forgets : {false, true}) {
        for (std::size_t what = 0; what < wanted.size(); ++what) {
            for (std::size_t n = 1;; ++n) {
                CAPTURE(forgets, what, n);
                REQUIRE(n < most_batches);
                two_clients<TestType> t;
                for (std::uint64_t i = 0; i < 6; ++i) (void)ok(t.b.publish(chain_of(10 + i, 2 * window)));
                (void)ok(t.b.publish(trunk));
                if (forgets) (void)ok(t.b.publish(wanted[what]));
                auto const from = ok(t.a.match(wanted[what]));
                auto const batches = t.run(
                    n,
                    [&] {
                        if (forgets)
                            REQUIRE(is_passing(t.a.forget(wanted[what])));
                        else
                            REQUIRE(is_passing(t.a.publish(wanted[what], from.blocks, from.end)));
                    },
                    [&] { REQUIRE(is_passing(t.b.drop())); });
                if (batches < n) break;
                t.settle(wanted);
            }
        }
    }
}

TEMPLATE_TEST_CASE("extents, step by step: a publish and a forget get into a drop", "[extents][drop][steps]",
                   over_sherman, over_learned) {
    for (std::size_t what = 0; what < 3; ++what) {
        for (std::size_t n = 1;; ++n) {
            CAPTURE(what, n);
            REQUIRE(n < most_batches);
            two_clients<TestType> t;
            for (std::uint64_t i = 0; i < 6; ++i) (void)ok(t.b.publish(chain_of(10 + i, 2 * window)));
            (void)ok(t.b.publish(trunk));
            (void)ok(t.a.match(wanted[0])); // so that he knows a few
            std::vector<match_answer> found;
            for (auto const& c : wanted) found.push_back(ok(t.b.match(c)));
            auto const batches = t.run(
                n, [&] { ok(t.a.drop()); },
                [&] {
                    for (std::size_t i = 0; i < wanted.size(); ++i) {
                        if (what != 1) REQUIRE(is_passing(t.b.publish(wanted[i], found[i].blocks, found[i].end)));
                        if (what != 0) REQUIRE(is_passing(t.b.forget(wanted[i])));
                    }
                    if (what != 0) REQUIRE(is_passing(t.b.forget(trunk)));
                });
            if (batches < n) break;
            t.settle(wanted);
        }
    }
}

namespace {

template <typename Index>
struct scene : bare_mortal_scene<Index> {
    scene() : bare_mortal_scene<Index>(1U << 20U, 4096, 1U << 16U) {}

    local_session& s = this->w.first.s;
    user<Index, local_session> survivor = user_of(s, this->tree);
    user<Index, basic_client<mortal_fabric>::session_type> mortal_one = user_of(this->victim.s, this->victims_tree);
};

} // namespace

TEMPLATE_TEST_CASE("extents: a drop that dies at any operation is not begun, or can be ended by anybody",
                   "[extents][drop][dying]", over_sherman, over_learned) {
    std::vector<chain> chains;
    for (std::uint64_t i = 0; i < 5; ++i) chains.push_back(chain_of(i, 2 * window + i));
    std::uint64_t begun = 0;
    std::uint64_t reclaimed = 0;
    auto const prepare = [&](scene<TestType>& t) {
        for (std::size_t i = 0; i < chains.size(); ++i)
            (void)ok(i % 2 == 0 ? t.survivor.publish(chains[i]) : t.mortal_one.publish(chains[i]));
        (void)ok(t.survivor.match(chains.front()));
    };
    auto const act = [](scene<TestType>& t) { return t.mortal_one.drop(); };
    auto const look = [&](scene<TestType>& t, std::uint64_t last) {
        auto const listed = ok(sync_wait(t.s, list_indexes(t.s)));
        bool const open = static_cast<bool>(TestType::open(t.s, "t", 0));
        begun += open ? 0 : 1;
        for (auto const& c : chains) { // what is still found is right
            auto const found = t.survivor.match(c);
            REQUIRE((found ? !open || found->blocks == c.size() : t.survivor.is_dropped(found)));
        }
        if (!listed.empty()) REQUIRE(TestType::create(t.s, "t", 0).error().code == errc::already_exists);
        if (last % 2 == 0) {
            auto const again = t.survivor.drop();
            REQUIRE(static_cast<bool>(again) == !listed.empty());
        } else {
            auto const again = TestType::drop(t.s, "t");
            REQUIRE(static_cast<bool>(again) == !listed.empty());
        }
        REQUIRE(ok(sync_wait(t.s, list_indexes(t.s))).empty());
        t.survivor.require_dropped(chains);
        require_once({&t.s});
        if (last % 4 != 0) return;
        // Another one of that name is as good as the first, and finds what he held who died.
        t.tree = ok(TestType::create(t.s, "t", cache_bytes));
        for (auto const& c : chains) {
            REQUIRE(ok(t.survivor.match(c)).blocks == 0);
            REQUIRE(ok(t.survivor.publish(c)).inserted == c.size());
        }
        std::this_thread::sleep_for(2ms);
        reclaimed += ok(sync_wait(t.s, t.tree.reclaim(t.s))).bytes;
        for (auto const& c : chains) REQUIRE(ok(t.survivor.match(c)).blocks == c.size());
        (void)must_be_sound(ok(sync_wait(t.s, t.tree.verify(t.s))));
        ok(t.survivor.drop());
        require_once({&t.s});
        auto const seen = take_census(t.w.fabric, t.s.pool().geometry);
        for (auto const& c : seen.complaints) FAIL_CHECK(c);
        CAPTURE(seen.alive, seen.held, seen.unwritten, seen.astray);
        REQUIRE(seen.astray <= 4096);
        REQUIRE(seen.in_use() - seen.astray == 2 * ring_bytes + bytes_in_hand(t.s));
    };
    auto const deaths = die_at_every_operation<scene<TestType>>(prepare, act, look);
    REQUIRE(deaths > 40);
    REQUIRE(begun + 20 > deaths);
    REQUIRE(reclaimed > 0);
}
