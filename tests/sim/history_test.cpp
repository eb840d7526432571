// SPDX-License-Identifier: Apache-2.0
// The checker of histories is worth what it finds: every kind of bad history, and none that is good. By hand, against
// all orders of small random histories, and on large ones that are right by construction.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>
#include <support/history.hpp>
#include <support/random.hpp>

using namespace catena;
using namespace catena::test;

namespace {

using store = history<std::uint64_t, std::uint64_t>;
using one_call = store::call_type;
using maybe = std::optional<std::uint64_t>;
using item = entry<std::uint64_t, std::uint64_t>;
using content = std::map<std::uint64_t, std::uint64_t>;
constexpr auto never = one_call::never;
constexpr auto inserted = mutation_outcome::inserted;
constexpr auto replaced = mutation_outcome::replaced;
constexpr auto gone = mutation_outcome::erased;
constexpr auto present = mutation_outcome::present;
constexpr auto absent = mutation_outcome::absent;
constexpr auto differs = mutation_outcome::differs;
constexpr auto untold = mutation_outcome::pending;

// Calls on key 1.
[[nodiscard]] one_call made(call_kind kind, std::uint64_t argument, std::uint64_t begin, std::uint64_t end,
                            mutation_outcome what, maybe seen = {}) {
    return {.kind = kind, .key = 1, .argument = argument, .begin = begin, .end = end, .answered = {what, seen}};
}
[[nodiscard]] one_call find(maybe value, std::uint64_t begin, std::uint64_t end) {
    return made(call_kind::find, 0, begin, end, value ? present : absent, value);
}
[[nodiscard]] one_call insert(std::uint64_t value, std::uint64_t begin, std::uint64_t end, mutation_outcome what,
                              maybe seen = {}) {
    return made(call_kind::insert, value, begin, end, what, seen);
}
[[nodiscard]] one_call insert_if_absent(std::uint64_t value, std::uint64_t begin, std::uint64_t end, maybe in_force) {
    return made(call_kind::insert_if_absent, value, begin, end, untold, in_force);
}
[[nodiscard]] one_call upsert(std::uint64_t value, std::uint64_t begin, std::uint64_t end, mutation_outcome what) {
    return made(call_kind::upsert, value, begin, end, what);
}
[[nodiscard]] one_call erase(std::uint64_t begin, std::uint64_t end, mutation_outcome what) {
    return made(call_kind::erase, 0, begin, end, what);
}
[[nodiscard]] one_call erase_if(std::uint64_t value, std::uint64_t begin, std::uint64_t end, mutation_outcome what) {
    return made(call_kind::erase_if, value, begin, end, what);
}
// Calls that never ended.
[[nodiscard]] one_call open_upsert(std::uint64_t value, std::uint64_t begin) {
    return upsert(value, begin, never, untold);
}
[[nodiscard]] one_call open_erase(std::uint64_t begin) { return erase(begin, never, untold); }
[[nodiscard]] one_call lost(one_call c, std::uint64_t end) {
    c.end = end;
    c.lost = true;
    return c;
}

enum class verdict : std::uint8_t { good, bad, unknown };
std::ostream& operator<<(std::ostream& to, verdict v) {
    return to << (v == verdict::good ? "good" : v == verdict::bad ? "bad" : "unknown");
}
constexpr auto good = verdict::good;
constexpr auto bad = verdict::bad;

[[nodiscard]] verdict judge(store const& h, std::size_t max_configurations = 2'000'000) {
    auto const why = h.violation(max_configurations);
    if (!why) return verdict::good;
    return why->find("unknown:") != std::string::npos ? verdict::unknown : verdict::bad;
}
[[nodiscard]] verdict judge(std::vector<one_call> const& calls, maybe initial = {}) {
    store h(initial ? content{{1, *initial}} : content{});
    for (auto const& c : calls) h.add(c);
    return judge(h);
}

/// What a map answers, and does. The tests' own reading of the operations: nothing of the checker's is used.
[[nodiscard]] answer<std::uint64_t> on_a_map(call_kind kind, std::uint64_t argument, maybe& value) {
    auto const old = value;
    switch (kind) {
    case call_kind::find: return {old ? present : absent, old};
    case call_kind::insert:
        if (!old) value = argument;
        return {old ? present : inserted, old};
    case call_kind::insert_if_absent:
        if (!old) value = argument;
        return {old ? present : inserted, value};
    case call_kind::upsert: value = argument; return {old ? replaced : inserted, old};
    case call_kind::erase: value.reset(); return {old ? gone : absent, old};
    case call_kind::erase_if:
        if (old == argument) value.reset();
        return {!old ? absent : *old == argument ? gone : differs, old};
    }
    return {};
}

/// Tries every order of every choice of calls: the definition, for few calls.
[[nodiscard]] bool some_order_explains(std::vector<one_call> const& calls, maybe value, std::vector<bool> placed) {
    bool complete = true;
    for (std::size_t i = 0; i < calls.size(); ++i) {
        auto const& c = calls[i];
        if (placed[i]) continue;
        complete = complete && (c.end == never || c.lost);
        bool too_late = false;
        for (std::size_t j = 0; j < calls.size(); ++j) too_late = too_late || (placed[j] && c.end < calls[j].begin);
        if (too_late) continue;
        auto after = value;
        auto const truth = on_a_map(c.kind, c.argument, after);
        auto const& told = c.answered;
        if (c.end != never && !c.lost) {
            if (told.what != untold && told.what != truth.what) continue;
            if (told.seen && told.seen != truth.seen) continue;
        }
        placed[i] = true;
        if (some_order_explains(calls, after, placed)) return true;
        placed[i] = false;
    }
    return complete;
}

/// A run of one call after the other on a few keys, each then said to have lasted `spread` steps to either side of the
/// moment when it took effect: right by construction. Some clients die, with the effect or without.
struct random_run {
    random_run(random_source& random, std::size_t calls, std::uint64_t keys, std::uint64_t spread,
               std::uint64_t dead_one_in) {
        for (std::size_t i = 0; i < calls; ++i) {
            auto const key = random.below(keys);
            auto const moment = 1000 * (i + 100); // all begins before, all ends after
            one_call c{.client = static_cast<std::uint32_t>(random.below(10)),
                       .kind = static_cast<call_kind>(random.below(6)),
                       .key = key,
                       .argument = random.one_in(4) ? random.below(3) : 1000 + i,
                       .begin = moment - random.below(1000 * spread),
                       .end = moment + random.below(1000 * spread)};
            if (c.kind == call_kind::erase_if && now[key] && random.one_in(2)) c.argument = *now[key];
            auto const dead = random.one_in(dead_one_in);
            if (!dead || random.one_in(2)) c.answered = on_a_map(c.kind, c.argument, now[key]);
            if (dead) {
                c.lost = random.one_in(2);
                if (!c.lost) c.end = never;
                c.answered = {};
            } else if (c.kind != call_kind::find) {
                if (random.one_in(2))
                    c.answered.seen.reset(); // most calls tell only one half of it
                else if (random.one_in(2))
                    c.answered.what = untold;
            }
            done.push_back(c);
        }
    }
    [[nodiscard]] store recorded() const {
        store h;
        for (auto const& c : done) h.add(c);
        return h;
    }
    std::vector<one_call> done;
    std::map<std::uint64_t, maybe> now;
};

} // namespace

TEST_CASE("a history of calls one after the other is what a map does", "[sim][history]") {
    REQUIRE(judge(store{}) == good);
    REQUIRE(judge({find({}, 1, 2), insert(5, 3, 4, inserted), find(5, 5, 6), insert(6, 7, 8, present, 5),
                   insert_if_absent(6, 9, 10, 5), upsert(7, 11, 12, replaced), find(7, 13, 14),
                   erase_if(5, 15, 16, differs), erase_if(7, 17, 18, gone), erase_if(7, 19, 20, absent),
                   erase(21, 22, absent), upsert(8, 23, 24, inserted), erase(25, 26, gone), find({}, 27, 28),
                   insert_if_absent(9, 29, 30, 9), find(9, 31, 32)}) == good);
    REQUIRE(judge({find(5, 1, 2), insert(6, 3, 4, present, 5)}, 5) == good); // what was there before
}

TEST_CASE("good: calls that overlap take effect in the order that explains them", "[sim][history]") {
    REQUIRE(judge({upsert(2, 1, 4, replaced), find(1, 2, 3)}, 1) == good);                     // not yet
    REQUIRE(judge({upsert(2, 1, 4, replaced), find(2, 2, 3)}, 1) == good);                     // already
    REQUIRE(judge({upsert(2, 1, 8, replaced), find(2, 2, 5), find(1, 3, 6)}, 1) == good);      // reads overlap
    REQUIRE(judge({insert(5, 1, 4, inserted), insert(6, 2, 3, present, 5)}) == good);          // the loser ended first
    REQUIRE(judge({insert_if_absent(5, 1, 4, 6), insert_if_absent(6, 2, 3, 6)}) == good);      // so did the winner
    REQUIRE(judge({erase(1, 6, gone), find({}, 2, 3), insert(7, 4, 5, inserted)}, 1) == good); // all within the erase
    REQUIRE(judge({erase(1, 4, gone), erase(2, 3, absent)}, 1) == good);
    REQUIRE(judge({upsert(5, 1, 6, inserted), erase(2, 7, gone), find({}, 8, 9)}) == good);
    REQUIRE(judge({upsert(5, 1, 6, replaced), erase(2, 7, gone), find(5, 3, 4), find({}, 8, 9)}, 1) == good);
    REQUIRE(judge({upsert(5, 1, 6, inserted), erase(2, 7, gone), find(5, 8, 9)}, 1) == good); // the other way round
    REQUIRE(judge({upsert(2, 1, 9, replaced), upsert(3, 1, 9, replaced), upsert(4, 1, 9, replaced), find(3, 2, 3),
                   find(2, 4, 5), find(4, 6, 7)},
                  1) == good); // 3, 2, 4
    REQUIRE(judge({erase_if(1, 1, 4, differs), upsert(2, 2, 3, replaced)}, 1) == good);
    REQUIRE(judge({upsert(2, 1, 2, replaced), find(1, 2, 3)}, 1) == good); // equal times overlap
    // The value 1 comes back: a call that changes nothing now may be the one that brings it back.
    REQUIRE(judge({upsert(1, 1, 9, replaced), find(1, 2, 3), upsert(2, 4, 5, replaced), find(1, 6, 7)}, 1) == good);
    REQUIRE(judge({insert_if_absent(1, 1, 9, 1), erase(2, 3, gone), find(1, 4, 5)}, 1) == good);
    REQUIRE(judge({erase(1, 9, untold), find({}, 2, 3), insert(5, 4, 5, inserted), find({}, 6, 7)}) == good);
}

TEST_CASE("good: a call without an end takes effect at any time, or never", "[sim][history]") {
    REQUIRE(judge({open_upsert(2, 1), find(1, 2, 3), find(1, 4, 5)}, 1) == good); // never
    REQUIRE(judge({open_upsert(2, 1), find(1, 2, 3), find(2, 4, 5)}, 1) == good); // late: explains both
    REQUIRE(judge({open_upsert(2, 1), upsert(3, 2, 3, replaced), find(3, 4, 5), find(2, 6, 7)}, 1) == good);
    REQUIRE(judge({open_upsert(2, 1), erase(2, 3, gone), find({}, 4, 5), erase(6, 7, gone)}, 1) == good);
    REQUIRE(judge({open_upsert(2, 1), erase(2, 3, gone), find({}, 4, 5), upsert(3, 6, 7, replaced)}, 1) == good);
    REQUIRE(judge({open_erase(1), find(1, 2, 3), insert(5, 4, 5, inserted), find(5, 6, 7)}, 1) == good);
    REQUIRE(judge({open_erase(1), insert(5, 2, 3, present, 1), find({}, 4, 5)}, 1) == good);
    REQUIRE(judge({erase_if(2, 1, never, untold), find(1, 2, 3), upsert(2, 4, 5, replaced), find({}, 6, 7)}, 1) ==
            good);
    REQUIRE(judge({insert(2, 1, never, untold), find(1, 2, 3), erase(4, 5, gone), find(2, 6, 7)}, 1) == good);
    REQUIRE(judge({open_upsert(2, 1), open_upsert(2, 2), erase(3, 4, gone), erase(5, 6, gone)}) == good); // both
    REQUIRE(judge({open_upsert(2, 1), open_erase(2), find({}, 3, 4), find(2, 5, 6), find({}, 7, 8)}) == good);
    REQUIRE(judge({find(9, 1, never), find(1, 2, 3)}, 1) == good); // a find that nobody answered
    // Fenced: before that moment, or never.
    REQUIRE(judge({lost(open_upsert(2, 1), 4), find(1, 2, 3), find(2, 5, 6)}, 1) == good);
    REQUIRE(judge({lost(open_upsert(2, 1), 4), find(1, 2, 3), find(1, 5, 6)}, 1) == good);
}

TEST_CASE("bad: what no order explains", "[sim][history]") {
    REQUIRE(judge({upsert(2, 1, 2, replaced), find(1, 3, 4)}, 1) == bad);                // a stale read
    REQUIRE(judge({find(7, 1, 2)}, 1) == bad);                                           // out of nowhere
    REQUIRE(judge({find(2, 1, 2), upsert(2, 3, 4, replaced)}, 1) == bad);                // out of the future
    REQUIRE(judge({upsert(2, 1, 2, inserted), find({}, 3, 4)}) == bad);                  // a lost update
    REQUIRE(judge({insert(5, 1, 4, inserted), insert(6, 2, 3, inserted)}) == bad);       // two winners
    REQUIRE(judge({insert(5, 1, 2, inserted), insert(6, 3, 4, inserted)}) == bad);       // one after the other
    REQUIRE(judge({insert_if_absent(5, 1, 4, 5), insert_if_absent(6, 2, 3, 6)}) == bad); // both in force
    REQUIRE(judge({insert_if_absent(5, 1, 4, 6), insert_if_absent(6, 2, 3, 5)}) == bad); // each the other's
    REQUIRE(judge({insert(6, 1, 2, present, 4)}, 5) == bad);                             // not what is there
    REQUIRE(judge({insert(6, 1, 2, present)}) == bad);                                   // nothing is there
    REQUIRE(judge({erase(1, 4, gone), erase(2, 3, gone)}, 1) == bad);                    // erased twice
    REQUIRE(judge({erase(1, 2, absent)}, 1) == bad);                                     // it is there
    REQUIRE(judge({upsert(2, 1, 2, inserted)}, 1) == bad);                               // new, but it was there
    REQUIRE(judge({upsert(2, 1, 2, replaced)}) == bad);                                  // replaced nothing
    REQUIRE(judge({upsert(2, 1, 8, replaced), find(2, 2, 3), find(1, 4, 5)}, 1) == bad); // new, then old
    REQUIRE(judge({erase_if(1, 1, 2, differs)}, 1) == bad);                              // it does not differ
    REQUIRE(judge({erase_if(2, 1, 2, gone)}, 1) == bad);                                 // it does
    REQUIRE(judge({erase_if(2, 1, 2, absent)}, 1) == bad);                               // it is there
    REQUIRE(judge({erase_if(2, 1, 2, differs)}) == bad);                                 // it is not
    REQUIRE(judge({erase_if(1, 1, 4, differs), upsert(1, 2, 3, replaced)}, 1) == bad);   // equal throughout
    REQUIRE(judge({upsert(2, 1, 9, replaced), upsert(3, 1, 9, replaced), find(2, 2, 3), find(3, 4, 5), find(2, 6, 7)},
                  1) == bad); // 2 once more
    REQUIRE(judge({upsert(2, 1, 4, replaced), upsert(3, 2, 5, replaced), find(1, 6, 7)}, 1) == bad);
    REQUIRE(judge({upsert(2, 1, 4, replaced), upsert(3, 2, 5, replaced), find(2, 6, 8), find(3, 9, 10)}, 1) == bad);
    REQUIRE(judge({upsert(2, 1, 3, replaced), find(1, 2, 6), find(2, 4, 5), find(1, 7, 8)}, 1) == bad); // late in a row
    REQUIRE(judge({erase(1, 2, untold), find(1, 3, 4)}, 1) == bad); // done is done, whatever it found
}

TEST_CASE("bad: a call without an end explains much, but not this", "[sim][history]") {
    REQUIRE(judge({open_upsert(2, 1), find(2, 2, 3), find(1, 4, 5)}, 1) == bad);                    // no resurrection
    REQUIRE(judge({open_upsert(2, 1), find(2, 2, 3), erase(4, 5, gone), find(2, 6, 7)}, 1) == bad); // twice
    REQUIRE(judge({open_erase(1), find({}, 2, 3), insert(5, 4, 5, inserted), find({}, 6, 7)}, 1) == bad);
    REQUIRE(judge({find(2, 1, 2), open_upsert(2, 3)}, 1) == bad);              // before it began
    REQUIRE(judge({open_upsert(2, 1), find(3, 2, 3)}, 1) == bad);              // another value
    REQUIRE(judge({open_upsert(2, 1), find({}, 2, 3)}, 1) == bad);             // an upsert erases nothing
    REQUIRE(judge({insert(2, 1, never, untold), find(2, 2, 3)}, 1) == bad);    // 1 was there throughout
    REQUIRE(judge({erase_if(2, 1, never, untold), find({}, 2, 3)}, 1) == bad); // it never was 2
    REQUIRE(judge({open_upsert(2, 1), open_upsert(2, 2), erase(3, 4, gone), erase(5, 6, gone), erase(7, 8, gone)}) ==
            bad); // thrice
    REQUIRE(judge({open_upsert(2, 1), open_upsert(3, 2), find(2, 3, 4), find(3, 5, 6), find(2, 7, 8)}, 1) == bad);
    REQUIRE(judge({lost(open_upsert(2, 1), 4), find(1, 5, 6), find(2, 7, 8)}, 1) == bad); // after the fence
    REQUIRE(judge({lost(open_upsert(2, 1), 4), upsert(3, 5, 6, replaced), find(2, 7, 8)}, 1) == bad);
}

TEST_CASE("keys are checked each by itself, and the first bad one is told with its calls", "[sim][history]") {
    auto other = find({}, 3, 4);
    other.key = 7;
    REQUIRE(judge({upsert(5, 1, 2, inserted), other}) == good);

    store h(content{{7, 70}});
    auto const write = h.begin(3, call_kind::upsert, 7, 71);
    h.said(write, false);
    auto const dead = h.begin(4, call_kind::erase, 8);
    static_cast<void>(dead);
    h.found(h.begin(5, call_kind::find, 7), 70);
    h.found(h.begin(5, call_kind::find, 7), 71); // later than the bad one
    auto const why = h.violation();
    REQUIRE(why);
    CAPTURE(*why);
    REQUIRE_THAT(*why, has_text("key 7 (before: 70)"));
    REQUIRE_THAT(*why, has_text("leave 71"));
    REQUIRE_THAT(*why, has_text("    [1, 2] client 3 upsert 71 -> replaced"));
    REQUIRE_THAT(*why, has_text("  > [4, 5] client 5 find -> present, saw 70"));
    REQUIRE_THAT(*why, !has_text("[6, 7]"));
    REQUIRE_THAT(*why, !has_text("erase"));
}

TEST_CASE("keys and values of other types are told as their words or bytes", "[sim][history]") {
    struct pair_of_words {
        std::uint64_t high, low;
    };
    REQUIRE(describe(pair_of_words{0xab, 0x10}) == "ab:10");
    REQUIRE(describe(std::array<std::uint8_t, 3>{1, 255, 0}) == "1:ff:0");
    REQUIRE(describe(std::int64_t{-3}) == "-3");
}

TEST_CASE("calls are recorded as they begin and end", "[sim][history]") {
    store h(content{{2, 20}});
    h.said(h.begin(0, call_kind::insert, 1, 10), true);
    h.said(h.begin(0, call_kind::insert, 1, 11), false);
    h.in_force(h.begin(0, call_kind::insert_if_absent, 1, 12), 10);
    h.said(h.begin(0, call_kind::upsert, 1, 13), false);
    h.said(h.begin(0, call_kind::upsert, 3, 30), true);
    h.said(h.begin(0, call_kind::erase, 3), true);
    h.said(h.begin(0, call_kind::erase, 3), false);
    mutation<std::uint64_t, std::uint64_t> m{.key = 1, .value = 13, .kind = mutation_kind::insert, .outcome = present};
    h.told(h.begin(0, call_kind::insert, 1, 14), m);
    m.outcome = differs;
    m.value = 14;
    h.told(h.begin(0, call_kind::erase_if, 1, 14), m);
    m.outcome = untold;
    h.told(h.begin(0, call_kind::erase, 1), m); // open
    h.withdraw(h.begin(0, call_kind::upsert, 2, 21));
    h.done(h.begin(0, call_kind::erase, 1));
    h.found(h.begin(0, call_kind::find, 1), {});
    h.lost(h.begin(0, call_kind::upsert, 1, 15));
    CAPTURE(h.violation().value_or("good"));
    REQUIRE(judge(h) == good);
    SECTION("a fenced call had its chance") {
        h.found(h.begin(0, call_kind::find, 1), {});
        h.found(h.begin(0, call_kind::find, 1), 15);
        REQUIRE(judge(h) == bad);
    }
    SECTION("a fenced call may have done nothing") {
        h.lost(h.begin(0, call_kind::upsert, 2, 21));
        h.found(h.begin(0, call_kind::find, 2), 20);
        REQUIRE(judge(h) == good);
    }
    SECTION("a change still pending may happen later") {
        h.told(h.begin(0, call_kind::erase, 2), m);
        h.found(h.begin(0, call_kind::find, 2), 20);
        h.found(h.begin(0, call_kind::find, 2), {});
        REQUIRE(judge(h) == good);
    }
    SECTION("a call withdrawn did nothing") {
        for (std::uint64_t i = 0; i < 2 * key_order<std::uint64_t, std::uint64_t>::max_under_way; ++i)
            h.withdraw(h.begin(0, call_kind::upsert, 2, 21)); // nor does it take a place
        h.found(h.begin(0, call_kind::find, 2), 20);
        REQUIRE(judge(h) == good);
        h.found(h.begin(0, call_kind::find, 2), 21);
        REQUIRE(judge(h) == bad);
    }
    SECTION("an insert that found the key saw its value") {
        m.outcome = present;
        m.value = 22;
        h.told(h.begin(0, call_kind::insert, 2, 23), m);
        REQUIRE(judge(h) == bad);
    }
    SECTION("done is done") {
        h.done(h.begin(0, call_kind::erase, 2));
        h.found(h.begin(0, call_kind::find, 2), 20);
        REQUIRE(judge(h) == bad);
    }
    SECTION("misuse is told") {
        auto const once = h.begin(0, call_kind::find, 2);
        h.found(once, 20);
        h.found(once, 20);
        REQUIRE(judge(h) == bad);
    }
}

TEST_CASE("a scan tells of every key in its range", "[sim][history]") {
    std::vector<std::uint64_t> const universe{10, 20, 30, 40, 50};
    store h(content{{10, 1}, {20, 2}, {40, 4}});
    auto const scan = [&](std::uint64_t from, maybe to, std::vector<item> const& entries, std::size_t limit) {
        auto const begin = h.tick();
        h.observe_scan(7, begin, h.tick(), universe, from, to, entries, limit);
        return judge(h);
    };
    SECTION("good") {
        REQUIRE(scan(0, {}, {{10, 1}, {20, 2}, {40, 4}}, 9) == good);
        REQUIRE(scan(11, 40, {{20, 2}}, 9) == good);
        REQUIRE(scan(20, {}, {{20, 2}}, 1) == good); // full: it says nothing of 30 and beyond
        REQUIRE(h.calls().size() == 5 + 2 + 1);
        REQUIRE(scan(15, {}, {{20, 2}, {40, 4}}, 2) == good); // full, but 30 was passed
        REQUIRE(h.calls().size() == 8 + 3);
        REQUIRE(scan(41, {}, {}, 9) == good);
        REQUIRE(scan(0, {}, {}, 0) == good);
        REQUIRE(scan(30, 20, {}, 9) == good);
    }
    SECTION("good: keys that change meanwhile may be seen each at its own moment") {
        auto const begin = h.tick();
        h.said(h.begin(0, call_kind::erase, 10), true);
        h.said(h.begin(0, call_kind::insert, 30, 3), true);
        std::vector<item> const seen{{10, 1}, {20, 2}, {30, 3}, {40, 4}}; // never were all four there
        h.observe_scan(7, begin, h.tick(), universe, 0, maybe{}, seen, 9);
        REQUIRE(judge(h) == good);
    }
    SECTION("bad: it misses a key") { REQUIRE(scan(0, {}, {{10, 1}, {40, 4}}, 9) == bad); }
    SECTION("bad: it misses the last key") { REQUIRE(scan(0, {}, {{10, 1}, {20, 2}}, 9) == bad); }
    SECTION("bad: it misses a key, though it was full") { REQUIRE(scan(0, {}, {{10, 1}, {40, 4}}, 2) == bad); }
    SECTION("bad: it shows an erased key") {
        h.said(h.begin(0, call_kind::erase, 20), true);
        REQUIRE(scan(0, {}, {{10, 1}, {20, 2}, {40, 4}}, 9) == bad);
    }
    SECTION("bad: an old value") {
        h.said(h.begin(0, call_kind::upsert, 20, 3), false);
        REQUIRE(scan(0, {}, {{10, 1}, {20, 2}, {40, 4}}, 9) == bad);
    }
    auto const tells = [&](std::string const& what) { REQUIRE_THAT(h.violation().value_or("good"), has_text(what)); };
    SECTION("bad: not ascending") {
        REQUIRE(scan(0, {}, {{20, 2}, {10, 1}, {40, 4}}, 9) == bad);
        tells("shows 10 after 20");
    }
    SECTION("bad: a key twice") {
        REQUIRE(scan(0, {}, {{10, 1}, {20, 2}, {20, 2}, {40, 4}}, 9) == bad);
        tells("shows 20 after 20");
    }
    SECTION("bad: below its range") {
        REQUIRE(scan(11, {}, {{10, 1}, {20, 2}, {40, 4}}, 9) == bad);
        tells("not in its range");
    }
    SECTION("bad: at the end of its range") { REQUIRE(scan(0, 40, {{10, 1}, {20, 2}, {40, 4}}, 9) == bad); }
    SECTION("bad: more than there is room for") {
        REQUIRE(scan(0, {}, {{10, 1}, {20, 2}}, 1) == bad);
        tells("its limit of 1");
    }
    SECTION("bad: a key out of nowhere") {
        REQUIRE(scan(0, {}, {{10, 1}, {15, 0}, {20, 2}, {40, 4}}, 9) == bad);
        tells("shows 15, a key that nobody ever used");
    }
}

TEST_CASE("a match tells of the blocks it counts and of the one at which it stops", "[sim][history]") {
    std::vector<std::uint64_t> const chain{10, 20, 30, 40};
    store h(content{{10, 1}, {20, 2}, {40, 4}});
    auto const match = [&](std::size_t matched, std::vector<std::uint64_t> const& values = {}) {
        auto const begin = h.tick();
        h.observe_match(7, begin, h.tick(), chain, matched, values);
        return judge(h);
    };
    SECTION("good") {
        REQUIRE(match(2) == good);
        REQUIRE(match(2, {1, 2, 0, 0}) == good);
        h.said(h.begin(0, call_kind::insert, 30, 3), true);
        REQUIRE(match(4, {1, 2, 3, 4}) == good);
        h.said(h.begin(0, call_kind::erase, 10), true);
        REQUIRE(match(0) == good);
    }
    SECTION("bad: it counts a block erased before it began") {
        h.said(h.begin(0, call_kind::erase, 20), true);
        REQUIRE(match(2) == bad);
    }
    SECTION("bad: it counts a block that never was") { REQUIRE(match(3) == bad); }
    SECTION("bad: it stops before a block that is there throughout") { REQUIRE(match(1) == bad); }
    SECTION("bad: it tells another location") { REQUIRE(match(2, {1, 3}) == bad); }
    SECTION("bad: longer than the chain") {
        REQUIRE(match(5) == bad);
        REQUIRE_THAT(h.violation().value_or("good"), has_text("of 4 blocks answered 5"));
    }
    SECTION("bad: fewer values than blocks") { REQUIRE(match(2, {1}) == bad); }
    SECTION("good: it stops at a block that comes and goes") {
        auto const begin = h.tick();
        h.said(h.begin(0, call_kind::erase, 20), true);
        h.said(h.begin(0, call_kind::insert, 20, 2), true);
        h.observe_match(7, begin, h.tick(), std::span(chain), 1);
        REQUIRE(judge(h) == good);
    }
}

TEST_CASE("the checker says of small random histories what trying all orders says", "[sim][history]") {
    auto const seed = test_seed(1);
    random_source random(seed);
    std::array<std::size_t, 2> seen{};
    for (int round = 0; round < 30'000; ++round) {
        std::vector<one_call> calls(2 + random.below(6));
        for (auto& c : calls) {
            c = {.kind = static_cast<call_kind>(random.below(6)),
                 .key = 1,
                 .argument = 1 + random.below(3),
                 .begin = random.below(20)};
            c.end = random.one_in(4) ? never : c.begin + random.below(10);
            c.lost = c.end != never && random.one_in(6);
            maybe value; // some answer that the call can have
            if (!random.one_in(3)) value = 1 + random.below(3);
            c.answered = on_a_map(c.kind, c.argument, value);
            if (random.one_in(2)) c.answered.seen.reset();
            if (random.one_in(8)) c.answered.what = untold;
        }
        maybe const initial = random.one_in(2) ? maybe(1 + random.below(3)) : maybe();
        auto const expected = some_order_explains(calls, initial, std::vector<bool>(calls.size())) ? good : bad;
        store h(initial ? content{{1, *initial}} : content{});
        for (auto const& c : calls) h.add(c);
        CAPTURE(seed, round, h.violation().value_or("good"));
        REQUIRE(judge(h) == expected);
        ++seen.at(expected == good ? 0 : 1);
    }
    CAPTURE(seen[0], seen[1]);
    REQUIRE(seen[0] > 3'000); // both kinds are there
    REQUIRE(seen[1] > 3'000);
}

TEST_CASE("random runs pass, and fail once an answer is wrong", "[sim][history]") {
    auto const seed = test_seed(2);
    random_source random(seed);
    for (int round = 0; round < 3'000; ++round) {
        random_run run{random, 20 + random.below(80), 1 + random.below(5), 1 + random.below(8), 4 + random.below(30)};
        CAPTURE(seed, round);
        {
            auto const why = run.recorded().violation();
            CAPTURE(why.value_or("good"));
            REQUIRE_FALSE(why);
        }
        auto& broken = run.done[random.below(run.done.size())];
        if (broken.end == never || broken.lost) continue;
        auto const kind = broken.kind;
        if (kind == call_kind::find || kind == call_kind::insert_if_absent)
            broken.answered = {untold, 999'999}; // written by nobody
        else
            broken.answered = {mutation_outcome::pending, 999'999};
        REQUIRE(judge(run.recorded()) == bad);
    }
}

TEST_CASE("a call that says the contrary of what was true throughout is found in a long run", "[sim][history]") {
    auto const seed = test_seed(3);
    random_source random(seed);
    for (int round = 0; round < 300; ++round) {
        random_run run(random, 60, 1, 4, 20);
        CAPTURE(seed, round);
        // After the run: everybody is done (fenced, those that died), the key is written and read, once wrongly.
        for (auto& c : run.done)
            if (c.end == never) c.end = 999'999, c.lost = true;
        auto h = run.recorded();
        auto const quiet = std::uint64_t{1'000'000};
        h.add({.kind = call_kind::upsert, .argument = 5, .begin = quiet, .end = quiet + 1});
        auto const kind = static_cast<call_kind>(random.below(6));
        auto const argument = 5 + random.below(2);
        maybe value = 5;
        maybe otherwise = random.one_in(2) ? maybe(6) : maybe();
        auto const truth = on_a_map(kind, argument, value);
        auto const lie = on_a_map(kind, argument, otherwise);
        h.add({.kind = kind, .argument = argument, .begin = quiet + 2, .end = quiet + 3, .answered = truth});
        REQUIRE(judge(h) == good);
        auto wrong = run.recorded();
        wrong.add({.kind = call_kind::upsert, .argument = 5, .begin = quiet, .end = quiet + 1});
        wrong.add({.kind = kind, .argument = argument, .begin = quiet + 2, .end = quiet + 3, .answered = lie});
        REQUIRE(judge(wrong) == bad);
    }
}

TEST_CASE("the search stays small where it must", "[sim][history]") {
    random_source random(test_seed(4));
    SECTION("300 calls of 10 clients on 5 keys") {
        for (int round = 0; round < 100; ++round)
            REQUIRE(judge(random_run(random, 300, 5, 10, 30).recorded(), 20'000) == good);
    }
    SECTION("a long history costs what it is long") {
        REQUIRE(judge(random_run(random, 20'000, 1, 2, 1'000'000).recorded(), 100'000) == good);
    }
    SECTION("100 clients that died on one key") {
        store h(content{{1, 1}});
        for (std::uint64_t i = 0; i < 100; ++i)
            h.begin(1, i % 3 == 0 ? call_kind::erase : call_kind::upsert, 1, 100 + i);
        for (std::uint64_t i = 0; i < 100; ++i) {
            h.said(h.begin(2, call_kind::upsert, 1, 300 + i), false);
            h.found(h.begin(2, call_kind::find, 1), i % 3 == 1 ? 100 + i : 300 + i);
        }
        REQUIRE(judge(h, 200'000) == good);
        h.found(h.begin(2, call_kind::find, 1), 101); // a second time
        REQUIRE(judge(h, 200'000) == bad);
    }
    SECTION("clients that died at the same, or at what nobody saw") {
        store h;
        for (std::uint64_t i = 0; i < 120; ++i)
            h.begin(1, i % 2 == 0 ? call_kind::erase : call_kind::upsert, 1, 100 + i);
        for (std::uint64_t i = 0; i < 40; ++i) {
            h.said(h.begin(2, call_kind::insert, 1, i), true);
            h.said(h.begin(2, call_kind::insert, 1, i), true); // one of the erases
            h.said(h.begin(2, call_kind::erase, 1), true);
            h.said(h.begin(2, call_kind::erase, 1), true); // one of the upserts
        }
        REQUIRE(judge(h, 50'000) == good);
        for (std::uint64_t i = 0; i < 20; ++i) {
            h.said(h.begin(2, call_kind::erase, 1), true);
            REQUIRE(judge(h, 50'000) == good);
        }
        h.said(h.begin(2, call_kind::erase, 1), true); // 61 that found something, but 60 upserts
        REQUIRE(judge(h, 50'000) == bad);
    }
    SECTION("and gives up where it is not") {
        store h;
        for (std::uint64_t i = 0; i < 40; ++i)
            h.add({.kind = call_kind::upsert, .key = 1, .argument = i, .begin = 1, .end = 100 + i});
        REQUIRE(judge(h, 10'000) == verdict::unknown);
        for (std::uint64_t i = 0; i < 300; ++i) h.begin(1, call_kind::upsert, 2, i);
        h.found(h.begin(1, call_kind::find, 2), 500);
        REQUIRE(judge(h, 10'000) == verdict::unknown);
    }
}
