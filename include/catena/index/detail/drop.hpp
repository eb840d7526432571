// SPDX-License-Identifier: Apache-2.0
// drop: takes all nodes of an index out of use and frees them.
// Thread safety: as the session. Set-up path: allocates.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/recovery.hpp>
#include <catena/pool/membership.hpp>
#include <catena/pool/scratch.hpp>

namespace catena::detail {

/// Sees the values of the leaves that a drop retires, those of one leaf at a time.
template <typename Visit, typename Value>
concept value_visitor = requires(Visit& visit, std::span<Value const> values) {
    { visit(values) } -> std::same_as<task<result<void>>>;
};
/// Of an index whose values are nobody's names.
struct no_visitor {};

/// What a leaf holds whose lock is ours for good: nothing is inserted, replaced or erased there any more. A leaf that a drop before
/// ours retired is shown as well, and all are shown again where the root grew.
template <typename Session, typename View, value_visitor<typename View::payload_type> Visit>
[[nodiscard, gnu::noinline]] task<result<void>> show_values(Session& s, View leaf, Visit& visit) {
    using value_type = typename View::payload_type;
    scratch_lease const memory(s.scratches());
    auto const values = memory->template take<value_type>(View::layout::slots);
    std::size_t n = 0;
    leaf.for_each_slot([&](std::size_t slot) {
        auto const key = leaf.key(slot);
        if (!leaf.above(key) && !leaf.below(key)) values[n++] = leaf.payload(slot);
    });
    co_return co_await visit(std::span<value_type const>(values.first(n)));
}

enum class retirement : std::uint8_t { retired, busy, gone };

/// Locks a node that nobody holds and declares it dead: no late reader takes it for live, its header says that we hold it
/// (pool/block_header.hpp), and it still leads to its neighbour and its children. Or takes it over, dead, from a client that
/// is gone, which got that far with a drop of its own.
/// gone: another life. A memory node lost its contents.
template <typename Session, typename Tree, typename View>
[[nodiscard, gnu::noinline]] task<result<retirement>> retire(Session& s, Tree& tree, node_ref ref, View node) {
    op read = op::read(ref.at(), node.image(), View::layout::bytes);
    if (auto const r = co_await s.submit(read); !r) co_return r.error();
    auto meta = node.meta();
    if (!names(ref, meta, tree.handle.tag())) co_return retirement::gone;
    auto const seen = node.lock();
    auto const mine = seen.held_by(s.pool().self.tag());
    if (meta.dead && seen.locked()) {
        if (seen.owner() == mine.owner()) co_return retirement::retired; // an earlier drop of ours
        auto const owner_gone = co_await is_gone(s, seen.owner());
        if (!owner_gone) co_return owner_gone.error();
        if (!*owner_gone) co_return retirement::busy;
        op take = op::cas(ref.at(), seen.bits(), mine.bits());
        if (auto const r = co_await s.submit(take); !r) co_return r.error();
        co_return take.swapped() ? retirement::retired : retirement::busy;
    }
    if (seen.locked() || !node.sealed()) co_return retirement::busy;
    auto locking = attempt_lock(node, ref.at(), mine.owner());
    std::array<op, 2> ops;
    auto const n = locking.plan(ops);
    auto const asked = co_await s.submit(batch(ops).first(n));
    if (!asked || !locking.succeeded()) {
        op undo = locking.undo();
        auto const undone = co_await s.submit(undo);
        if (!asked) co_return asked.error();
        if (!undone) co_return undone.error();
        co_return retirement::busy;
    }
    std::array<op, max_rewrite_ops> kill;
    auto const kills = plan_kill(node, ref.at(), mine.owner(), kill);
    if (auto const r = co_await s.submit(batch(kill).first(kills)); !r) co_return r.error();
    co_return retirement::retired;
}

template <typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<node_ref>> read_root(Session& s, Tree& tree) {
    word root = 0;
    op read = op::read(tree.handle.root(), &root, word_bytes);
    if (auto const r = co_await s.submit(read); !r) co_return r.error();
    co_return node_ref::from_word(root);
}

struct retired_level {
    bool of_the_root = false; ///< else that is not the root any more
    node_ref below;           ///< the first node of the level below; null: there is none
};

/// Retires the nodes of a level from `first` on, each when no writer is inside any more. Below a node that is retired
/// nothing dies or is linked: that would need its lock.
template <typename Layout, typename Session, typename Tree, typename Visit>
[[nodiscard, gnu::noinline]] task<result<retired_level>>
retire_level(Session& s, Tree& tree, node_ref root, node_ref first, std::vector<block>& retired, Visit& visit) {
    scratch_lease const memory(s.scratches());
    view_of<Layout> const node(memory->image(Layout::bytes));
    auto& claim = memory->template take<lock_request>(1).front();
    node_ref below;
    for (auto ref = first; ref;) {
        retry again;
        claim.node = ref;
        auto done = retirement::busy;
        while (done == retirement::busy) {
            bool const looked = tree.locks.try_acquire(claim); // no: another session of ours is inside
            if (looked) {
                auto const tried = co_await retire(s, tree, ref, node);
                tree.locks.release(claim, false, 0);
                if (!tried) co_return tried.error();
                done = *tried;
            }
            if (done == retirement::retired) break;
            auto const now = co_await read_root(s, tree);
            if (!now) co_return now.error();
            if (*now != root) co_return retired_level{};
            if (done == retirement::gone) break;
            bool const dead = looked && node.meta().dead; // not to be revived
            obstacle<typename Tree::key_type> const o{.node = ref, .lock = node.lock(), .key = node.low()};
            auto const r = looked && !dead ? co_await wait_for<Layout>(s, tree, again, o) : co_await again.wait(s);
            if (r) continue;
            bool const torn = looked && !node.sealed() && r.error().code == errc::contended;
            co_return torn ? make_error(errc::corrupt, ref.at().node()) : r.error();
        }
        if (done == retirement::gone) break;
        if (auto const r = co_await keep_lease(s); !r) co_return r.error();
        if constexpr (std::is_same_v<typename Layout::payload_type, node_ref>) {
            if (ref == first) below = child_for(node, node.low());
        } else if constexpr (!std::is_same_v<Visit, no_visitor>) {
            if (auto const r = co_await show_values(s, node, visit); !r) co_return r.error();
        }
        retired.push_back({.at = ref.at(), .lives = node.meta().incarnation});
        ref = node.link();
    }
    co_return retired_level{.of_the_root = true, .below = below};
}

/// Retires all nodes from the root on, level by level. False: that is not the root any more.
template <typename Leaf, typename Session, typename Tree, typename Visit>
[[nodiscard, gnu::noinline]] task<result<bool>> retire_all(Session& s, Tree& tree, node_ref root,
                                                           std::vector<block>& retired, Visit& visit) {
    for (auto first = root; first;) {
        auto const done = first.level() == 0
                              ? co_await retire_level<Leaf>(s, tree, root, first, retired, visit)
                              : co_await retire_level<typename Tree::inner>(s, tree, root, first, retired, visit);
        if (!done) co_return done.error();
        if (!done->of_the_root) co_return false;
        first = done->below;
    }
    co_return true;
}

/// Frees all nodes of an index that is being dropped. F1 retires them all, F2 CAS root word -> 0, F3 frees the blocks.
/// Until F2 a root may grow, or a bulk load end: then F1 comes over all nodes once more; those that it retired are ours.
/// Whoever drops it again after our death before F2 finds every node where it was; after F2 there is nothing left to do, and
/// the blocks are found when space is reclaimed: each names us and is dead.
/// 3 round trips a node, 2 more for most of them to share the block. Errors: corrupt (a node stays torn, its owner lives),
/// those of the tree's calls and of the visitor's; the index is left for another drop.
template <typename Leaf, typename Session, tree_of_nodes Tree, typename Visit>
[[nodiscard, gnu::noinline]] task<result<void>> free_all(Session& s, Tree& tree, Visit& visit) {
    std::vector<block> retired;
    for (bool forgotten = false; !forgotten;) {
        auto const root = co_await read_root(s, tree);
        if (!root) co_return root.error();
        retired.clear();
        auto const all = co_await retire_all<Leaf>(s, tree, *root, retired, visit);
        if (!all) co_return all.error();
        if (!*all) continue;
        op forget = op::cas(tree.handle.root(), root->bits(), 0);
        if (auto const r = co_await s.submit(forget); !r) co_return r.error();
        forgotten = forget.swapped();
    }
    for (auto const& b : retired)
        if (auto const r = co_await free_node(s, tree, b); !r && r.error().code != errc::unreachable)
            co_return r.error();
    co_return result<void>{};
}

} // namespace catena::detail
