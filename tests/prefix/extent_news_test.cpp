// SPDX-License-Identifier: Apache-2.0
// The ring of news: entries that are torn, late, missing or overtaken; what is read of it, and what of that counts; and that
// clients learn through it what others publish.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <support/accounting.hpp>
#include <support/catch.hpp>
#include <support/chains.hpp>
#include <support/joined.hpp>
#include <support/random.hpp>
#include <support/sound.hpp>
#include <support/threads.hpp>
#include <support/world.hpp>

#include <catena/index/chime_tree.hpp>
#include <catena/prefix/extent_index.hpp>

using namespace catena;
using namespace catena::test;

namespace {

constexpr std::uint64_t entries = 64;
constexpr news_ring ring{.at = remote_ptr(0, 4096), .entries = entries};

[[nodiscard]] extent_ref extent_at(std::uint64_t n, std::uint32_t incarnation = 3) {
    return {remote_ptr(1, n * block_granule), 1, incarnation};
}
[[nodiscard]] extent_news news_of(std::uint64_t n) {
    return {.key = mix64(n),
            .first = extent_at(n + 1),
            .parent = n % 2 * mix64(~n),
            .behind = static_cast<std::uint32_t>(n % 16)};
}
[[nodiscard]] bool same(extent_news const& a, extent_news const& b) {
    return a.key == b.key && a.first == b.first && a.parent == b.parent && a.behind == b.behind;
}

/// A ring in this process, and a client that reads it.
struct reader {
    void write(std::uint64_t position) {
        auto const entry = news_of(position).written_at(position);
        std::ranges::copy(entry, words.begin() + static_cast<std::ptrdiff_t>(position % entries * entry.size()));
    }
    /// What the client reads now. Every entry must be as it was written.
    std::vector<std::uint64_t> read(news_watch::part p) {
        std::vector<std::uint64_t> told;
        more = watch.take(p, &words[p.from % entries * extent_news::entry_words], [&](extent_news const& n) {
            auto position = p.from;
            while (!same(n, news_of(position)) && position < p.from + p.count) ++position;
            REQUIRE(position < p.from + p.count);
            told.push_back(position);
        });
        return told;
    }
    std::vector<std::uint64_t> read() { return read(watch.what_is_next()); }

    std::vector<word> words = std::vector<word>(entries * extent_news::entry_words);
    news_watch watch{ring, entries};
    bool more = false;
};

[[nodiscard]] std::vector<std::uint64_t> from_to(std::uint64_t from, std::uint64_t to) {
    std::vector<std::uint64_t> all;
    for (; from < to; ++from) all.push_back(from);
    return all;
}

} // namespace

TEST_CASE("news: an entry is there whole, at its position, or not at all", "[extents]") {
    auto const seed = test_seed(41);
    CAPTURE(seed);
    random_source random(seed);
    for (std::uint64_t n = 0; n < 2000; ++n) {
        auto const position = random.below(std::uint64_t{1} << 40U);
        auto const now = news_of(n).written_at(position);
        REQUIRE(extent_news::at(now.data(), position));
        REQUIRE(same(*extent_news::at(now.data(), position), news_of(n)));
        REQUIRE(extent_news::position_of(now.data()) == position);
        REQUIRE_FALSE(extent_news::at(now.data(), position + entries)); // not written in this turn yet
        auto const before = news_of(n + 1).written_at(position - entries);
        for (unsigned torn = 1; torn < 15; ++torn) { // any of the words
            auto mixed = before;
            for (std::size_t i = 0; i < mixed.size(); ++i)
                if ((torn >> i & 1U) != 0) mixed[i] = now[i];
            if (mixed == now || mixed == before) continue; // words may be equal
            REQUIRE_FALSE(extent_news::at(mixed.data(), position));
            REQUIRE_FALSE(extent_news::at(mixed.data(), position - entries));
        }
    }
    std::array<word, extent_news::entry_words> const never{};
    for (std::uint64_t position = entries; position < 2 * entries; ++position)
        REQUIRE_FALSE(extent_news::at(never.data(), position));
}

TEST_CASE("news: extents that lie one behind the other are one entry", "[extents]") {
    extent_news n{.key = 1, .first = extent_at(10)};
    auto const step = extent_at(0).bytes() / block_granule;
    REQUIRE_FALSE(n.joins(extent_at(10)));
    REQUIRE_FALSE(n.joins(extent_at(10 + step, 4)));
    REQUIRE_FALSE(n.joins(extent_at(10 + 2 * step)));
    REQUIRE_FALSE(n.joins(extent_ref(extent_at(10 + step).at(), 2, 3)));
    for (std::uint64_t i = 1; i <= extent_news::most_behind; ++i) REQUIRE(n.joins(extent_at(10 + i * step)));
    REQUIRE_FALSE(n.joins(extent_at(10 + 16 * step)));
    auto p = placement::of(n);
    for (std::uint64_t i = 1; i <= extent_news::most_behind; ++i) {
        REQUIRE(p.behind == extent_news::most_behind + 1 - i);
        p = p.next();
        REQUIRE(p.extent == extent_at(10 + i * step));
    }
    REQUIRE(p.behind == 0);
}

TEST_CASE("news: a client reads on where it stopped, round and round", "[extents]") {
    reader r;
    auto next = entries;
    for (std::uint64_t n = 0; n < 10 * entries; n += n % 7) {
        for (auto i = next; i < next + n % 7; ++i) r.write(i);
        auto told = std::vector<std::uint64_t>{};
        for (int looks = 0; looks < 3 && told.size() < n % 7; ++looks) // the ring's end divides what is read
            for (auto const t : r.read()) told.push_back(t);
        REQUIRE(told == from_to(next, next + n % 7));
        next += n % 7;
        ++n;
    }
    REQUIRE(r.read().empty());
}

TEST_CASE("news: more is read where more comes", "[extents]") {
    reader r;
    for (auto i = entries; i < entries + 50; ++i) r.write(i);
    auto const first = r.watch.what_is_next().count;
    REQUIRE(r.read() == from_to(entries, entries + first));
    REQUIRE(r.more);
    REQUIRE(r.watch.what_is_next().count == 2 * first);
    std::size_t told = first;
    while (r.more) told += r.read().size();
    REQUIRE(told == 50);
}

TEST_CASE("news: where the ring ends is no sign of how much comes", "[extents]") {
    reader r;
    auto const usual = r.watch.what_is_next().count;
    r.watch.wrote(entries, entries - 2);
    r.write(2 * entries - 2);
    r.write(2 * entries - 1);
    REQUIRE(r.read() == from_to(2 * entries - 2, 2 * entries));
    REQUIRE(r.more);
    REQUIRE(r.watch.what_is_next().count == usual);
}

TEST_CASE("news: a client that hears nothing looks at every eighth walk, until something comes", "[extents]") {
    reader r;
    for (int i = 0; i < 100; ++i)
        if (auto const p = r.watch.due(); p.count != 0) REQUIRE(r.read(p).empty());
    REQUIRE_FALSE(r.watch.others_at_work());
    std::size_t looks = 0;
    for (int i = 0; i < 80; ++i) looks += r.watch.due().count != 0 ? 1 : 0;
    REQUIRE(looks == 10);
    r.write(entries);
    for (int i = 0; i < 8 && !r.watch.others_at_work(); ++i)
        if (auto const p = r.watch.due(); p.count != 0) REQUIRE(r.read(p) == from_to(entries, entries + 1));
    REQUIRE(r.watch.others_at_work());
    REQUIRE(r.watch.due().count != 0);
    REQUIRE(r.watch.due().count != 0);
}

TEST_CASE("news: an entry that is missing is waited for, then passed over", "[extents]") {
    reader r;
    for (auto i = entries; i < entries + 10; ++i)
        if (i != entries + 3) r.write(i);
    REQUIRE(r.read().size() == 9); // what is there is known at once
    REQUIRE(r.watch.what_is_next().from == entries + 3);
    for (std::uint32_t look = 1; look < news_watch::patience; ++look) {
        REQUIRE(r.read() == from_to(entries + 4, entries + 10));
        REQUIRE(r.watch.what_is_next().from == entries + 3);
    }
    SECTION("it comes late") {
        r.write(entries + 3);
        REQUIRE(r.read() == from_to(entries + 3, entries + 10));
    }
    SECTION("it never comes") { REQUIRE(r.read() == from_to(entries + 4, entries + 10)); }
    REQUIRE(r.watch.what_is_next().from == entries + 10);
}

TEST_CASE("news: a client that is overtaken goes on with what is left in the ring", "[extents]") {
    auto const turns = GENERATE(2U, 3U, 50U);
    reader r;
    auto const last = turns * entries + 20;
    for (auto i = last - entries; i < last; ++i) r.write(i);
    REQUIRE(r.read().empty());
    REQUIRE(r.more);
    auto const from = r.watch.what_is_next().from;
    REQUIRE(from < last);
    REQUIRE(from + entries >= last);
    std::size_t told = 0;
    for (int looks = 0; looks < 10; ++looks) told += r.read().size();
    REQUIRE(told == last - from);
}

TEST_CASE("news: a client does not read what it wrote, if nobody wrote before it", "[extents]") {
    reader r;
    r.watch.wrote(entries, 3);
    REQUIRE(r.watch.what_is_next().from == entries + 3);
    r.watch.wrote(entries + 4, 2); // somebody else wrote one
    REQUIRE(r.watch.what_is_next().from == entries + 3);
}

TEST_CASE("news: what waits is taken once, in order, and what there is no room for is lost", "[extents]") {
    news_outbox box;
    std::vector<extent_news> const some(100);
    std::array<news_outbox::letter, 48> taken{};
    REQUIRE(box.take(taken) == 0);
    box.put(1000, some);
    box.put(5000, some);
    std::vector<std::uint64_t> positions;
    while (auto const n = box.take(taken))
        for (std::size_t i = 0; i < n; ++i) positions.push_back(taken[i].position);
    auto expected = from_to(1000, 1100);
    for (auto const p : from_to(5000, 5028)) expected.push_back(p);
    REQUIRE(positions == expected);
}

TEST_CASE("news: threads take every letter once at most", "[extents]") {
    news_outbox box;
    constexpr std::uint64_t letters = 20'000;
    std::vector<std::atomic<int>> taken(letters);
    std::atomic<bool> done{false};
    run_threads(3, [&](std::size_t thread) {
        std::array<news_outbox::letter, 8> some{};
        if (thread == 0) {
            std::array<extent_news, 4> news{};
            for (std::uint64_t i = 0; i < letters; i += news.size()) {
                for (std::size_t k = 0; k < news.size(); ++k) news[k].key = i + k;
                box.put(i, news);
            }
            done = true;
            return;
        }
        while (true) {
            bool const last = done;
            auto const n = box.take(some);
            for (std::size_t i = 0; i < n; ++i) {
                if (some[i].news.key != some[i].position) throw std::runtime_error("a mix of two letters");
                ++taken[some[i].position];
            }
            if (last && n == 0) return;
        }
    });
    std::uint64_t all = 0;
    for (auto const& t : taken) {
        REQUIRE(t <= 1);
        all += static_cast<std::uint64_t>(t);
    }
    REQUIRE(all > 0);
}

namespace {

using index_type = extent_index<chime_tree<block_hash, extent_ref, chime_heads>>;
constexpr std::size_t window = extent_options::window;

template <typename Index>
struct engine_of {
    engine_of(local_session& session, Index index) : s(&session), own(std::move(index)) {}
    std::size_t match(std::vector<block_hash> const& c) { return ok(sync_wait(*s, own.match(*s, c, {}))).blocks; }
    void publish(std::vector<block_hash> const& c) {
        auto l = places(1, c.size());
        REQUIRE(ok(sync_wait(*s, own.publish(*s, c, l))).behind_a_gap == 0);
    }
    /// Round trips of a match of all of it.
    std::uint64_t cost(std::vector<block_hash> const& c) {
        auto const before = s->stats().round_trips;
        REQUIRE(match(c) == c.size());
        return s->stats().round_trips - before;
    }
    local_session* s;
    Index own;
};
using engine = engine_of<index_type>;

struct two_engines {
    /// Each has heard of the other. Returns a chain that both know.
    std::vector<block_hash> acquainted() {
        auto const c = chain_of(1 << 20, window);
        b.publish(c);
        a.publish(chain_of(1 << 21, 1));
        for (int i = 0; i < 24 && !(a.own.hears_of_others() && b.own.hears_of_others()); ++i) {
            (void)b.match(c);
            (void)a.match(c);
        }
        REQUIRE(a.own.hears_of_others());
        REQUIRE(b.own.hears_of_others());
        return c;
    }
    world w{64U << 20U};
    local_client second = w.join();
    engine a{w.first.s, ok(index_type::create(w.first.s, "t", 8U << 20U))};
    engine b{second.s, ok(index_type::open(second.s, "t", 8U << 20U))};
};

} // namespace

TEST_CASE("news: what another client published is matched in one round trip, once it was told", "[extents]") {
    two_engines t;
    auto const other = t.acquainted();
    for (std::uint64_t n = 0; n < 30; ++n) {
        CAPTURE(n);
        auto const c = chain_of(n, (1 + n % 7) * window + n % 5);
        auto const branch = joined(std::span(c).first(c.size() / 2), chain_of(n + 1000, 40));
        t.a.publish(c);
        (void)t.b.match(other); // an errand on which b hears of it
        REQUIRE(t.b.cost(c) == 1);
        t.a.publish(branch);
        (void)t.b.match(other);
        REQUIRE(t.b.cost(branch) == 1);
        t.b.publish(joined(branch, chain_of(n + 2000, 3 * window)));
    }
}

TEST_CASE("news: who is alone waits for no round trip to tell them", "[extents]") {
    two_engines t;
    auto const c = chain_of(1, 3 * window);
    t.a.publish(c);
    auto const before = t.a.s->stats();
    auto const more = joined(c, chain_of(2, window));
    t.a.publish(more);
    auto const after = t.a.s->stats();
    CAPTURE(after.writes - before.writes);
    REQUIRE(after.round_trips - before.round_trips == 4); // walk, L2, insert
    for (int i = 0; i < 8; ++i) (void)t.a.match(c);       // tells
    for (int i = 0; i < 8; ++i) (void)t.b.match(chain_of(3, 1));
    REQUIRE(t.b.cost(more) == 1);
}

TEST_CASE("news: entries that nobody reads in time cost a question to the index, no more", "[extents]") {
    two_engines t;
    std::vector<std::vector<block_hash>> chains;
    for (std::uint64_t n = 0; n < 3000; ++n) chains.push_back(chain_of(n, 1 + n % 3));
    for (auto const& c : chains) t.a.publish(c);
    for (auto const& c : chains) REQUIRE(t.b.match(c) == c.size());
    for (auto const& c : chains) REQUIRE(t.b.cost(c) == 1);
}

TEST_CASE("news: what was told and is gone by now is not matched", "[extents]") {
    two_engines t;
    (void)t.acquainted();
    for (std::uint64_t n = 0; n < 20; ++n) {
        auto const c = chain_of(n, 5 * window);
        t.a.publish(c);
        REQUIRE(ok(sync_wait(*t.a.s, t.a.own.forget(*t.a.s, c, n % 3 * window, {}))) == c.size() - n % 3 * window);
        REQUIRE(t.b.match(c) == n % 3 * window);
        t.a.publish(c);
        REQUIRE(t.b.match(c) == c.size());
        REQUIRE(ok(sync_wait(*t.b.s, t.b.own.forget(*t.b.s, c, 0, {}))) == c.size());
        REQUIRE(t.a.match(c) == 0);
    }
}

namespace {

struct silent : extent_options {
    static constexpr std::size_t news_bytes = 0;
};
struct sixteen_entries : extent_options {
    static constexpr std::size_t news_bytes = 576;
};

} // namespace

TEST_CASE("news: an index without a ring works, and whoever opens it goes without", "[extents]") {
    world w{64U << 20U};
    auto second = w.join();
    engine_of<extent_index<chime_tree<block_hash, extent_ref, chime_heads>, silent>> a{
        w.first.s, ok(decltype(a.own)::create(w.first.s, "t", 8U << 20U))};
    engine b{second.s, ok(index_type::open(second.s, "t", 8U << 20U))};
    for (std::uint64_t n = 0; n < 20; ++n) {
        a.publish(chain_of(n, 3 * window));
        REQUIRE(b.match(chain_of(n, 3 * window)) == 3 * window);
        b.publish(chain_of(100 + n, window));
        REQUIRE(a.match(chain_of(100 + n, window)) == window);
        REQUIRE(a.cost(chain_of(n, 3 * window)) == 1);
    }
}

TEST_CASE("news: the ring lies on memory node 0, and is no lost block", "[extents]") {
    world w{8U << 20U, 3, {.lease = std::chrono::milliseconds(1), .chunk_bytes = 65536}};
    for (int i = 0; i < 3; ++i) {
        auto index = ok(index_type::create(w.first.s, std::to_string(i), 8U << 20U));
        auto const [ring_made, head] = ok(sync_wait(w.first.s, detail::find_news_ring(w.first.s, index.handle())));
        REQUIRE(ring_made.at.node() == 0);
        REQUIRE(ring_made.entries == head);
        REQUIRE(ring_made.bytes() == extent_options::news_bytes);
    }
    auto second = w.join();
    engine a{second.s, ok(index_type::open(second.s, "0", 8U << 20U))};
    ok(sync_wait(w.first.s, release_all(w.first.s)));
    std::this_thread::sleep_for(std::chrono::milliseconds(5)); // who made it is gone
    (void)ok(sync_wait(*a.s, a.own.reclaim(*a.s)));
    auto const [found, head] = ok(sync_wait(second.s, detail::find_news_ring(second.s, a.own.handle())));
    REQUIRE(found.entries == head);
    for (int i = 0; i < 40; ++i) REQUIRE(ok(sync_wait(second.s, allocate(second.s, found.bytes()))).at != found.at);
    a.publish(chain_of(1, 100 * window));
    REQUIRE(ok(sync_wait(second.s, detail::find_news_ring(second.s, a.own.handle()))).first.at == found.at);
    REQUIRE(a.cost(chain_of(1, 100 * window)) == 1);
}

TEST_CASE("news: what is told over the end of the ring goes on at its beginning, and nowhere else", "[extents]") {
    using tiny = extent_index<chime_tree<block_hash, extent_ref, chime_heads>, sixteen_entries>;
    world w{64U << 20U};
    auto second = w.join();
    engine_of<tiny> a{w.first.s, ok(tiny::create(w.first.s, "t", 1U << 20U))};
    engine_of<tiny> b{second.s, ok(tiny::open(second.s, "t", 1U << 20U))};
    auto const chain = [](std::uint64_t n) { return chain_of(n, window * (1 + n % 5) + 1 + n % 31); };
    for (std::uint64_t n = 0; n < 200; ++n) {
        a.publish(chain(n));
        b.publish(chain_of(1000 + n, 3));
    }
    for (std::uint64_t n = 0; n < 200; ++n) {
        REQUIRE(b.match(chain(n)) == chain(n).size());
        REQUIRE(a.match(chain_of(1000 + n, 3)) == 3);
    }
    (void)must_be_sound(ok(sync_wait(second.s, b.own.verify(second.s))));
    auto const found = take_census(w.fabric, second.s.pool().geometry);
    for (auto const& complaint : found.complaints) FAIL_CHECK(complaint);
}
