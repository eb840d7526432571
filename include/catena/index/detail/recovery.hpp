// SPDX-License-Identifier: Apache-2.0
// recovery: what becomes of a node whose owner died. (Prior work: rTX, Wei et al. 2023; FUSEE, Shen et al., FAST 2023.)
//
// Actors     D the dead owner.  T whoever cannot get past what D left: a reader of a torn node, a writer of a locked one,
//            anybody who comes to a dead node again and again.
// Protocol   T1 is D gone (pool/membership.hpp)? Only then: D is shut out of all memory nodes first, so nothing of it can
//            land from now on. Late owners (stalled, not dead) fail with errc::fenced.
//            T2 CAS lock word: the word that names D -> held by T. Of several T one wins.
//            T3 READ the node: it does not change any more.  T4 mend the image.  T5 WRITE it, sealed and free.
// Mend       (A hopscotch leaf: layout/hopscotch_mend.hpp.) Occupied slots are whole (N2). The fences are as `link` says (N3): unbounded if it is null, else high = the low
//            fence of the sibling, which never changes. Entries that are not below it go: a split wrote the sibling before
//            the link, a merge had added entries that the sibling has still.
//              split   D died before the link: undone. After it: done, but for the separator, which the next writer
//                      that comes over the left neighbour adds.
//              merge   the sibling is dead: D's link had not landed; it is revived (its contents are as they were). It is
//                      alive: D's link had landed, and with it the entries. A parent drops children that are dead.
//              bulk    the dead leaf is still the root: revived.
// Takes effect  with T5: of what D had under way each key's change is in the image or is not.
// T dies     the lock word names T: the same again, by somebody else. Every step can be repeated.
// Ourselves  An operation of ours that failed (a memory node did not answer) may leave a lock behind, too: a lock that
//            names us while no thread of ours holds its local lock is mended in the same way. A fabric reports an error
//            only when nothing of that batch can take effect any more.
// Needs      that a dead node links to its right neighbour still, and keeps its entries, until its block is used again.
// Thread safety: as the session.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/descent.hpp>
#include <catena/index/detail/node_edit.hpp>
#include <catena/pool/membership.hpp>
#include <catena/protocol/local_locks.hpp>
#include <catena/protocol/hopscotch_io.hpp>
#include <catena/protocol/node_io.hpp>

namespace catena::detail {

/// T4: what a node's owner left, as it should be under the fence that its right neighbour tells; none: there is no neighbour.
template <typename Layout>
void restore(node_view<Layout> const& node, std::optional<typename Layout::key_type> const& high) noexcept {
    auto meta = node.meta();
    meta.dead = false;
    meta.unbounded = !high.has_value();
    node.set_meta(meta);
    if (high) node.set_high(*high);
    word keep = 0;
    node.for_each_slot([&](std::size_t slot) {
        if (cover(node, node.key(slot)) == visit::here) keep |= word{1} << slot;
    });
    node.set_occupancy(keep);
}
template <typename Layout>
void restore(hopscotch_view<Layout> const& leaf, std::optional<typename Layout::key_type> const& high) noexcept {
    hopscotch_mend(leaf, high);
}

template <typename Layout, typename Session, typename Tree>
class repairer {
public:
    using key_type = typename Layout::key_type;
    using inner = typename Tree::inner;

    repairer(Session& s, Tree& tree) : s_(s), tree_(tree), memory_(s.scratches()) {}

    /// The owner of the obstacle is gone. True: something was mended.
    [[nodiscard, gnu::noinline]] task<result<bool>> run(obstacle<key_type> o) {
        view_of<Layout> const node(memory_->image(Layout::bytes));
        auto const seen = co_await look(node, o.node);
        if (!seen) co_return seen.error();
        if (*seen == state::other || node.lock().owner() != o.lock.owner()) co_return false; // somebody is at it
        if (*seen == state::dead) co_return co_await mend_around(o);
        co_return co_await take_over(node, o.node);
    }

    /// Takes the node over if it is locked or torn and its owner is gone. The view is working memory.
    template <typename View>
    [[nodiscard, gnu::noinline]] task<result<bool>> take_over_if_orphaned(View node, node_ref ref) {
        auto const seen = co_await look(node, ref);
        if (!seen) co_return seen.error();
        if (*seen != state::alive || !may_be_left_behind(node)) co_return false;
        auto const gone = co_await orphaned(node.lock());
        if (!gone) co_return gone.error();
        if (!*gone) co_return false;
        co_return co_await take_over(node, ref);
    }

private:
    enum class state : std::uint8_t { alive, dead, other };
    enum class to : std::uint8_t { mend, revive_sibling, revive_root };

    template <typename View>
    [[nodiscard]] state state_of(View const& node, node_ref ref) const noexcept {
        auto const meta = node.meta();
        if (!names(ref, meta, tree_.handle.tag())) return state::other;
        if (!meta.dead) return state::alive;
        return node.lock().locked() ? state::dead : state::other; // whoever kills a node holds it until it is freed
    }

    /// Is the owner gone, or is it us? (seize() sees whether one of our threads is at it.)
    [[nodiscard, gnu::noinline]] task<result<bool>> orphaned(lock_word lock) {
        if (lock.owner() == s_.pool().self.tag()) co_return true;
        co_return co_await is_gone(s_, lock.owner());
    }

    template <typename View>
    [[nodiscard, gnu::noinline]] task<result<state>> look(View node, node_ref ref) {
        op read = op::read(ref.at(), node.image(), View::layout::bytes);
        if (auto const r = co_await s_.submit(read); !r) co_return r.error();
        co_return state_of(node, ref);
    }

    /// T2 to T5 for a node that is alive. `node` holds the image whose lock word names a member that is gone.
    template <typename View>
    [[nodiscard, gnu::noinline]] task<result<bool>> take_over(View node, node_ref ref) {
        if (!may_be_left_behind(node)) co_return false;
        co_return co_await seize(node, ref, to::mend);
    }

    /// Under the local lock: who holds a remote lock holds the local one as well, so if it is free a lock that names us is
    /// what an operation left behind that failed.
    template <typename View>
    [[nodiscard, gnu::noinline]] task<result<bool>> seize(View node, node_ref ref, to purpose) {
        auto& claim = memory_->template take<lock_request>(1).front();
        claim.node = ref;
        if (!tree_.locks.try_acquire(claim)) co_return false;
        auto const mended = co_await seize_remotely(node, ref, purpose);
        tree_.locks.release(claim, false, 0);
        co_return mended;
    }

    template <typename View>
    [[nodiscard, gnu::noinline]] task<result<bool>> seize_remotely(View node, node_ref ref, to purpose) {
        auto const before = node.lock();
        auto const mine = before.held_by(s_.pool().self.tag());
        op take = op::cas(ref.at(), before.bits(), mine.bits());
        if (auto const r = co_await s_.submit(take); !r) co_return r.error();
        if (!take.swapped()) co_return false;
        auto const seen = co_await look(node, ref);
        if (!seen) co_return seen.error();
        bool wanted = *seen == (purpose == to::mend ? state::alive : state::dead);
        result<bool> mended = false;
        if (wanted && purpose == to::revive_root) { // a bulk load of ours may have ended before we had the local lock
            auto const root = co_await refresh_root(s_, tree_);
            wanted = root && *root == ref;
            if (!root) mended = root.error();
        }
        if (wanted) mended = co_await mend(node, ref);
        if (mended && *mended) co_return true;
        // Not ours to mend (the block has another life), or not now: as if nothing had been. By CAS, since in another
        // life somebody may be writing it.
        op restore = op::cas(ref.at(), mine.bits(), before.bits());
        if (auto const r = co_await s_.submit(restore); !r) co_return r.error();
        co_return mended;
    }

    /// T4 and T5. False: a sibling is in the way that cannot be mended now.
    template <typename View>
    [[nodiscard, gnu::noinline]] task<result<bool>> mend(View node, node_ref ref) {
        using layout = typename View::layout;
        std::optional<key_type> high;
        if (node.link()) {
            View const sibling(memory_->image(layout::bytes));
            auto const next = co_await look(sibling, node.link());
            if (!next) co_return next.error();
            if (*next == state::other) co_return make_error(errc::corrupt, ref.at().node());
            high = sibling.low();
            if (*next == state::dead) {
                auto const gone = co_await orphaned(sibling.lock());
                if (!gone) co_return gone.error();
                if (!*gone) co_return false;
                auto const revived = co_await seize(sibling, node.link(), to::revive_sibling);
                if (!revived || !*revived) co_return revived;
            }
        }
        restore(node, high);
        if constexpr (std::is_same_v<layout, inner>) {
            if (auto const r = co_await drop_dead_children(node); !r) co_return r.error();
        }
        std::array<op, max_rewrite_ops> ops;
        auto const n = plan_rewrite(node, ref.at(), s_.pool().self.tag(), ops);
        if (auto const r = co_await s_.submit(batch(ops).first(n)); !r) co_return r.error();
        if constexpr (std::is_same_v<layout, inner>) tree_.cache.put(ref, node);
        co_return true;
    }

    /// Under the lock of an internal node no child dies, save by the merger whose lock this was.
    template <typename View>
    [[nodiscard, gnu::noinline]] task<result<void>> drop_dead_children(View node) {
        using layout = typename View::layout;
        std::array<op, layout::slots> reads;
        std::array<word, layout::slots> metas{};
        std::size_t n = 0;
        node.for_each_slot([&](std::size_t slot) {
            reads[n++] = op::read(node.payload(slot).at() + meta_word * word_bytes, &metas[slot], word_bytes);
        });
        if (n == 0) co_return result<void>{};
        if (auto const r = co_await s_.submit(batch(reads).first(n)); !r) co_return r.error();
        word keep = node.occupancy();
        node.for_each_slot([&](std::size_t slot) {
            auto const meta = node_meta::from_word(metas[slot]);
            bool const alive = names(node.payload(slot), meta, tree_.handle.tag()) && !meta.dead;
            if (!alive && node.key(slot) != node.low()) keep &= ~(word{1} << slot);
        });
        node.set_occupancy(keep);
        co_return result<void>{};
    }

    /// A dead node leads nowhere: what leads to it must be mended, its parent or its left neighbour.
    [[nodiscard, gnu::noinline]] task<result<bool>> mend_around(obstacle<key_type> o) {
        probe<key_type> above{.key = o.key, .at = {}, .parent = {}};
        tree_.root.store(0, std::memory_order_relaxed);
        auto const found = co_await descend(s_, tree_, std::span(&above, 1), o.node.level() + 1);
        if (!found) co_return found.error();
        if (!*found) co_return co_await revive_root(o);
        node_view<inner> const parent(memory_->image(inner::bytes));
        auto const mended = co_await take_over_if_orphaned(parent, above.at);
        if (!mended || *mended) co_return mended;
        if (inspect(parent, above.at, tree_.handle.tag(), o.key) != visit::here) co_return false;
        slot_order<inner> order;
        auto const n = sorted_slots(parent, std::span(order));
        std::size_t i = 0;
        while (i + 1 < n && !(o.key < parent.key(order[i + 1]))) ++i;
        view_of<Layout> const child(memory_->image(Layout::bytes));
        for (auto const c : {i, i == 0 ? i : i - 1}) {
            if (c >= n) continue;
            auto const healed = co_await take_over_if_orphaned(child, parent.payload(order[c]));
            if (!healed || *healed) co_return healed;
        }
        co_return false;
    }

    /// A leaf that died for a bulk load whose loader died before it changed the root.
    [[nodiscard, gnu::noinline]] task<result<bool>> revive_root(obstacle<key_type> o) {
        view_of<Layout> const node(memory_->image(Layout::bytes));
        auto const seen = co_await look(node, o.node);
        if (!seen) co_return seen.error();
        if (*seen != state::dead || node.lock().owner() != o.lock.owner()) co_return false;
        co_return co_await seize(node, o.node, to::revive_root);
    }

    Session& s_;
    Tree& tree_;
    scratch_lease memory_;
};

/// Looks whether the owner of what is in the way is gone, and mends it then. 1 round trip if it lives.
template <typename Layout, typename Session, tree_of_nodes Tree>
[[nodiscard, gnu::noinline]] task<result<void>> overcome(Session& s, Tree& tree,
                                                         obstacle<typename Layout::key_type> o) {
    if (!o.node) co_return result<void>{};
    bool const ours = o.lock.owner() == s.pool().self.tag();
    if (ours) { // were we shut out?
        if (auto const r = co_await keep_lease(s); !r) co_return r.error();
    } else {
        auto const gone = co_await is_gone(s, o.lock.owner());
        if (!gone) co_return gone.error();
        if (!*gone) co_return result<void>{};
    }
    repairer<Layout, Session, Tree> r(s, tree);
    auto const mended = co_await r.run(o);
    if (!mended) co_return mended.error();
    co_return result<void>{};
}

} // namespace catena::detail
