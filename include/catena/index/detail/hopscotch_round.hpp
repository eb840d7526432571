// SPDX-License-Identifier: Apache-2.0
// hopscotch_round: one attempt to apply pending mutations to hopscotch leaves, all in the same round trips
// (protocol/hopscotch_io.hpp has the protocol of one leaf, index/detail/batch_write.hpp what happens between rounds).
//
// For all leaves that the pending mutations belong to:
//   1 descend, local locks    as every round
//   2 CAS and READ            the lock word of each leaf, and the neighbourhood of the key; two quads more where an insert comes
//                             to a crowded leaf; the whole leaf where it is very crowded, where several keys of it change, or
//                             where the neighbourhood would be two READs
//   3 READ                    whole leaves where there is no room, or the key is beyond the fence and the header is wanted
//   4 WRITE                   right leaves of those that split
//   5 WRITE                   all steps, and the lock words; local locks are released, remote locks perhaps handed over
//   6 link, unlock            leaves that split stay locked until their right halves are linked: over the left leaf alone, and
//                             by who has its lock, could somebody else link them before, and a merge take them away again
// 2 round trips as a rule; 3, 4 and 6 are there when somebody needs them.
// Thread safety: as the session.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/crowded_leaves.hpp>
#include <catena/index/detail/node_edit.hpp>
#include <catena/index/detail/round_base.hpp>
#include <catena/index/mutation.hpp>
#include <catena/layout/model_blocks.hpp>
#include <catena/protocol/hopscotch_io.hpp>

namespace catena::detail {

template <typename Key>
struct hopscotch_group : round_group<Key> {
    op* take = nullptr;          ///< the CAS
    word free = 0;               ///< the lock word that it expects
    bool header = false;         ///< the image has it
    bool whole = false;          ///< the image has everything
    word known = 0;              ///< the quads that the image has and that are sealed (H1), bit by bit
    bool full = false;           ///< there is no room for a mutation
    bool lacks = false;          ///< ... or it cannot be told without the whole leaf
    op* note = nullptr;          ///< learned: counts something in the extent, under the lock, which keeps that in use
    bool wants_training = false; ///< ... for one of these counts is high enough
    std::span<op> steps;         ///< room for them
    std::size_t step_count = 0;
};

template <typename Layout, typename Session, typename Tree>
class hopscotch_round : public round_base<Layout, Session, Tree, hopscotch_group<typename Layout::key_type>> {
    using base = round_base<Layout, Session, Tree, hopscotch_group<typename Layout::key_type>>;
    using base::drop_right, base::forget_outcomes, base::group_by_node, base::groups_, base::in_force_, base::level_,
        base::lock_locally, base::memory_, base::mutations_, base::of, base::probes_, base::route, base::s_,
        base::settle, base::stuck_, base::suspect, base::tree_;

public:
    using base::base, base::image_of;
    using typename base::group, typename base::key_type, typename base::mutation_type, typename base::stage,
        typename base::view;

    /// Sets the outcomes of what it applied. After an error nothing of this round is locked, and what was not published
    /// is pending.
    [[nodiscard, gnu::noinline]] task<result<void>> run() {
        auto const done = co_await attempt();
        if (!done) (void)co_await give_up(done.error()); // the first error is the one that counts
        co_return done;
    }

    /// Did a mutation get further along overflow leaves?
    [[nodiscard]] bool went_on() const noexcept { return went_on_; }

    static constexpr auto link_kind = mutation_kind::link_held;

    /// After the right halves were linked, or could not be.
    [[nodiscard, gnu::noinline]] task<result<void>> finish() {
        std::size_t n = 0;
        for (auto& g : groups_)
            if (waits_for_link(g) && g.holds_local) n += plan_unlock(g, ops_.subspan(n));
        result<void> unlocked;
        if (n > 0) unlocked = co_await s_.submit(ops_.first(n));
        for (auto& g : groups_)
            if (waits_for_link(g)) this->release(g, g.handing && unlocked, 0);
        co_return unlocked;
    }

    /// Did an erase leave a neighbourhood nearly empty? More of the leaf is not known as a rule.
    [[nodiscard]] bool wants_merge(group const& g) const noexcept {
        auto const leaf = image_of(g);
        return std::ranges::any_of(of(g), [&](std::uint32_t i) {
            if (mutations_[i].outcome != mutation_outcome::erased) return false;
            auto const home = Layout::home_of(mutations_[i].key);
            return std::popcount(leaf.quad(home).occupancy()) +
                       std::popcount(leaf.quad(Layout::next(home)).occupancy()) <=
                   1;
        });
    }

private:
    /// In a learned index nothing leads to an overflow leaf but its left neighbour.
    [[nodiscard]] static bool waits_for_link(group const& g) noexcept { return g.splits && !routed_by_model<Tree>; }

    [[nodiscard, gnu::noinline]] task<result<void>> attempt() {
        auto const found = co_await route();
        if (!found) co_return found.error();
        if (!*found) co_return result<void>{};
        group_by_node();
        ops_ = memory_->template take<op>((1 + max_neighbourhood_reads) * groups_.size());
        if (auto const r = co_await lock_locally(); !r) co_return r.error();
        if (auto const r = co_await expect_lock_words(); !r) co_return r.error();
        if (auto const r = co_await take_and_read(); !r) co_return r.error();
        for (auto& g : groups_)
            if (g.at == stage::locked) edit(g);
        if (auto const r = co_await read_whole(); !r) co_return r.error();
        if (auto const r = co_await split(); !r) co_return r.error();
        co_return co_await publish();
    }

    /// Something could not be had: no lock is left behind. Of a batch that failed nobody knows what it did: locks of leaves
    /// that are as they were are given back by CAS, others are mended.
    [[nodiscard, gnu::noinline]] task<result<void>> give_up(error why) {
        auto const me = s_.pool().self.tag();
        std::size_t n = 0;
        for (auto& g : groups_) {
            if (g.holds_local) forget_outcomes(g);
            if (!publishing_ && (g.take != nullptr || g.handed)) ops_[n++] = unlock_by_cas(g, me);
        }
        if (n > 0) (void)co_await s_.submit(ops_.first(n));
        for (auto& g : groups_) {
            if (!publishing_) (void)co_await drop_right(g); // never linked: its block is free again
            if (!g.holds_local) continue;
            this->let_go(g, why);
            if (publishing_ && g.at == stage::locked) (void)co_await this->mend_half_done(g, this->key_in(g));
        }
        groups_ = {};
        co_return result<void>{};
    }

    [[nodiscard]] op unlock_by_cas(group const& g, std::uint32_t me) const noexcept {
        return op::cas(g.node.at(), lock_word(g.free).held_by(me).bits(), g.free);
    }

    /// W0: nothing, or the lock words are read.
    [[nodiscard, gnu::noinline]] task<result<void>> expect_lock_words() {
        for (auto& g : groups_) g.free = view::free_lock(tree_.handle.tag(), g.node.incarnation()).bits();
        if constexpr (Layout::vacancy_in_lock) {
            auto const reads = memory_->template take<op>(groups_.size());
            std::size_t n = 0;
            for (auto& g : groups_)
                if (g.at == stage::reading && !g.handed) reads[n++] = op::read(g.node.at(), g.image, word_bytes);
            if (n > 0) {
                if (auto const r = co_await s_.submit(reads.first(n)); !r) co_return r.error();
            }
            for (auto& g : groups_) {
                lock_word const seen(g.image[0]);
                bool const free = view::frees(seen, tree_.handle.tag(), g.node.incarnation());
                if (g.at == stage::reading && !g.handed && free)
                    g.free = seen.bits(); // else the CAS says what is there
            }
        }
        co_return result<void>{};
    }

    /// W1 for all leaves.
    [[nodiscard, gnu::noinline]] task<result<void>> take_and_read() {
        std::size_t n = 0;
        for (auto& g : groups_) {
            if (g.at != stage::reading) continue;
            lock_word const free(g.free);
            if (!g.handed) {
                g.take = &ops_[n];
                ops_[n++] = op::cas(g.node.at(), free.bits(), free.held_by(s_.pool().self.tag()).bits());
            }
            auto const& p = probes_[of(g).front()];
            auto const home = Layout::home_of(p.key);
            bool const inserts = mutations_[of(g).front()].kind == mutation_kind::insert;
            auto const crowd = inserts ? tree_.crowded.of(g.node) : crowding::none;
            g.whole = !Tree::options::neighbourhood_reads || of(g).size() > 1 || home + 1 == Layout::quads ||
                      crowd == crowding::high || (crowd == crowding::some && !Layout::has_windows);
            g.whole |= inserts && view::full_by(free, home) && view::full_by(free, Layout::next(home));
            bool const window = !g.whole && crowd == crowding::some;
            g.header = g.whole || p.wary;
            g.known = g.whole  ? all_quads<Layout>
                      : window ? ((word{1} << Layout::window_quads) - 1) << Layout::window_begin(home)
                               : word{3} << home;
            auto const leaf = image_of(g);
            if (g.whole)
                ops_[n++] = plan_read_whole(leaf, g.node);
            else if (window)
                n += plan_read_window(leaf, g.node, tree_.handle.tag(), home, p.wary, ops_.subspan(n));
            else
                n += plan_read(leaf, g.node, tree_.handle.tag(), home, p.wary, ops_.subspan(n));
        }
        if (n == 0) co_return result<void>{};
        if (auto const r = co_await s_.submit(ops_.first(n)); !r) co_return r.error();
        for (auto& g : groups_) {
            if (g.at != stage::reading) continue;
            if (g.handed || g.take->swapped())
                g.at = stage::locked;
            else
                was_not_had(g);
        }
        co_return result<void>{};
    }

    /// Somebody else has the lock, or that leaf is no more: the header says which, the next time at the latest.
    void was_not_had(group& g) {
        ++s_.stats().retries;
        lock_word const found(g.take->fetched);
        auto const leaf = image_of(g);
        for (auto const i : of(g)) {
            auto& p = probes_[i];
            auto const seen = g.header ? inspect_header(leaf, g.node, tree_.handle.tag(), p.key) : visit::here;
            p.wary = true;
            if (found.locked() && seen != visit::stale) stuck_ = {.node = g.node, .lock = found, .key = p.key};
            if (seen != visit::here) follow(tree_, p, seen, leaf);
        }
        g.at = stage::skipped;
        g.take = nullptr;
        this->release(g, false, 0);
    }

    /// Applies what can be applied to the image, and notes the steps. Whatever was noted before is forgotten.
    void edit(group& g) {
        if (g.steps.empty()) g.steps = memory_->template take<op>(of(g).size() * max_steps<Layout> + 2);
        auto const leaf = image_of(g);
        hopscotch_steps steps(leaf, g.node.at(), g.steps, *memory_);
        g.lacks = g.full = false;
        for (std::size_t q = 0; q < Layout::quads; ++q)
            if ((g.known >> q & 1U) != 0 && !leaf.sealed(q, fence_read(g, q))) g.known &= ~(word{1} << q);
        // Quads are sealed again under the copy of the fence that is their own; only one was read.
        if (!g.whole) leaf.set_high(leaf.fence(fence_read(g, 0)));
        for (auto const i : of(g)) {
            auto& p = probes_[i];
            auto const sighting = look_for(leaf, g.node, tree_.handle.tag(), p.key, g.header);
            if (sighting.seen == visit::here) {
                if (apply(leaf, g.known, i, sighting.slot, [&](word_range r) { steps(r); })) continue;
                if (!g.whole) g.lacks = true;
                if (g.known == all_quads<Layout>) g.full = true; // else it is damaged, and is not given new seals
            } else if (sighting.seen == visit::right && !g.whole) {
                g.lacks = true;
            } else { // torn under the lock: damaged; nobody is at it
                if constexpr (!routed_by_model<Tree>)
                    if (sighting.seen == visit::right) suspect(g);
                follow(tree_, p, sighting.seen, leaf);
                went_on_ |= went_right<Tree>(p, sighting.seen);
                p.wary = true;
            }
        }
        g.step_count = steps.count();
    }

    /// The copy of the fence that quad `q` can be checked under: its own, or the one that was read.
    [[nodiscard]] std::size_t fence_read(group const& g, std::size_t q) const noexcept {
        return Layout::fence_of(g.whole ? q : Layout::home_of(this->key_in(g)));
    }

    /// One mutation whose key is in `slot`, or absent. Emits its steps. False: there is no room, as far as the image tells.
    template <typename Emit>
    [[nodiscard]] bool apply(view leaf, word known, std::uint32_t i, std::size_t slot, Emit emit) {
        auto& m = mutations_[i];
        bool const found = slot != Layout::no_slot;
        switch (m.kind) {
        case mutation_kind::insert:
            if (!found) break;
            in_force_[i] = leaf.payload(slot);
            m.outcome = mutation_outcome::present;
            return true;
        case mutation_kind::upsert:
            if (!found) break;
            if (!same_bytes(leaf.payload(slot), m.value)) hopscotch_replace(leaf, slot, m.value, emit);
            m.outcome = mutation_outcome::replaced;
            return true;
        case mutation_kind::erase:
        case mutation_kind::erase_if:
            if (!found) {
                m.outcome = mutation_outcome::absent;
            } else if (m.kind == mutation_kind::erase_if && !same_bytes(leaf.payload(slot), m.value)) {
                m.outcome = mutation_outcome::differs;
            } else {
                hopscotch_erase(leaf, slot, emit);
                m.outcome = mutation_outcome::erased;
            }
            return true;
        case mutation_kind::link:
        case mutation_kind::link_held: return true;
        }
        auto const room = make_room(leaf, Layout::home_of(m.key), Tree::options::most_moves, known);
        if (room.slot == Layout::no_slot) return false;
        hopscotch_insert(leaf, room, m.key, m.value, emit);
        m.outcome = mutation_outcome::inserted;
        return true;
    }

    /// Leaves of which more must be known; what was applied to a part of them is applied again.
    [[nodiscard, gnu::noinline]] task<result<void>> read_whole() {
        std::size_t n = 0;
        for (auto& g : groups_) {
            if (g.at != stage::locked || !g.lacks) continue;
            forget_outcomes(g);
            ops_[n++] = plan_read_whole(image_of(g), g.node);
        }
        if (n == 0) co_return result<void>{};
        if (auto const r = co_await s_.submit(ops_.first(n)); !r) co_return r.error();
        for (auto& g : groups_) {
            if (g.at != stage::locked || !g.lacks) continue;
            g.whole = g.header = true;
            g.known = all_quads<Layout>;
            edit(g);
        }
        co_return result<void>{};
    }

    /// Full leaves to which nothing else was done are split; the others next time.
    [[nodiscard, gnu::noinline]] task<result<void>> split() {
        std::size_t n = 0;
        for (auto& g : groups_) {
            if (g.at != stage::locked) continue;
            bool const splits = g.full && g.step_count == 0;
            if (g.whole) tree_.crowded.note(g.node, splits ? crowding::none : crowding_of(image_of(g)));
            if (!splits) continue;
            if (auto const r = co_await prepare_split(g); !r) co_return r.error();
            ops_[n++] = op::write(g.right.ref.at(), g.right_image, Layout::used_words * word_bytes);
            if constexpr (routed_by_model<Tree>)
                ops_[n++] = op::faa(this->parent_of(g).at() + extent_header::overflows_at, 1);
        }
        if (n == 0) co_return result<void>{};
        auto const written = co_await s_.submit(ops_.first(n));
        if constexpr (routed_by_model<Tree>) {
            n = 0;
            for (auto& g : groups_)
                if (g.splits) g.wants_training = extent_header::enough(ops_[2 * n++ + 1].fetched);
        }
        co_return written;
    }

    /// Splits a full leaf in memory and lets the waiting mutations into the halves.
    [[nodiscard, gnu::noinline]] task<result<void>> prepare_split(group& g) {
        auto const made = co_await allocate_node(s_, tree_, level_);
        if (!made) co_return made.error();
        g.right = *made;
        g.right_image = memory_->image(Layout::bytes);
        g.splits = true;
        g.unlinked = g.right.ref;
        auto const me = s_.pool().self.tag();
        auto const left = image_of(g);
        view const right(g.right_image);
        auto const waiting = std::ranges::find_if(
            of(g), [&](std::uint32_t i) { return mutations_[i].outcome == mutation_outcome::pending; });
        slot_order<Layout> order;
        auto const sorted = sorted_slots(left, std::span(order));
        auto const middle =
            split_point(left, std::span<std::uint8_t const>(order.data(), sorted), probes_[*waiting].key);
        g.separator = left.key(order[middle]);
        hopscotch_split(left, right, g.right.ref, g.right.memory.lives, g.separator);
        left.seal(me, true);
        right.seal(me, false);
        hopscotch_steps steps(left, g.node.at(), g.steps, *memory_);
        constexpr auto all = all_quads<Layout>;
        steps(Layout::contents());
        for (auto const i : of(g)) {
            if (mutations_[i].outcome != mutation_outcome::pending) continue;
            auto const& key = mutations_[i].key;
            if (look_for(left, g.node, tree_.handle.tag(), key, true).seen == visit::here) {
                (void)apply(left, all, i, left.find(key), [&](word_range r) { steps(r); }); // no room: next round
            } else if (!right.below(key) && !right.above(key)) {
                (void)apply(right, all, i, right.find(key), [](word_range) {}); // written as a whole
            }
        }
        g.step_count = steps.count();
        right.seal(me, false);
        co_return result<void>{};
    }

    /// W2 for all leaves.
    [[nodiscard, gnu::noinline]] task<result<void>> publish() {
        std::size_t room = 0;
        for (auto const& g : groups_)
            if (g.at == stage::locked) room += g.step_count + 2;
        if (room == 0) co_return result<void>{};
        auto const ops = memory_->template take<op>(room);
        std::size_t n = 0;
        for (auto& g : groups_) {
            if (g.at != stage::locked) continue;
            n += static_cast<std::size_t>(std::ranges::copy(g.steps.first(g.step_count), &ops[n]).out - &ops[n]);
            if constexpr (routed_by_model<Tree>) {
                g.note = wants_merge(g) ? &ops[n++] : nullptr;
                if (g.note != nullptr) *g.note = op::faa(this->parent_of(g).at() + extent_header::sparse_at, 1);
            }
            if (!waits_for_link(g)) n += plan_unlock(g, ops.subspan(n));
        }
        publishing_ = true;
        if (auto const r = co_await s_.submit(ops.first(n)); !r) co_return r.error();
        for (auto& g : groups_) {
            if (g.at != stage::locked) continue;
            if (g.note != nullptr) g.wants_training |= extent_header::enough(g.note->fetched);
            settle(g);
            if constexpr (Tree::options::speculative_reads) refresh_hotspots(g);
            if (!waits_for_link(g)) this->release(g, g.handing, 0);
        }
        co_return result<void>{};
    }

    /// Writes the operation that sets the lock free, unless a waiter gets it.
    [[nodiscard]] std::size_t plan_unlock(group& g, std::span<op> ops) {
        g.handing = tree_.locks.may_hand_over(g);
        if (g.handing) return 0;
        auto const leaf = image_of(g);
        leaf.set_lock(leaf.with_vacancy(lock_word(g.free), g.known));
        ops[0] = op::write(g.node.at(), g.image, word_bytes);
        return 1;
    }

    /// Hot keys of the quads that we wrote are known to hold again.
    void refresh_hotspots(group const& g) {
        word written = g.splits ? all_quads<Layout> : 0;
        for (auto const& step : g.steps.first(g.step_count)) {
            auto const at = (step.target.offset() - g.node.at().offset()) / word_bytes;
            for (std::size_t q = 0; q < Layout::quads; ++q)
                if (at >= Layout::quad_at(q) && at < Layout::quad_at(q) + Layout::quad_words) written |= word{1} << q;
        }
        refresh_hotspots(image_of(g), written);
        if (g.splits) refresh_hotspots(view(g.right_image), written);
    }
    void refresh_hotspots(view leaf, word quads) {
        for (; quads != 0; quads &= quads - 1) {
            auto const quad = static_cast<std::size_t>(std::countr_zero(quads));
            for (auto slot = quad * quad_word::slots; slot < (quad + 1) * quad_word::slots; ++slot) {
                if (!leaf.occupied(slot)) continue;
                auto const key = leaf.key(slot);
                tree_.hotspots.refresh(key, {.value = leaf.payload(slot),
                                             .control = leaf.quad(quad).bits(),
                                             .behind = quad != Layout::home_of(key)});
            }
        }
    }

    /// How much of the leaf the next insert reads at once: a little more than half full it needs more than the neighbourhood now and then, from
    /// three quarters on it would often have to read everything anyhow.
    [[nodiscard]] static crowding crowding_of(view leaf) noexcept {
        auto const percent = leaf.count() * 100 / Layout::slots;
        return percent >= 75 ? crowding::high : percent >= 55 ? crowding::some : crowding::none;
    }

    std::span<op> ops_;
    bool publishing_ = false;
    bool went_on_ = false;
};

} // namespace catena::detail
