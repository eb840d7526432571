// SPDX-License-Identifier: Apache-2.0
// history: what clients asked of a key-value index, what it answered, and whether some order of the calls explains it.
//
// Each key by itself is to be linearizable (Herlihy and Wing 1990): every call takes effect at one moment between its
// begin and its end, and its answer is that of a map at that moment. A call that never ended (its client died, or got
// an error that leaves the effect unknown) took effect at any one moment after its begin, or never. Scans, matches and
// batches are one call for each key they tell about: each with a moment of its own within the interval of the whole.
// How a key is checked: key_order.hpp.
// Thread safety: one thread at a time. Threads log their calls with times of one register_clock, and add() them later.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catena/index/mutation.hpp>

#include <support/key_order.hpp>

namespace catena::test {

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
