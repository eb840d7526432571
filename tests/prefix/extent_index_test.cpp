// SPDX-License-Identifier: Apache-2.0
// extent_index against a model: blocks with their places; a block is listed behind listed ones only.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include <support/any_memory.hpp>
#include <support/catch.hpp>
#include <support/chains.hpp>
#include <support/joined.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>
#include <support/sound.hpp>
#include <support/world.hpp>

#include <catena/index/chime_tree.hpp>
#include <catena/index/learned_hopscotch.hpp>
#include <catena/index/sherman_tree.hpp>
#include <catena/prefix/extent_index.hpp>

using namespace catena;
using namespace catena::test;

namespace {

using chain = std::vector<block_hash>;
constexpr std::size_t cache_bytes = 1U << 20U;

struct windows_of_eight : extent_options {
    static constexpr std::size_t window = 8;
    static constexpr std::size_t batch_reads = 16;
};
struct short_list : windows_of_eight {
    static constexpr std::size_t batch_reads = 4; // fewer than the extents that one window may have
};
using over_chime = extent_index<chime_tree<block_hash, extent_ref, chime_heads>>;
using over_sherman = extent_index<sherman_tree<block_hash, extent_ref>, windows_of_eight>;
using by_a_short_list = extent_index<sherman_tree<block_hash, extent_ref>, short_list>;
using over_learned = extent_index<learned_hopscotch<block_hash, extent_ref>>;

/// One client's calls; what must not fail does not.
template <typename Index, typename Session = any_session>
class extent_calls {
public:
    extent_calls(Index& index, Session& s) : index_(&index), s_(&s) {}

    match_answer match(std::span<block_hash const> c, std::span<location> out = {},
                       std::chrono::nanoseconds until = {}) {
        return ok(sync_wait(*s_, index_->match(*s_, c, out, until)));
    }
    std::size_t matched(std::span<block_hash const> c) { return match(c).blocks; }
    publish_counts publish(std::span<block_hash const> c, std::span<location> l, std::size_t from = 0,
                           match_end const& after = {}) {
        auto const n = ok(sync_wait(*s_, index_->publish(*s_, c, l, from, after)));
        REQUIRE(n.inserted + n.already_present + n.behind_a_gap == c.size() - from);
        return n;
    }
    std::size_t forget(std::span<block_hash const> c, std::size_t keep = 0, std::span<location const> expected = {}) {
        return ok(sync_wait(*s_, index_->forget(*s_, c, keep, expected)));
    }
    bool contains(std::span<block_hash const> c) { return ok(sync_wait(*s_, index_->contains(*s_, c))); }
    index_check sound() { return must_be_sound(ok(sync_wait(*s_, index_->verify(*s_)))); }
    /// Nothing is listed, and nothing is left.
    void require_empty() {
        REQUIRE(sound().entries == 0);
        REQUIRE(index_->extents() == 0);
    }
    [[nodiscard]] Index& index() noexcept { return *index_; }

private:
    Index* index_;
    Session* s_;
};

template <typename Index>
struct extent_world : extent_calls<Index> {
    extent_world() : extent_calls<Index>(own, w.first.s) {}
    any_world w{32U << 20U};
    any_session& s = w.first.s;
    Index own = ok(Index::create(s, "t", cache_bytes));
};

/// What is listed where.
struct listed_blocks {
    std::map<block_hash, location> places;

    [[nodiscard]] std::size_t match(std::span<block_hash const> c) const {
        std::size_t n = 0;
        while (n < c.size() && places.contains(c[n])) ++n;
        return n;
    }
    void publish(std::span<block_hash const> c, std::span<location> l, std::size_t from = 0) {
        for (std::size_t i = from; i < c.size(); ++i) l[i] = places.try_emplace(c[i], l[i]).first->second;
    }
};

template <typename Calls>
void require_match(Calls& f, listed_blocks const& model, std::span<block_hash const> c) {
    auto const expected = model.match(c);
    std::vector<location> out(c.size(), location(9, 9));
    auto const a = f.match(c, out);
    REQUIRE(a.complete);
    REQUIRE(a.blocks == expected);
    for (std::size_t i = 0; i < expected; ++i) REQUIRE(out[i] == model.places.at(c[i]));
    REQUIRE(f.matched(c) == expected);
}

[[nodiscard]] bool is_refused(auto const& r) { return !r && r.error().code == errc::invalid_argument; }

} // namespace

TEMPLATE_TEST_CASE("extents: a match is the longest prefix that is listed, and its places", "[extents]", over_chime,
                   over_sherman, over_learned) {
    extent_world<TestType> f;
    listed_blocks model;
    std::vector<chain> all;
    for (std::size_t const n : {0U, 1U, 2U, 7U, 8U, 9U, 31U, 32U, 33U, 63U, 64U, 65U, 600U}) {
        auto const c = chain_of(n, n);
        require_match(f, model, c);
        auto l = places(static_cast<std::uint16_t>(n), n);
        REQUIRE(f.publish(c, l).inserted == n);
        model.publish(c, l);
        require_match(f, model, c);
        REQUIRE(f.contains(c));
        auto const longer = joined(c, chain_of(100'000 + n, 50));
        require_match(f, model, longer);
        REQUIRE_FALSE(f.contains(longer));
        require_match(f, model, std::span(c).first(n / 2));
        all.push_back(c);
    }
    REQUIRE(f.sound().entries == model.places.size());
    for (auto const& c : all) REQUIRE(f.forget(c) == c.size());
    for (auto const& c : all) REQUIRE(f.matched(c) == 0);
    f.require_empty();
}

TEMPLATE_TEST_CASE("extents: chains branch at every block, and branches branch", "[extents]", over_chime,
                   over_sherman) {
    extent_world<TestType> f;
    listed_blocks model;
    auto const trunk = chain_of(1, 70);
    std::vector<chain> all{trunk};
    for (std::size_t at = 0; at <= trunk.size(); ++at) {
        all.push_back(joined(std::span(trunk).first(at), chain_of(10 + at, 1 + at % 40)));
        auto const& branch = all.back();
        auto const further = at + (branch.size() - at) / 2;
        all.push_back(joined(std::span(branch).first(further), chain_of(1000 + at, 3)));
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
        auto l = places(static_cast<std::uint16_t>(i), all[i].size());
        auto expected = l;
        model.publish(all[i], expected);
        (void)f.publish(all[i], l);
        REQUIRE(l == expected);
    }
    for (auto const& c : all) require_match(f, model, c);
    REQUIRE(f.sound().entries == model.places.size());
    for (auto const& c : all) (void)f.forget(c);
    for (auto const& c : all) REQUIRE(f.matched(c) == 0);
    f.require_empty();
}

TEMPLATE_TEST_CASE("extents: a chain is followed though an extent begins with each of its blocks", "[extents]",
                   over_chime, over_sherman, by_a_short_list) {
    extent_world<TestType> f;
    auto const c = chain_of(1, 2 * TestType::options::window + 3);
    for (std::size_t n = 1; n <= c.size(); ++n) {
        CAPTURE(n);
        auto const head = std::span(c).first(n);
        auto l = places(1, n);
        REQUIRE(f.publish(head, l).inserted == 1);
        auto const other = joined(head, chain_of(100 + n, 1)); // takes the slot of the next block
        auto o = places(1, other.size());
        REQUIRE(f.publish(other, o, n).inserted == 1);
        auto const a = f.match(head, {}, f.s.channel().now() + std::chrono::seconds(10));
        REQUIRE(a.complete);
        REQUIRE(a.blocks == n);
    }
    REQUIRE(f.sound().entries == 2 * c.size());
    REQUIRE(f.index().extents() >= c.size());
}

TEMPLATE_TEST_CASE("extents: a conversation grows turn by turn", "[extents]", over_chime, over_sherman) {
    bool const after_a_match = GENERATE(false, true);
    extent_world<TestType> f;
    listed_blocks model;
    auto const whole = chain_of(1, 400);
    std::size_t n = 0;
    for (std::size_t turn = 0; n < whole.size(); ++turn) {
        constexpr std::array<std::size_t, 5> turns{1, 3, 40, 5, 9};
        auto const before = n;
        n = std::min(n + turns[turn % turns.size()], whole.size());
        auto const c = std::span(whole).first(n);
        auto l = places(static_cast<std::uint16_t>(turn), n);
        // asked for the whole chain, or for what is known of it
        auto const a = f.match(turn % 2 == 0 ? c : c.first(before));
        REQUIRE(a.blocks == before);
        auto const counts = after_a_match ? f.publish(c, l, a.blocks, a.end) : f.publish(c, l, a.blocks);
        REQUIRE(counts.inserted == n - before);
        model.publish(c, l, before);
        require_match(f, model, c);
        require_match(f, model, whole);
    }
    REQUIRE(f.sound().entries == whole.size());
    REQUIRE(f.forget(whole) == whole.size());
    f.require_empty();
}

TEST_CASE("extents: what a match of one chain ended with serves another with the same prefix", "[extents]") {
    extent_world<over_sherman> f;
    listed_blocks model;
    auto const trunk = chain_of(1, 30);
    auto l = places(1, 30);
    (void)f.publish(trunk, l);
    model.publish(trunk, l);
    for (std::size_t at = 1; at < 30; ++at) {
        auto const other = joined(std::span(trunk).first(at), chain_of(100 + at, 12));
        auto const after_other = f.match(other).end; // the slot there is the trunk's
        auto const after_short = f.match(std::span(trunk).first(at)).end;
        for (auto const& after : {after_other, after_short}) {
            auto again = places(2, 30);
            REQUIRE(f.publish(trunk, again, at, after).inserted == 0);
            REQUIRE(std::equal(again.begin() + static_cast<std::ptrdiff_t>(at), again.end(),
                               l.begin() + static_cast<std::ptrdiff_t>(at)));
        }
        auto m = places(static_cast<std::uint16_t>(3 + at), other.size());
        REQUIRE(f.publish(other, m, at, after_short).inserted == 12);
        model.publish(other, m, at);
        require_match(f, model, other);
        auto n = places(50, other.size());
        REQUIRE(f.publish(other, n, at, after_other).already_present == 12);
        require_match(f, model, other);
    }
    require_match(f, model, trunk);
    REQUIRE(f.sound().entries == model.places.size());
}

TEST_CASE("extents: the first publisher of a block wins, later ones learn its place", "[extents]") {
    extent_world<over_chime> f;
    for (std::size_t const shared : {1U, 9U, 31U, 32U, 33U, 50U}) {
        auto const c = chain_of(shared, 70);
        auto mine = places(1, 70);
        auto theirs = places(2, 70);
        REQUIRE(f.publish(std::span(c).first(shared), std::span(mine).first(shared)).inserted == shared);
        auto const counts = f.publish(c, theirs);
        REQUIRE(counts.inserted == 70 - shared);
        REQUIRE(counts.already_present == shared);
        for (std::size_t i = 0; i < 70; ++i) REQUIRE(theirs[i] == location(i < shared ? 1 : 2, i));
        std::vector<location> out(70);
        REQUIRE(f.match(c, out).blocks == 70);
        REQUIRE(out == theirs);
    }
}

TEMPLATE_TEST_CASE("extents: nothing is listed behind a gap; what was there is found when it is closed", "[extents]",
                   over_chime, over_sherman) {
    extent_world<TestType> f;
    constexpr std::size_t n = 70;
    auto const c = chain_of(1, n);
    auto l = places(1, n);
    REQUIRE(f.publish(c, l, 5).behind_a_gap == n - 5);
    REQUIRE(f.publish(c, l, 32).behind_a_gap == n - 32);
    REQUIRE(f.matched(c) == 0);
    f.require_empty();
    (void)f.publish(c, l);
    for (std::size_t gap = 0; gap < n; ++gap) {
        CAPTURE(gap);
        REQUIRE(f.forget(std::span(c).first(gap + 1), gap) == 1);
        REQUIRE(f.matched(c) == gap);
        auto const longer = joined(c, chain_of(1000 + gap, 4));
        auto more = places(3, longer.size());
        if ((n - 1) / TestType::options::window == gap / TestType::options::window)
            REQUIRE(f.publish(longer, more, n).behind_a_gap == 4);
        auto again = places(2, gap + 1);
        auto const counts = f.publish(std::span(c).first(gap + 1), again);
        REQUIRE(counts.inserted == 1);
        REQUIRE(counts.already_present == gap);
        std::vector<location> out(n);
        REQUIRE(f.match(c, out).blocks == n);
        for (std::size_t i = 0; i < n; ++i) REQUIRE(out[i] == location(i <= gap ? 2 : 1, i));
    }
    REQUIRE(f.forget(c) == n);
    f.require_empty();
}

TEMPLATE_TEST_CASE("extents: forget keeps what it is told to keep and what is listed elsewhere", "[extents]",
                   over_chime, over_sherman) {
    extent_world<TestType> f;
    auto const c = chain_of(1, 50);
    auto mine = places(1, 50);
    (void)f.publish(c, mine);
    REQUIRE(f.forget(c, 50) == 0);
    REQUIRE(f.forget(c, 60) == 0);
    REQUIRE(f.forget(c, 40) == 10);
    REQUIRE(f.matched(c) == 40);
    auto others = mine;
    others[30] = location(7, 7); // somebody else's copy is meant: it stays
    REQUIRE(f.forget(c, 20, others) == 19);
    REQUIRE(f.matched(c) == 20);
    REQUIRE(f.sound().entries == 21);
    auto theirs = places(2, 50);
    auto const counts = f.publish(c, theirs);
    REQUIRE(counts.inserted == 29);
    REQUIRE(counts.already_present == 21);
    std::vector<location> out(50);
    REQUIRE(f.match(c, out).blocks == 50);
    for (std::size_t i = 0; i < 50; ++i) REQUIRE(out[i] == location(i < 20 || i == 30 ? 1 : 2, i));
    REQUIRE(f.forget(c, 0, mine) == 21);
    REQUIRE(f.forget(c, 0, theirs) == 29);
    REQUIRE(f.forget(c) == 0);
    f.require_empty();
}

TEST_CASE("extents: hundreds of chains leave one block", "[extents]") {
    extent_world<over_chime> f;
    auto const at = GENERATE(std::size_t{5}, std::size_t{32});
    listed_blocks model;
    auto const trunk = chain_of(1, at);
    std::vector<chain> all;
    auto const branches = GENERATE(std::uint64_t{200}, std::uint64_t{300});
    for (std::uint64_t i = 0; i < branches; ++i) {
        all.push_back(joined(trunk, chain_of(10 + i, 3)));
        auto l = places(static_cast<std::uint16_t>(i), all.back().size());
        REQUIRE(f.publish(all.back(), l).inserted == (i == 0 ? at + 3 : 3));
        model.publish(all.back(), l);
    }
    for (auto const& c : all) require_match(f, model, c);
    require_match(f, model, joined(trunk, chain_of(9999, 3)));
    REQUIRE(f.sound().entries == model.places.size());
    for (auto const& c : all) REQUIRE(f.forget(c, at) == 3);
    REQUIRE(f.matched(all.front()) == at);
    REQUIRE(f.forget(trunk) == at);
    if (branches < extent_children::most) return f.require_empty();
    REQUIRE(f.sound().entries == 0); // nobody counts so many: the extent that they leave stays (X5)
    REQUIRE(f.index().extents() == 1);
    auto l = places(1, at);
    REQUIRE(f.publish(trunk, l).inserted == at);
    REQUIRE(f.matched(all.front()) == at);
}

TEMPLATE_TEST_CASE("extents: what one client publishes another finds, whatever it remembers", "[extents]", over_chime,
                   over_learned) {
    extent_world<TestType> f;
    auto second = f.w.join();
    auto theirs = ok(TestType::open(second.s, "t", cache_bytes));
    extent_calls<TestType> g(theirs, second.s);
    listed_blocks model;
    auto const trunk = chain_of(1, 80);
    for (std::uint64_t round = 0; round < 8; ++round) {
        auto const c = joined(std::span(trunk).first(10 * round), chain_of(10 + round, 60));
        auto l = places(static_cast<std::uint16_t>(round), c.size());
        (void)f.publish(c, l);
        model.publish(c, l);
        require_match(g, model, c);
        require_match(g, model, trunk);
        REQUIRE(f.forget(c) == model.places.size()); // its placements are stale now
        model.places.clear();
        require_match(g, model, c);
        auto again = places(static_cast<std::uint16_t>(100 + round), c.size());
        (void)f.publish(c, again);
        model.publish(c, again);
        require_match(g, model, c);
        REQUIRE(g.forget(c) == c.size());
        model.places.clear();
        require_match(f, model, c);
    }
    f.require_empty();
}

TEST_CASE("extents: who joins late learns where all extents are", "[extents]") {
    extent_world<over_chime> f;
    std::vector<chain> all;
    for (std::uint64_t i = 0; i < 40; ++i) {
        all.push_back(chain_of(i, 100));
        auto l = places(1, 100);
        (void)f.publish(all.back(), l);
    }
    auto second = f.w.join();
    auto theirs = ok(over_chime::open(second.s, "t", cache_bytes));
    REQUIRE(ok(sync_wait(second.s, theirs.warm_up(second.s))) == 40 * 4);
    extent_calls<over_chime> g(theirs, second.s);
    for (auto const& c : all) {
        auto const before = second.s.stats().round_trips;
        REQUIRE(g.matched(c) == 100);
        REQUIRE(second.s.stats().round_trips == before + 1);
    }
}

TEST_CASE("extents: spans that do not fit and places that are none are refused", "[extents]") {
    extent_world<over_chime> f;
    auto const c = chain_of(1, 4);
    auto few = places(1, 3);
    auto l = places(1, 4);
    REQUIRE(is_refused(sync_wait(f.s, f.own.publish(f.s, c, few))));
    REQUIRE(is_refused(sync_wait(f.s, f.own.publish(f.s, c, l, 5))));
    REQUIRE(is_refused(sync_wait(f.s, f.own.match(f.s, c, few))));
    REQUIRE(is_refused(sync_wait(f.s, f.own.forget(f.s, c, 0, few))));
    std::array<std::span<block_hash const>, 2> const chains{c, c};
    std::array<match_answer, 1> one{};
    REQUIRE(is_refused(sync_wait(f.s, f.own.match_many(f.s, chains, one))));
    std::array<match_answer, 2> two{};
    std::array<std::span<location>, 2> const out{l, few};
    REQUIRE(is_refused(sync_wait(f.s, f.own.match_many(f.s, chains, two, out))));
    l[2] = location(65535, 7);
    REQUIRE(is_refused(sync_wait(f.s, f.own.publish(f.s, c, l))));
    REQUIRE(f.matched(c) == 0);
    REQUIRE(f.publish(std::span(c).first(2), std::span(l).first(2)).inserted == 2);
    REQUIRE(f.publish(c, l, 4).inserted == 0);
    l[1] = location(65535, 7); // not used
    l[2] = location(65534, 7);
    REQUIRE(f.publish(c, l, 2).inserted == 2);
}

TEST_CASE("extents: a match whose deadline has passed says at least so many", "[extents]") {
    extent_world<over_sherman> f;
    auto const c = chain_of(1, 200);
    auto l = places(1, 200);
    (void)f.publish(c, l);
    auto second = f.w.join();
    auto theirs = ok(over_sherman::open(second.s, "t", cache_bytes));
    extent_calls<over_sherman> g(theirs, second.s);
    auto const longer = joined(c, chain_of(2, 10));
    bool incomplete = false;
    for (unsigned i = 0; i < 100; ++i) {
        std::vector<location> out(longer.size());
        auto const a = g.match(longer, out, std::chrono::nanoseconds(1));
        REQUIRE(a.blocks <= 200);
        REQUIRE(std::equal(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(a.blocks), l.begin()));
        incomplete |= !a.complete;
        if (a.complete) {
            REQUIRE(a.blocks == 200);
            break;
        }
    }
    REQUIRE(incomplete);
    auto const late = second.s.channel().now() + std::chrono::hours(1);
    REQUIRE(g.match(longer, {}, late).complete);
}

TEMPLATE_TEST_CASE("extents: random calls of two clients agree with a model", "[extents]", over_chime, over_sherman,
                   over_learned) {
    auto const seed = test_seed(11);
    CAPTURE(seed);
    random_source random(seed);
    extent_world<TestType> f;
    auto second = f.w.join();
    auto theirs = ok(TestType::open(second.s, "t", 4096)); // remembers little
    extent_calls<TestType> g(theirs, second.s);
    listed_blocks model;
    auto const any_chain = [&] { // conversations: chains that share a beginning and then part, and part again
        auto const root = random.below(3);
        auto c = chain_of(root, random.below(60));
        auto const branch = root * 8 + random.below(6);
        c = joined(c, chain_of(100 + branch, random.below(50)));
        if (random.one_in(2)) c = joined(c, chain_of(1000 + branch * 4 + random.below(3), random.below(40)));
        return c;
    };
    // A block that begins somewhere else in another chain would be another block: hashes commit to what is before them.
    auto const own_hashes = [](chain c) {
        block_hash before{};
        for (auto& b : c) {
            b = {.high = mix64(b.high ^ before.high), .low = mix64(b.low ^ before.low)};
            before = b;
        }
        return c;
    };
    for (std::size_t step = 0; step < scaled(2500); ++step) {
        auto const c = own_hashes(any_chain());
        auto& who = random.one_in(2) ? static_cast<extent_calls<TestType>&>(f) : g;
        switch (random.below(5)) {
        case 0:
        case 1: {
            auto l = places(static_cast<std::uint16_t>(step), c.size());
            auto expected = l;
            std::size_t from = 0;
            match_end after;
            if (random.one_in(2)) {
                auto const a =
                    who.match(random.one_in(2) ? std::span(c) : std::span(c).first(random.below(c.size() + 1)));
                from = a.blocks;
                after = a.end;
            }
            auto const before = model.places.size();
            model.publish(c, expected, from);
            auto const counts = who.publish(c, l, from, after);
            REQUIRE(counts.behind_a_gap == 0);
            REQUIRE(counts.inserted == model.places.size() - before);
            REQUIRE(std::equal(l.begin() + static_cast<std::ptrdiff_t>(from), l.end(),
                               expected.begin() + static_cast<std::ptrdiff_t>(from)));
            break;
        }
        case 2: {
            auto const keep = random.below(c.size() + 1);
            std::vector<location> expected;
            if (random.one_in(3))
                for (auto const& b : c) {
                    auto const at = model.places.find(b);
                    expected.push_back(at == model.places.end() || random.one_in(4) ? location(1, 1) : at->second);
                }
            std::size_t erased = 0;
            for (std::size_t i = keep; i < c.size(); ++i) {
                auto const at = model.places.find(c[i]);
                if (at == model.places.end() || (!expected.empty() && expected[i] != at->second)) continue;
                model.places.erase(at);
                ++erased;
            }
            REQUIRE(who.forget(c, keep, expected) == erased);
            break;
        }
        case 3: {
            std::vector<chain> chains;
            for (auto n = random.below(5); chains.size() < n;) chains.push_back(own_hashes(any_chain()));
            std::vector<std::span<block_hash const>> const spans(chains.begin(), chains.end());
            std::vector<match_answer> answers(spans.size());
            auto& s = &who == &g ? second.s : f.s;
            ok(sync_wait(s, who.index().match_many(s, spans, answers)));
            for (std::size_t i = 0; i < spans.size(); ++i) REQUIRE(answers[i].blocks == model.match(spans[i]));
            break;
        }
        default: require_match(who, model, c);
        }
    }
    REQUIRE(f.sound().entries == model.places.size());
}
