// SPDX-License-Identifier: Apache-2.0
// write_round: one attempt to apply pending mutations to the nodes of one level, all in the same round trips
// (index/detail/batch_write.hpp has the protocol and what happens between rounds).
// Thread safety: as the session.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <type_traits>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/node_edit.hpp>
#include <catena/index/detail/round_base.hpp>
#include <catena/index/mutation.hpp>
#include <catena/protocol/node_io.hpp>

namespace catena::detail {

/// A node that is read, locked and published as a whole.
template <typename Key>
struct node_group : round_group<Key> {
    node_changes changes;
    lock_word before; ///< as read; what a lock that is given up goes back to
    word occupancy_before = 0;
    lock_attempt locking;
};

template <typename Layout>
inline constexpr std::size_t nearly_empty = std::max<std::size_t>(1, Layout::capacity / 16);

/// Is it time to look for a neighbour to merge with? Not at every erase: looking costs two round trips.
template <typename Layout, typename Options>
[[nodiscard]] constexpr bool underfull(std::size_t count) noexcept {
    return count <= nearly_empty<Layout> || (count % 4 == 0 && count < Layout::capacity * Options::merge_below / 100);
}

template <typename Layout, typename Session, typename Tree>
class write_round : public round_base<Layout, Session, Tree, node_group<typename Layout::key_type>> {
    using base = round_base<Layout, Session, Tree, node_group<typename Layout::key_type>>;
    using base::forget_outcomes, base::group_by_node, base::groups_, base::in_force_, base::internal, base::level_,
        base::lock_locally, base::memory_, base::mutations_, base::of, base::order_, base::probes_, base::route,
        base::s_, base::settle, base::stuck_, base::suspect, base::tree_, base::drop_right;

public:
    using base::base, base::image_of;
    using typename base::group, typename base::key_type, typename base::stage, typename base::view;

    /// Sets the outcomes of what it applied. After an error nothing of this round is locked, and what was not published
    /// is pending.
    [[nodiscard, gnu::noinline]] task<result<void>> run() {
        auto const done = co_await attempt();
        if (!done) (void)co_await give_up(done.error()); // the first error is the one that counts
        co_return done;
    }

    static constexpr auto link_kind = mutation_kind::link;

    /// A round has let all nodes go when it ends.
    [[nodiscard]] task<result<void>> finish() { co_return result<void>{}; }

    /// Did erases leave the node so empty that a neighbour might take the rest?
    [[nodiscard]] bool wants_merge(group const& g) const noexcept {
        return underfull<Layout, typename Tree::options>(image_of(g).count()) && this->erased_from(g);
    }

private:
    [[nodiscard, gnu::noinline]] task<result<void>> attempt() {
        auto const found = co_await route();
        if (!found) co_return found.error();
        if (!*found) co_return result<void>{}; // the root grew, or is about to: next round
        group_by_node();
        ops_ = memory_->template take<op>(2 * groups_.size());
        if (auto const r = co_await lock_locally(); !r) co_return r.error();
        if (auto const r = co_await read(); !r) co_return r.error();
        if (auto const r = co_await edit_all(); !r) co_return r.error();
        if (auto const r = co_await lock_remotely(); !r) co_return r.error();
        co_return co_await publish();
    }

    /// Something could not be had: no lock is left behind. Of a batch that failed nobody knows what it did, so locks are
    /// given back by CAS, and what may be half published is mended.
    [[nodiscard, gnu::noinline]] task<result<void>> give_up(error why) {
        std::size_t n = 0;
        for (auto& g : groups_) {
            if (g.holds_local) forget_outcomes(g); // edited perhaps, not settled
            if (g.at == stage::locked) continue;
            if (g.handed)
                ops_[n++] = op::cas(g.node.at(), g.before.bits(), g.before.released().bits());
            else if (g.locking.was_made())
                ops_[n++] = g.locking.undo();
        }
        if (n > 0) (void)co_await s_.submit(ops_.first(n));
        for (auto& g : groups_) {
            // Never locked, so never linked: its block is free again. (After a publication that failed nobody knows.)
            if (g.at == stage::editing) (void)co_await drop_right(g);
            if (!g.holds_local) continue;
            this->let_go(g, why);
            if (g.at == stage::locked) (void)co_await this->mend_half_done(g, image_of(g).low());
        }
        groups_ = {};
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> read() {
        std::size_t n = 0;
        for (auto& g : groups_)
            if (g.at == stage::reading && !g.handed) ops_[n++] = op::read(g.node.at(), g.image, Layout::bytes);
        if (groups_.front().handed) groups_.front().before = image_of(groups_.front()).lock();
        if (n == 0) co_return result<void>{};
        co_return co_await s_.submit(ops_.first(n));
    }

    [[nodiscard, gnu::noinline]] task<result<void>> edit_all() {
        for (auto& g : groups_) {
            if (g.at != stage::reading) continue;
            auto const node = image_of(g);
            g.before = node.lock();
            g.occupancy_before = node.occupancy();
            auto const free_before = node.free_slots();
            bool no_room = false;
            // The seal is checked once; then each key only asks for the fences.
            auto const state = inspect(node, g.node, tree_.handle.tag(), node.low());
            for (auto i = g.first; i < g.last; ++i) {
                auto& p = probes_[order_[i]];
                auto const seen = state == visit::here ? cover(node, p.key) : state;
                if (!stuck_.node && !g.handed) stuck_ = obstacle_in(node, g.node, tree_.handle.tag(), seen, p.key);
                follow(tree_, p, seen, node);
                if (seen == visit::right) suspect(g);
                if (seen != visit::here || (g.before.locked() && !g.handed))
                    continue; // next round; or another client's
                if (!edit(node, free_before, g.changes, mutations_[order_[i]], in_force_[order_[i]])) no_room = true;
            }
            if (no_room && !g.changes.any()) {
                if (auto const r = co_await prepare_split(g, free_before); !r) co_return r.error();
            }
            // Set and cleared again (one key twice in a batch): it must not be written, see node_io.hpp.
            if (node.free_slots() == free_before) g.changes.occupancy = false;
            if (g.changes.any() || g.handed) {
                g.at = stage::editing;
            } else {
                settle(g);
                release(g, false);
            }
        }
        co_return result<void>{};
    }

    /// Splits a full node in memory and lets the waiting mutations into the halves.
    [[nodiscard, gnu::noinline]] task<result<void>> prepare_split(group& g, word free_before) {
        auto const made = co_await allocate_node(s_, tree_, level_);
        if (!made) co_return made.error();
        g.right = *made;
        g.right_image = memory_->image(Layout::bytes);
        g.splits = true;
        g.unlinked = g.right.ref;
        auto const left = image_of(g);
        view const right(g.right_image);
        // The first mutation that found no room is the one that arrives.
        auto arriving = g.first;
        while (mutations_[order_[arriving]].outcome != mutation_outcome::pending ||
               cover(left, probes_[order_[arriving]].key) != visit::here)
            ++arriving;
        g.separator = split(left, right, g.right.ref, g.right.memory.lives, probes_[order_[arriving]].key);
        g.changes.fences = g.changes.occupancy = true;
        node_changes all_new; // the right half is written as a whole
        for (auto i = g.first; i < g.last; ++i) {
            auto& m = mutations_[order_[i]];
            if (m.outcome != mutation_outcome::pending) continue;
            if (left.above(m.key)) {
                if (!right.above(m.key)) (void)edit(right, Layout::all_slots, all_new, m, in_force_[order_[i]]);
            } else if (!left.below(m.key)) {
                (void)edit(left, free_before, g.changes, m, in_force_[order_[i]]);
            }
        }
        right.seal(s_.pool().self.tag(), false);
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> lock_remotely() {
        std::size_t n = 0;
        auto const me = s_.pool().self.tag();
        auto const ops = memory_->template take<op>(3 * groups_.size() + (internal ? order_.size() : 0));
        if constexpr (internal) child_meta_ = memory_->template take<word>(mutations_.size());
        for (auto& g : groups_) {
            if (g.at != stage::editing) continue;
            if (g.splits) ops[n++] = op::write(g.right.ref.at(), g.right_image, Layout::bytes);
            if (!g.handed) {
                g.locking = lock_attempt(g.node.at(), g.before, g.occupancy_before, me);
                n += g.locking.plan(ops.subspan(n));
            }
            if constexpr (internal) {
                for_each_answered(g, [&](std::uint32_t i) {
                    if (mutations_[i].kind == mutation_kind::link_held) return;
                    ops[n++] = op::read(mutations_[i].value.at() + meta_word * word_bytes, &child_meta_[i], word_bytes);
                });
            }
        }
        if (n > 0) {
            if (auto const r = co_await s_.submit(ops.first(n)); !r) co_return r.error();
        }
        n = 0;
        for (auto& g : groups_) {
            if (g.at != stage::editing) continue;
            if (g.handed || g.locking.succeeded())
                g.at = stage::locked;
            else if (g.locking.swapped())
                ops_[n++] = g.locking.undo(); // the last writer's occupancy is under way still
        }
        if (n > 0) {
            if (auto const r = co_await s_.submit(ops_.first(n)); !r) co_return r.error();
        }
        for (auto& g : groups_) {
            if (g.at != stage::editing) continue;
            // The node changed since it was read: nothing of this group happened.
            ++s_.stats().retries;
            g.at = stage::skipped;
            forget_outcomes(g);
            if (auto const r = co_await drop_right(g); !r) co_return r.error();
            release(g, false);
        }
        co_return result<void>{};
    }

    /// Calls visit(i) for the mutations of a group that its image holds already.
    template <typename Visit>
    void for_each_answered(group const& g, Visit visit_one) const {
        for (auto const i : of(g))
            if (mutations_[i].outcome != mutation_outcome::pending) visit_one(i);
    }

    /// Internal nodes, under the lock: did a child die before its separator came? Then its link is settled (there is
    /// nothing to link any more) and the others of the group are tried again.
    [[nodiscard]] bool lost_a_child(group& g) noexcept {
        bool lost = false;
        if constexpr (internal) {
            for_each_answered(g, [&](std::uint32_t i) {
                if (mutations_[i].kind == mutation_kind::link_held) return;
                auto const meta = node_meta::from_word(child_meta_[i]);
                auto const child = mutations_[i].value;
                bool const alive = !meta.dead && meta.level == child.level() &&
                                   (meta.incarnation & node_ref::incarnation_mask) == child.incarnation();
                if (alive) return;
                mutations_[i].outcome = mutation_outcome::absent;
                lost = true;
            });
            for (auto i = g.first; lost && i < g.last; ++i) {
                auto& outcome = mutations_[order_[i]].outcome;
                if (outcome != mutation_outcome::absent) outcome = mutation_outcome::pending;
            }
        }
        return lost;
    }

    [[nodiscard, gnu::noinline]] task<result<void>> publish() {
        std::size_t room = 0;
        for (auto& g : groups_)
            if (g.at == stage::locked)
                room += static_cast<std::size_t>(std::popcount(g.changes.slots | g.changes.payloads)) + 2;
        if (room == 0) co_return result<void>{};
        auto const ops = memory_->template take<op>(room);
        std::size_t n = 0;
        for (auto& g : groups_) {
            if (g.at != stage::locked) continue;
            auto const node = image_of(g);
            if (lost_a_child(g)) {
                node.set_lock(g.before.released());
                ops[n++] = op::write(g.node.at(), node.image(), word_bytes);
                if (auto const r = co_await drop_right(g); !r) co_return r.error(); // still locked: give_up() unlocks
                g.at = stage::reading;
                continue;
            }
            g.handing = tree_.locks.may_hand_over(g);
            node.seal(s_.pool().self.tag(), g.handing);
            n += plan_publish(node, g.node.at(), g.changes, ops.subspan(n));
        }
        if (auto const r = co_await s_.submit(ops.first(n)); !r) co_return r.error();
        for (auto& g : groups_) {
            if (g.at == stage::reading) release(g, false);
            if (g.at != stage::locked) continue;
            settle(g);
            if constexpr (internal) {
                tree_.cache.put(g.node, image_of(g));
                if (g.splits) tree_.cache.put(g.right.ref, view(g.right_image));
            }
            release(g, g.handing);
        }
        co_return result<void>{};
    }

    void release(group& g, bool handed) { base::release(g, handed, Layout::bytes); }

    std::span<op> ops_;
    std::span<word> child_meta_; ///< internal nodes: of each linked child, as read under the parent's lock
};

} // namespace catena::detail
