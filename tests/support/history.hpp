// SPDX-License-Identifier: Apache-2.0
// history: what clients asked of a key-value index, what it answered, and whether some order of the calls explains it.
//
// Each key by itself is to be linearizable (Herlihy and Wing 1990): every call takes effect at one moment between its
// begin and its end, and its answer is that of a map at that moment. A call that never ended (its client died, or got
// an error that leaves the effect unknown) took effect at any one moment after its begin, or never. Scans, matches and
// batches are one call for each key they tell about: each with a moment of its own within the interval of the whole.
//
// How a key is checked (key_order). Wing and Gong (1993) search for an order of the calls. Lowe (Testing for
// Linearizability, 2017) remembers where the search has been, and lets calls take effect just in time: when a call ends
// that is not placed yet, some of those under way are placed in some order, it the last of them. So we walk through all
// begins and ends in order of time, with the set of configurations (value of the key, which of the calls under way are
// placed) that the past allows. None left: no order explains the answer of the call that ends here. It stays small:
//   S1  A call that ended is forgotten: at quiet moments only values and calls without an end are carried on.
//   S2  A call whose answer says that it changes nothing (find, "absent", "present", "differs") is placed wherever its
//       answer fits: placed sooner, while it is under way, it is in nobody's way.
//   S3  A configuration is left out if another has the same value, the same calls placed, but fewer of those that need
//       not take effect at all: whatever happens after the one can happen after the other.
//   S4  Of calls that need not take effect and do the same, the one in the lowest place goes first.
//   S5  Values that no answer and no erase_if speaks of are one and the same value: nobody can tell them apart.
// Cost: linear in the length of the history (after a sort). An end costs up to (values) x 2^w configurations, w =
// changes under way that have an end; calls without one add a factor of their number, not of their subsets, except
// where many of them are conditional (insert, erase_if). Measured, g++ 12 -O2, 300 calls of 10 clients: on 5 keys 20 us
// a key, 30 us if every 20th change dies; all on one key 0.4 ms, with such deaths 5 ms (the worst of 300 runs: 70 ms).
// Thread safety: one thread at a time. Threads log their calls with times of one register_clock, and add() them later.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <catena/index/mutation.hpp>

namespace catena::test {

/// How keys and values are printed: integers in decimal, others as the hexadecimal words (or bytes) they consist of.
/// A type that wants it otherwise has a function describe(T const&) in its namespace.
template <typename T>
[[nodiscard]] std::string describe(T const& it) {
    if constexpr (std::is_integral_v<T>) {
        return std::to_string(it);
    } else {
        static_assert(std::is_trivially_copyable_v<T>, "write a function describe() for this type");
        using word = std::conditional_t<sizeof(T) % sizeof(std::uint64_t) == 0, std::uint64_t, unsigned char>;
        std::array<word, sizeof(T) / sizeof(word)> words;
        std::memcpy(words.data(), &it, sizeof(T));
        std::string text;
        for (auto const w : words) {
            std::array<char, 16> digits;
            auto const end = std::to_chars(digits.begin(), digits.end(), w, 16).ptr;
            if (!text.empty()) text += ':';
            text.append(digits.begin(), end);
        }
        return text;
    }
}

enum class call_kind : std::uint8_t { find, insert, insert_if_absent, upsert, erase, erase_if };

/// What a call learned. `what` as in mutation.hpp, for a find present or absent; pending: nobody told. `seen`, if
/// it was told: the value that was there, for insert_if_absent the one that is there afterwards.
template <typename Value>
struct answer {
    mutation_outcome what = mutation_outcome::pending;
    std::optional<Value> seen{};
};

template <typename Key, typename Value>
struct call {
    static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();

    std::uint32_t client = 0;
    call_kind kind = call_kind::find;
    Key key{};
    Value argument{}; ///< the value written; of erase_if the value expected
    std::uint64_t begin = 0;
    std::uint64_t end = never; ///< one call was over when another began: its end < the other's begin
    answer<Value> answered{};
    bool lost = false; ///< `end` is no return but a fence: the call took effect before that moment, or never

    [[nodiscard]] bool need_not_happen() const noexcept { return lost || end == never; }
};

/// One line: interval, client, what it asked, what it learned.
template <typename Key, typename Value>
[[nodiscard]] std::string describe(call<Key, Value> const& c) {
    constexpr std::array kinds{"find", "insert", "insert_if_absent", "upsert", "erase", "erase_if"};
    constexpr std::array outcomes{"done", "inserted", "replaced", "erased", "present", "absent", "differs"};
    std::string text = "[" + std::to_string(c.begin) + ", " + (c.end == c.never ? "never" : std::to_string(c.end)) +
                       "] client " + std::to_string(c.client) + " " + kinds.at(static_cast<std::size_t>(c.kind));
    if (c.kind != call_kind::find && c.kind != call_kind::erase) text += " " + describe(c.argument);
    if (c.end == c.never) return text;
    if (c.lost) return text + " -> lost";
    text += std::string(" -> ") + outcomes.at(static_cast<std::size_t>(c.answered.what));
    if (c.answered.seen) text += ", saw " + describe(*c.answered.seen);
    return text;
}

/// The search for one key, see the top of the file.
template <typename Key, typename Value>
class key_order {
public:
    using call_type = call<Key, Value>;
    static constexpr std::size_t max_under_way = 256;

    /// The calls must outlive this object.
    key_order(std::vector<call_type const*> calls, std::optional<Value> const& initial, std::size_t max_configurations)
        : calls_(std::move(calls)), budget_(max_configurations) {
        for (auto const* c : calls_) {
            if (c->kind == call_kind::erase_if) enter(c->argument);
            if (c->answered.seen && !c->need_not_happen()) enter(*c->answered.seen);
        }
        configurations_.push_back({.value = initial ? number(*initial) : nothing, .placed = {}});
    }

    /// Once. Nothing if some order explains all answers, else what none explains, or that the search was given up.
    [[nodiscard]] std::optional<std::string> violation() {
        struct moment {
            std::uint64_t time;
            bool is_end;
            std::size_t which;
        };
        std::vector<moment> moments;
        for (std::size_t i = 0; i < calls_.size(); ++i) {
            moments.push_back({calls_[i]->begin, false, i});
            if (calls_[i]->end != call_type::never) moments.push_back({calls_[i]->end, true, i});
        }
        std::sort(moments.begin(), moments.end(), [](moment const& a, moment const& b) {
            return std::tie(a.time, a.is_end, a.which) < std::tie(b.time, b.is_end, b.which);
        });
        std::vector<std::size_t> place_of(calls_.size());
        for (auto const& m : moments) {
            if (!m.is_end) {
                auto const place = start(*calls_[m.which]);
                if (!place)
                    return "unknown: gave up, more than " + std::to_string(max_under_way) + " calls under way at once" +
                           listing(m.which);
                place_of[m.which] = *place;
                continue;
            }
            auto const explained = finish(place_of[m.which]);
            if (budget_ == 0) return "unknown: gave up, too many configurations" + listing(m.which);
            if (!explained)
                return "no order of the calls explains the answer of the one marked >; the calls that ended before it "
                       "leave " +
                       values() + listing(m.which);
        }
        return std::nullopt;
    }

private:
    using number_type = std::uint32_t; // 0: the key is absent, i + 1: values_[i], beyond: any other value (S5)
    using places = std::bitset<max_under_way>;
    static constexpr number_type nothing = 0;

    struct configuration {
        number_type value;
        places placed;

        friend bool operator==(configuration const& a, configuration const& b) noexcept {
            return a.value == b.value && a.placed == b.placed;
        }
    };
    struct hash {
        std::size_t operator()(configuration const& c) const noexcept {
            return std::hash<places>{}(c.placed) ^ c.value * std::size_t{0x9e3779b97f4a7c15};
        }
    };
    /// A call under way, its values as numbers.
    struct running {
        bool used = false;
        call_kind kind{};
        number_type argument = nothing;
        std::optional<number_type> seen{};
        mutation_outcome what{};
        std::uint64_t end = 0;
        bool need_not_happen = false;
        bool only_reads = false; ///< whenever its answer fits, it changes nothing (S2)
    };

    /// Configurations without those that another one makes superfluous (S3), the first kept.
    class configuration_set {
    public:
        explicit configuration_set(places const& need_not_happen) : free_(need_not_happen) {}

        /// Whether it is a new one.
        bool add(configuration const& c) {
            auto& known = placed_free_[{.value = c.value, .placed = c.placed & ~free_}];
            for (auto const& fewer : known)
                if ((fewer & ~c.placed).none()) return false;
            known.push_back(c.placed & free_);
            all.push_back(c);
            return true;
        }

        std::vector<configuration> all;

    private:
        places free_;
        std::unordered_map<configuration, std::vector<places>, hash> placed_free_;
    };

    [[nodiscard]] number_type number(Value const& v) const {
        auto const at = std::find(values_.begin(), values_.end(), v);
        return static_cast<number_type>(at - values_.begin() + 1);
    }
    void enter(Value const& v) {
        if (number(v) > values_.size()) values_.push_back(v);
    }

    /// The value after the call, if it takes effect where the value is `value`; nothing if its answer says otherwise.
    [[nodiscard]] static std::optional<number_type> effect(running const& r, number_type value) noexcept {
        using enum mutation_outcome;
        auto const is_there = value != nothing;
        auto after = value;
        auto what = is_there ? present : absent;
        switch (r.kind) {
        case call_kind::find: break;
        case call_kind::insert:
        case call_kind::insert_if_absent:
            if (!is_there) after = r.argument, what = inserted;
            break;
        case call_kind::upsert: after = r.argument, what = is_there ? replaced : inserted; break;
        case call_kind::erase:
            if (is_there) after = nothing, what = erased;
            break;
        case call_kind::erase_if:
            if (is_there) what = value == r.argument ? erased : differs;
            if (what == erased) after = nothing;
            break;
        }
        auto const seen = r.kind == call_kind::insert_if_absent ? after : value;
        if ((r.what != pending && r.what != what) || (r.seen && *r.seen != seen)) return std::nullopt;
        return after;
    }

    /// Places every call that only reads and fits (S2). Holds for all configurations between two moments.
    void read(configuration& c) const {
        for (std::size_t i = 0; i < running_.size(); ++i)
            if (running_[i].used && running_[i].only_reads && effect(running_[i], c.value)) c.placed.set(i);
    }

    [[nodiscard]] std::optional<std::size_t> start(call_type const& c) {
        using enum mutation_outcome;
        std::size_t place = 0;
        while (place < running_.size() && running_[place].used) ++place;
        if (place == max_under_way) return std::nullopt;
        if (place == running_.size()) running_.emplace_back();
        auto const& a = c.answered;
        auto& r = running_[place];
        r = {.used = true, .kind = c.kind, .end = c.end};
        if (c.kind != call_kind::find && c.kind != call_kind::erase) r.argument = number(c.argument);
        r.need_not_happen = c.need_not_happen();
        if (!r.need_not_happen) {
            r.what = a.what;
            if (a.seen) r.seen = number(*a.seen);
            r.only_reads = c.kind == call_kind::find || a.what == present || a.what == absent || a.what == differs ||
                           (c.kind == call_kind::insert_if_absent && r.seen && *r.seen != r.argument);
            for (auto& known : configurations_) read(known);
        }
        return place;
    }

    /// Of two calls that need not happen and are the same in everything to come, only the first may be next (S4).
    [[nodiscard]] bool has_twin_before(std::size_t place, places const& placed) const {
        auto const& r = running_[place];
        for (std::size_t i = 0; i < place; ++i) {
            auto const& o = running_[i];
            if (o.used && o.need_not_happen && !placed[i] && o.kind == r.kind && o.argument == r.argument &&
                o.end == r.end)
                return true;
        }
        return false;
    }

    /// The call in `place` ends: it has taken effect in every configuration that is left, unless it need not. False,
    /// and nothing changed, if none is left.
    [[nodiscard]] bool finish(std::size_t place) {
        auto const is_placed = [place](configuration const& c) { return c.placed[place]; };
        if (std::all_of(configurations_.begin(), configurations_.end(), is_placed)) {
            for (auto& c : configurations_) c.placed.reset(place);
            running_[place].used = false;
            return true;
        }
        places free;
        for (std::size_t i = 0; i < running_.size(); ++i) free[i] = running_[i].used && running_[i].need_not_happen;
        configuration_set reached(free);
        configuration_set left(free);
        for (auto const& c : configurations_) reached.add(c);
        for (std::size_t at = 0; at < reached.all.size() && budget_ > 0; ++at, --budget_) {
            auto const from = reached.all[at];
            if (from.placed[place] || running_[place].need_not_happen) {
                auto over = from;
                left.add({.value = over.value, .placed = over.placed.reset(place)});
                if (from.placed[place]) continue;
            }
            for (std::size_t i = 0; i < running_.size(); ++i) {
                auto const& r = running_[i];
                if (!r.used || r.only_reads || from.placed[i]) continue;
                auto const after = effect(r, from.value);
                if (!after || (r.need_not_happen && has_twin_before(i, from.placed))) continue;
                auto to = configuration{.value = *after, .placed = from.placed};
                to.placed.set(i);
                read(to);
                reached.add(to);
            }
        }
        if (left.all.empty()) return false;
        running_[place].used = false;
        configurations_ = std::move(left.all);
        return true;
    }

    [[nodiscard]] std::string values() const {
        std::vector<number_type> numbers;
        for (auto const& c : configurations_) numbers.push_back(c.value);
        std::sort(numbers.begin(), numbers.end());
        numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
        std::string text;
        for (auto const n : numbers) {
            if (!text.empty()) text += " or ";
            text += n == nothing ? "nothing" : n > values_.size() ? "a value nobody saw" : describe(values_[n - 1]);
        }
        return text;
    }

    /// The calls that began before calls_[marked] ended, the last of them if there are many: later ones have no say.
    [[nodiscard]] std::string listing(std::size_t marked) const {
        constexpr std::size_t most = 60;
        std::vector<std::size_t> told;
        for (std::size_t i = 0; i < calls_.size(); ++i)
            if (calls_[i]->begin <= calls_[marked]->end) told.push_back(i);
        std::sort(told.begin(), told.end(),
                  [&](auto a, auto b) { return std::tie(calls_[a]->begin, a) < std::tie(calls_[b]->begin, b); });
        auto const skipped = told.size() > most ? told.size() - most : 0;
        std::string text = skipped == 0 ? "" : "\n    (" + std::to_string(skipped) + " earlier calls)";
        for (std::size_t i = 0; i < told.size(); ++i)
            if (i >= skipped || told[i] == marked)
                text += (told[i] == marked ? "\n  > " : "\n    ") + describe(*calls_[told[i]]);
        return text;
    }

    std::vector<call_type const*> calls_;
    std::size_t budget_;
    std::vector<Value> values_;    // those that an answer or an erase_if speaks of (S5)
    std::vector<running> running_; // by place
    std::vector<configuration> configurations_;
};

template <typename Key, typename Value>
class history {
public:
    using call_type = call<Key, Value>;
    using handle = std::size_t;

    explicit history(std::map<Key, Value> initial = {}) : initial_(std::move(initial)) {}

    /// A moment after all those before.
    [[nodiscard]] std::uint64_t tick() noexcept { return ++now_; }

    /// A call with times and answer of its own.
    handle add(call_type const& c) {
        if (c.end < c.begin) complain("a call ends before it begins: " + describe(c));
        calls_.push_back(c);
        return calls_.size() - 1;
    }

    /// A call begins now. Unless one of the functions below ends it, it never ends.
    handle begin(std::uint32_t client, call_kind kind, Key const& key, Value const& argument = {}) {
        return add({.client = client, .kind = kind, .key = key, .argument = argument, .begin = tick()});
    }
    /// What insert ("it was absent"), upsert ("it was absent") and erase ("it was there") return.
    void said(handle h, bool yes) {
        using enum mutation_outcome;
        switch (calls_[h].kind) {
        case call_kind::find: return finish(h, {.what = yes ? present : absent});
        case call_kind::insert:
        case call_kind::insert_if_absent: return finish(h, {.what = yes ? inserted : present});
        case call_kind::upsert: return finish(h, {.what = yes ? inserted : replaced});
        case call_kind::erase: return finish(h, {.what = yes ? erased : absent});
        case call_kind::erase_if: return yes ? finish(h, {.what = erased}) : complain("erase_if has two sorts of no");
        }
    }
    void found(handle h, std::optional<Value> const& value) { finish(h, looked(value)); }
    /// What insert_if_absent returns.
    void in_force(handle h, Value const& value) { finish(h, {.seen = value}); }
    /// What apply() made of a change. One that is still pending (after an error) leaves the call open.
    void told(handle h, mutation<Key, Value> const& m) {
        if (m.outcome == mutation_outcome::pending) return;
        finish(h, {.what = m.outcome});
        if (m.outcome == mutation_outcome::present) calls_[h].answered.seen = m.value;
    }
    /// It took effect, but nobody told what it found (the blocks of a forget).
    void done(handle h) { finish(h, {}); }
    /// It ended with an error that says that nothing changed: it was never made.
    void withdraw(handle h) { calls_[h].kind = call_kind::find; }
    /// Its client is fenced: it took effect before this moment, or never.
    void lost(handle h) {
        finish(h, {});
        calls_[h].lost = true;
    }

    /// One key of what a call in [begin, end] saw.
    void observe(std::uint32_t client, std::uint64_t begin, std::uint64_t end, Key const& key, answer<Value> const& a) {
        add({.client = client, .key = key, .begin = begin, .end = end, .answered = a});
    }
    void observe(std::uint32_t client, std::uint64_t begin, std::uint64_t end, Key const& key,
                 std::optional<Value> const& value) {
        observe(client, begin, end, key, looked(value));
    }

    /// A scan of from <= key < to that returned `entries` and had room for `limit`. universe: all keys that there may
    /// be, ascending. It tells of each of them in its range, but of none beyond the last entry if it is full.
    void observe_scan(std::uint32_t client, std::uint64_t begin, std::uint64_t end, std::span<Key const> universe,
                      Key const& from, std::optional<Key> const& to, std::span<entry<Key, Value> const> entries,
                      std::size_t limit) {
        auto const wrong = [&](std::string const& why) {
            complain("scan [" + std::to_string(begin) + ", " + std::to_string(end) + "] client " +
                     std::to_string(client) + " from " + describe(from) + (to ? " to " + describe(*to) : "") + ", " +
                     why);
        };
        if (entries.size() > limit) return wrong("returned more than its limit of " + std::to_string(limit));
        for (std::size_t i = 0; i < entries.size(); ++i) {
            auto const& key = entries[i].key;
            auto const shows = "shows " + describe(key);
            if (key < from || (to && !(key < *to))) return wrong(shows + ", which is not in its range");
            if (i > 0 && !(entries[i - 1].key < key)) return wrong(shows + " after " + describe(entries[i - 1].key));
            if (!std::binary_search(universe.begin(), universe.end(), key))
                return wrong(shows + ", a key that nobody ever used");
        }
        auto next = entries.begin();
        for (auto const& key : universe) {
            if (key < from || (to && !(key < *to))) continue;
            if (next == entries.end() && entries.size() == limit) break; // it did not look further
            auto const is_there = next != entries.end() && !(key < next->key);
            observe(client, begin, end, key, is_there ? std::optional<Value>(next->value) : std::nullopt);
            if (is_there) ++next;
        }
    }

    /// A match of `chain` that ended at block `matched`. values: those of the blocks matched, or none if not asked for.
    void observe_match(std::uint32_t client, std::uint64_t begin, std::uint64_t end, std::span<Key const> chain,
                       std::size_t matched, std::span<Value const> values = {}) {
        if (matched > chain.size() || (!values.empty() && values.size() < matched))
            return complain("a match of " + std::to_string(chain.size()) + " blocks answered " +
                            std::to_string(matched) + ", with " + std::to_string(values.size()) + " values");
        for (std::size_t i = 0; i < matched; ++i) {
            answer<Value> a{.what = mutation_outcome::present};
            if (!values.empty()) a.seen = values[i];
            observe(client, begin, end, chain[i], a);
        }
        if (matched < chain.size()) observe(client, begin, end, chain[matched], std::nullopt);
    }

    [[nodiscard]] std::vector<call_type> const& calls() const noexcept { return calls_; }

    /// The first observation that contradicts itself, else the first key whose calls no order explains, in words and
    /// with its calls; "unknown: ..." if that took more than max_configurations for one key.
    [[nodiscard]] std::optional<std::string> violation(std::size_t max_configurations = 2'000'000) const {
        if (complaint_) return complaint_;
        std::map<Key, std::vector<call_type const*>> by_key;
        for (auto const& c : calls_) // a find without an answer says nothing
            if (c.kind != call_kind::find || !c.need_not_happen()) by_key[c.key].push_back(&c);
        for (auto& [key, calls] : by_key) {
            auto const before = initial_.find(key);
            auto const initial = before == initial_.end() ? std::nullopt : std::optional<Value>(before->second);
            key_order<Key, Value> order(std::move(calls), initial, max_configurations);
            if (auto const why = order.violation())
                return "key " + describe(key) + " (before: " + (initial ? describe(*initial) : "nothing") +
                       "): " + *why;
        }
        return std::nullopt;
    }

private:
    [[nodiscard]] static answer<Value> looked(std::optional<Value> const& value) {
        return {.what = value ? mutation_outcome::present : mutation_outcome::absent, .seen = value};
    }
    void finish(handle h, answer<Value> const& a) {
        if (calls_[h].end != call_type::never) complain("a call ended twice: " + describe(calls_[h]));
        calls_[h].end = tick();
        calls_[h].answered = a;
    }
    void complain(std::string const& why) {
        if (!complaint_) complaint_ = why;
    }

    std::map<Key, Value> initial_;
    std::vector<call_type> calls_;
    std::optional<std::string> complaint_;
    std::uint64_t now_ = 0;
};

} // namespace catena::test
