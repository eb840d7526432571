// SPDX-License-Identifier: Apache-2.0
// bulk_load: builds a tree bottom up from sorted entries, level by level, many nodes a round trip.
//
// The empty root leaf is locked for the time it takes: writers and a drop wait, readers see an empty index. Then the leaf
// dies, so that nobody takes an answer from it any more: who comes to it goes to the root and back, until the root word is
// changed by CAS, which is the moment at which the load takes effect. A load that fails, or dies before that moment, leaves
// the index as it was: whoever finds the leaf dead and its owner gone while the root word still names it revives it
// (recovery.hpp). The lease is renewed all along.
// Thread safety: as the session.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/recovery.hpp>
#include <catena/index/mutation.hpp>
#include <catena/pool/membership.hpp>

namespace catena::detail {

/// How many entries a node gets that is made for many.
template <typename Layout>
inline constexpr std::size_t loaded_fill = std::max<std::size_t>(2, Layout::capacity * 9 / 10);
/// In a hash table that is three quarters full there is room for nearly every key without moves.
template <typename Key, typename Value, hopscotch_shape Shape>
inline constexpr std::size_t loaded_fill<hopscotch_layout<Key, Value, Shape>> =
    hopscotch_layout<Key, Value, Shape>::capacity * 3 / 4;

/// Puts items[from, to) into an empty node; returns where it ended: a hopscotch leaf may take fewer.
template <typename Layout, typename Items>
[[nodiscard]] std::size_t fill(node_view<Layout> const& node, Items const& items, std::size_t from, std::size_t to) {
    for (auto i = from; i < to; ++i) node.set_entry(i - from, items[i].key, items[i].value);
    node.set_occupancy((word{1} << (to - from)) - 1);
    return to;
}
template <typename Layout, typename Items>
[[nodiscard]] std::size_t fill(hopscotch_view<Layout> const& leaf, Items const& items, std::size_t from,
                               std::size_t to) {
    for (auto i = from; i < to; ++i) {
        auto const room = make_room(leaf, Layout::home_of(items[i].key), Layout::quads);
        if (room.slot == Layout::no_slot) return i;
        hopscotch_insert(leaf, room, items[i].key, items[i].value, [](word_range) {});
    }
    return to;
}

/// The empty leaf that a new tree consists of: its reference.
template <typename Leaf, typename Session>
[[nodiscard, gnu::noinline]] task<result<word>> first_leaf(Session& s, catalog_handle handle) {
    auto taken = co_await allocate(s, Leaf::bytes);
    if (!taken) co_return taken.error();
    ++taken->lives;
    scratch_lease const memory(s.scratches());
    view_of<Leaf> const node(memory->image(Leaf::bytes));
    node.format(0, handle.tag(), taken->lives);
    node.seal(s.pool().self.tag(), false);
    op write = op::write(taken->at, node.image(), Leaf::bytes);
    if (auto const r = co_await s.submit(write); !r) co_return r.error();
    co_return node_ref(taken->at, 0, taken->lives).bits();
}

/// One level of a tree under construction: nodes are filled one after the other and written in groups.
template <typename Layout, typename Session, typename Tree>
class level_builder {
public:
    using key_type = typename Layout::key_type;
    using payload_type = typename Layout::payload_type;

    level_builder(Session& s, Tree& tree, std::uint32_t level)
        : s_(s), tree_(tree), level_(level), memory_(s.scratches()) {
        images_ = memory_->image(group * Layout::bytes);
    }

    /// Builds the level; `children` receives the low fence and reference of each node.
    template <typename Items>
    [[nodiscard, gnu::noinline]] task<result<void>>
    build(Items const& items, std::vector<entry<key_type, node_ref>>& children, std::vector<block>& made) {
        auto next = co_await allocate_node(s_, tree_, level_);
        if (!next) co_return next.error();
        made.push_back(next->memory);
        for (std::size_t at = 0; at < items.size();) {
            auto const current = *next;
            view_of<Layout> const node(images_ + filled_ * Layout::words);
            node.format(static_cast<std::uint8_t>(level_), tree_.handle.tag(), current.memory.lives);
            if (at > 0) node.set_low(items[at].key);
            children.push_back({.key = node.low(), .value = current.ref});
            // Evenly: no node is left with a single entry.
            auto const nodes = (items.size() - at + loaded_fill<Layout> - 1) / loaded_fill<Layout>;
            at = fill(node, items, at, at + (items.size() - at + nodes - 1) / nodes);
            bool const last = at == items.size();
            if (!last) {
                next = co_await allocate_node(s_, tree_, level_);
                if (!next) co_return next.error();
                made.push_back(next->memory);
                auto meta = node.meta();
                meta.unbounded = false;
                node.set_meta(meta);
                node.set_high(items[at].key);
                node.set_link(next->ref);
            }
            node.seal(s_.pool().self.tag(), false);
            ops_[filled_] = op::write(current.ref.at(), node.image(), Layout::bytes);
            if (++filled_ == group || last) {
                if (auto const r = co_await s_.submit(batch(ops_).first(filled_)); !r) co_return r.error();
                if (auto const r = co_await keep_lease(s_); !r) co_return r.error();
                filled_ = 0;
            }
        }
        co_return result<void>{};
    }

private:
    static constexpr std::size_t group = 64;

    Session& s_;
    Tree& tree_;
    std::uint32_t level_;
    scratch_lease memory_;
    word* images_;
    std::array<op, group> ops_;
    std::size_t filled_ = 0;
};

template <typename Leaf, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<node_ref>>
build_tree(Session& s, Tree& tree, std::span<entry<typename Tree::key_type, typename Leaf::payload_type> const> sorted,
           std::vector<block>& made) {
    std::vector<entry<typename Tree::key_type, node_ref>> children;
    {
        level_builder<Leaf, Session, Tree> leaves(s, tree, 0);
        if (auto const r = co_await leaves.build(sorted, children, made); !r) co_return r.error();
    }
    for (std::uint32_t level = 1; children.size() > 1; ++level) {
        std::vector<entry<typename Tree::key_type, node_ref>> parents;
        level_builder<typename Tree::inner, Session, Tree> builder(s, tree, level);
        if (auto const r = co_await builder.build(children, parents, made); !r) co_return r.error();
        children = std::move(parents);
    }
    co_return children.front().value;
}

/// Takes the remote lock of the root leaf. False: somebody else has it, `stuck` says who, or it is not the root any more.
/// Errors: invalid_argument, the leaf is not empty.
/// Race: the leaf split after the root word was read, and absorbed its sibling again: empty, unbounded, and not the root. So
/// the root word is read again after the image. If the lock is had the leaf did not split since that image, so the root did
/// not grow, and cannot while we hold the lock.
template <typename Leaf, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<bool>>
lock_if_empty(Session& s, Tree& tree, node_ref root, view_of<Leaf> empty, obstacle<typename Tree::key_type>& stuck) {
    op read = op::read(root.at(), empty.image(), Leaf::bytes);
    if (auto const r = co_await s.submit(read); !r) co_return r.error();
    auto const lowest = lowest_key<typename Tree::key_type>::value();
    auto const seen = inspect(empty, root, tree.handle.tag(), lowest);
    if ((seen == visit::here || seen == visit::right) && (empty.count() > 0 || !empty.meta().unbounded))
        co_return make_error(errc::invalid_argument);
    stuck = obstacle_in(empty, root, tree.handle.tag(), seen, lowest);
    if (seen != visit::here || empty.lock().locked()) co_return false;
    auto locking = attempt_lock(empty, root.at(), s.pool().self.tag());
    std::array<op, 3> ops;
    auto const n = locking.plan(ops);
    word root_now = 0;
    ops[n] = op::read(tree.handle.root(), &root_now, word_bytes);
    auto const asked = co_await s.submit(batch(ops).first(n + 1));
    // Read again under the lock: a hopscotch leaf may have got entries in between.
    bool const still = empty.count() == 0 && empty.meta().unbounded;
    if (asked && locking.succeeded() && still && root_now == root.bits()) co_return true;
    op undo = locking.undo();
    auto const undone = co_await s.submit(undo);
    if (!asked) co_return asked.error();
    if (!undone) co_return undone.error();
    co_return false;
}

/// Builds the tree and puts it in the place of the empty leaf `root`, which is locked. `empty`: its image.
template <typename Leaf, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<void>>
replace_root(Session& s, Tree& tree, node_ref root, view_of<Leaf> empty,
             std::span<entry<typename Tree::key_type, typename Leaf::payload_type> const> sorted) {
    std::vector<block> made;
    auto const built = co_await build_tree<Leaf>(s, tree, sorted, made);
    if (!built) {
        for (auto const& b : made)
            if (auto const r = co_await free_node(s, tree, b); !r) co_return r.error();
        word const bits = empty.unlocked().bits();
        op write = op::write(root.at(), &bits, word_bytes);
        if (auto const r = co_await s.submit(write); !r) co_return r.error();
        co_return built.error();
    }
    std::array<op, max_rewrite_ops> ops;
    auto const n = plan_kill(empty, root.at(), s.pool().self.tag(), ops);
    if (auto const r = co_await s.submit(batch(ops).first(n)); !r) co_return r.error();
    op install = op::cas(tree.handle.root(), root.bits(), built->bits());
    if (auto const r = co_await s.submit(install); !r) co_return r.error();
    if (!install.swapped()) co_return make_error(errc::corrupt); // it cannot change while its leaf is locked
    tree.root.store(built->bits(), std::memory_order_relaxed);
    co_return co_await free_node(s, tree, {.at = root.at(), .lives = empty.meta().incarnation});
}

template <typename Leaf, typename Session, tree_of_nodes Tree>
[[nodiscard, gnu::noinline]] task<result<void>>
load_sorted(Session& s, Tree& tree,
            std::span<entry<typename Tree::key_type, typename Leaf::payload_type> const> sorted) {
    for (std::size_t i = 1; i < sorted.size(); ++i)
        if (!(sorted[i - 1].key < sorted[i].key)) co_return make_error(errc::invalid_argument);
    if (sorted.empty()) co_return result<void>{};
    scratch_lease const memory(s.scratches());
    view_of<Leaf> const empty(memory->image(Leaf::bytes));
    auto& claim = memory->template take<lock_request>(1).front();
    retry again;
    for (;;) {
        auto const root = co_await refresh_root(s, tree);
        if (!root) co_return root.error();
        if (root->level() != 0) co_return make_error(errc::invalid_argument);
        claim.node = *root;
        obstacle<typename Tree::key_type> stuck;
        if (tree.locks.try_acquire(claim)) {
            auto const locked = co_await lock_if_empty<Leaf>(s, tree, *root, empty, stuck);
            if (locked && *locked) {
                auto const loaded = co_await replace_root<Leaf>(s, tree, *root, empty, sorted);
                tree.locks.release(claim, false, 0);
                co_return loaded;
            }
            tree.locks.release(claim, false, 0);
            if (!locked) co_return locked.error();
        }
        if (auto const r = co_await wait_for<Leaf>(s, tree, again, stuck); !r) co_return r.error();
    }
}

} // namespace catena::detail
