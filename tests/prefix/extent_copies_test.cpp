// SPDX-License-Identifier: Apache-2.0
// extent_copies: by themselves, and in an extent_index, where they must never make an answer wrong.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <pool/clock_fabric.hpp>
#include <support/catch.hpp>
#include <support/chains.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>
#include <support/threads.hpp>
#include <support/world.hpp>

#include <catena/index/sherman_tree.hpp>
#include <catena/prefix/extent_copies.hpp>
#include <catena/prefix/extent_index.hpp>

using namespace catena;
using namespace catena::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t most_slots = extent_class::slots(extent_class::count - 1);
constexpr std::size_t one_set = extent_copies::bytes_a_set;

/// Room for a READ of the largest extent.
struct image {
    std::array<word, extent_view::prelude_words + 2 * most_slots> words{};
    [[nodiscard]] extent_view view(std::size_t slots = most_slots) { return {words.data(), slots}; }
};
[[nodiscard]] block_hash key(std::uint64_t n) { return {.high = mix64(n), .low = mix64(~n)}; }
[[nodiscard]] extent_ref ref(std::uint64_t n, std::uint32_t life = 1) {
    return {remote_ptr(0, (n + 1) * 1024), extent_class::count - 1, life};
}
/// Slots that follow from the number; places belong to tags.
[[nodiscard]] image made_of(std::uint64_t n) {
    image x;
    x.words[1] = n;
    for (std::size_t i = 0; i < most_slots; ++i) {
        x.view().tag(i) = mix64(n * 100 + i) | 1U;
        x.view().place(i) = mix64(x.view().tag(i));
    }
    return x;
}
/// Is it the first `slots` slots of made_of(n)?
[[nodiscard]] bool is(image& x, std::uint64_t n, std::size_t slots) {
    auto const expected = made_of(n);
    return x.words[1] == n &&
           std::equal(expected.words.begin() + 3, expected.words.begin() + 3 + 2 * static_cast<std::ptrdiff_t>(slots),
                      x.words.begin() + 3);
}

using chain = std::vector<block_hash>;
using places_type = std::vector<location>;
struct windows_of_eight : extent_options {
    static constexpr std::size_t news_bytes = 0; // else every eighth match reads more
    static constexpr std::size_t window = 8;
};
using index_type = extent_index<sherman_tree<block_hash, extent_ref>, windows_of_eight>;
constexpr std::size_t window = 8;

/// Client a has copies, client b none.
struct scene {
    static constexpr pool_options options{.lease = 1h, .patience = 100ms};
    static constexpr std::size_t cache_bytes = 1U << 16U;

    clock_fabric fabric{1U << 20U};
    clock_client b = clock_client::create(fabric, options);
    clock_client a = clock_client::join(fabric, options);
    index_type bs = ok(index_type::create(b.s, "t", cache_bytes));
    index_type as = ok(index_type::open(a.s, "t", cache_bytes, 1U << 16U));

    void publish(chain const& c, std::uint16_t segment) {
        auto l = places(segment, c.size());
        REQUIRE(ok(sync_wait(b.s, bs.publish(b.s, c, l))).behind_a_gap == 0);
    }
    std::size_t forget(chain const& c, std::size_t keep = 0) { return ok(sync_wait(b.s, bs.forget(b.s, c, keep, {}))); }
    [[nodiscard]] places_type match(chain const& c) {
        places_type out(c.size());
        out.resize(ok(sync_wait(a.s, as.match(a.s, c, out))).blocks);
        return out;
    }
    [[nodiscard]] places_type bs_match(chain const& c) {
        places_type out(c.size());
        out.resize(ok(sync_wait(b.s, bs.match(b.s, c, out))).blocks);
        return out;
    }
    /// Until a has copies of what it matches.
    void learn(chain const& c) {
        for (unsigned i = 0; i < 4; ++i) (void)match(c);
    }
    void require_copies(chain const& c) {
        REQUIRE(cost_of([&] { REQUIRE(match(c).size() == c.size()); }).bytes_read == 24 * (c.size() / window + 1));
    }
    [[nodiscard]] fabric_stats cost_of(std::function<void()> const& act) {
        auto const before = a.s.stats();
        act();
        auto s = a.s.stats();
        s.round_trips -= before.round_trips;
        s.bytes_read -= before.bytes_read;
        return s;
    }
    /// b acts before the batch of that number of what a does. Returns how many a needed.
    std::size_t run(std::function<void()> const& as_act, std::size_t n, std::function<void()> const& bs_act) {
        std::size_t batches = 0;
        std::string complaint;
        fabric.clock.on_submit = [&](batch) {
            if (++batches != n) return;
            try {
                bs_act();
            } catch (std::exception const& e) {
                complaint = e.what();
            }
        };
        as_act();
        fabric.clock.on_submit = nullptr;
        REQUIRE(complaint.empty());
        return batches;
    }
};

} // namespace

TEST_CASE("copies: what was put is found, for that life of that extent alone", "[extents]") {
    extent_copies copies(16 * one_set);
    image x;
    REQUIRE(copies.keeps_any());
    REQUIRE(copies.find(key(1), ref(1), x.view()) == 0);
    for (std::uint64_t n = 1; n <= 16; ++n) copies.put(key(n), ref(n), made_of(n).view(), n);
    std::size_t found = 0;
    for (std::uint64_t n = 1; n <= 16; ++n) {
        auto const slots = copies.find(key(n), ref(n), x.view());
        if (slots == 0) continue; // its set was full
        ++found;
        REQUIRE(slots == n);
        REQUIRE(is(x, n, n));
        REQUIRE(copies.find(key(n), ref(n, 2), x.view()) == 0);
        REQUIRE(copies.find(key(n), ref(n + 1), x.view()) == 0);
        REQUIRE(copies.find(key(n + 100), ref(n), x.view()) == 0);
    }
    REQUIRE(found >= 12);
    copies.put(key(3), ref(3), made_of(1003).view(), 5); // it has grown
    REQUIRE(copies.find(key(3), ref(3), x.view()) == 5);
    REQUIRE(is(x, 1003, 5));
    copies.put(key(3), ref(3, 2), made_of(2003).view(), 2); // another life: the old one is of no use
    REQUIRE(copies.find(key(3), ref(3), x.view()) == 0);
    REQUIRE(copies.find(key(3), ref(3, 2), x.view()) == 2);
    REQUIRE(is(x, 2003, 2));
}

TEST_CASE("copies: no room keeps nothing, and what is kept stays within the room", "[extents]") {
    for (std::size_t const bytes : {std::size_t{0}, std::size_t{1}, one_set - 1}) {
        extent_copies none(bytes);
        image x;
        REQUIRE_FALSE(none.keeps_any());
        none.put(key(1), ref(1), made_of(1).view(), 3);
        REQUIRE(none.find(key(1), ref(1), x.view()) == 0);
        REQUIRE(none.bytes_used() == 0);
        REQUIRE(none.capacity_bytes() == 0);
    }
    extent_copies some(one_set * 3);
    REQUIRE(some.capacity_bytes() == one_set * 2);
    for (std::uint64_t n = 0; n < 100; ++n) {
        some.put(key(n), ref(n), made_of(n).view(), 3);
        REQUIRE(some.bytes_used() <= some.capacity_bytes());
        image x;
        for (std::uint64_t k = 0; k <= n; ++k)
            if (auto const slots = some.find(key(k), ref(k), x.view()); slots != 0) REQUIRE(is(x, k, 3));
    }
    REQUIRE(some.bytes_used() == some.capacity_bytes());
}

TEST_CASE("copies: a full set lets one go that nobody asked for", "[extents]") {
    extent_copies copies(one_set);
    image x;
    for (std::uint64_t n = 0; n < 4; ++n) copies.put(key(n), ref(n), made_of(n).view(), 3);
    copies.put(key(4), ref(4), made_of(4).view(), 3); // all were new; one had to go
    std::vector<std::uint64_t> left;
    for (std::uint64_t n = 0; n < 4; ++n)
        if (copies.find(key(n), ref(n), x.view()) != 0) left.push_back(n);
    REQUIRE(left.size() == 3);
    // From now on these three are asked for, and newer ones that are not must go. (Of the first round nobody was.)
    for (std::uint64_t n = 5; n < 30; ++n) {
        for (auto const k : left) REQUIRE(copies.find(key(k), ref(k), x.view()) == 3);
        auto const before = left.size();
        copies.put(key(n), ref(n), made_of(n).view(), 3);
        REQUIRE(copies.find(key(n), ref(n), x.view()) == 3);
        std::vector<std::uint64_t> still;
        for (auto const k : left)
            if (copies.find(key(k), ref(k), x.view()) != 0) still.push_back(k);
        // If all were asked for since the last one was replaced, any of them goes, and all begin anew.
        REQUIRE(still.size() + 1 >= before);
        left = still;
        if (left.size() < 3) left.push_back(n);
    }
    REQUIRE(copies.bytes_used() == one_set);
}

TEST_CASE("copies: one that is asked for outlives many that are not", "[extents]") {
    extent_copies copies(one_set);
    image x;
    for (std::uint64_t n = 0; n < 5; ++n) copies.put(key(n), ref(n), made_of(n).view(), 3);
    // Now all but the last count as not asked for.
    std::uint64_t kept = 0;
    while (kept < 4 && copies.find(key(kept), ref(kept), x.view()) == 0) ++kept;
    REQUIRE(kept < 4);
    copies.put(key(10), ref(10), made_of(10).view(), 3);
    copies.put(key(11), ref(11), made_of(11).view(), 3);
    REQUIRE(copies.find(key(kept), ref(kept), x.view()) == 3);
    REQUIRE(copies.find(key(4), ref(4), x.view()) == 3);
}

TEST_CASE("copies: threads never see a mix of two copies", "[extents]") {
    auto const sets = GENERATE(std::size_t{1}, std::size_t{64});
    extent_copies copies(sets * one_set);
    auto const keys = 6 * sets;
    constexpr std::uint64_t versions = 8;
    std::atomic<std::size_t> found{0};
    run_threads(4, [&](std::size_t thread) {
        random_source random(23 + thread);
        std::vector<image> all;
        for (std::uint64_t n = 0; n < keys * versions; ++n) all.push_back(made_of(n));
        image x;
        for (std::size_t i = 0; i < scaled(50'000); ++i) {
            auto const k = random.below(keys);
            auto const life = static_cast<std::uint32_t>(1 + random.below(2));
            if (random.one_in(3)) {
                auto const v = random.below(versions);
                copies.put(key(k), ref(k, life), all[k * versions + v].view(), 10 + v);
                continue;
            }
            auto const slots = copies.find(key(k), ref(k, life), x.view());
            if (slots == 0) continue;
            found.fetch_add(1, std::memory_order_relaxed);
            auto const n = x.words[1];
            expect(n / versions == k && slots == 10 + n % versions, "a count of another copy");
            auto const& expected = all[n].words;
            expect(std::equal(expected.begin() + 3, expected.begin() + 3 + 2 * static_cast<std::ptrdiff_t>(slots),
                              x.words.begin() + 3),
                   "slots of another copy");
        }
    });
    REQUIRE(found > 0);
}

TEST_CASE("copies: threads that need the same new set at once share it", "[extents]") {
    constexpr std::size_t sets = 256;
    constexpr std::uint64_t keys = 2 * sets;
    for (std::size_t round = 0; round < scaled(20); ++round) {
        extent_copies copies(sets * one_set);
        run_threads(4, [&](std::size_t) {
            for (std::uint64_t n = 0; n < keys; ++n) copies.put(key(n), ref(n), made_of(n).view(), 3);
        });
        // A set for each entry of the table, none was lost: so there is room for whatever comes, and no two share one.
        image x;
        for (std::uint64_t n = 0; n < 4 * keys; ++n) {
            copies.put(key(n), ref(n), made_of(n).view(), 3);
            REQUIRE(copies.find(key(n), ref(n), x.view()) == 3);
            REQUIRE(is(x, n, 3));
        }
        REQUIRE(copies.bytes_used() <= copies.capacity_bytes());
    }
}

TEST_CASE("copies: the fourth match of a chain reads 24 bytes an extent", "[extents]") {
    scene t;
    auto const c = chain_of(1, 3 * window);
    t.publish(c, 1);
    auto const copied = t.cost_of([&] {});
    REQUIRE(copied.bytes_read == 0);
    std::vector<std::uint64_t> bytes;
    for (unsigned i = 0; i < 6; ++i) {
        auto const cost = t.cost_of([&] { REQUIRE(t.match(c) == places(1, c.size())); });
        if (i > 0) REQUIRE(cost.round_trips == 1);
        bytes.push_back(cost.bytes_read);
    }
    REQUIRE(bytes[1] >= 3 * extent_view::bytes_of(window)); // in one run
    REQUIRE(bytes[3] == 3 * 24);
    REQUIRE(bytes[5] == 3 * 24);
    REQUIRE(t.as.cache_bytes() > t.bs.cache_bytes());
    REQUIRE(t.as.cache_capacity_bytes() > t.bs.cache_capacity_bytes());
    // Others that share a part of it.
    auto branch = chain(c.begin(), c.begin() + window + 3);
    for (auto const& block : chain_of(2, 4)) branch.push_back(block);
    REQUIRE(t.match(branch) == places(1, window + 3));
    auto const cost = t.cost_of([&] { REQUIRE(t.match(branch).size() == window + 3); });
    REQUIRE(cost.round_trips == 1);
    REQUIRE(cost.bytes_read == 2 * 24);
}

TEST_CASE("copies: what others forgot, listed elsewhere or added is seen", "[extents]") {
    scene t;
    auto const c = chain_of(1, 2 * window + 3);
    auto const shorter = chain(c.begin(), c.begin() + window + 3);
    t.publish(shorter, 1);
    t.learn(c);
    t.learn(shorter);
    t.require_copies(shorter);
    t.publish(c, 2); // it grows, in an extent that a has copied, and behind it
    auto seen = t.match(c);
    REQUIRE(seen.size() == c.size());
    REQUIRE(seen == t.bs_match(c));
    for (std::size_t keep = c.size(); keep-- > 0;) {
        CAPTURE(keep);
        t.learn(c);
        t.require_copies(c);
        REQUIRE(t.forget(c, keep) == c.size() - keep);
        REQUIRE(t.match(c).size() == keep);
        t.learn(c);
        t.publish(c, static_cast<std::uint16_t>(10 + keep));
        seen = t.match(c);
        REQUIRE(seen.size() == c.size());
        for (std::size_t i = keep; i < c.size(); ++i)
            REQUIRE(seen[i] == location(static_cast<std::uint16_t>(10 + keep), i));
        REQUIRE(seen == t.bs_match(c));
    }
    t.learn(c);
    t.require_copies(c);
    // A forget and a publish between two matches: as many blocks as before, in the same slots.
    (void)t.forget(c, c.size() - 1);
    t.publish(c, 99);
    REQUIRE(t.match(c).back() == location(99, c.size() - 1));
}

TEST_CASE("copies: a match before, during and after each step of somebody else's calls", "[extents][steps]") {
    // b's calls are interrupted by a's matches: what a saw gone, or elsewhere, stays so; what b ended is seen.
    auto const c = chain_of(1, 2 * window + 3);
    for (std::size_t keep = 0; keep < c.size(); keep += 5) {
        for (std::size_t n = 1; n < 100; ++n) {
            CAPTURE(keep, n);
            scene t;
            t.publish(c, 1);
            t.learn(c);
            places_type seen;
            auto const look = [&] {
                for (unsigned i = 0; i < 4; ++i) seen = t.match(c); // makes copies, if it may
            };
            auto const batches = t.run([&] { (void)t.forget(c, keep); }, n, look);
            if (batches < n) break;
            REQUIRE(seen.size() >= keep);
            REQUIRE(t.match(c).size() == keep);
            places_type then;
            auto const look_again = [&] {
                for (unsigned i = 0; i < 4; ++i) then = t.match(c);
            };
            (void)t.run([&] { t.publish(c, 2); }, 1 + n % 5, look_again);
            for (std::size_t i = keep; i < then.size(); ++i) REQUIRE(then[i] == location(2, i));
            auto const last = t.match(c);
            REQUIRE(last.size() == c.size());
            for (std::size_t i = 0; i < last.size(); ++i) REQUIRE(last[i] == location(i < keep ? 1 : 2, i));
        }
    }
}

TEST_CASE("copies: somebody forgets and publishes before each batch of a match", "[extents][steps]") {
    auto const c = chain_of(1, 2 * window + 3);
    for (std::size_t matches = 1; matches < 6;
         ++matches) { // made so many before: copies are about to be made, or there
        for (std::size_t n = 1; n < 100; ++n) {
            CAPTURE(matches, n);
            scene t;
            t.publish(c, 1);
            for (std::size_t i = 0; i < matches; ++i) REQUIRE(t.match(c) == places(1, c.size()));
            auto const change = [&] {
                if (t.forget(c, 3) != c.size() - 3) throw failure("not all were there");
                auto l = places(2, c.size());
                (void)ok(sync_wait(t.b.s, t.bs.publish(t.b.s, c, l)));
            };
            places_type seen;
            auto const batches = t.run([&] { seen = t.match(c); }, n, change);
            if (batches < n) {
                REQUIRE(seen == places(1, c.size()));
                break;
            }
            for (std::size_t i = 0; i < seen.size(); ++i)
                REQUIRE((seen[i] == location(1, i) || (i >= 3 && seen[i] == location(2, i))));
            for (unsigned i = 0; i < 6; ++i) REQUIRE(t.match(c) == t.bs_match(c));
        }
    }
}

TEST_CASE("copies, V2: slots of before a forget and the count of after it are not copied", "[extents][steps]") {
    // A READ takes words at different moments. The memory shows what it would have got: old places, the new count.
    scene t;
    auto const c = chain_of(1, 5);
    t.publish(c, 1);
    (void)t.match(c);
    auto const e = ok(sync_wait(t.b.s, t.bs.heads().find(t.b.s, c.front()))).value();
    auto const place = extent_view::place_at(e, 4);
    REQUIRE(t.forget(c, 4) == 1);
    auto const now = raw_read(t.fabric.memory(), place);
    raw_write(t.fabric.memory(), place, location(1, 4).word());
    REQUIRE(t.match(c).size() == 5); // while the forget was under way: right
    raw_write(t.fabric.memory(), place, now);
    for (unsigned i = 0; i < 6; ++i) REQUIRE(t.match(c).size() == 4);
}

TEST_CASE("copies, V3: of an extent in which a forget never ended nothing is copied", "[extents][steps]") {
    scene t;
    auto const c = chain_of(1, 5);
    t.publish(c, 1);
    auto const e = ok(sync_wait(t.b.s, t.bs.heads().find(t.b.s, c.front()))).value();
    auto const count = raw_read(t.fabric.memory(), extent_view::removals_at(e));
    raw_write(t.fabric.memory(), extent_view::removals_at(e), extent_removals(count).with_one_begun().bits());
    for (unsigned i = 0; i < 6; ++i) REQUIRE(t.match(c).size() == 5);
    raw_write(t.fabric.memory(), extent_view::place_at(e, 4), extent_word::absent(1)); // it was only slow
    REQUIRE(t.match(c).size() == 4);
}
