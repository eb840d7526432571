// SPDX-License-Identifier: Apache-2.0
// batch_write: applies mutations to the nodes of one level, many nodes in the same round trips.
//
// One round, for all nodes that the pending mutations belong to (protocol/node_io.hpp has the protocol of one node):
//   1 descend            no round trip when internal nodes are cached
//   2 local locks        the first node's is waited for while none is held; the others' are only tried
//   3 READ               all nodes in one batch                                  (a handed-over node needs neither 3 nor 5)
//   4 edit the images    pure; mutations that change nothing are answered here
//   5 CAS                all lock words in one batch; new right siblings of full nodes are written along with them
//   6 WRITE              all publications in one batch; local locks are released, or handed over
//   7 link               the separators of all splits, one batch_write on the level above
// What failed in a round (another client's lock, a lost CAS, a stale guess) is tried again in the next, within one
// patience. No remote lock is held across rounds, none while waiting: there is nothing to deadlock on.
// help        a writer that reaches a right sibling without separator for the second time links it: its splitter may be
//             dead. So a separator may come twice, and late: its node may have been merged away meanwhile, even reused.
//             A merge takes the separator out of the parent under the parent's lock, so either the linker's CAS on the
//             parent fails, or the node was dead before the linker read the parent, and the child's meta word, which is
//             read along with that CAS, says so.
// Dies in 5/6 see node_io; a right sibling that is not linked yet is unreachable (its block leaks until recovery), one
//             that is linked but has no separator is found over its left neighbour.
// Thread safety: as the session.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/recovery.hpp>
#include <catena/index/detail/hopscotch_round.hpp>
#include <catena/index/detail/write_round.hpp>
#include <catena/index/mutation.hpp>
#include <catena/pool/membership.hpp>

namespace catena::detail {

template <typename Layout, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<void>> merge_underfull(Session& s, Tree& tree, std::uint32_t level,
                                                                typename Tree::key_type key);

/// Of a learned index: trains the pieces of these keys, where many leaves split or became nearly empty, but for some of them
/// where others do it (index/detail/train_after.hpp).
template <typename Layout, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<void>> train_after(Session& s, Tree& tree,
                                                            std::span<typename Tree::key_type const> keys);

/// What applies mutations to nodes of that layout.
template <typename Layout, typename Session, typename Tree>
struct round_for {
    using type = write_round<Layout, Session, Tree>;
};
template <typename Key, typename Value, hopscotch_shape Shape, typename Session, typename Tree>
struct round_for<hopscotch_layout<Key, Value, Shape>, Session, Tree> {
    using type = hopscotch_round<hopscotch_layout<Key, Value, Shape>, Session, Tree>;
};

template <typename Layout, typename Session, typename Tree>
class batch_writer {
public:
    using key_type = typename Layout::key_type;
    using round_type = typename round_for<Layout, Session, Tree>::type;
    using mutation_type = typename round_type::mutation_type;
    batch_writer(Session& s, Tree& tree, std::uint32_t level, std::span<mutation_type> mutations)
        : s_(s), tree_(tree), level_(level), mutations_(mutations), memory_(s.scratches()),
          probes_(memory_->template take<probe<key_type>>(mutations.size())),
          pending_(memory_->template take<std::uint32_t>(mutations.size())) {
        for (std::uint32_t i = 0; i < mutations.size(); ++i) {
            probes_[i].key = mutations[i].key;
            mutations[i].outcome = mutation_outcome::pending;
            pending_[i] = i;
        }
    }

    /// All mutations, in as many rounds as it takes.
    [[nodiscard, gnu::noinline]] task<result<void>> run() {
        retry again;
        auto const place = memory_->mark();
        while (!pending_.empty()) {
            auto const before = pending_.size();
            memory_->reset_to(place);
            round_type round(s_, tree_, level_, mutations_, probes_, pending_, *memory_);
            if (auto const r = co_await round.run(); !r) co_return r.error();
            compact();
            // The mutations are in the tree now. A separator that cannot be linked is found over its left neighbour
            // until a later writer links it; a merge that cannot be done is done later.
            auto const linked = co_await link_splits(round);
            if (auto const r = co_await round.finish(); !r) co_return r.error();
            if (!linked && !is_passing(linked.error())) co_return linked.error();
            if (auto const r = co_await merge_underfull_nodes(round); !r && !is_passing(r.error())) co_return r.error();
            bool went_on = pending_.size() < before;
            if constexpr (routed_by_model<Tree>) {
                went_on |= round.went_on();
                note_training(round);
            }
            if (went_on) {
                again = {};
            } else if (auto const r = co_await wait_for<Layout>(s_, tree_, again, round.stuck()); !r) {
                co_return r.error();
            } else if (auto const kept = co_await keep_lease(s_); !kept) { // a wait may be longer than a lease
                co_return kept.error();
            }
        }
        // Not between rounds: a training may make one leaf again of what a split made two of for a key that is still to come.
        if constexpr (routed_by_model<Tree>)
            co_return co_await train_after<Layout>(s_, tree_, std::span(train_).first(train_count_));
        co_return result<void>{};
    }

private:
    [[nodiscard]] static bool is_passing(error e) noexcept {
        return e.code == errc::out_of_memory || e.code == errc::contended;
    }

    void compact() noexcept {
        std::size_t n = 0;
        for (auto const i : pending_)
            if (mutations_[i].outcome == mutation_outcome::pending) pending_[n++] = i;
        pending_ = pending_.first(n);
    }

    /// Step 7. All separators of this round in one batch on the level above.
    [[nodiscard, gnu::noinline]] task<result<void>> link_splits(round_type const& round) {
        if constexpr (routed_by_model<Tree>)
            co_return result<void>{}; // overflow leaves are found over their left neighbours
        else
            co_return co_await link_to_parents(round);
    }
    [[nodiscard, gnu::noinline]] task<result<void>> link_to_parents(round_type const& round) {
        auto const links = memory_->template take<mutation<key_type, node_ref>>(round.groups().size());
        std::size_t n = 0;
        for (auto const& g : round.groups())
            if (g.unlinked && (!g.splits || g.published()))
                links[n++] = {.key = g.separator,
                              .value = g.unlinked,
                              .kind = g.splits ? round_type::link_kind : mutation_kind::link,
                              .outcome = mutation_outcome::pending};
        if (n == 0) co_return result<void>{};
        batch_writer<typename Tree::inner, Session, Tree> parents(s_, tree_, level_ + 1, links.first(n));
        co_return co_await parents.run();
    }

    /// What there is no place for is noted again at the next split there.
    void note_training(round_type const& round) noexcept {
        for (auto const& g : round.groups())
            if (g.published() && g.wants_training && train_count_ < train_.size())
                train_[train_count_++] = round.key_in(g);
    }

    /// Nodes that erases left nearly empty are merged with a neighbour.
    [[nodiscard, gnu::noinline]] task<result<void>> merge_underfull_nodes(round_type const& round) {
        if constexpr (routed_by_model<Tree>)
            co_return result<void>{};
        else
            co_return co_await merge_with_neighbours(round);
    }
    [[nodiscard, gnu::noinline]] task<result<void>> merge_with_neighbours(round_type const& round) {
        for (auto const& g : round.groups()) {
            if (!g.published() || !round.wants_merge(g)) continue;
            auto const merged = co_await merge_underfull<Layout>(s_, tree_, level_, round.key_in(g));
            if (!merged) co_return merged.error();
        }
        co_return result<void>{};
    }

    Session& s_;
    Tree& tree_;
    std::uint32_t level_;
    std::span<mutation_type> mutations_;
    scratch_lease memory_;
    std::span<probe<key_type>> probes_;
    std::span<std::uint32_t> pending_;
    std::array<key_type, 4> train_{}; ///< learned: keys of pieces that should be trained
    std::size_t train_count_ = 0;
};

} // namespace catena::detail
