// SPDX-License-Identifier: Apache-2.0
// Extents, one interleaving each: what client b does gets in before each batch of a call of client a, or before two of
// them. tests/torture finds most of these by chance; here none is left to it.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <pool/clock_fabric.hpp>
#include <support/accounting.hpp>
#include <support/catch.hpp>
#include <support/chains.hpp>
#include <support/joined.hpp>
#include <support/sound.hpp>
#include <support/world.hpp>

#include <catena/index/chime_tree.hpp>
#include <catena/index/sherman_tree.hpp>
#include <catena/prefix/extent_index.hpp>

using namespace catena;
using namespace catena::test;
using namespace std::chrono_literals;

namespace {

struct windows_of_eight : extent_options {
    static constexpr std::size_t window = 8;
};
struct four_entries : tree_options {
    static constexpr std::size_t node_bytes = 192;
};
using short_windows = extent_index<sherman_tree<block_hash, extent_ref, four_entries>, windows_of_eight>;
using long_windows = extent_index<chime_tree<block_hash, extent_ref, chime_heads>>;

using chain = std::vector<block_hash>;
using session_type = clock_client::session_type;
using places_type = std::vector<location>;
constexpr std::size_t cache_bytes = 1U << 16U;
constexpr pool_options options{.lease = 1h, .patience = 100ms};

[[nodiscard]] chain first(chain const& c, std::size_t n) {
    return {c.begin(), c.begin() + static_cast<std::ptrdiff_t>(n)};
}

/// One client's calls; what must not fail does not.
template <typename Index>
struct caller {
    struct told {
        publish_counts counts;
        places_type places;
    };

    /// Lists c[from..] in that segment.
    told publish(chain const& c, std::uint16_t segment, std::size_t from = 0, match_end const& after = {}) {
        told t{.counts = {}, .places = places(segment, c.size())};
        t.counts = ok(sync_wait(*s, index->publish(*s, c, t.places, from, after)));
        expect(t.counts.inserted + t.counts.already_present + t.counts.behind_a_gap == c.size() - from,
               "counts of a publish do not add up");
        return t;
    }
    match_answer find(chain const& c) { return ok(sync_wait(*s, index->match(*s, c, {}))); }
    /// Places of the blocks that match.
    places_type match(chain const& c) {
        places_type out(c.size(), location(9, 9));
        out.resize(ok(sync_wait(*s, index->match(*s, c, out))).blocks);
        return out;
    }
    std::size_t forget(chain const& c, std::size_t keep = 0, places_type const& expected = {}) {
        return ok(sync_wait(*s, index->forget(*s, c, keep, expected)));
    }

    session_type* s;
    Index* index;
};

/// What b does before the batch of that number.
struct step {
    std::size_t batch;
    std::function<void()> act;
};

/// Clients a and b with the same index.
template <typename Index>
struct scene {
    static constexpr std::size_t window = Index::options::window;

    explicit scene(std::size_t copy_bytes = 0) : copies(copy_bytes) {}

    std::size_t copies;
    clock_fabric fabric{1U << 20U};
    clock_client as = clock_client::create(fabric, options);
    clock_client bs = clock_client::join(fabric, options);
    Index as_index = ok(Index::create(as.s, "t", cache_bytes, copies));
    Index bs_index = ok(Index::open(bs.s, "t", cache_bytes, copies));
    caller<Index> a{.s = &as.s, .index = &as_index};
    caller<Index> b{.s = &bs.s, .index = &bs_index};

    struct outcome {
        std::size_t batches = 0; ///< that a needed
        bool refused = false;    ///< a held a lock of the heads, which b was waiting for
    };
    /// a acts, b gets in.
    template <typename Act>
    outcome run(Act act, std::vector<step> steps) {
        outcome o;
        std::vector<std::string> complaints; // an exception would end the coroutine that is interrupted
        struct at_end {
            virtual_clock& clock;
            ~at_end() { clock.on_submit = nullptr; }
        } const end{fabric.clock};
        fabric.clock.on_submit = [&](batch) {
            ++o.batches;
            for (auto const& s : steps) {
                if (s.batch != o.batches || o.refused) continue;
                try {
                    s.act();
                } catch (std::exception const& e) {
                    o.refused = std::string(e.what()) == "unexpected error contended";
                    if (!o.refused) complaints.emplace_back(e.what());
                }
            }
        };
        act();
        for (auto const& c : complaints) FAIL("b: " << c);
        return o;
    }

    index_check sound() { return must_be_sound(ok(sync_wait(as.s, as_index.verify(as.s)))); }
    [[nodiscard]] extent_ref extent_of(block_hash const& head) {
        return ok(sync_wait(bs.s, bs_index.heads().find(bs.s, head))).value_or(extent_ref{});
    }

    /// Blocks that are made as extents are in the hands of a or b, once each, and in no others.
    void require_all_freed() {
        std::set<word> free;
        for (auto* const s : {&as.s, &bs.s}) {
            for (auto const& c : s->allocation().classes)
                for (auto const& f : c.freed) expect(free.insert(f.at.word()).second, "a block was freed twice");
            for (auto const& r : s->allocation().resting)
                expect(free.insert(r.at_rest.at.word()).second, "a block was freed twice, and rests");
        }
        auto const all = take_census(fabric.memory(), as.s.pool().geometry);
        for (auto const& c : all.complaints) FAIL_CHECK(c);
        for (auto const& [at, bytes] : all.blocks) {
            remote_ptr const block(static_cast<std::uint16_t>(at >> 48U), at & 0xffff'ffff'ffffU);
            extent_meta const meta(raw_read(fabric.memory(), block + block_header::meta_at));
            bool const extent = meta.incarnation() != 0 && meta.index_tag() == as_index.handle().tag() &&
                                bytes <= extent_class::bytes(extent_class::count - 1); // else it is the ring of news
            expect(!extent || free.contains(block.word()), "an extent was lost");
        }
    }

    /// Nobody is at work: all see the same, what is published now is listed as told, and nothing is left in the end.
    void settle(std::span<chain const> chains) {
        (void)sound();
        for (auto const& c : chains) {
            auto const seen = a.match(c);
            REQUIRE(b.match(c) == seen);
            Index fresh = ok(Index::open(bs.s, "t", cache_bytes));
            REQUIRE(caller<Index>{.s = &bs.s, .index = &fresh}.match(c) == seen);
        }
        for (auto const& c : chains) {
            auto const told = b.publish(c, 50);
            REQUIRE(told.counts.behind_a_gap == 0);
            REQUIRE(a.match(c) == told.places);
            REQUIRE(b.match(c) == told.places);
        }
        (void)sound();
        for (auto const& c : chains) (void)a.forget(c);
        for (auto const& c : chains) {
            REQUIRE(a.match(c).empty());
            REQUIRE(b.match(c).empty());
        }
        REQUIRE(sound().entries == 0);
        REQUIRE(as_index.extents() == 0);
        require_all_freed();
    }
};

/// What is listed before, and what a publishes.
struct situation {
    std::string name;
    chain before;
    chain wanted;
};
[[nodiscard]] std::vector<situation> situations(std::size_t window) {
    auto const trunk = chain_of(1, 2 * window + 3);
    auto const half = window / 2;
    return {
        {"new", {}, trunk},
        {"into an extent", first(trunk, 3), first(trunk, half)},
        {"beyond an extent", first(trunk, 3), trunk},
        {"behind a window", first(trunk, window), trunk},
        {"a branch inside a window", first(trunk, window + half), joined(first(trunk, half), chain_of(2, window))},
        {"a branch of the second window", trunk, joined(first(trunk, window + 1), chain_of(2, half))},
        {"another second window", trunk, joined(first(trunk, window), chain_of(2, half))},
    };
}
/// b lists what is there before. Returns where a's publish goes on: from a match of what it wants, or at the root.
template <typename Index>
[[nodiscard]] match_answer prepared(scene<Index>& t, situation const& of, bool after_a_match) {
    (void)t.b.publish(of.before, 1);
    return after_a_match ? t.a.find(of.wanted) : match_answer{};
}
template <typename Index>
void forget_all(caller<Index>& by, situation const& of) {
    (void)by.forget(of.wanted);
    (void)by.forget(of.before);
}
/// Another chain that leaves `c` there.
[[nodiscard]] chain fork(chain const& c, std::size_t at) {
    return joined(first(c, std::min(at, c.size())), chain_of(7, 5));
}

/// Were they listed at one of these places each, as far as they go?
[[nodiscard]] bool each_is_one_of(places_type const& seen, std::initializer_list<std::uint16_t> segments) {
    for (std::size_t i = 0; i < seen.size(); ++i) {
        bool found = false;
        for (auto const s : segments) found |= seen[i] == location(s, i);
        if (!found) return false;
    }
    return true;
}

constexpr std::size_t most_batches = 100;

} // namespace

TEMPLATE_TEST_CASE("extents, step by step: two publish at the same time", "[extents][steps]", short_windows,
                   long_windows) {
    bool const after_a_match = GENERATE(false, true);
    for (auto const& of : situations(TestType::options::window)) {
        auto const shared = of.before.empty() ? std::size_t{3} : of.before.size() - 1;
        std::vector<chain> const others{of.wanted,
                                        first(of.wanted, of.wanted.size() - 1),
                                        joined(of.wanted, chain_of(8, 3)),
                                        fork(of.wanted, shared),
                                        fork(of.wanted, shared + 2),
                                        fork(of.wanted, TestType::options::window)};
        for (std::size_t other = 0; other < others.size(); ++other) {
            for (std::size_t n = 1; n < most_batches; ++n) {
                CAPTURE(of.name, after_a_match, other, n);
                scene<TestType> t;
                auto const& theirs = others[other];
                auto const from = prepared(t, of, after_a_match);
                typename caller<TestType>::told as, bs;
                auto const [batches, refused] = t.run([&] { as = t.a.publish(of.wanted, 2, from.blocks, from.end); },
                                                      {{.batch = n, .act = [&] { bs = t.b.publish(theirs, 3); }}});
                if (batches < n) break;
                if (refused) continue;
                REQUIRE(as.counts.behind_a_gap == 0);
                REQUIRE(bs.counts.behind_a_gap == 0);
                auto const seen = t.a.match(of.wanted);
                REQUIRE(seen.size() == of.wanted.size());
                REQUIRE(std::equal(seen.begin() + static_cast<std::ptrdiff_t>(from.blocks), seen.end(),
                                   as.places.begin() + static_cast<std::ptrdiff_t>(from.blocks)));
                REQUIRE(t.b.match(theirs) == bs.places);
                REQUIRE(each_is_one_of(seen, {1, 2, 3}));
                // Whoever listed a block counts it, and nobody else.
                std::set<block_hash> blocks(of.wanted.begin(), of.wanted.end());
                blocks.insert(theirs.begin(), theirs.end());
                std::set<block_hash> const before(of.before.begin(), of.before.end());
                std::size_t added = 0;
                for (auto const& block : blocks) added += before.contains(block) ? 0 : 1;
                REQUIRE(as.counts.inserted + bs.counts.inserted == added);
                t.settle(std::array{of.wanted, theirs, of.before});
            }
        }
    }
}

TEMPLATE_TEST_CASE("extents, step by step: a publish, and forgets and publishes of somebody else", "[extents][steps]",
                   short_windows, long_windows) {
    bool const after_a_match = GENERATE(false, true);
    for (auto const& of : situations(TestType::options::window)) {
        auto const theirs = fork(of.wanted, of.before.size() / 2 + 1);
        for (std::size_t what = 0; what < 5; ++what) {
            for (std::size_t n = 1; n < most_batches; ++n) {
                CAPTURE(of.name, after_a_match, what, n);
                scene<TestType> t;
                auto const from = prepared(t, of, after_a_match);
                typename caller<TestType>::told as, bs;
                auto const get_in = [&] {
                    if (what != 4) forget_all(t.b, of);
                    if (what == 1 || what == 2) bs = t.b.publish(of.wanted, 3);
                    if (what == 2) forget_all(t.b, of);
                    if (what == 3) bs = t.b.publish(theirs, 3);
                    if (what == 4) (void)t.b.forget(of.wanted, of.wanted.size() / 2);
                };
                auto const [batches, refused] = t.run([&] { as = t.a.publish(of.wanted, 2, from.blocks, from.end); },
                                                      {{.batch = n, .act = get_in}});
                if (batches < n) break;
                if (refused) continue;
                auto const seen = t.a.match(of.wanted);
                REQUIRE(each_is_one_of(seen, {1, 2, 3}));
                // What is listed at last stays: nobody forgot it since.
                if (what == 1) REQUIRE(seen == bs.places);
                if (what == 3) REQUIRE(t.a.match(theirs) == bs.places);
                if (what != 4 && from.blocks == 0) REQUIRE(each_is_one_of(seen, {2, 3})); // (1 is forgotten)
                t.settle(std::array{of.wanted, of.before, theirs});
            }
        }
    }
}

TEMPLATE_TEST_CASE("extents, step by step: a publish while it is forgotten, and published again later",
                   "[extents][steps]", short_windows) {
    for (auto const& of : situations(TestType::options::window)) {
        bool more = true;
        for (std::size_t n = 1; more && n < most_batches; ++n) {
            for (std::size_t m = n + 1; m < most_batches; ++m) {
                CAPTURE(of.name, n, m);
                scene<TestType> t;
                (void)t.b.publish(of.before, 1);
                typename caller<TestType>::told bs;
                auto const [batches, refused] = t.run([&] { (void)t.a.publish(of.wanted, 2); },
                                                      {{.batch = n, .act = [&] { forget_all(t.b, of); }},
                                                       {.batch = m, .act = [&] { bs = t.b.publish(of.wanted, 3); }}});
                if (batches < n) more = false;
                if (refused) continue;
                if (batches >= m) REQUIRE(t.a.match(of.wanted) == bs.places);
                t.settle(std::array{of.wanted, of.before});
                if (batches < m) break;
            }
        }
    }
}

TEMPLATE_TEST_CASE("extents, step by step: what is published while a forget is under way is not lost",
                   "[extents][steps]", short_windows, long_windows) {
    constexpr auto window = TestType::options::window;
    auto const trunk = chain_of(1, 2 * window + 3);
    std::vector<chain> const all{first(trunk, 3), first(trunk, window), trunk};
    bool const only_ours = GENERATE(false, true);
    for (auto const& listed : all) {
        std::vector<chain> const others{
            listed,          joined(listed, chain_of(8, 2)),  joined(listed, chain_of(8, window)),
            fork(listed, 1), fork(listed, listed.size() - 1), fork(listed, window)};
        for (std::size_t other = 0; other < others.size(); ++other) {
            auto const& theirs = others[other];
            for (std::size_t n = 1; n < most_batches; ++n) {
                CAPTURE(listed.size(), other, n, only_ours);
                scene<TestType> t;
                auto const ours = t.a.publish(listed, 1).places;
                typename caller<TestType>::told bs;
                auto const [batches, refused] =
                    t.run([&] { (void)t.a.forget(listed, 0, only_ours ? ours : places_type{}); },
                          {{.batch = n, .act = [&] { bs = t.b.publish(theirs, 3); }}});
                if (batches < n) break;
                if (refused) continue;
                REQUIRE(bs.counts.behind_a_gap == 0);
                auto const closed = t.b.publish(theirs, 4); // the gap that was forgotten
                std::size_t kept = 0;
                for (std::size_t i = 0; i < theirs.size(); ++i) {
                    bool const may_go = i < listed.size() && listed[i] == theirs[i] && !only_ours;
                    if (bs.places[i] != location(3, i) || may_go) continue;
                    REQUIRE(closed.places[i] == location(3, i));
                    ++kept;
                }
                if (!only_ours || theirs.size() > listed.size()) REQUIRE((kept > 0 || theirs == listed));
                t.settle(std::array{listed, theirs});
            }
        }
    }
}

TEST_CASE("extents, Dying: a block that somebody who died listed in an extent about to be taken out of use stays, once "
          "it counts",
          "[extents][steps]") {
    auto const c = chain_of(1, 1);
    bool const publishes = GENERATE(false, true);
    std::size_t spared = 0;
    for (std::size_t n = 1; n < most_batches; ++n) {
        CAPTURE(n, publishes);
        scene<short_windows> t;
        (void)t.a.publish(c, 1);
        auto const e = t.extent_of(c.front());
        auto& memory = t.fabric.memory();
        places_type seen;
        auto const act = [&] {
            auto const nowhere = raw_read(memory, extent_view::place_at(e, 0));
            extent_meta const meta(raw_read(memory, extent_view::begin(e)));
            if (!meta.dying() || extent_word::present(nowhere)) return;
            raw_write(memory, extent_view::place_at(e, 0), location(5, 0).word()); // L3 of a publish that never ends
            seen = publishes ? t.b.publish(c, 3).places : t.b.match(c);
            ++spared;
        };
        auto const [batches, refused] = t.run([&] { (void)t.a.forget(c); }, {{.batch = n, .act = act}});
        if (batches < n) break;
        if (!seen.empty()) REQUIRE(seen == places(5, 1));
        REQUIRE(t.b.match(c) == seen);
        t.settle(std::array{c});
    }
    REQUIRE(spared > 0);
}

TEMPLATE_TEST_CASE("extents, step by step: two publishes, or two forgets, get into a forget", "[extents][steps]",
                   short_windows) {
    constexpr auto window = TestType::options::window;
    auto const listed = chain_of(1, window + 3);
    auto const branch = fork(listed, 2);
    auto const longer = joined(listed, chain_of(8, 2));
    bool const forgets = GENERATE(false, true);
    for (auto const& theirs : {listed, branch, longer}) {
        bool more = true;
        for (std::size_t n = 1; more && n < most_batches; ++n) {
            for (std::size_t m = n + 1; m < most_batches; ++m) {
                CAPTURE(theirs.size(), n, m, forgets);
                scene<TestType> t;
                auto const ours = t.a.publish(listed, 1).places;
                typename caller<TestType>::told bs, again;
                auto const [batches, refused] =
                    t.run([&] { (void)t.a.forget(listed, 0, ours); },
                          {{.batch = n, .act = [&] { bs = t.b.publish(theirs, 3); }}, {.batch = m, .act = [&] {
                                                                                           if (forgets)
                                                                                               (void)t.b.forget(theirs);
                                                                                           again =
                                                                                               t.b.publish(theirs, 4);
                                                                                       }}});
                if (batches < n) more = false;
                if (refused) continue;
                if (batches >= m) {
                    auto const closed = t.b.publish(theirs, 5);
                    for (std::size_t i = 0; i < theirs.size(); ++i)
                        if (again.places[i] != location(1, i)) REQUIRE(closed.places[i] == again.places[i]);
                }
                t.settle(std::array{listed, theirs});
                if (batches < m) break;
            }
        }
    }
}

TEMPLATE_TEST_CASE("extents, step by step: two forget the same, and both count what they took", "[extents][steps]",
                   short_windows, long_windows) {
    auto const trunk = chain_of(1, 2 * TestType::options::window + 3);
    auto const branch = fork(trunk, 3);
    for (std::size_t n = 1; n < most_batches; ++n) {
        for (auto const& theirs : {trunk, branch}) {
            CAPTURE(n, theirs.size());
            scene<TestType> t;
            (void)t.a.publish(trunk, 1);
            (void)t.a.publish(branch, 1);
            std::size_t as = 0, bs = 0;
            auto const [batches, refused] =
                t.run([&] { as = t.a.forget(trunk); }, {{.batch = n, .act = [&] { bs = t.b.forget(theirs); }}});
            if (refused) continue;
            if (batches < n) bs = t.b.forget(theirs);
            as += t.a.forget(trunk);
            bs += t.b.forget(branch);
            REQUIRE(as + bs == trunk.size() + 5);
            REQUIRE(t.sound().entries == 0);
            REQUIRE(t.as_index.extents() == 0);
            t.require_all_freed();
            t.settle(std::array{trunk, branch});
            if (batches < n && theirs == branch) return;
        }
    }
}

TEMPLATE_TEST_CASE("extents, step by step: a match never answers what was forgotten before it began",
                   "[extents][steps]", short_windows, long_windows) {
    auto const c = chain_of(1, 2 * TestType::options::window + 3);
    auto const copies = GENERATE(std::size_t{0}, std::size_t{1} << 16U);
    for (std::size_t known = 0; known < 4; ++known) { // how often a saw the places that are gone
        for (std::size_t what = 0; what < 4; ++what) {
            for (std::size_t n = 1; n < most_batches; ++n) {
                CAPTURE(copies, known, what, n);
                scene<TestType> t(copies);
                (void)t.b.publish(c, 1);
                for (std::size_t i = 0; i < known; ++i) REQUIRE(t.a.match(c) == places(1, c.size()));
                (void)t.b.forget(c, known == 1 ? 3 : 0);
                (void)t.b.publish(c, 2);
                auto const before = t.b.match(c);
                if (n == 1) REQUIRE(t.a.match(c) == before);
                places_type seen;
                places_type after;
                auto const get_in = [&] {
                    (void)t.b.forget(c, what == 2 ? c.size() / 2 : 0);
                    if (what == 3) t.fabric.clock.now += 2 * rest_time;
                    if (what != 0) (void)t.b.publish(c, 3);
                    after = t.b.match(c);
                };
                auto const [batches, refused] = t.run([&] { seen = t.a.match(c); }, {{.batch = n, .act = get_in}});
                if (batches < n) {
                    REQUIRE(seen == before);
                    break;
                }
                for (std::size_t i = 0; i < seen.size(); ++i)
                    REQUIRE((seen[i] == before[i] || (i < after.size() && seen[i] == after[i])));
                if (what == 2) REQUIRE(seen.size() >= c.size() / 2);
                REQUIRE(t.a.match(c) == after);
                t.settle(std::array{c});
            }
        }
    }
}

TEMPLATE_TEST_CASE("extents, step by step: a match while somebody else lets a chain grow, or branch",
                   "[extents][steps]", short_windows, long_windows) {
    constexpr auto window = TestType::options::window;
    auto const whole = chain_of(1, 2 * window + 3);
    auto const copies = GENERATE(std::size_t{0}, std::size_t{1} << 16U);
    for (std::size_t const short_one : {std::size_t{1}, std::size_t{3}, window, window + 2}) {
        for (std::size_t known = 0; known < 4; ++known) {
            for (std::size_t n = 1; n < most_batches; ++n) {
                CAPTURE(copies, short_one, known, n);
                scene<TestType> t(copies);
                (void)t.b.publish(first(whole, short_one), 1);
                for (std::size_t i = 0; i < known; ++i) REQUIRE(t.a.match(whole).size() == short_one);
                auto const branch = fork(whole, short_one / 2 + 1);
                places_type seen;
                auto const get_in = [&] {
                    (void)t.b.publish(branch, 2);
                    (void)t.b.publish(whole, 2);
                };
                auto const [batches, refused] = t.run([&] { seen = t.a.match(whole); }, {{.batch = n, .act = get_in}});
                REQUIRE(seen.size() >= short_one);
                REQUIRE(each_is_one_of(seen, {1, 2}));
                if (batches < n) break;
                if (refused) continue;
                REQUIRE(t.a.match(whole) == t.b.match(whole));
                REQUIRE(t.a.match(branch) == t.b.match(branch));
                t.settle(std::array{whole, branch});
            }
        }
    }
}

TEST_CASE("extents, G2: what was read too slowly is read again", "[extents][steps]") {
    scene<short_windows> t;
    auto const c = chain_of(1, 6);
    auto const listed = t.a.publish(c, 1).places;
    auto const match_while = [&](std::chrono::nanoseconds away) {
        auto const before = t.as.s.stats();
        auto const [batches, refused] =
            t.run([&] { REQUIRE(t.a.match(c) == listed); }, {{.batch = 1, .act = [&] { t.fabric.clock.now += away; }}});
        return std::pair(batches, t.as.s.stats().retries - before.retries);
    };
    REQUIRE(match_while(0ns) == std::pair<std::size_t, std::uint64_t>(1, 0));
    REQUIRE(match_while(rest_time / 2) == std::pair<std::size_t, std::uint64_t>(1, 0));
    REQUIRE(match_while(rest_time / 2 + 1ns) == std::pair<std::size_t, std::uint64_t>(2, 1));
    REQUIRE(match_while(1s) == std::pair<std::size_t, std::uint64_t>(2, 1));

    // A READ that began in one life of the block and ended in the next: tags of the one, places of the other.
    auto const e = t.extent_of(c.front());
    auto const write_places = [&](std::uint16_t segment) {
        for (std::size_t i = 0; i < c.size(); ++i)
            raw_write(t.fabric.memory(), extent_view::place_at(e, i), location(segment, i).word());
    };
    auto const mix = [&] {
        write_places(7);
        t.fabric.clock.now += rest_time;
    };
    places_type seen;
    auto const [batches, refused] =
        t.run([&] { seen = t.a.match(c); }, {{.batch = 1, .act = mix}, {.batch = 2, .act = [&] { write_places(1); }}});
    REQUIRE(batches == 2);
    REQUIRE(seen == listed);
    t.settle(std::array{c});
}

TEST_CASE("extents, G1: a block rests before it is used again, and then who remembers it is not misled",
          "[extents][steps]") {
    scene<short_windows> t;
    auto const old = chain_of(1, 6);
    auto const early = chain_of(2, 6);
    auto const late = chain_of(3, 6);
    (void)t.b.publish(old, 1);
    auto const block = t.extent_of(old.front());
    REQUIRE(t.a.match(old) == places(1, 6)); // a knows where it is
    auto const end = t.a.find(first(old, 4));
    REQUIRE(t.b.forget(old) == 6);
    (void)t.b.publish(early, 1);
    REQUIRE(t.extent_of(early.front()).at() != block.at());
    auto const mine = t.bs.s.allocation().resting;
    REQUIRE(std::any_of(mine.begin(), mine.end(), [&](auto const& r) { return r.at_rest.at == block.at(); }));

    t.fabric.clock.now += rest_time - 1ns;
    (void)t.b.publish(chain_of(4, 6), 1);
    REQUIRE(t.extent_of(chain_of(4, 6).front()).at() != block.at());
    t.fabric.clock.now += 1ns;
    (void)t.b.publish(late, 3);
    auto const again = t.extent_of(late.front());
    REQUIRE(again.at() == block.at());
    REQUIRE(again.incarnation() != block.incarnation());

    SECTION("it finds nothing") { REQUIRE(t.a.match(old).empty()); }
    SECTION("it finds what is listed elsewhere now") {
        (void)t.b.publish(old, 4);
        REQUIRE(t.extent_of(old.front()).at() != block.at());
        REQUIRE(t.a.match(old) == places(4, 6));
    }
    SECTION("it finds what is there now") {
        REQUIRE(t.a.match(late) == places(3, 6));
        REQUIRE(t.a.match(old).empty());
    }
    SECTION("a publish that goes on from there lists nothing in it") {
        auto const told = t.a.publish(old, 5, end.blocks, end.end);
        REQUIRE(told.counts.behind_a_gap == 2);
        REQUIRE(t.a.match(old).empty());
    }
    SECTION("a forget of what was there takes nothing off") { REQUIRE(t.a.forget(old) == 0); }
    REQUIRE(t.b.match(late) == places(3, 6));
    t.settle(std::array{old, early, late, chain_of(4, 6)});
}

TEST_CASE("extents, L3: a place that was absent in another life of the block is not taken for absent",
          "[extents][steps]") {
    // a was about to set places of an extent; meanwhile its block became another extent, with the same slots free.
    auto const old = chain_of(1, 6);
    for (std::size_t n = 1; n < most_batches; ++n) {
        CAPTURE(n);
        scene<short_windows> t;
        (void)t.b.publish(first(old, 2), 1);
        auto const block = t.extent_of(old.front());
        auto const end = t.a.find(old);
        auto const next = chain_of(3, 2);
        auto const turn_over = [&] {
            (void)t.b.forget(old);
            t.fabric.clock.now += rest_time;
            (void)t.b.publish(next, 3);
            expect(t.extent_of(next.front()).at() == block.at(), "the block was not used again");
        };
        typename caller<short_windows>::told told;
        auto const [batches, refused] =
            t.run([&] { told = t.a.publish(old, 2, end.blocks, end.end); }, {{.batch = n, .act = turn_over}});
        if (batches < n) break;
        if (refused) continue;
        REQUIRE(t.b.match(next) == places(3, 2));
        auto const more = joined(next, chain_of(4, 3));
        REQUIRE(t.b.publish(more, 3).counts.inserted == 3);
        REQUIRE(t.a.match(more) == places(3, 5));
        t.settle(std::array{old, next, more});
    }
}

TEMPLATE_TEST_CASE("extents, step by step: blocks get another life while somebody publishes, or forgets",
                   "[extents][steps]", short_windows, long_windows) {
    constexpr auto window = TestType::options::window;
    bool const after_a_match = GENERATE(false, true);
    bool const forgets = GENERATE(false, true);
    for (auto const& of : situations(window)) {
        // Of the same lengths as what was listed before, so that their extents are as large.
        auto const next = chain_of(20, of.before.size());
        auto const other = chain_of(21, of.wanted.size());
        for (std::size_t n = 1; n < most_batches; ++n) {
            CAPTURE(of.name, after_a_match, forgets, n);
            scene<TestType> t;
            auto const from = prepared(t, of, after_a_match);
            places_type listed;
            auto const turn_over = [&] {
                forget_all(t.b, of);
                t.fabric.clock.now += rest_time;
                (void)t.b.publish(next, 3);
                listed = t.b.publish(other, 3).places;
            };
            auto const act = [&] {
                if (forgets)
                    (void)t.a.forget(of.before);
                else
                    (void)t.a.publish(of.wanted, 2, from.blocks, from.end);
            };
            auto const [batches, refused] = t.run(act, {{.batch = n, .act = turn_over}});
            if (batches < n) break;
            if (refused) continue;
            REQUIRE(t.b.match(next) == places(3, next.size()));
            REQUIRE(t.b.match(other) == listed);
            auto const more = joined(next, chain_of(22, 3));
            REQUIRE(t.b.publish(more, 3).counts.inserted == 3);
            REQUIRE(t.a.match(more) == places(3, more.size()));
            REQUIRE(each_is_one_of(t.a.match(of.wanted), {2}));
            t.settle(std::array{of.wanted, of.before, next, other, more});
        }
    }
}

TEST_CASE("extents, step by step: the same blocks in the same places, but in another life", "[extents][steps]") {
    // What a's forget takes off then is what it was asked to. It leaves the word of another life, which is no obstacle.
    auto const c = chain_of(1, 6);
    for (std::size_t n = 1; n < most_batches; ++n) {
        CAPTURE(n);
        scene<short_windows> t;
        (void)t.b.publish(c, 1);
        auto const turn_over = [&] {
            (void)t.b.forget(c);
            t.fabric.clock.now += rest_time;
            (void)t.b.publish(c, 1);
        };
        auto const [batches, refused] = t.run([&] { (void)t.a.forget(c); }, {{.batch = n, .act = turn_over}});
        if (batches < n) break;
        if (refused) continue;
        REQUIRE(each_is_one_of(t.b.match(c), {1}));
        auto const told = t.b.publish(c, 2);
        REQUIRE(told.counts.behind_a_gap == 0);
        REQUIRE(t.a.match(c) == told.places);
        REQUIRE(t.b.match(c) == told.places);
        REQUIRE(t.b.forget(c) == c.size());
        REQUIRE(t.sound().entries == 0);
        REQUIRE(t.as_index.extents() == 0);
        t.require_all_freed();
    }
}

TEST_CASE("extents: a publish does not go on from where a match of another chain ended", "[extents]") {
    constexpr std::size_t window = 8;
    auto const other = chain_of(1, window + 3);
    auto const own = chain_of(2, window + 6);
    for (std::size_t n = 0; n <= other.size(); ++n) {
        CAPTURE(n);
        scene<short_windows> t;
        (void)t.b.publish(other, 1);
        (void)t.b.publish(first(own, n), 1);
        auto const of_other = t.a.find(first(other, n));
        REQUIRE(of_other.blocks == n);
        auto const told = t.a.publish(own, 2, n, of_other.end);
        REQUIRE(told.counts.inserted == own.size() - n);
        REQUIRE(t.a.match(own).size() == own.size());
        REQUIRE(t.b.match(other) == places(1, other.size()));
        t.settle(std::array{other, own});
    }
}

TEMPLATE_TEST_CASE("extents, step by step: what begins behind an extent keeps it, though it lists nothing",
                   "[extents][steps]", short_windows, long_windows) {
    constexpr auto window = TestType::options::window;
    auto const listed = chain_of(1, 5);
    auto const behind = joined(first(chain_of(1, window), window), chain_of(8, 4));
    for (auto const& theirs : {fork(listed, 2), behind}) {
        auto const shared = theirs.size() == 7 ? std::size_t{2} : window;
        for (std::size_t n = 1; n < most_batches; ++n) {
            CAPTURE(shared, n);
            scene<TestType> t;
            (void)t.a.publish(listed, 1);
            auto const get_in = [&] {
                (void)t.b.publish(theirs, 3);
                (void)t.b.forget(first(theirs, shared)); // its own extent stays
            };
            auto const [batches, refused] = t.run([&] { (void)t.a.forget(listed); }, {{.batch = n, .act = get_in}});
            if (batches < n) break;
            if (refused) continue;
            REQUIRE(t.b.match(theirs).empty());
            (void)t.b.publish(first(theirs, shared), 4);
            REQUIRE(t.b.match(theirs).size() == theirs.size());
            t.settle(std::array{listed, theirs});
        }
    }
}
