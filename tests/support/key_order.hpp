// SPDX-License-Identifier: Apache-2.0
// key_order: is there an order of the calls about one key that explains all their answers?
//
// Wing and Gong (1993) search for an order of the calls. Lowe (Testing for
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
// Thread safety: one thread at a time.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include <catena/index/mutation.hpp>

#include <support/calls_made.hpp>

namespace catena::test {

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

} // namespace catena::test
