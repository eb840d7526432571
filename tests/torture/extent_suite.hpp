// SPDX-License-Identifier: Apache-2.0
// extent_suite: clients that publish, match and forget chains that share prefixes, over an extent_index, while faults strike.
//
// Each block is a register: a publish is an insert-if-absent of it, a forget an erase, a match tells that its blocks were
// present and that the next one was absent, each at some moment of the call. What extent_index.hpp leaves open is left out:
//   O1  A publish that failed, or whose client died, and blocks that it said are behind a gap: their places are nobody's.
//       They may be seen, come and go; no sight of them is a constraint, nor that another publish was told of them.
//   O2  While a publish is under way its blocks may flicker. Its last moment of listing one for good lies before its return, so
//       a sight of its place is a constraint if the publish returned before the sight's end with that place in force: either
//       the sight saw it after that moment, or that moment is in the sight's interval itself.
//   O3  A publish that was told another's place is a sight of that place and changed nothing for good (if its own was
//       listed for a while, it was taken off, and is gone for ever).
//   O4  A presence without a place is a constraint if no place that may flicker then (O1, O2) can explain it.
// The absence at a match's end is always a constraint: the blocks before it were seen in extents that were alive, the last of
// them, in one extent, which is the only one behind whose blocks or bits the next block can be (X3, X4), and which stays as
// long as that one is listed (X5). So it was not listed when that extent was read, or when the index was asked for it, both in
// the match's interval. A place that is nobody's (O1) counts as absent in the registers.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <catena/prefix/extent_index.hpp>

#include <support/chains.hpp>
#include <support/history.hpp>
#include <support/joined.hpp>
#include <torture/suite_run.hpp>

namespace catena::torture {

/// Index: an extent_index. most_blocks: of a chain of its own.
template <typename Index, std::size_t MostBlocks>
class extent_suite : suite_run {
public:
    extent_suite(scenario const& s, std::vector<sim_event>* log) : suite_run(s), arena_(s, log) {
        // A chain, and branches that leave it, or each other, at some block.
        sim_random random(s.seed, 13);
        auto const length = std::min<std::size_t>(2 + s.keys * MostBlocks / 40, MostBlocks);
        chains_.push_back(test::chain_of(1, length));
        auto const branches = 1 + random.below(4);
        for (std::uint64_t branch = 2; branch < 2 + branches; ++branch) {
            auto const& of = chains_[random.below(chains_.size())];
            auto const shared = std::span(of).first(random.below(of.size() + 1));
            chains_.push_back(test::joined(shared, test::chain_of(branch, 1 + random.below(length))));
        }
    }

    [[nodiscard]] outcome run() {
        auto& keeper = arena_.keeper();
        keepers_ = std::make_unique<Index>(test::ok(Index::create(keeper, "blocks", cache_bytes)));
        if (2 * scenario_.preload > scenario_.keys) preload();
        for (unsigned c = 1; c <= scenario_.clients; ++c) {
            auto& m = arena_.join(false, scenario_.sessions);
            for (unsigned i = 0; i < scenario_.sessions; ++i) {
                bool const shared = i != 0 && c % 2 == 0; // or an object of its own
                if (!shared)
                    indexes_.push_back(std::make_unique<Index>(
                        test::ok(Index::open(m.sessions[i], "blocks", cache_bytes, scenario_.seed % 2 * 8192))));
                arena_.add_life(live(m.sessions[i], *indexes_.back(), c * 10 + i));
            }
        }
        return judged(arena_, [&] {
            auto const wrong = audit();
            return wrong ? wrong : judge();
        });
    }

private:
    using chain = std::vector<block_hash>;
    using history_type = test::history<block_hash, location>;
    static constexpr std::size_t cache_bytes = 1U << 14U;
    static constexpr std::uint64_t never = test::call<block_hash, location>::never;

    /// One block of a publish.
    struct listing {
        std::uint32_t who = 0;
        block_hash key{};
        location place; ///< its own
        std::uint64_t begin = 0;
        std::uint64_t end = never; ///< never: nobody's (O1)
        location in_force;
    };
    /// A block was seen, or not.
    struct sight {
        std::uint32_t who = 0;
        block_hash key{};
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
        bool present = false;
        std::optional<location> place; ///< not known
    };

    void preload() {
        auto const& c = chains_.front();
        auto where = new_places(0, c.size());
        auto const calls = begin_listing(0, c, where, 0);
        (void)test::ok(sync_wait(arena_.keeper(), keepers_->publish(arena_.keeper(), c, where)));
        for (std::size_t i = 0; i < c.size(); ++i) listed(calls + i, where[i]);
    }

    [[nodiscard, gnu::noinline]] task<result<void>> live(session_type& s, Index& index, std::uint32_t who) {
        sim_random random(scenario_.seed, 1000 + who);
        for (unsigned i = 0; i < scenario_.operations; ++i) {
            auto const what = random.below(10);
            result<void> done;
            if (what < 2)
                done = co_await match(s, index, who, random);
            else if (what == 2)
                done = co_await match_many(s, index, who, random);
            else if (what == 3)
                done = co_await match_and_publish(s, index, who, random);
            else if (what == 4)
                done = co_await contains(s, index, who, random);
            else if (what < 7 || scenario_.erases == 0)
                done = co_await publish(s, index, who, random);
            else if (what == 7 && random.one_in(4))
                done = co_await sleep(s);
            else
                done = co_await forget(s, index, who, random);
            if (!done) co_return done;
            ++operations_;
        }
        co_return result<void>{};
    }

    // --- what is recorded ---

    [[nodiscard]] std::uint64_t tick() noexcept { return ++now_; }
    [[nodiscard]] std::vector<location> new_places(std::uint32_t who, std::size_t n) {
        std::vector<location> where;
        for (std::size_t i = 0; i < n; ++i) where.emplace_back(static_cast<std::uint16_t>(who), ++blocks_);
        return where;
    }
    /// Returns the number of the first of them in listings_.
    std::size_t begin_listing(std::uint32_t who, std::span<block_hash const> c, std::span<location const> where,
                              std::size_t from) {
        auto const first = listings_.size();
        auto const begin = tick();
        for (std::size_t i = from; i < c.size(); ++i) {
            owner_[where[i].word()] = listings_.size();
            listings_.push_back({.who = who, .key = c[i], .place = where[i], .begin = begin, .in_force = {}});
        }
        return first;
    }
    void listed(std::size_t call, location in_force) {
        listings_[call].end = tick();
        listings_[call].in_force = in_force;
    }
    void saw_match(std::uint32_t who, std::uint64_t begin, std::uint64_t end, std::span<block_hash const> c,
                   std::size_t n, std::span<location const> where) {
        if (n > c.size()) complaint_ = "a match answered " + std::to_string(n) + " of " + std::to_string(c.size());
        n = std::min(n, c.size());
        for (std::size_t i = 0; i < n; ++i)
            sights_.push_back({.who = who,
                               .key = c[i],
                               .begin = begin,
                               .end = end,
                               .present = true,
                               .place = where.empty() ? std::nullopt : std::optional(where[i])});
        if (n < c.size()) sights_.push_back({.who = who, .key = c[n], .begin = begin, .end = end, .place = {}});
    }

    // --- what clients do ---

    [[nodiscard]] chain any_chain(sim_random& random) {
        auto c = chains_[random.below(chains_.size())];
        if (random.one_in(2)) c.resize(1 + random.below(c.size()));
        return c;
    }

    /// A match that is recorded, if it comes back.
    [[nodiscard, gnu::noinline]] task<result<match_answer>> seen_match(session_type& s, Index& index, std::uint32_t who,
                                                                       std::span<block_hash const> c,
                                                                       std::span<location> where) {
        auto const begin = tick();
        auto const a = co_await index.match(s, c, where);
        if (a) saw_match(who, begin, tick(), c, a->blocks, where);
        co_return a;
    }

    [[nodiscard, gnu::noinline]] task<result<void>> match(session_type& s, Index& index, std::uint32_t who,
                                                          sim_random& random) {
        auto const c = any_chain(random);
        std::vector<location> where(random.one_in(4) ? 0 : c.size());
        auto const a = co_await seen_match(s, index, who, c, where);
        if (!a) co_return failed(a.error(), "match");
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> match_many(session_type& s, Index& index, std::uint32_t who,
                                                               sim_random& random) {
        std::vector<chain> chains;
        for (auto n = 1 + random.below(4); chains.size() < n;) chains.push_back(any_chain(random));
        std::vector<std::span<block_hash const>> const all(chains.begin(), chains.end());
        std::vector<match_answer> answers(all.size());
        std::vector<std::vector<location>> places(all.size());
        std::vector<std::span<location>> out;
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (!random.one_in(4)) places[i].resize(all[i].size());
            out.emplace_back(places[i]);
        }
        if (random.one_in(4)) out.clear();
        auto const begin = tick();
        auto const done = co_await index.match_many(s, all, answers, out);
        if (!done) co_return failed(done.error(), "match_many");
        auto const end = tick();
        for (std::size_t i = 0; i < all.size(); ++i)
            saw_match(who, begin, end, all[i], answers[i].blocks, out.empty() ? std::span<location>{} : out[i]);
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> contains(session_type& s, Index& index, std::uint32_t who,
                                                             sim_random& random) {
        auto const c = any_chain(random);
        auto const begin = tick();
        auto const there = co_await index.contains(s, c);
        if (!there) co_return failed(there.error(), "contains");
        if (*there) {
            constexpr auto window = Index::options::window;
            saw_match(who, begin, tick(), std::span(c).subspan((c.size() - 1) / window * window),
                      c.size() - (c.size() - 1) / window * window, {});
        }
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> publish(session_type& s, Index& index, std::uint32_t who,
                                                            sim_random& random) {
        auto const c = any_chain(random);
        co_return co_await publish(s, index, who, c, random.one_in(4) ? random.below(c.size() + 1) : 0, {});
    }

    /// As a client does that found a prefix of its chain, perhaps on behalf of another chain with the same prefix.
    [[nodiscard, gnu::noinline]] task<result<void>> match_and_publish(session_type& s, Index& index, std::uint32_t who,
                                                                      sim_random& random) {
        auto const c = any_chain(random);
        std::vector<location> where(c.size());
        auto const a = co_await seen_match(s, index, who, c, where);
        if (!a) co_return failed(a.error(), "match");
        auto longer = c;
        for (auto const& other : chains_)
            if (other.size() > a->blocks &&
                std::equal(other.begin(), other.begin() + static_cast<std::ptrdiff_t>(a->blocks), c.begin()) &&
                random.one_in(2))
                longer = other;
        if (random.one_in(4)) co_return co_await publish(s, index, who, longer, a->blocks, {});
        co_return co_await publish(s, index, who, longer, a->blocks, a->end);
    }

    [[nodiscard, gnu::noinline]] task<result<void>> publish(session_type& s, Index& index, std::uint32_t who, chain c,
                                                            std::size_t from, match_end after) {
        auto where = new_places(who, c.size());
        auto const calls = begin_listing(who, c, where, from);
        auto const done = co_await index.publish(s, c, where, from, after);
        if (!done) co_return failed(done.error(), "publish");
        auto const there = done->inserted + done->already_present;
        if (there + done->behind_a_gap != c.size() - from) complaint_ = "the counts of a publish do not add up";
        for (std::size_t i = from; i < std::min(from + there, c.size()); ++i) listed(calls + i - from, where[i]);
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> forget(session_type& s, Index& index, std::uint32_t who,
                                                           sim_random& random) {
        auto const c = any_chain(random);
        auto const keep = random.one_in(2) ? 0 : random.below(c.size());
        std::vector<location> expected;
        if (random.one_in(3)) // what somebody may have published
            for (std::size_t i = 0; i < c.size(); ++i) {
                expected.emplace_back(1, 0);
                for (auto const& l : listings_)
                    if (l.key == c[i] && random.one_in(2)) expected.back() = l.place;
            }
        std::vector<std::size_t> calls;
        for (std::size_t i = keep; i < c.size(); ++i) {
            calls.push_back(erases_.size());
            erases_.push_back({.client = who,
                               .kind = expected.empty() ? test::call_kind::erase : test::call_kind::erase_if,
                               .key = c[i],
                               .argument = expected.empty() ? location{} : expected[i],
                               .begin = tick()});
        }
        auto const done = co_await index.forget(s, c, keep, expected);
        for (auto const call : calls) {
            erases_[call].end = tick();
            erases_[call].lost = !done;
        }
        if (!done) co_return failed(done.error(), "forget");
        co_return result<void>{};
    }

    /// Until blocks that rest are free: what is allocated next has had another life.
    [[nodiscard, gnu::noinline]] task<result<void>> sleep(session_type& s) {
        auto const until = s.channel().now() + rest_time;
        while (s.channel().now() < until) {
            if (auto const r = co_await keep_lease(s); !r) co_return failed(r.error(), "keep_lease");
            if (auto const r = co_await s.channel().pause(std::chrono::nanoseconds(lease) / 4); !r)
                co_return failed(r.error(), "pause");
        }
        co_return result<void>{};
    }

    // --- what they were told ---

    /// O2
    [[nodiscard]] bool binds(location place, std::uint64_t begin, std::uint64_t end) const {
        auto const found = owner_.find(place.word());
        if (found == owner_.end()) return true; // nobody's at all: a violation
        auto const& l = listings_[found->second];
        if (l.end == never || l.end > end) return false;
        return l.in_force == l.place || l.end < begin;
    }
    /// O4
    [[nodiscard]] bool binds(block_hash const& key, std::uint64_t begin, std::uint64_t end) const {
        return std::none_of(listings_.begin(), listings_.end(), [&](listing const& l) {
            return l.key == key && l.begin < end && !binds(l.place, begin, end);
        });
    }

    [[nodiscard]] std::optional<std::string> judge() const {
        history_type h;
        for (auto const& e : erases_) h.add(e);
        for (auto const& l : listings_) {
            if (l.end == never) continue;
            if (l.in_force == l.place)
                h.add({.client = l.who,
                       .kind = test::call_kind::insert_if_absent,
                       .key = l.key,
                       .argument = l.place,
                       .begin = l.begin,
                       .end = l.end,
                       .answered = {.seen = l.place}});
            else if (binds(l.in_force, l.begin, l.end))
                h.observe(l.who, l.begin, l.end, l.key, std::optional(l.in_force));
        }
        for (auto const& v : sights_) {
            if (!v.present)
                h.observe(v.who, v.begin, v.end, v.key, std::nullopt);
            else if (v.place && binds(*v.place, v.begin, v.end))
                h.observe(v.who, v.begin, v.end, v.key, v.place);
            else if (!v.place && binds(v.key, v.begin, v.end))
                h.observe(v.who, v.begin, v.end, v.key,
                          test::answer<location>{.what = mutation_outcome::present, .seen = {}});
        }
        return h.violation();
    }

    [[nodiscard]] std::optional<std::string> audit() {
        if (scenario_.may_lose_nodes()) return std::nullopt;
        auto& s = arena_.keeper();
        try {
            (void)test::ok(sync_wait(s, keepers_->recover(s)));
            if (!scenario_.may_lose_clients())
                if (auto const why = unsound("after the run", false)) return why;
            for (auto const& c : chains_) {
                std::vector<location> found(c.size());
                (void)test::ok(sync_wait(s, seen_match(s, *keepers_, 1, c, found)));
            }
            for (auto const& c : chains_) {
                auto where = new_places(9, c.size());
                auto const calls = begin_listing(9, c, where, 0);
                auto const counts = test::ok(sync_wait(s, keepers_->publish(s, c, where)));
                if (counts.behind_a_gap != 0) return std::string("in the audit: a publish saw a gap");
                for (std::size_t i = 0; i < c.size(); ++i) listed(calls + i, where[i]);
                std::vector<location> found(c.size());
                auto const n = test::ok(sync_wait(s, seen_match(s, *keepers_, 1, c, found))).blocks;
                if (n != c.size()) return std::string("in the audit: a published chain does not match");
                if (found != where) return std::string("in the audit: a match tells other places than the publish");
            }
            if (auto const why = unsound("after all was published", scenario_.may_lose_clients())) return why;
            for (auto const& c : chains_) (void)test::ok(sync_wait(s, keepers_->forget(s, c, 0, {})));
            for (auto const& c : chains_)
                if (test::ok(sync_wait(s, keepers_->match(s, c, {}))).blocks != 0)
                    return std::string("in the audit: a forgotten chain matches");
            if (auto const why = unsound("after all was forgotten", scenario_.may_lose_clients())) return why;
            auto const check = test::ok(sync_wait(s, keepers_->verify(s)));
            if (check.entries != 0)
                return "in the audit: " + std::to_string(check.entries) + " blocks are listed after all was forgotten";
            if (!scenario_.may_lose_clients() && keepers_->extents() != 0)
                return "in the audit: " + std::to_string(keepers_->extents()) + " extents are left";
        } catch (std::exception const& e) {
            return "in the audit: " + std::string(e.what());
        }
        return std::nullopt;
    }

    /// What verify() says; and X5, which verify() cannot know to hold where clients died.
    [[nodiscard]] std::optional<std::string> unsound(std::string const& when, bool died) {
        auto& s = arena_.keeper();
        auto const check = test::ok(sync_wait(s, keepers_->verify(s)));
        if (!check.violations.empty()) return when + ": " + check.violations.front();
        if (died) return std::nullopt;
        std::vector<entry<block_hash, extent_ref>> heads(256);
        heads.resize(test::ok(sync_wait(s, keepers_->heads().scan(s, scan_range<block_hash>{}, std::span(heads)))));
        std::unordered_set<word> all;
        for (auto const& e : heads) all.insert(e.value.bits());
        for (auto const& e : heads) {
            std::vector<word> words(e.value.bytes() / word_bytes);
            op look = op::read(e.value.at(), words.data(), e.value.bytes());
            test::ok(sync_wait(s, one(s, look)));
            whole_extent const x(words.data(), e.value.size_class());
            if (x.parent() && !all.contains(x.parent_word()) && !begins_window(x.first()))
                return when + ": an extent's parent is gone";
        }
        return std::nullopt;
    }
    /// Those may be orphans (X5).
    [[nodiscard]] bool begins_window(block_hash const& first) const {
        for (auto const& c : chains_)
            if (auto const at = std::find(c.begin(), c.end(), first); at != c.end())
                return (at - c.begin()) % static_cast<std::ptrdiff_t>(Index::options::window) == 0;
        return false;
    }
    [[nodiscard]] static task<result<void>> one(session_type& s, op& o) { co_return co_await s.submit(o); }

    std::vector<chain> chains_;
    std::vector<listing> listings_;
    std::unordered_map<word, std::size_t> owner_; ///< of a place: its listing
    std::vector<sight> sights_;
    std::vector<test::call<block_hash, location>> erases_;
    std::uint64_t now_ = 0;
    std::uint64_t blocks_ = 0;
    std::unique_ptr<Index> keepers_;
    std::vector<std::unique_ptr<Index>> indexes_;
    arena arena_; ///< last: its lives end before the indexes that they use
};

} // namespace catena::torture
