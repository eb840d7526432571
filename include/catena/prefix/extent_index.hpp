// SPDX-License-Identifier: Apache-2.0
// extent_index: how much of a chain of block hashes is listed, and where: runs of blocks, stored as they are read.
//
// Chains are stored as extents of up to a window of blocks (prefix/extent.hpp), which an index of any kind finds by the hash
// of their first block: one entry for some thirty blocks. Clients remember where extents are (prefix/placement_cache.hpp) and tell
// each other where new ones are (prefix/extent_news.hpp), so that a match reads all of them at once: 1 round trip, however long the
// chain. After Zhu et al., "Towards Efficient Key-Value Cache Management for Prefix Prefilling in LLM Inference" (2025), section 5,
// which asks for such an index.
//
// A match never overcounts: every block of it was seen listed during the call, and the block behind it was seen not listed,
// unless the deadline passed. Which blocks are listed:
//   gaps       A block is listed behind listed ones only: publish refuses what is behind a gap (publish_counts::behind_a_gap).
//              Where a forget takes off blocks in the midst of a chain, those behind stay, and are found again once the gap
//              is closed.
//   twice      Who lists a block first wins, and later ones learn its place, also where both publish at the same time.
//   forgotten  while it was published: the publish may list blocks behind the gap that it did not see; as above.
//   failed     A publish that ended with an error, or never ended, may have listed any of its blocks; until a publish ends, its
//              blocks may be seen, and not be seen again.
// Space      What lists nothing is freed by the forget that emptied it. A member of the pool that dies leaves at most the extents
//            of one publish; reclaim() frees them.
// Cost       match 1 round trip where the client knows the extents, else extent_walk.hpp. publish, after a match 1 and an insert of
//            the index, 1 more if blocks go to an extent that is there, 1 more without the match, 1 more to tell others, if there
//            are any (hears_of_others). forget 4.
// Thread safety: an object is shared by all threads of a process; each call runs on its session's thread.
// Errors of all calls: those of Heads (contended, dropped, unreachable, timed_out; of writes also out_of_memory, lease_lost).
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/index.hpp>
#include <catena/pool/catalog.hpp>
#include <catena/prefix/chain_query.hpp>
#include <catena/prefix/detail/extent_drop.hpp>
#include <catena/prefix/detail/extent_forget.hpp>
#include <catena/prefix/detail/extent_publish.hpp>
#include <catena/prefix/detail/extent_space.hpp>
#include <catena/prefix/detail/extent_state.hpp>
#include <catena/prefix/detail/news_setup.hpp>
#include <catena/prefix/detail/extent_walk.hpp>
#include <catena/prefix/match_end.hpp>

namespace catena {

/// Heads: an index from block_hash to extent_ref.
template <typename Heads, typename Options = extent_options>
class extent_index {
    static_assert(std::is_same_v<typename Heads::key_type, block_hash> &&
                      std::is_same_v<typename Heads::value_type, extent_ref>,
                  "an extent_index needs an index from block_hash to extent_ref");
    using state_type = detail::extent_state<Heads, Options>;

public:
    using chain = std::span<block_hash const>;
    using heads_type = Heads;
    using options = Options;
    static constexpr std::string_view type_name = "extents";

    /// Enters a new index and that of its extents, "NAME/heads", into the catalog. cache_bytes: bound of what this client remembers,
    /// half for placements, half for Heads; copy_bytes: of copies of extents that are often read. Errors (words): as Heads::create.
    template <typename Session>
    [[nodiscard]] static setup_result<extent_index> create(Session& s, std::string_view name, std::size_t cache_bytes,
                                                           std::size_t copy_bytes = 0) {
        auto const exists = [name] {
            return setup_error(errc::already_exists, "the pool has an index '" + std::string(name) + "' already");
        };
        // Not new heads for one whose drop somebody left, without heads.
        if (auto const there = look_up(s, name); there || there.error().code != errc::not_found)
            return there || there.error().code == errc::bad_format ? exists() : there.error();
        auto heads = Heads::create(s, heads_of(name), cache_bytes / 2);
        if (!heads && heads.error().code == errc::already_exists)
            heads = Heads::open(s, heads_of(name), cache_bytes / 2);
        if (!heads) return heads.error();
        auto const created = sync_wait(s, create_index(s, spec(name), [&s](catalog_handle h) {
                                           return detail::make_news_ring<Options>(s, h.tag());
                                       }));
        if (!created && created.error().code == errc::already_exists) return exists();
        if (!created) return setup_error(created.error());
        return bind(s, std::move(*heads), *created, cache_bytes / 2, copy_bytes);
    }

    /// Opens the index of that name. Errors (words): not_found, bad_format (names the field that differs), dropped.
    template <typename Session>
    [[nodiscard]] static setup_result<extent_index> open(Session& s, std::string_view name, std::size_t cache_bytes,
                                                         std::size_t copy_bytes = 0) {
        auto const being_dropped = [name] {
            return setup_error(errc::dropped, "the index '" + std::string(name) + "' is being dropped");
        };
        auto const found = look_up(s, name);
        if (!found) return found.error();
        if (found->phase != index_phase::ready) return being_dropped();
        auto heads = Heads::open(s, heads_of(name), cache_bytes / 2);
        if (!heads && (heads.error().code == errc::not_found || heads.error().code == errc::dropped))
            return being_dropped();
        if (!heads) return heads.error();
        return bind(s, std::move(*heads), found->handle, cache_bytes / 2, copy_bytes);
    }

    /// Takes the index off the catalog and frees all its blocks, those of Heads and the extents, but for the ring of news: that stays
    /// where it is for ever (detail/news_setup.hpp), so each drop costs the pool Options::news_bytes. Calls of other clients
    /// end with errc::dropped from then on, those that are under way perhaps; what they did not come to insert they free themselves.
    /// A drop that somebody left, or that ended with an error, is gone on with by whoever drops it again; until then the name is
    /// taken, and the index cannot be opened. What somebody held who died while he dropped it, a few hundred blocks, is found by the
    /// drop that goes on or, behind that, by reclaim() of any index.
    /// Cost: the drop of Heads (3 round trips a node), and for each leaf 2, for most extents 2 (extent_drop.hpp). No more than 12,800
    /// extents a second, as freed ones rest, and `rest_time` at the end. Nobody creates or drops another index meanwhile.
    /// Thread safety: others may use the index, and drop it: one of them has errc::dropped. Errors: of Heads::drop; dropped: it is gone.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<void>> drop(Session& s) {
        auto const heads = co_await state_->heads.drop(s, dropper<Session>(s, state_->handle.tag()));
        if (!heads && heads.error().code != errc::dropped) co_return heads.error();
        if (!heads) {
            auto const gone = co_await detail::is_off_the_catalog(s, state_->heads.handle());
            if (!gone || !*gone) co_return gone ? heads.error() : gone.error();
        }
        co_return co_await detail::drop_listing(s, state_->handle);
    }
    /// Drops the index of that name, also one whose drop another client left. Errors (words): not_found, bad_format (names the field
    /// that differs), dropped (by another client, just now), those of drop(s).
    template <typename Session>
    [[nodiscard]] static setup_result<void> drop(Session& s, std::string_view name) {
        auto const found = look_up(s, name);
        if (!found) return found.error();
        auto heads = Heads::drop(s, heads_of(name), dropper<Session>(s, found->handle.tag()));
        if (!heads && heads.error().code == errc::dropped) // by somebody else, as a rule
            heads = Heads::drop(s, heads_of(name), dropper<Session>(s, found->handle.tag()));
        if (!heads && heads.error().code != errc::not_found) return heads.error();
        if (auto const r = sync_wait(s, detail::drop_listing(s, found->handle)); !r) return setup_error(r.error());
        return {};
    }

    /// How many leading blocks of `c` are listed. `out` (empty, or at least as long as the chain) receives their locations.
    /// deadline: of the session's channel's clock; once it passed no further round trip begins, and the answer says "at least so
    /// many". 0: none. invalid_argument: `out` is too short.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<match_answer>> match(Session& s, chain c, std::span<location> out,
                                                                  std::chrono::nanoseconds deadline = {}) {
        if (!out.empty() && out.size() < c.size()) co_return make_error(errc::invalid_argument);
        if (c.empty()) co_return match_answer{};
        detail::chain_walk walk{.chain = c, .locations = out, .deadline = deadline};
        detail::extent_walker<Session, state_type> walker(s, *state_, std::span(&walk, 1));
        if (auto const r = co_await walker.run(); !r) co_return r.error();
        co_return answer_of(walk);
    }

    /// Several matches that share their round trips: as many as the longest of them needs. answers[i] is that of queries[i].
    /// invalid_argument: the spans differ in length, or a query's `out` is too short.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<void>> match_many(Session& s, std::span<chain_query const> queries,
                                                               std::span<match_answer> answers) {
        if (queries.size() != answers.size()) co_return make_error(errc::invalid_argument);
        scratch_lease const memory(s.scratches());
        auto const walks = memory->template take<detail::chain_walk>(queries.size());
        for (std::size_t i = 0; i < queries.size(); ++i) {
            auto const& q = queries[i];
            if (!q.out.empty() && q.out.size() < q.chain.size()) co_return make_error(errc::invalid_argument);
            walks[i].chain = q.chain;
            walks[i].locations = q.out;
            walks[i].deadline = q.deadline;
            walks[i].progress = q.progress;
            walks[i].done = q.chain.empty();
        }
        detail::extent_walker<Session, state_type> walker(s, *state_, walks);
        if (auto const r = co_await walker.run(); !r) co_return r.error();
        for (std::size_t i = 0; i < queries.size(); ++i) answers[i] = answer_of(walks[i]);
        co_return result<void>{};
    }
    /// The same without deadlines. out: empty, or one span for each chain.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<void>> match_many(Session& s, std::span<chain const> chains,
                                                               std::span<match_answer> answers,
                                                               std::span<std::span<location> const> out = {}) {
        if (!out.empty() && out.size() != chains.size()) co_return make_error(errc::invalid_argument);
        scratch_lease const memory(s.scratches());
        auto const queries = memory->template take<chain_query>(chains.size());
        for (std::size_t i = 0; i < chains.size(); ++i) {
            queries[i].chain = chains[i];
            if (!out.empty()) queries[i].out = out[i];
        }
        co_return co_await match_many(s, std::span<chain_query const>(queries), answers);
    }

    /// Lists c[i] at locations[i] for i >= from, where it is not listed yet; locations (as long as the chain; what stands before
    /// `from` is not used) become those in force: first wins. `from`: blocks that are known to be listed, such as those that a match
    /// found; if they are not any more, or never were, nothing behind them is listed. after: the match of this chain that found so
    /// many; saves a round trip. invalid_argument: lengths differ, `from` is too large, or a location in segment 65535, which says
    /// "nowhere". After any error a part of the chain may be listed.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<publish_counts>>
    publish(Session& s, chain c, std::span<location> locations, std::size_t from = 0, match_end const& after = {}) {
        if (c.size() != locations.size() || from > c.size()) co_return make_error(errc::invalid_argument);
        if (!std::all_of(locations.begin() + static_cast<std::ptrdiff_t>(from), locations.end(),
                         extent_word::can_be_listed))
            co_return make_error(errc::invalid_argument);
        if (from == c.size()) co_return publish_counts{};
        auto const end = detail::walk_end::from_words(after.where);
        bool const usable = after.blocks == from && after.last == c[from == 0 ? 0 : from - 1] &&
                            (from == 0 ? end.why == detail::walk_stop::nothing : static_cast<bool>(end.extent));
        detail::extent_publisher<Session, state_type> publisher(s, *state_, c, locations, from);
        co_return co_await publisher.run(usable ? &end : nullptr);
    }

    /// Takes c[keep..] off, from the leaf end; with `expected` (as long as the chain) only blocks still listed there. Returns how many
    /// went. invalid_argument: lengths differ. After an error the blocks near the root may be left.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<std::size_t>> forget(Session& s, chain c, std::size_t keep,
                                                                  std::span<location const> expected) {
        if (!expected.empty() && expected.size() != c.size()) co_return make_error(errc::invalid_argument);
        if (keep >= c.size()) co_return std::size_t{0};
        detail::extent_forgetter<Session, state_type> forgetter(s, *state_, c, keep, expected);
        co_return co_await forgetter.run();
    }

    /// Is the last block of `c` listed, with those before it in its window? (A block's own hash does not say where in a run it is.)
    /// An empty chain is. 1 round trip as a rule.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<bool>> contains(Session& s, chain c) {
        if (c.empty()) co_return true;
        detail::chain_walk walk{.chain = c, .from = (c.size() - 1) / Options::window * Options::window};
        detail::extent_walker<Session, state_type> walker(s, *state_, std::span(&walk, 1));
        if (auto const r = co_await walker.run(); !r) co_return r.error();
        co_return walk.at == c.size();
    }

    /// Reads the index and every extent, and checks every invariant. For an index that nobody is changing. entries: blocks that are
    /// listed; nodes and remote_bytes: of extents and index; height: of the index.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<index_check>> verify(Session& s) {
        return detail::check_extents(s, *state_, extents_);
    }
    /// How many extents the last verify() saw.
    [[nodiscard]] std::uint64_t extents() const noexcept { return extents_; }

    /// Heads::recover, and takes out of use what somebody who died was about to. Right answers do not need it. Reads every
    /// extent, one a round trip.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<index_recovery>> recover(Session& s) {
        return detail::recover_extents(s, *state_);
    }

    /// Frees what clients that died held: Heads::reclaim, and extents that nobody can find. Takes a lease for each of both.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<reclaim_report>> reclaim(Session& s) {
        return detail::reclaim_extents(s, *state_);
    }

    /// Learns where all extents are, as a client that joins late had better: reads the whole index (not the extents), a few
    /// hundred entries a round trip. Returns how many there are.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<std::uint64_t>> warm_up(Session& s) {
        return detail::learn_placements(s, *state_);
    }

    /// Bytes of this process that are in use: placements, what Heads keeps, copies.
    [[nodiscard]] std::size_t cache_bytes() const {
        return state_->placements.bytes_used() + state_->heads.cache_bytes() + state_->copies.bytes_used();
    }
    [[nodiscard]] std::size_t cache_capacity_bytes() const {
        return state_->placements.capacity_bytes() + state_->heads.cache_capacity_bytes() +
               state_->copies.capacity_bytes();
    }
    /// Did other clients publish something lately, as far as this one heard? Then a publish of new extents is 1 round trip longer, to
    /// tell them at once.
    [[nodiscard]] bool hears_of_others() const noexcept { return state_->news.others_at_work(); }
    [[nodiscard]] catalog_handle handle() const noexcept { return state_->handle; }
    [[nodiscard]] Heads& heads() noexcept { return state_->heads; }

    /// What the catalog says about an index of this type.
    [[nodiscard]] static index_spec spec(std::string_view name) noexcept {
        index_spec s;
        s.set_name(name);
        s.set_type(type_name);
        s.layout_version = 2 + 16 * static_cast<std::uint32_t>(Options::window);
        s.key_bytes = sizeof(block_hash);
        s.value_bytes = sizeof(location);
        s.node_bytes = static_cast<std::uint32_t>(extent_class::bytes(extent_class::count - 1));
        return s;
    }

private:
    template <typename Session>
    using dropper = detail::extent_dropper<Session>;

    explicit extent_index(std::unique_ptr<state_type> state) noexcept : state_(std::move(state)) {}

    /// Ready or being dropped. Errors: not_found, bad_format.
    template <typename Session>
    [[nodiscard]] static setup_result<catalog_listing> look_up(Session& s, std::string_view name) {
        auto const all = sync_wait(s, list_indexes(s));
        if (!all) return setup_error(all.error());
        for (auto const& listing : *all) {
            if (listing.spec.name_view() != name) continue;
            if (auto const wrong = mismatch(listing.spec, spec(name))) return setup_error(errc::bad_format, *wrong);
            return listing;
        }
        return setup_error(errc::not_found, "the pool has no index '" + std::string(name) + "'");
    }

    template <typename Session>
    [[nodiscard]] static setup_result<extent_index> bind(Session& s, Heads heads, catalog_handle h,
                                                         std::size_t cache_bytes, std::size_t copy_bytes) {
        auto const ring = sync_wait(s, detail::find_news_ring(s, h));
        if (!ring) return setup_error(ring.error());
        return extent_index(
            std::make_unique<state_type>(std::move(heads), h, ring->first, ring->second, cache_bytes, copy_bytes));
    }

    [[nodiscard]] static std::string heads_of(std::string_view name) { return std::string(name) + "/heads"; }
    [[nodiscard]] static match_answer answer_of(detail::chain_walk const& w) noexcept {
        if (w.chain.empty()) return {};
        match_answer a{.blocks = w.at, .complete = w.end.why != detail::walk_stop::timed_out};
        if (a.complete) a.end = {.last = w.chain[w.at == 0 ? 0 : w.at - 1], .blocks = w.at, .where = w.end.to_words()};
        return a;
    }

    std::unique_ptr<state_type> state_;
    std::uint64_t extents_ = 0;
};

} // namespace catena
