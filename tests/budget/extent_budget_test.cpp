// SPDX-License-Identifier: Apache-2.0
// Round trips, verbs and bytes of an extent_index: exact, on one memory node, with a lease that nobody renews.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <span>
#include <string>
#include <vector>

#include <support/catch.hpp>
#include <support/chains.hpp>
#include <support/costs.hpp>
#include <support/joined.hpp>
#include <support/world.hpp>

#include <catena/index/chime_tree.hpp>
#include <catena/prefix/extent_index.hpp>

using namespace catena;
using namespace catena::test;

namespace {

using index_type = extent_index<chime_tree<block_hash, extent_ref, chime_heads>>;
using chain = std::vector<block_hash>;
constexpr std::size_t window = extent_options::window;

struct client {
    explicit client(local_client& c, index_type index) : s(&c.s), own(std::move(index)) {}
    match_answer match(std::span<block_hash const> c) { return ok(sync_wait(*s, own.match(*s, c, {}))); }
    publish_counts publish(std::span<block_hash const> c, std::size_t from = 0, match_end const& after = {}) {
        auto l = places(1, c.size());
        return ok(sync_wait(*s, own.publish(*s, c, l, from, after)));
    }
    std::size_t forget(std::span<block_hash const> c) { return ok(sync_wait(*s, own.forget(*s, c, 0, {}))); }
    template <typename Call>
    [[nodiscard]] fabric_stats cost(Call call) {
        auto const b = s->stats();
        call();
        auto const a = s->stats();
        fabric_stats d;
        d.round_trips = a.round_trips - b.round_trips;
        d.reads = a.reads - b.reads;
        d.writes = a.writes - b.writes;
        d.cas = a.cas - b.cas;
        d.faa = a.faa - b.faa;
        d.bytes_read = a.bytes_read - b.bytes_read;
        return d;
    }
    local_session* s;
    index_type own;
};

struct extent_world {
    extent_world() {
        for (std::uint64_t i = 1; i < 100; ++i) (void)first.publish(chain_of(i, 3 * window)); // other people's blocks
    }
    world w{64U << 20U};
    client first{w.first, ok(index_type::create(w.first.s, "t", 8U << 20U))};
    local_client joined = w.join();
    client second{joined, ok(index_type::open(joined.s, "t", 8U << 20U))};
};

/// Of a READ of all slots that a chain of n blocks needs: one READ a window.
[[nodiscard]] std::uint64_t bytes_of_match(std::size_t n) {
    std::uint64_t bytes = 0;
    for (; n > 0; n -= std::min(n, window)) bytes += extent_view::bytes_of(std::min(n, window));
    return bytes;
}

} // namespace

TEST_CASE("a match of a chain that the client knows is one round trip, one READ an extent", "[budget][extents]") {
    extent_world f;
    auto const n = GENERATE(std::size_t{1}, std::size_t{31}, std::size_t{32}, std::size_t{33}, std::size_t{1000});
    auto const c = chain_of(1000, n);
    REQUIRE(f.first.publish(c).inserted == n);
    REQUIRE(f.first.match(c).blocks == n);
    auto const d = f.first.cost([&] { REQUIRE(f.first.match(c).blocks == n); });
    REQUIRE(d.round_trips == 1);
    REQUIRE(d.reads <= 2); // extents that one publish made lie one behind the other, save where a chunk ends
    REQUIRE(d.bytes_read >= bytes_of_match(n));
    auto const whole_extents = (n - 1) / window * extent_class::bytes(extent_class::count - 1);
    REQUIRE(d.bytes_read <= whole_extents + extent_view::bytes_of(n - (n - 1) / window * window));
    REQUIRE(d.writes + d.cas + d.faa == 0);
    if (n <= window) REQUIRE(d.bytes_read == bytes_of_match(n));
    // Nothing but a question to the index tells that no longer one is there; and that only where something may be.
    auto const longer = joined(c, chain_of(2000, 100));
    (void)f.first.match(longer);
    REQUIRE(f.first.cost([&] { REQUIRE(f.first.match(longer).blocks == n); }).round_trips == 1);
}

TEST_CASE("a match of a chain that the client never saw asks the index and reads", "[budget][extents]") {
    extent_world f;
    auto const c = chain_of(1000, 5 * window);
    REQUIRE(f.first.publish(c).inserted == c.size());
    (void)f.second.match(chain_of(1, 96)); // the index itself is known
    auto const d = f.second.cost([&] { REQUIRE(f.second.match(c).blocks == c.size()); });
    REQUIRE(d.round_trips == 6); // a question and a READ for the first window, for the next two, and for the last two
    REQUIRE(f.second.cost([&] { REQUIRE(f.second.match(c).blocks == c.size()); }).round_trips == 1);
    auto const nowhere = f.second.cost([&] { REQUIRE(f.second.match(chain_of(3000, 100)).blocks == 0); });
    REQUIRE(nowhere.round_trips == 1); // none of its first blocks is listed
}

TEST_CASE("a match through branches of one window is one round trip, with copies and without", "[budget][extents]") {
    extent_world f;
    f.first.own = ok(index_type::open(*f.first.s, "t", 8U << 20U, 1U << 20U));
    for (int size = 1; size < static_cast<int>(window); ++size) {
        for (int at = 1; at <= size; ++at) {
            CAPTURE(size, at);
            auto const number = 1000U * static_cast<unsigned>(size * 100 + at);
            auto const trunk = chain_of(number, static_cast<std::size_t>(size));
            auto const longer =
                joined(trunk, chain_of(number + 1, window)); // fills its slots, and goes on behind the last
            auto const branch = joined(chain(trunk.begin(), trunk.begin() + at), chain_of(number + 2, 3));
            auto const twig = joined(chain(branch.begin(), branch.end() - 1), chain_of(number + 3, 2));
            for (auto const& c : {trunk, longer, branch, twig}) (void)f.first.publish(c);
            for (int i = 0; i < 5; ++i) {
                for (auto const& c : {trunk, longer, branch, twig}) {
                    auto const d = f.first.cost([&] { REQUIRE(f.first.match(c).blocks == c.size()); });
                    REQUIRE(d.round_trips == 1);
                    // All are copies: of trunk, branch and twig, and of what follows in the next window.
                    if (i == 4) REQUIRE(d.bytes_read <= 4 * extent_view::prelude_words * word_bytes);
                }
            }
        }
    }
}

TEST_CASE("a match of a chain is one round trip though an extent begins with each block of a window",
          "[budget][extents]") {
    extent_world f;
    auto const c = chain_of(1000, window);
    for (std::size_t n = 1; n <= window; ++n) {
        auto const head = std::span(c).first(n);
        (void)f.first.publish(head);
        (void)f.first.publish(joined(head, chain_of(2000 + n, 1))); // takes the slot of the next block
    }
    auto const d = f.first.cost([&] { REQUIRE(f.first.match(c).blocks == window); });
    REQUIRE(d.round_trips == 1);
    REQUIRE(d.bytes_read > window * extent_view::prelude_words * word_bytes);
}

TEST_CASE("chains of extents that are matched together share one round trip", "[budget][extents]") {
    extent_world f;
    std::vector<chain> chains;
    for (std::uint64_t c = 1; c <= 5; ++c) chains.push_back(chain_of(c, 3 * window));
    std::vector<std::span<block_hash const>> const spans(chains.begin(), chains.end());
    std::vector<match_answer> answers(spans.size());
    auto& s = *f.first.s;
    REQUIRE(f.first.cost([&] { ok(sync_wait(s, f.first.own.match_many(s, spans, answers))); }).round_trips == 1);
    for (auto const& a : answers) REQUIRE(a.blocks == 3 * window);
}

TEST_CASE("a publish of a new chain writes its extents and inserts them", "[budget][extents]") {
    extent_world f;
    auto const n = GENERATE(std::size_t{1}, std::size_t{32}, std::size_t{100});
    std::uint64_t total = 0;
    std::uint64_t total_after = 0;
    std::uint64_t told = 0;
    constexpr std::uint64_t rounds = 40;
    for (std::uint64_t i = 0; i < rounds; ++i) {
        auto const c = chain_of(1000 + i, n);
        total += f.first.cost([&] { REQUIRE(f.first.publish(c).inserted == n); }).round_trips;
        auto const known = f.first.cost([&] { REQUIRE(f.first.publish(c).already_present == n); });
        REQUIRE(known.round_trips == 1);
        told += known.writes;
        REQUIRE(known.cas + known.faa == 0);
        // A new conversation behind a prompt that is known: after the match that found the prompt.
        auto const branch = joined(chain_of(1, window), chain_of(5000 + i, n));
        auto const a = f.first.match(branch);
        REQUIRE(a.blocks == window);
        total_after += f.first.cost([&] { REQUIRE(f.first.publish(branch, window, a.end).inserted == n); }).round_trips;
    }
    std::cout << "publish of " << n << " new blocks: " << each(total, rounds) << " round trips, "
              << each(total_after, rounds) << " after a match\n";
    REQUIRE(told > 0); // every eighth walk tells others of the publish before, and there are three in a round
    REQUIRE(told <= (rounds * 3 + 7) / 8);
    REQUIRE(total <= rounds * 7);
    REQUIRE(total_after <= rounds * 6); // leaves of the index that split are in it
}

TEST_CASE("what others published is matched in one round trip once this client heard of it", "[budget][extents]") {
    extent_world f;
    auto const old = chain_of(1, window);
    auto const c = chain_of(1000, 5 * window);
    (void)f.second.publish(chain_of(2000, 1));
    (void)f.second.match(old);
    for (int i = 0; i < 8; ++i) (void)f.first.match(old);
    REQUIRE(f.first.own.hears_of_others());
    auto const told = f.first.cost([&] { REQUIRE(f.first.publish(c).inserted == c.size()); });
    REQUIRE(told.faa == 1);
    REQUIRE(told.writes >= 4); // extents, two of the index, and the news
    while (!f.second.own.hears_of_others()) (void)f.second.match(old);
    auto const heard = f.second.cost([&] { (void)f.second.match(old); });
    REQUIRE(heard.round_trips == 1);
    REQUIRE(heard.reads == 2); // the extent, and news
    auto const d = f.second.cost([&] { REQUIRE(f.second.match(c).blocks == c.size()); });
    REQUIRE(d.round_trips == 1);
    REQUIRE(d.reads <= 3); // extents that lie one behind the other, where a chunk ends two, and news
    REQUIRE(d.bytes_read <= bytes_of_match(c.size()) + 5 * 64 + news_watch::most_read * news_ring::entry_bytes);
}

TEST_CASE("blocks that go to an extent that is there take two round trips after a match", "[budget][extents]") {
    extent_world f;
    auto const c = chain_of(1000, 17);
    REQUIRE(f.first.publish(std::span(c).first(6)).inserted == 6);
    auto const all = std::span(c);
    auto const a = f.first.match(all.first(11));
    REQUIRE(a.blocks == 6);
    auto d = f.first.cost([&] { REQUIRE(f.first.publish(all.first(11), 6, a.end).inserted == 5); });
    REQUIRE(d.round_trips == 2); // tags, places
    REQUIRE(d.cas == 10);
    REQUIRE(d.reads == 2);
    REQUIRE(d.writes == 1); // tells others of the publish before
    d = f.first.cost([&] { REQUIRE(f.first.publish(all, 11).inserted == 6); });
    REQUIRE(d.round_trips == 3);                              // and to look
    auto const short_match = f.first.match(all.first(3)).end; // what comes behind it was not looked at
    d = f.first.cost([&] { REQUIRE(f.first.publish(all, 3, short_match).already_present == 14); });
    REQUIRE(d.round_trips <= 3);
    REQUIRE(d.writes == 0);
}

TEST_CASE("below a block that hundreds of chains share, a publish changes nothing that they share",
          "[budget][extents]") {
    extent_world f;
    auto const prompt = chain_of(1000, window);
    (void)f.first.publish(prompt);
    std::vector<std::uint64_t> cas;
    constexpr std::uint64_t branches = extent_children::most + 45;
    for (std::uint64_t i = 0; i < branches; ++i) {
        auto const branch = joined(prompt, chain_of(2000 + i, 3));
        auto const a = f.first.match(branch);
        REQUIRE(a.blocks == window);
        cas.push_back(f.first.cost([&] { REQUIRE(f.first.publish(branch, window, a.end).inserted == 3); }).cas);
    }
    auto const fewest = [&](std::size_t from, std::size_t to) {
        return *std::min_element(cas.begin() + static_cast<std::ptrdiff_t>(from),
                                 cas.begin() + static_cast<std::ptrdiff_t>(to));
    };
    REQUIRE(fewest(0, 40) == 2);                   // the shared extent's children, and a lock of the index
    REQUIRE(fewest(branches - 40, branches) == 1); // a lock of the index
    for (std::uint64_t i = 0; i < branches; ++i)
        REQUIRE(f.second.match(joined(prompt, chain_of(2000 + i, 3))).blocks == window + 3);
    // Nobody knows any more when the last of them goes: the shared extent stays, empty, and is used again.
    for (std::uint64_t i = 0; i < branches; ++i)
        REQUIRE(ok(sync_wait(*f.first.s,
                             f.first.own.forget(*f.first.s, joined(prompt, chain_of(2000 + i, 3)), window, {}))) == 3);
    REQUIRE(f.first.forget(prompt) == window);
    auto const before = ok(sync_wait(*f.first.s, f.first.own.verify(*f.first.s)));
    REQUIRE(before.violations.empty());
    auto const extents = f.first.own.extents();
    (void)f.first.publish(joined(prompt, chain_of(2000, 3)));
    REQUIRE(f.second.match(joined(prompt, chain_of(2000, 3))).blocks == window + 3);
    REQUIRE(f.second.match(joined(prompt, chain_of(2001, 3))).blocks == window);
    (void)ok(sync_wait(*f.first.s, f.first.own.verify(*f.first.s)));
    REQUIRE(f.first.own.extents() == extents + 1);
}

TEST_CASE("a forget looks, takes off, and frees what is empty", "[budget][extents]") {
    extent_world f;
    auto const c = chain_of(1, 3 * window);
    REQUIRE(f.first.publish(joined(c, chain_of(7000, 1))).inserted == 1);
    auto const part = f.first.cost([&] {
        REQUIRE(ok(sync_wait(*f.first.s, f.first.own.forget(*f.first.s, c, window + 3, {}))) == 2 * window - 3);
    });
    REQUIRE(part.cas == 2 * window - 3 + 4); // and of each of two extents: begun, done
    REQUIRE(part.faa == 0);
    REQUIRE(part.writes == 0);
    REQUIRE(part.round_trips == 4); // the last window's extent is empty, but has a child, as was read along
    auto const again = f.first.cost([&] { REQUIRE(f.first.forget(std::span(c).subspan(0, 0)) == 0); });
    REQUIRE(again.round_trips == 0);
    auto const whole = f.first.cost([&] { REQUIRE(f.first.forget(chain_of(2, 3 * window)) == 3 * window); });
    std::cout << "forget of three windows that are freed: " << whole.round_trips << " round trips\n";
    REQUIRE(whole.round_trips <= 4 + 3 * 12);
}
