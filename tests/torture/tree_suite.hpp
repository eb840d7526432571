// SPDX-License-Identifier: Apache-2.0
// tree_suite: clients that do everything an ordered index offers, to few keys, while faults strike: load it, change and read
// it, reclaim what the dead left, and once in a while drop it under the others. A new index joins by one line in suites.cpp.
//
// Afterwards the keeper checks: every answer is linearizable per key; nobody gave up waiting, since all that was in the way
// could be had (owners live, or are taken over within a lease); after recover() the index is sound, nothing is locked and
// every split is linked; its entries are what the history allows; every key can still be written. A dropped index answers
// nobody any more, whoever died while it dropped it; its name and its memory can be had again.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <catena/index/index.hpp>

#include <support/history.hpp>
#include <support/keys.hpp>
#include <torture/suite_run.hpp>

namespace catena::torture {

template <typename Index>
class tree_suite : suite_run {
public:
    using key_type = typename Index::key_type;
    using value_type = typename Index::value_type;
    using change = mutation<key_type, value_type>;
    using history_type = test::history<key_type, value_type>;

    tree_suite(scenario const& s, std::vector<sim_event>* log) : suite_run(s), arena_(s, log) {
        for (unsigned i = 0; i < s.keys; ++i) universe_.push_back(test::make_key<key_type>(10 * (i + 1)));
    }

    [[nodiscard]] outcome run() {
        std::map<key_type, value_type> before;
        auto& keeper = arena_.keeper();
        keepers_tree_ = std::make_unique<Index>(test::ok(Index::create(keeper, "t", cache_bytes)));
        test::calls<Index, session_type> calls(*keepers_tree_, keeper);
        sim_random random(scenario_.seed, 11);
        for (unsigned i = 0; i < scenario_.preload; ++i) {
            auto const& key = universe_[random.below(universe_.size())];
            auto const value = next_value();
            if (calls.insert(key, value)) before[key] = value;
        }
        history_ = std::make_unique<history_type>(before);
        for (unsigned c = 1; c <= scenario_.clients; ++c) {
            auto& m = arena_.join(false, scenario_.sessions);
            for (unsigned i = 0; i < scenario_.sessions; ++i) {
                if (i == 0 || random.one_in(3)) // sessions of a client may have an index object of their own
                    trees_.push_back(std::make_unique<Index>(test::ok(Index::open(m.sessions[i], "t", cache_bytes))));
                arena_.add_life(live(m.sessions[i], *trees_.back(), c * 10 + i));
            }
        }
        return judged(arena_, [&] { return final_audit(); });
    }

private:
    static constexpr std::size_t cache_bytes = 1U << 15U;

    /// One session: operations one after the other, until its client dies.
    [[nodiscard, gnu::noinline]] task<result<void>> live(session_type& s, Index& tree, std::uint32_t who) {
        sim_random random(scenario_.seed, 1000 + who);
        for (unsigned i = 0; i < scenario_.operations; ++i) {
            bool const late = dropped_;
            auto const done = co_await act(s, tree, who, random, i);
            if (!done && done.error().code == errc::dropped) break;
            if (!done) co_return done; // dead or shut out: nothing it does has an effect any more
            if (late) complaint_ = "an operation that began after the index was dropped had an answer";
            ++operations_;
        }
        co_return co_await release_all(s);
    }

    [[nodiscard, gnu::noinline]] task<result<void>> act(session_type& s, Index& tree, std::uint32_t who,
                                                        sim_random& random, unsigned nth) {
        if (scenario_.dropper * 10 == who && nth + 1 >= scenario_.operations / 2) co_return co_await drop(s, tree);
        bool const empty_at_first = nth == 0 && scenario_.preload == 0;
        if (random.one_in(empty_at_first ? 2 : 60)) co_return co_await bulk_load(s, tree, who, random);
        if (!scenario_.may_lose_nodes() && random.one_in(60)) co_return co_await reclaim(s, tree);
        auto const what = random.below(20);
        if (what < 5) co_return co_await find(s, tree, who, random);
        if (what == 5) co_return co_await find_many(s, tree, who, random);
        if (what == 6) co_return co_await scan(s, tree, who, random);
        if (what == 7) co_return co_await apply(s, tree, who, random);
        co_return co_await write(s, tree, who, random);
    }

    [[nodiscard]] key_type any_key(sim_random& random) { return universe_[random.below(universe_.size())]; }
    [[nodiscard]] value_type next_value() { return test::make_value<value_type>(++values_); }

    [[nodiscard]] result<void> failed(error e, std::string const& what) {
        if (e.code == errc::dropped && drops_ > 0) return e;
        return suite_run::failed(e, what);
    }

    [[nodiscard, gnu::noinline]] task<result<void>> find(session_type& s, Index& tree, std::uint32_t who,
                                                         sim_random& random) {
        auto const key = any_key(random);
        auto const call = history_->begin(who, test::call_kind::find, key);
        auto const found = co_await tree.find(s, key);
        if (!found) co_return failed(found.error(), "find");
        history_->found(call, *found);
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> find_many(session_type& s, Index& tree, std::uint32_t who,
                                                              sim_random& random) {
        std::vector<key_type> keys(1 + random.below(8));
        for (auto& k : keys) k = any_key(random);
        std::vector<std::optional<value_type>> found(keys.size());
        auto const begin = history_->tick();
        auto const done = co_await tree.find_many(s, keys, found);
        if (!done) co_return failed(done.error(), "find_many");
        auto const end = history_->tick();
        for (std::size_t i = 0; i < keys.size(); ++i) history_->observe(who, begin, end, keys[i], found[i]);
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> scan(session_type& s, Index& tree, std::uint32_t who,
                                                         sim_random& random) {
        scan_range<key_type> range{.from = any_key(random), .to = {}};
        if (random.one_in(2)) range.to = any_key(random);
        if (range.to && !(range.from < *range.to)) range.to = {}; // an empty range asks nobody
        std::vector<entry<key_type, value_type>> out(1 + random.below(universe_.size() + 2));
        auto const begin = history_->tick();
        auto const n = co_await tree.scan(s, range, std::span(out));
        if (!n) co_return failed(n.error(), "scan");
        history_->observe_scan(who, begin, history_->tick(), universe_, range.from, range.to,
                               std::span<entry<key_type, value_type> const>(out).first(*n), out.size());
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> reclaim(session_type& s, Index& tree) {
        ++reclaims_;
        auto const done = co_await tree.reclaim(s);
        if (!done) co_return failed(done.error(), "reclaim");
        co_return result<void>{};
    }

    /// All of it or nothing, in one moment: inserts, if it comes back.
    [[nodiscard, gnu::noinline]] task<result<void>> bulk_load(session_type& s, Index& tree, std::uint32_t who,
                                                              sim_random& random) {
        std::vector<entry<key_type, value_type>> sorted;
        for (auto const& key : universe_)
            if (!random.one_in(4)) sorted.push_back({.key = key, .value = next_value()});
        if (sorted.empty()) sorted.push_back({.key = universe_.front(), .value = next_value()});
        std::vector<typename history_type::handle> calls;
        for (auto const& e : sorted) calls.push_back(history_->begin(who, test::call_kind::insert, e.key, e.value));
        auto const done = co_await tree.bulk_load(s, std::span<entry<key_type, value_type> const>(sorted));
        bool const refused = !done && done.error().code == errc::invalid_argument; // it was not empty
        for (auto const call : calls) {
            if (done)
                history_->said(call, true);
            else if (refused || done.error().code == errc::dropped)
                history_->withdraw(call);
            else
                history_->lost(call);
        }
        if (!done && !refused) co_return failed(done.error(), "bulk_load");
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> drop(session_type& s, Index& tree) {
        ++drops_;
        auto const done = co_await tree.drop(s);
        if (!done) co_return failed(done.error(), "drop");
        dropped_ = true;
        co_return make_error(errc::dropped);
    }

    [[nodiscard]] change any_change(sim_random& random) {
        change m{.key = any_key(random), .value = next_value()};
        if (random.below(4) < scenario_.erases)
            m.kind = random.one_in(4) ? mutation_kind::erase_if : mutation_kind::erase;
        else
            m.kind = random.one_in(2) ? mutation_kind::insert : mutation_kind::upsert;
        if (m.kind == mutation_kind::erase_if && values_ > 1) // a value that may be there
            m.value = test::make_value<value_type>(1 + random.below(values_));
        return m;
    }
    [[nodiscard]] auto begin(std::uint32_t who, change const& m) {
        using test::call_kind;
        auto const kind = m.kind == mutation_kind::insert   ? call_kind::insert
                          : m.kind == mutation_kind::upsert ? call_kind::upsert
                          : m.kind == mutation_kind::erase  ? call_kind::erase
                                                            : call_kind::erase_if;
        return history_->begin(who, kind, m.key, m.value);
    }
    /// pending: not applied, if the error says so; else whatever took effect did so before now.
    void told(typename history_type::handle call, change const& m, result<void> const& done) {
        if (m.outcome != mutation_outcome::pending)
            history_->told(call, m);
        else if (!done && (done.error().code == errc::fenced || done.error().code == errc::unreachable))
            history_->lost(call);
        else
            history_->withdraw(call);
    }

    [[nodiscard, gnu::noinline]] task<result<void>> write(session_type& s, Index& tree, std::uint32_t who,
                                                          sim_random& random) {
        auto m = any_change(random);
        auto const call = begin(who, m);
        auto const done = co_await tree.apply(s, std::span(&m, 1));
        told(call, m, done);
        if (!done) co_return failed(done.error(), "a write");
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> apply(session_type& s, Index& tree, std::uint32_t who,
                                                          sim_random& random) {
        std::vector<change> changes;
        for (auto n = 2 + random.below(6); n > 0; --n) {
            auto const m = any_change(random);
            bool const again =
                std::any_of(changes.begin(), changes.end(), [&](auto const& c) { return c.key == m.key; });
            if (!again) changes.push_back(m);
        }
        std::vector<typename history_type::handle> calls;
        for (auto const& m : changes) calls.push_back(begin(who, m));
        auto const done = co_await tree.apply(s, std::span(changes));
        for (std::size_t i = 0; i < changes.size(); ++i) told(calls[i], changes[i], done);
        if (!done) co_return failed(done.error(), "a batch of writes");
        co_return result<void>{};
    }

    [[nodiscard]] std::optional<std::string> final_audit() {
        try {
            if (reclaims_ > 0) // the keeper stood idle for longer than a lease while others reclaimed: it is out
                auditor_ = &arena_.join(false, 1).sessions.front();
            if (drops_ > 0)
                if (auto const wrong = finish_drop()) return wrong;
            if (auditor_ != nullptr && !gone_)
                keepers_tree_ = std::make_unique<Index>(test::ok(Index::open(*auditor_, "t", cache_bytes)));
        } catch (std::exception const& e) {
            return "the audit cannot begin: " + std::string(e.what());
        }
        test::calls<Index, session_type> calls(*keepers_tree_, auditor());
        return audit(calls);
    }

    /// Somebody dropped the index, or died before he was done. Then anybody can end it; an empty one takes its place.
    [[nodiscard]] std::optional<std::string> finish_drop() {
        auto& s = auditor();
        auto const found = sync_wait(s, find_index(s, "t"));
        if (dropped_ && (found || found.error().code != errc::not_found))
            return std::string("an index that was dropped is in the catalog still");
        if (found) return std::nullopt; // its dropper died before he began
        if (found.error().code == errc::dropped) test::ok(Index::drop(s, "t"));
        if (auto const wrong = history_->violation()) return wrong;
        history_ = std::make_unique<history_type>();
        keepers_tree_ = std::make_unique<Index>(test::ok(Index::create(s, "t", cache_bytes)));
        gone_ = true;
        return std::nullopt;
    }
    [[nodiscard]] session_type& auditor() noexcept { return auditor_ != nullptr ? *auditor_ : arena_.keeper(); }

    /// The run is over.
    [[nodiscard]] std::optional<std::string> audit(test::calls<Index, session_type>& calls) {
        constexpr std::uint32_t who = 1;
        if (scenario_.may_lose_nodes()) return audit_what_is_left(calls);
        try {
            auto& s = auditor();
            (void)test::ok(sync_wait(s, keepers_tree_->recover(s)));
            for (auto const& key : universe_) {
                auto const call = history_->begin(who, test::call_kind::find, key);
                history_->found(call, calls.find(key));
            }
            auto const begin = history_->tick();
            auto const all = calls.scan({.from = universe_.front(), .to = {}}, universe_.size() + 1);
            history_->observe_scan(who, begin, history_->tick(), universe_, universe_.front(), {}, all,
                                   universe_.size() + 1);
            auto const check = calls.check();
            if (!check.violations.empty()) return "after recovery: " + check.violations.front();
            if (check.unlinked != 0) return "after recovery: a node without a separator";
            if (check.entries != all.size()) return std::string("after recovery: verify counts other entries");
            if (auto const wrong = audit_memory(calls)) return wrong;
            for (auto const& key : universe_) {
                auto const value = next_value();
                auto const call = history_->begin(who, test::call_kind::upsert, key, value);
                history_->said(call, calls.upsert(key, value));
                if (calls.find(key) != value) return std::string("after recovery: an upsert was lost");
            }
            if (auto const again = calls.check(); !again.violations.empty())
                return "after the last writes: " + again.violations.front();
        } catch (std::exception const& e) {
            return "in the audit: " + std::string(e.what());
        }
        return history_->violation();
    }

    /// After a reclaim every byte is in a node of the tree, free, or in our hands, save blocks that were in transit.
    [[nodiscard]] std::optional<std::string> audit_memory(test::calls<Index, session_type>& calls) {
        auto& s = auditor();
        (void)test::ok(sync_wait(s, keepers_tree_->reclaim(s)));
        return unaccounted(arena_, s, calls.check().remote_bytes, largest_block());
    }

    [[nodiscard]] static constexpr std::uint64_t largest_block() noexcept {
        using options = typename Index::options;
        if constexpr (requires { options::extent_bytes; })
            return std::max<std::uint64_t>(options::extent_bytes, options::directory_bytes);
        else
            return options::node_bytes;
    }

    /// A memory node is gone: what does not lie there is right and can be written, the rest has a clear error.
    [[nodiscard]] std::optional<std::string> audit_what_is_left(test::calls<Index, session_type>&) {
        auto& s = auditor();
        for (auto const& key : universe_) {
            auto const call = history_->begin(1, test::call_kind::find, key);
            auto const found = sync_wait(s, keepers_tree_->find(s, key));
            if (found) {
                history_->found(call, *found);
                auto const value = next_value();
                auto const write = history_->begin(1, test::call_kind::upsert, key, value);
                auto const written = sync_wait(s, keepers_tree_->upsert(s, key, value));
                if (written)
                    history_->said(write, *written);
                else if (written.error().code == errc::unreachable)
                    history_->lost(write); // a split, a merge
                else
                    return "without the memory node: a write ended with " + std::string(name(written.error().code));
            } else if (found.error().code != errc::unreachable || found.error().node != 1) {
                return "without the memory node: a find ended with " + std::string(name(found.error().code));
            }
        }
        return history_->violation();
    }

    std::vector<key_type> universe_;
    std::unique_ptr<history_type> history_;
    std::uint64_t values_ = 0;
    std::uint64_t reclaims_ = 0;
    std::uint64_t drops_ = 0;         ///< begun
    bool dropped_ = false;            ///< a drop came back
    bool gone_ = false;               ///< the index that the audit sees is another one
    session_type* auditor_ = nullptr; ///< null: the keeper audits
    std::unique_ptr<Index> keepers_tree_;
    std::vector<std::unique_ptr<Index>> trees_;
    arena arena_; ///< last: its lives end before the indexes that they use
};

} // namespace catena::torture
