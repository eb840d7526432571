// SPDX-License-Identifier: Apache-2.0
// extent_publish: lists the blocks of a chain that are not listed yet, root to leaf, without a lock.
//
// Protocol   L1 walk to the first block that is not listed (extent_walk.hpp); nothing of it if the caller's match still holds.
//            L2 one batch: CAS tags: free -> ours, of the slots behind it in the same extent; WRITE new extents, one for
//               each further window, which nobody can find yet; CAS children of that extent: one more, and in its filter, if a
//               new one begins behind it; READ meta; FAA head of the ring of news: positions for L5.
//            L3 CAS places: absent -> ours, of the slots whose tags are those of our blocks, whoever claimed them; READ meta.
//            L4 insert the new extents into the index, if their keys are absent.
//            L5 tell others in the ring of news: at once where others are at work, else with L2 of a later publish, or with a walk
//               that looks for news itself (prefix/news_outbox.hpp).
// First wins A block is listed by the CAS of its place in L3, or by the insert of its extent in L4; who comes second learns the
//            place in force. A second publisher of a window finds the first one's extent in L4, frees his own, which nobody
//            found, and lists his blocks in that one. (One that he inserted for the window behind it may still name it as its parent:
//            uncount_child.)
// Orphans    Where somebody else's extent came first for one window and ours for a later one, ours has lost its parent. L1 goes on
//            through the other's; where it ends, the orphan is made a child of the extent that leads to it (adopt), or else, if
//            the chain has a gap before, taken off again.
// Emptied    Who uncounts a child may be the last one who knew that the parent was needed: he looks whether it is empty.
// Races      tag taken by another block: the chain branches there, and L1 is done again (X3 has what becomes of tags behind
//            it). Extent taken out of use: extent_removal.hpp. Extent already dead but still in the index: it is buried first.
//            A forget of the prefix at the same time: what is behind a gap is not found until the gap is closed.
// Dies       after L2: free slots are claimed for blocks that have no place: the next publisher of these blocks lists them
//            there. New extents nobody found: reclaim has them. A child was counted that never came (X5). In L3, L4: a part
//            of the chain is listed, in no order within one batch; a match stops at the first gap.
// Cost       Round trips: L1 1 (0 after a match), L2 and L3 1 each, L4 an insert of the index; L3 only if blocks were appended,
//            L2's batch takes in what L4 needs. Each taken out or lost race: those of another try.
// Thread safety: as the session.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/fabric/op.hpp>
#include <catena/index/mutation.hpp>
#include <catena/pool/membership.hpp>
#include <catena/pool/retry.hpp>
#include <catena/pool/scratch.hpp>
#include <catena/prefix/detail/extent_forget.hpp>
#include <catena/prefix/detail/extent_maker.hpp>
#include <catena/prefix/detail/extent_parent.hpp>
#include <catena/prefix/detail/extent_removal.hpp>
#include <catena/prefix/detail/extent_state.hpp>
#include <catena/prefix/detail/extent_walk.hpp>
#include <catena/prefix/detail/news_errand.hpp>
#include <catena/prefix/extent.hpp>
#include <catena/prefix/match_end.hpp>

namespace catena::detail {

template <typename Session, typename State>
class extent_publisher {
    static constexpr std::size_t window = State::window;
    static constexpr std::size_t most_news = 16;

public:
    /// Lists chain[from..]. locations: as long as the chain; become those in force.
    extent_publisher(Session& s, State& state, std::span<block_hash const> chain, std::span<location> locations,
                     std::size_t from)
        : s_(s), state_(state), chain_(chain), locations_(locations), at_(from), memory_(s.scratches()),
          maker_(s, state, chain, locations, from, *memory_), others_(state, *memory_) {}

    /// hint: where a match of this chain ended, at block `from`; nullptr if it is not known.
    [[nodiscard, gnu::noinline]] task<result<publish_counts>> run(walk_end const* hint) {
        auto const windows = (chain_.size() - at_) / window + 2;
        first_window_ = at_ / window;
        listed_to_ = memory_->template take<std::size_t>(windows);
        orphans_ = memory_->template take<made_extent>(windows);
        changes_ = memory_->template take<change>(maker_.most());
        ops_ = memory_->template take<op>(maker_.most() + window + 4 + news_errand<State>::most_ops);
        news_ = memory_->template take<extent_news>(std::min(maker_.most(), most_news));
        retry again;
        for (bool first = true;; first = false) {
            if (auto const r = co_await keep_lease(s_); !r) co_return r.error();
            if (!first || hint == nullptr) {
                if (auto const r = co_await walk(); !r) co_return r.error();
            } else {
                end_ = *hint;
                if (end_.why == walk_stop::chain_end) // it did not look at what comes next: L2 finds out
                    end_.why = at_ % window == 0                  ? walk_stop::window_end
                               : end_.slot >= end_.extent.slots() ? walk_stop::no_slot
                                                                  : walk_stop::free_slot;
            }
            if (at_ == chain_.size() || gap_) break;
            if (at_ == next_orphan()) {
                auto const adopted = co_await adopt(orphans_[at_ / window - first_window_]);
                if (!adopted) co_return adopted.error();
                if (*adopted) continue;
                if (auto const r = co_await again.wait(s_); !r) co_return r.error();
                continue;
            }
            auto const before = at_;
            if (auto const r = co_await go_on(); !r) {
                auto const why = r.error();
                if (why.code == errc::unreachable) s_.allocation().avoid(why.node, s_.channel().now());
                co_return why;
            }
            if (at_ == chain_.size()) break;
            if (at_ != before) continue;
            if (auto const r = co_await again.wait(s_); !r) co_return r.error();
        }
        counts_.behind_a_gap = chain_.size() - at_;
        if (emptied_)
            if (auto const r = co_await remove_if_empty(s_, state_, emptied_); !r) co_return r.error();
        bool orphans = false;
        for (auto const end : listed_to_) orphans |= end > at_;
        if (orphans) { // listed before the gap was known: the caller is told that they are not
            extent_forgetter<Session, State> forgetter(s_, state_, chain_, at_, locations_);
            if (auto const r = co_await forgetter.run(); !r) co_return r.error();
        }
        if (state_.news.others_at_work())
            if (auto const r = co_await tell_now(); !r) co_return r.error();
        co_return counts_;
    }

private:
    using change = mutation<block_hash, extent_ref>;

    /// L1. Counts what it finds.
    [[nodiscard, gnu::noinline]] task<result<void>> walk() {
        // Not into locations_: a walk that goes back a few blocks may end before one whose place it noted.
        if (seen_.empty()) seen_ = memory_->template take<location>(chain_.size());
        chain_walk w{.chain = chain_.first(next_orphan()),
                     .from = at_ == 0 ? 0 : (at_ - 1) / window * window,
                     .locations = seen_};
        extent_walker<Session, State> walker(s_, state_, std::span(&w, 1));
        if (auto const r = co_await walker.run(); !r) co_return r.error();
        end_ = w.end;
        gap_ = w.at < at_;
        for (; at_ < w.at; ++at_) {
            locations_[at_] = seen_[at_];
            ++(at_ < listed_to_[at_ / window - first_window_] ? counts_.inserted : counts_.already_present);
        }
        co_return result<void>{};
    }

    /// Where the next of our extents begins whose parent lost to somebody else's; else the chain's end. A walk ends there, so that
    /// it is counted by the extent that leads to it, which may have its bits already.
    [[nodiscard]] std::size_t next_orphan() const noexcept {
        for (auto const& o : orphans_)
            if (o.ref && o.begin >= at_) return o.begin;
        return chain_.size();
    }
    /// Makes it a child of the extent in which the walk ended. False: that was taken out of use.
    [[nodiscard, gnu::noinline]] task<result<bool>> adopt(made_extent& orphan) {
        auto const counted = co_await count_child(s_, state_.handle.tag(), end_.extent, end_.children,
                                                  chain_[orphan.begin], orphan.begin % window != 0);
        if (!counted || !*counted) co_return counted;
        op take = op::cas(whole_extent(nullptr, orphan.ref.size_class()).parent_at(orphan.ref), orphan.parent.bits(),
                          end_.extent.bits());
        if (auto const r = co_await s_.submit(take); !r) co_return r.error();
        orphan.ref = {};
        if (take.swapped()) co_return true;
        if (auto const r = co_await uncount(end_.extent); !r) co_return r.error(); // somebody else did it, or buries it
        co_return true;
    }
    [[nodiscard, gnu::noinline]] task<result<void>> uncount(extent_ref parent) {
        auto const last = co_await uncount_child(s_, state_.handle.tag(), parent);
        if (!last) co_return last.error();
        co_return co_await note_emptied(*last ? parent : extent_ref{});
    }
    /// Perhaps nobody else frees it. Not at once: the next try may list something in it.
    [[nodiscard, gnu::noinline]] task<result<void>> note_emptied(extent_ref e) {
        if (!e || e == emptied_) co_return result<void>{};
        auto const before = std::exchange(emptied_, e);
        if (!before) co_return result<void>{};
        co_return co_await remove_if_empty(s_, state_, before);
    }

    /// L2 to L4, from end_ on. Moves at_ behind the blocks that are listed.
    [[nodiscard, gnu::noinline]] task<result<void>> go_on() {
        bool const in_extent = static_cast<bool>(end_.extent);
        std::size_t appended = 0;
        if (end_.why == walk_stop::free_slot || end_.why == walk_stop::absent)
            appended = std::min({end_.extent.slots() - end_.slot, window - at_ % window, chain_.size() - at_});
        if (auto const r = co_await maker_.make(end_.extent, at_ + appended); !r) co_return r.error();

        // L2
        std::size_t n = 0;
        bool const has_child = in_extent && !maker_.made().empty();
        auto const inc = end_.meta.incarnation();
        auto const child = at_ + appended;
        bool const in_window = child % window != 0;
        auto const more = has_child ? end_.children.with(chain_[child], in_window) : end_.children;
        bool const counts_child = more != end_.children;
        if (counts_child) ops_[n++] = op::cas(extent_view::children_at(end_.extent), end_.children.bits(), more.bits());
        auto const tags = n;
        for (std::size_t i = 0; i < appended; ++i)
            ops_[n++] = op::cas(extent_view::tag_at(end_.extent, end_.slot + i), extent_word::unclaimed(inc),
                                extent_word::tag_of(chain_[at_ + i]));
        word meta = 0;
        word other = 0; // whose slot it is: the match that we go on from may have been that of another chain
        if (in_extent) ops_[n++] = op::read(extent_view::begin(end_.extent), &meta, word_bytes);
        if (end_.why == walk_stop::other_block)
            ops_[n++] = op::read(extent_view::tag_at(end_.extent, end_.slot), &other, word_bytes);
        n += maker_.plan_writes(ops_.subspan(n));
        auto const in_ring = n;
        take_positions();
        if (positions_ != 0) ops_[n++] = op::faa(state_.news.ring().head(), positions_);
        n += others_.plan(ops_.subspan(n));
        if (auto const r = co_await s_.submit(ops_.first(n)); !r) co_return r.error();
        others_.done();
        if (positions_ != 0) news_at_ = ops_[in_ring].fetched;
        std::size_t ours = 0;
        while (ours < appended &&
               (ops_[tags + ours].swapped() || ops_[tags + ours].fetched == extent_word::tag_of(chain_[at_ + ours])))
            ++ours;
        bool counted = counts_child && ops_[0].swapped();
        if (counts_child) end_.children = counted ? more : extent_children(ops_[0].fetched);
        if (in_extent) {
            auto const counts = co_await still_counts(s_, end_.extent, state_.handle.tag(), meta);
            if (!counts) co_return counts.error();
            if (!*counts || ours < appended || other == extent_word::tag_of(chain_[at_]))
                co_return co_await part(ours, counted, *counts);
        }
        if (counts_child && !counted) {
            auto const now =
                co_await count_child(s_, state_.handle.tag(), end_.extent, end_.children, chain_[child], in_window);
            if (!now) {
                (void)co_await give_up(false);
                co_return now.error();
            }
            counted = *now;
            if (!counted) co_return co_await give_up(false);
        }
        if (appended != 0) {
            auto const listed = co_await place(appended);
            if (!listed) co_return listed.error();
            if (!*listed) co_return co_await give_up(counted);
        } else if (in_extent) {
            remember_end();
        }
        co_return co_await insert();
    }

    /// What this client knows of the extent in which the walk ended.
    void remember_end() {
        auto const& first = chain_[at_ - end_.slot];
        auto const before = state_.placements.find(first);
        auto p = placement::of(end_.extent, end_.slot, end_.children);
        if (before && before->extent == end_.extent) {
            p.slots = std::max(p.slots, before->slots);
            p.branched |= before->branched; // others may have told of a branch since the walk
            p.children |= before->children;
            p.uses = before->uses;
            p.removals = before->removals;
        }
        state_.placements.put(first, p);
    }

    /// Only a part of the slots were to be had, or none: what was made is not needed, or not there.
    [[nodiscard, gnu::noinline]] task<result<void>> part(std::size_t ours, bool counted, bool alive) {
        if (auto const r = co_await give_up(counted && alive); !r) co_return r.error();
        if (!alive || ours == 0) co_return result<void>{};
        auto const listed = co_await place(ours);
        if (!listed) co_return listed.error();
        co_return result<void>{};
    }

    /// L3 for so many blocks. False: the extent was taken out of use; nothing is listed. (X1: not tried again with another absent place.)
    [[nodiscard, gnu::noinline]] task<result<bool>> place(std::size_t blocks) {
        auto const nowhere = extent_word::absent(end_.meta.incarnation());
        word meta = 0;
        for (std::size_t i = 0; i < blocks; ++i)
            ops_[i] = op::cas(extent_view::place_at(end_.extent, end_.slot + i), nowhere, locations_[at_ + i].word());
        ops_[blocks] = op::read(extent_view::begin(end_.extent), &meta, word_bytes);
        if (auto const r = co_await s_.submit(ops_.first(blocks + 1)); !r) co_return r.error();
        auto const counts = co_await still_counts(s_, end_.extent, state_.handle.tag(), meta);
        if (!counts || !*counts) co_return counts; // (a place that was absent in other words is one of another life)
        for (std::size_t i = 0; i < blocks; ++i) {
            auto const& place = ops_[i];
            if (place.swapped()) {
                ++counts_.inserted;
                continue;
            }
            if (!extent_word::present(place.fetched)) { // left by a forget that began in an earlier life
                op mend = op::cas(place.target, place.fetched, nowhere);
                if (auto const r = co_await s_.submit(mend); !r) co_return r.error();
                blocks = i;
                break;
            }
            locations_[at_ + i] = location::from_word(place.fetched);
            ++counts_.already_present;
        }
        at_ += blocks;
        end_.slot += static_cast<std::uint32_t>(blocks);
        remember_end();
        co_return true;
    }

    /// L4. The extents that somebody else had first are freed; at_ stops before the first of them.
    [[nodiscard, gnu::noinline]] task<result<void>> insert() {
        auto const made = maker_.made();
        if (made.empty()) co_return result<void>{};
        auto const changes = changes_.first(made.size());
        std::transform(made.begin(), made.end(), changes.begin(), [&](made_extent const& m) {
            return change{.key = chain_[m.begin],
                          .value = m.ref,
                          .kind = mutation_kind::insert,
                          .outcome = mutation_outcome::pending};
        });
        if (auto const r = co_await state_.heads.apply(s_, changes); !r) {
            if (was_without_effect(r.error().code)) (void)co_await discard_others(changes);
            co_return r.error();
        }
        bool const branches = end_.extent && made.front().begin % window != 0;
        tell(changes, branches ? chain_[at_ - end_.slot].low : 0);
        auto const in_force = [&](std::size_t i) { return changes[i].outcome == mutation_outcome::inserted; };
        result<void> done;
        for (std::size_t i = 0; i < made.size(); ++i) {
            auto const& m = made[i];
            if (!in_force(i)) {
                bool const has_parent = m.parent && (i == 0 || in_force(i - 1));
                if (done) done = co_await lost_to(m, changes[i].value, has_parent);
                if (auto const r = co_await maker_.discard(m); !r) co_return r.error();
                continue;
            }
            state_.placements.put(chain_[m.begin], placement::of(m.ref, m.end - m.begin, m.children));
            if (at_ == m.begin) {
                counts_.inserted += m.end - m.begin;
                at_ = m.end;
            } else { // behind one of somebody else, which L1 leads over: it is counted when the walk comes to it
                auto const window_number = m.begin / window - first_window_;
                if (i != 0 && !in_force(i - 1)) orphans_[window_number] = m;
                listed_to_[window_number] = m.end;
            }
        }
        co_return done;
    }
    /// After such an error of the index what is pending was not inserted (core/error.hpp), so nobody else frees it.
    [[nodiscard]] static constexpr bool was_without_effect(errc why) noexcept {
        return why == errc::dropped || why == errc::contended || why == errc::out_of_memory;
    }
    /// Frees what was not inserted.
    [[nodiscard, gnu::noinline]] task<result<void>> discard_others(std::span<change const> changes) {
        for (std::size_t i = 0; i < changes.size(); ++i) {
            if (changes[i].outcome == mutation_outcome::inserted) continue;
            if (auto const r = co_await maker_.discard(maker_.made()[i]); !r) co_return r.error();
        }
        co_return result<void>{};
    }

    /// As many entries of the ring of news as there are runs of extents.
    void take_positions() noexcept {
        auto const most = std::min<std::size_t>(news_.size(), state_.news.ring().entries / 4);
        positions_ = 0;
        for (auto const& m : maker_.made()) {
            if (positions_ != 0 && news_[positions_ - 1].joins(m.ref)) continue;
            if (positions_ == most) break;
            news_[positions_++] = {.first = m.ref};
        }
    }
    /// L5: what is in force. What is left of the positions says nothing. branched_from: the key of the first one's parent, if that
    /// begins in the same window.
    void tell(std::span<change const> changes, word branched_from = 0) noexcept {
        if (positions_ == 0) return;
        auto const news = news_.first(std::exchange(positions_, 0));
        std::ranges::fill(news, extent_news{});
        std::size_t n = 0;
        for (auto const& c : changes) {
            if (c.outcome != mutation_outcome::inserted) continue;
            if (n != 0 && news[n - 1].joins(c.value)) continue;
            if (n == news.size()) break;
            news[n++] = {.key = c.key.low, .first = c.value, .parent = n == 0 ? branched_from : 0};
        }
        state_.outbox.put(news_at_, news);
        state_.news.wrote(news_at_, news.size());
    }

    /// Others need not wait for our next call. 1 round trip if there is something to tell.
    [[nodiscard, gnu::noinline]] task<result<void>> tell_now() {
        auto const n = others_.plan(ops_);
        if (n == 0) co_return result<void>{};
        if (auto const r = co_await s_.submit(ops_.first(n)); !r) co_return r.error();
        others_.done();
        co_return result<void>{};
    }

    /// The index has another extent instead of m. Usually it is a child of the same parent, and was counted as such by who
    /// made it. Else it is one of ours whose parent lost to somebody else's: it becomes this one's child. has_parent: m's is
    /// in force.
    [[nodiscard, gnu::noinline]] task<result<void>> lost_to(made_extent const& m, extent_ref theirs, bool has_parent) {
        scratch_lease const memory(s_.scratches());
        auto* const words = memory->image(extent_class::bytes(extent_class::count - 1));
        whole_extent const x(words, theirs.size_class());
        op look = op::read(theirs.at(), words, theirs.bytes());
        if (auto const r = co_await s_.submit(look); !r) co_return r.error();
        bool const this_life = x.meta().is_life_of(theirs, state_.handle.tag()) && x.first() == chain_[m.begin];
        if (this_life && x.meta().dead()) { // nobody may have come to bury it
            auto const parent = co_await bury(s_, state_, theirs, x);
            if (!parent) co_return parent.error();
            if (auto const r = co_await note_emptied(*parent); !r) co_return r.error();
        } else if (this_life) {
            state_.placements.put(x.first(), {.extent = theirs});
            if (has_parent && x.parent() && x.parent() != m.parent) { // null: somebody buries it
                op adopt = op::cas(x.parent_at(theirs), x.parent_word(), m.parent.bits());
                if (auto const r = co_await s_.submit(adopt); !r) co_return r.error();
                // Its parent until now may come into force all the same, if that was inserted later than it.
                if (adopt.swapped()) co_return co_await uncount(x.parent());
            }
        }
        if (!has_parent) co_return result<void>{};
        co_return co_await uncount(m.parent);
    }

    /// Frees what was made. counted: the first of it counts as a child of the extent before.
    [[nodiscard, gnu::noinline]] task<result<void>> give_up(bool counted) {
        if (counted) {
            if (auto const r = co_await uncount(end_.extent); !r) co_return r.error();
        }
        tell({});
        co_return co_await maker_.discard_all();
    }

    Session& s_;
    State& state_;
    std::span<block_hash const> chain_;
    std::span<location> locations_;
    std::span<location> seen_; ///< by the walk
    std::size_t at_;           ///< every block in [from, at_) is listed
    scratch_lease memory_;
    extent_maker<Session, State> maker_;
    std::span<change> changes_;
    std::span<op> ops_;
    std::size_t first_window_ = 0;
    std::span<std::size_t> listed_to_; ///< of each window: up to which block we listed it before the walk came to it
    std::span<made_extent> orphans_;   ///< of each window: ours whose parent lost; until it is adopted
    extent_ref emptied_;               ///< we uncounted its last child
    news_errand<State> others_;        ///< what was published before is told with L2
    std::span<extent_news> news_;
    std::size_t positions_ = 0; ///< in the ring of news that L2 took
    std::uint64_t news_at_ = 0; ///< the first of them
    walk_end end_;
    bool gap_ = false;
    publish_counts counts_;
};

} // namespace catena::detail
