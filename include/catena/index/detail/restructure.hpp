// SPDX-License-Identifier: Apache-2.0
// restructure: a tree grows a level, and nearly empty neighbours become one.
//
// grow_root   a level split and nobody above it knows: a new root with two children is written, then the root word in the
//             catalog is changed by CAS. Whoever loses that race frees its root and links like everybody else. A third
//             sibling that split off meanwhile needs no place in the new root: it is found over its left neighbour.
// merge       Actors: M merger; R reader or writer of the pair (left, right) or of their parent.
//             M1 READ parent; M2 READ left, right; M3 CAS all three lock words (exact words: nothing changed since);
//             M4 WRITE right: dead, still locked, otherwise as it was; M5 WRITE left (entries into free slots, occupancy,
//             then fence and link) and parent (separator gone). Then right's block is free.
//             Needs M4 before M5: once left is published its new keys can change there, so nobody may still take an old
//             copy of them from right.
//             R on right after M4: dead, goes to the root and comes back: at most until M5, within its patience. Only a
//             right one that is not its parent's first child is merged away, under the parent's lock: every internal
//             node keeps an entry at its low fence.
//             M never waits for a lock: it is optional work and gives up instead.
//             M dies: three locks name M. Left still links to right: right is whole and is brought back to life if it is
//             dead already. Left links past it: it has all entries, and right's separator leaves the parent with the
//             repair of the parent (recovery.hpp).
// Thread safety: as the session.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/batch_write.hpp>

namespace catena::detail {

/// A root of `level` over the present root and `right`. False: somebody else was first. 2 round trips.
template <typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<bool>> grow_root(Session& s, Tree& tree, std::uint32_t level,
                                                          typename Tree::key_type separator, node_ref right) {
    using inner = typename Tree::inner;
    auto const old = co_await refresh_root(s, tree);
    if (!old) co_return old.error();
    if (old->level() >= level) co_return false;
    if (level > node_ref::max_level) co_return make_error(errc::out_of_memory);
    auto const made = co_await allocate_node(s, tree, level);
    if (!made) co_return made.error();
    scratch_lease const memory(s.scratches());
    node_view<inner> const node(memory->image(inner::bytes));
    node.format(static_cast<std::uint8_t>(level), tree.handle.tag(), made->memory.lives);
    node.set_entry(0, node.low(), *old);
    node.set_entry(1, separator, right);
    node.set_occupancy(3);
    node.seal(s.pool().self.tag(), false);
    word meta = 0; // of the old root: the catalog may have told that of another index (refresh_root)
    std::array ops{op::write(made->ref.at(), node.image(), inner::bytes),
                   op::read(old->at() + meta_word * word_bytes, &meta, word_bytes)};
    if (auto const r = co_await s.submit(batch(ops)); !r) co_return r.error();
    if (!names(*old, node_meta::from_word(meta), tree.handle.tag())) {
        if (auto const r = co_await free_node(s, tree, made->memory); !r) co_return r.error();
        co_return false;
    }
    op install = op::cas(tree.handle.root(), old->bits(), made->ref.bits());
    if (auto const r = co_await s.submit(install); !r) co_return r.error();
    tree.root.store(install.swapped() ? made->ref.bits() : install.fetched, std::memory_order_relaxed);
    if (install.swapped()) {
        tree.cache.put(made->ref, node);
    } else if (auto const r = co_await free_node(s, tree, made->memory); !r) {
        co_return r.error();
    }
    co_return install.swapped();
}

/// Most operations that plan_absorb plans.
template <typename Layout>
inline constexpr std::size_t max_absorb_ops = max_publish_ops;
template <typename Key, typename Value, hopscotch_shape Shape>
inline constexpr std::size_t max_absorb_ops<hopscotch_layout<Key, Value, Shape>> =
    hopscotch_layout<Key, Value, Shape>::slots* max_steps<hopscotch_layout<Key, Value, Shape>> + 2;

/// M5 for the left node: takes the entries of `right`, with its fence and link, and gives the lock up. 0: they do not fit.
template <typename Layout>
[[nodiscard]] std::size_t plan_absorb(node_view<Layout> const& left, node_view<Layout> const& right, remote_ptr at,
                                      std::uint32_t me, std::span<op> ops, scratch&) noexcept {
    node_changes changes;
    absorb(left, right, changes);
    left.seal(me, false);
    return plan_publish(left, at, changes, ops);
}
template <typename Layout>
[[nodiscard]] std::size_t plan_absorb(hopscotch_view<Layout> const& left, hopscotch_view<Layout> const& right,
                                      remote_ptr at, std::uint32_t me, std::span<op> ops, scratch& memory) {
    hopscotch_steps steps(left, at, ops, memory);
    if (!hopscotch_absorb(left, right, [&](word_range r) { steps(r); })) return 0;
    left.seal(me, false);
    steps(Layout::contents());
    steps.unlock();
    return steps.count();
}

/// Three nodes locked for a merge, or not.
template <typename Layout, typename Session, typename Tree>
class merger {
public:
    using key_type = typename Layout::key_type;
    using inner = typename Tree::inner;

    merger(Session& s, Tree& tree, std::uint32_t level)
        : s_(s), tree_(tree), level_(level), memory_(s.scratches()), parent_(memory_->image(inner::bytes)),
          left_(memory_->image(Layout::bytes)), right_(memory_->image(Layout::bytes)),
          locks_(memory_->template take<lock_request>(3)) {}

    /// Merges the node that covers `key` with a neighbour if that can be done right now.
    [[nodiscard, gnu::noinline]] task<result<void>> run(key_type key) {
        probe<key_type> above{.key = key, .at = {}, .parent = {}};
        auto const found = co_await descend(s_, tree_, std::span(&above, 1), level_ + 1);
        if (!found) co_return found.error();
        if (!*found) co_return result<void>{}; // the root has no neighbour
        locks_[0].node = above.at;
        op read = op::read(above.at.at(), parent_.image(), inner::bytes);
        if (auto const r = co_await s_.submit(read); !r) co_return r.error();
        if (inspect(parent_, above.at, tree_.handle.tag(), key) != visit::here || !choose_pair(key))
            co_return result<void>{};
        std::size_t held = 0;
        while (held < locks_.size() && tree_.locks.try_acquire(locks_[held])) ++held;
        auto const merged = held == locks_.size() ? co_await merge() : result<bool>(false);
        while (held > 0) tree_.locks.release(locks_[--held], false, 0);
        if (!merged) co_return merged.error();
        if (!*merged) co_return result<void>{};
        block const freed{.at = locks_[2].node.at(), .lives = right_.meta().incarnation};
        if (auto const r = co_await free_node(s_, tree_, freed); !r) co_return r.error();
        if (!underfull<inner, typename Tree::options>(parent_.count())) co_return result<void>{};
        co_return co_await merge_underfull<inner>(s_, tree_, level_ + 1, parent_.low());
    }

private:
    /// Would the pair make a node with room to spare? A nearly empty node goes wherever it fits: beside full neighbours
    /// (keys that arrive and leave in order) it would stay for ever.
    [[nodiscard]] static constexpr bool worthwhile(std::size_t left, std::size_t right) noexcept {
        if (left + right <= Layout::capacity * Tree::options::merge_up_to / 100) return true;
        return std::min(left, right) <= nearly_empty<Layout> && left + right <= Layout::capacity;
    }

    /// The child that covers `key` and its right neighbour under the same parent; its left one if it is the last.
    [[nodiscard]] bool choose_pair(key_type const& key) {
        slot_order<inner> order;
        auto const n = sorted_slots(parent_, std::span(order));
        if (n < 2) return false;
        std::size_t i = 0;
        while (i + 1 < n && !(key < parent_.key(order[i + 1]))) ++i;
        auto const left = i + 1 < n ? i : i - 1;
        locks_[1].node = parent_.payload(order[left]);
        locks_[2].node = parent_.payload(order[left + 1]);
        separator_slot_ = order[left + 1];
        return true;
    }

    [[nodiscard]] bool fits() const noexcept {
        auto const same = [this](auto const& node, node_ref ref) {
            return inspect(node, ref, tree_.handle.tag(), node.low()) == visit::here && !node.lock().locked();
        };
        return same(left_, locks_[1].node) && same(right_, locks_[2].node) && !parent_.lock().locked() && still_fit();
    }
    /// Under the locks: the images of hopscotch leaves are newer then.
    [[nodiscard]] bool still_fit() const noexcept {
        return left_.link() == locks_[2].node && worthwhile(left_.count(), right_.count());
    }

    [[nodiscard, gnu::noinline]] task<result<bool>> merge() {
        std::array reads{op::read(locks_[1].node.at(), left_.image(), Layout::bytes),
                         op::read(locks_[2].node.at(), right_.image(), Layout::bytes)};
        if (auto const r = co_await s_.submit(batch(reads)); !r) co_return r.error();
        if (!fits()) co_return false;

        auto const me = s_.pool().self.tag();
        auto parent = attempt_lock(parent_, locks_[0].node.at(), me);
        auto left = attempt_lock(left_, locks_[1].node.at(), me);
        auto right = attempt_lock(right_, locks_[2].node.at(), me);
        std::array<op, 6> taking;
        auto posted = parent.plan(taking);
        posted += left.plan(std::span(taking).subspan(posted));
        posted += right.plan(std::span(taking).subspan(posted));
        auto const took = co_await s_.submit(batch(taking).first(posted));
        auto const ops = memory_->template take<op>(max_absorb_ops<Layout> + max_publish_ops);
        std::size_t n = 0;
        if (took && parent.succeeded() && left.succeeded() && right.succeeded() && still_fit())
            n = plan_absorb(left_, right_, locks_[1].node.at(), me, ops, *memory_);
        if (n == 0) {
            std::array undo{parent.undo(), left.undo(), right.undo()};
            auto const undone = co_await s_.submit(batch(undo));
            if (!took) co_return took.error();
            if (!undone) co_return undone.error();
            co_return false;
        }
        std::array<op, max_rewrite_ops> kill;
        auto const kills = plan_kill(right_, locks_[2].node.at(), me, kill);
        if (auto const r = co_await s_.submit(batch(kill).first(kills)); !r) co_return r.error();

        parent_.set_occupancy(parent_.occupancy() & ~(word{1} << separator_slot_));
        parent_.seal(me, false);
        n += plan_publish(parent_, locks_[0].node.at(),
                          {.slots = 0, .payloads = 0, .fences = false, .occupancy = true, .gains = false},
                          ops.subspan(n));
        if (auto const r = co_await s_.submit(ops.first(n)); !r) co_return r.error();
        tree_.cache.put(locks_[0].node, parent_);
        if constexpr (std::is_same_v<Layout, inner>) {
            tree_.cache.drop(locks_[2].node);
            tree_.cache.put(locks_[1].node, left_);
        }
        co_return true;
    }

    Session& s_;
    Tree& tree_;
    std::uint32_t level_;
    scratch_lease memory_;
    node_view<inner> parent_;
    view_of<Layout> left_;
    view_of<Layout> right_;
    std::span<lock_request> locks_; ///< parent, left, right
    std::uint8_t separator_slot_ = 0;
};

/// After an erase left the node that covers `key` nearly empty. 5 round trips if it merges.
template <typename Layout, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<void>> merge_underfull(Session& s, Tree& tree, std::uint32_t level,
                                                                typename Tree::key_type key) {
    merger<Layout, Session, Tree> m(s, tree, level);
    co_return co_await m.run(key);
}

} // namespace catena::detail
