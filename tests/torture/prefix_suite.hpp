// SPDX-License-Identifier: Apache-2.0
// prefix_suite: clients that publish, match and forget chains that share prefixes, over any index, while faults strike.
//
// A publish is an insert-if-absent of each block, a forget an erase of each, a match tells that its blocks were present and
// that the next one was absent, each at some moment of the call: so the history of every block must be linearizable.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <catena/prefix/prefix_index.hpp>

#include <support/chains.hpp>
#include <support/history.hpp>
#include <support/joined.hpp>
#include <torture/suite_run.hpp>

namespace catena::torture {

template <typename Index>
class prefix_suite : suite_run {
public:
    prefix_suite(scenario const& s, std::vector<sim_event>* log) : suite_run(s), arena_(s, log) {
        // A chain, and branches that leave it at some block.
        auto const length = 2 + s.keys / 3;
        chains_.push_back(test::chain_of(1, length));
        sim_random random(s.seed, 13);
        for (std::uint64_t branch = 2; branch < 4; ++branch) {
            auto const shared = std::span(chains_.front()).first(random.below(length));
            chains_.push_back(test::joined(shared, test::chain_of(branch, 1 + random.below(length))));
        }
        for (auto const& c : chains_) universe_.insert(universe_.end(), c.begin(), c.end());
        std::sort(universe_.begin(), universe_.end());
        universe_.erase(std::unique(universe_.begin(), universe_.end()), universe_.end());
    }

    [[nodiscard]] outcome run() {
        auto& keeper = arena_.keeper();
        keepers_tree_ = std::make_unique<Index>(test::ok(Index::create(keeper, "blocks", cache_bytes)));
        for (unsigned c = 1; c <= scenario_.clients; ++c) {
            auto& m = arena_.join(false, scenario_.sessions);
            trees_.push_back(std::make_unique<Index>(test::ok(Index::open(m.sessions.front(), "blocks", cache_bytes))));
            for (unsigned i = 0; i < scenario_.sessions; ++i)
                arena_.add_life(live(m.sessions[i], *trees_.back(), c * 10 + i));
        }
        return judged(arena_, [&] { return audit(); });
    }

private:
    using chain = std::vector<block_hash>;
    using history_type = test::history<block_hash, location>;
    static constexpr std::size_t cache_bytes = 1U << 15U;

    [[nodiscard, gnu::noinline]] task<result<void>> live(session_type& s, Index& tree, std::uint32_t who) {
        sim_random random(scenario_.seed, 1000 + who);
        prefix_index<Index> prefixes(tree);
        for (unsigned i = 0; i < scenario_.operations; ++i) {
            auto const what = random.below(8);
            result<void> done;
            if (what < 3)
                done = co_await match(s, prefixes, who, random);
            else if (what == 3)
                done = co_await match_many(s, prefixes, who);
            else if (what < 6 || scenario_.erases == 0)
                done = co_await publish(s, prefixes, who, random);
            else
                done = co_await forget(s, prefixes, who, random);
            if (!done) co_return done;
            ++operations_;
        }
        co_return result<void>{};
    }

    [[nodiscard]] chain any_chain(sim_random& random) {
        auto c = chains_[random.below(chains_.size())];
        c.resize(1 + random.below(c.size()));
        return c;
    }

    [[nodiscard, gnu::noinline]] task<result<void>> match(session_type& s, prefix_index<Index>& prefixes,
                                                          std::uint32_t who, sim_random& random) {
        auto const c = any_chain(random);
        constexpr std::array strategies{match_strategy::sequential, match_strategy::batched, match_strategy::galloping,
                                        match_strategy::binary};
        std::vector<location> where(c.size());
        auto const begin = history_.tick();
        auto const n = co_await prefixes.match(s, c, where, strategies[random.below(strategies.size())]);
        if (!n) co_return failed(n.error(), "match");
        history_.observe_match(who, begin, history_.tick(), c, *n, where);
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> match_many(session_type& s, prefix_index<Index>& prefixes,
                                                               std::uint32_t who) {
        std::vector<std::span<block_hash const>> const all(chains_.begin(), chains_.end());
        std::vector<std::size_t> matched(all.size());
        auto const begin = history_.tick();
        auto const done = co_await prefixes.match_many(s, all, matched);
        if (!done) co_return failed(done.error(), "match_many");
        auto const end = history_.tick();
        for (std::size_t i = 0; i < all.size(); ++i) history_.observe_match(who, begin, end, all[i], matched[i]);
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> publish(session_type& s, prefix_index<Index>& prefixes,
                                                            std::uint32_t who, sim_random& random) {
        auto const c = any_chain(random);
        auto where = test::places(static_cast<std::uint16_t>(who), c.size());
        for (auto& l : where) l = location(l.segment(), ++blocks_);
        std::vector<typename history_type::handle> calls;
        for (std::size_t i = 0; i < c.size(); ++i)
            calls.push_back(history_.begin(who, test::call_kind::insert_if_absent, c[i], where[i]));
        auto const done = co_await prefixes.publish(s, c, where);
        for (std::size_t i = 0; i < c.size(); ++i) {
            if (done)
                history_.in_force(calls[i], where[i]);
            else
                history_.lost(calls[i]);
        }
        if (!done) co_return failed(done.error(), "publish");
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> forget(session_type& s, prefix_index<Index>& prefixes,
                                                           std::uint32_t who, sim_random& random) {
        auto const c = any_chain(random);
        auto const keep = random.below(c.size());
        std::vector<location> expected;
        if (random.one_in(3)) // what somebody may have published
            for (std::size_t i = 0; i < c.size(); ++i)
                expected.emplace_back(static_cast<std::uint16_t>(10 * (1 + random.below(scenario_.clients))),
                                      1 + random.below(blocks_ + 1));
        std::vector<typename history_type::handle> calls;
        for (std::size_t i = keep; i < c.size(); ++i)
            calls.push_back(history_.begin(who, expected.empty() ? test::call_kind::erase : test::call_kind::erase_if,
                                           c[i], expected.empty() ? location{} : expected[i]));
        auto const done = co_await prefixes.forget(s, c, keep, expected);
        for (auto const call : calls) {
            if (done)
                history_.done(call);
            else
                history_.lost(call);
        }
        if (!done) co_return failed(done.error(), "forget");
        co_return result<void>{};
    }

    [[nodiscard]] std::optional<std::string> audit() {
        if (scenario_.may_lose_nodes()) return history_.violation();
        try {
            auto& s = arena_.keeper();
            test::calls<Index, session_type> calls(*keepers_tree_, s);
            (void)test::ok(sync_wait(s, keepers_tree_->recover(s)));
            for (auto const& key : universe_) {
                auto const call = history_.begin(1, test::call_kind::find, key);
                history_.found(call, calls.find(key));
            }
            auto const check = calls.check();
            if (!check.violations.empty()) return "after recovery: " + check.violations.front();
            prefix_index<Index> prefixes(*keepers_tree_);
            for (auto const& c : chains_) {
                auto where = test::places(9, c.size());
                (void)test::ok(sync_wait(s, prefixes.publish(s, c, where)));
                auto const n = test::ok(sync_wait(s, prefixes.match(s, c, {}, match_strategy::batched)));
                if (n != c.size()) return std::string("after recovery: a published chain does not match");
            }
        } catch (std::exception const& e) {
            return "in the audit: " + std::string(e.what());
        }
        return history_.violation();
    }

    std::vector<chain> chains_;
    std::vector<block_hash> universe_;
    history_type history_;
    std::uint64_t blocks_ = 0;
    std::unique_ptr<Index> keepers_tree_;
    std::vector<std::unique_ptr<Index>> trees_;
    arena arena_; ///< last: its lives end before the indexes that they use
};

} // namespace catena::torture
