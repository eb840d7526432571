// SPDX-License-Identifier: Apache-2.0
// walk: over all nodes of a tree, level by level from left to right: to verify it, or to free it.
// Thread safety: as the session. Set-up path: allocates, explains in words.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/recovery.hpp>
#include <catena/index/index.hpp>
#include <catena/pool/membership.hpp>

namespace catena::detail {

/// Checks one level after the other. What a level lists as children must be what the level below consists of.
template <typename Key>
class verifier {
public:
    struct expected_child {
        Key low;
        node_ref ref;
    };

    explicit verifier(index_check& report) : report_(report) {}

    void complain(node_ref ref, std::string const& what) {
        if (report_.violations.size() == index_check::max_violations) return;
        report_.violations.push_back("level " + std::to_string(ref.level()) + ", node " +
                                     std::to_string(ref.at().node()) + ":" + std::to_string(ref.at().offset()) + ": " +
                                     what);
    }

    /// The first node of a level must begin where all keys begin.
    void begin_level(std::vector<expected_child> children) {
        expected_ = std::move(children);
        next_expected_ = 0;
        low_ = lowest_key<Key>::value();
        children_.clear();
    }

    template <typename View>
    void visit(View const& node, node_ref ref, std::uint16_t tag) {
        ++report_.nodes;
        auto const meta = node.meta();
        if (!node.sealed()) complain(ref, "its seal does not match its contents");
        if (node.lock().locked()) complain(ref, "is locked by member tag " + std::to_string(node.lock().owner()));
        if (meta.dead) complain(ref, "is dead but still linked");
        if (meta.level != ref.level() || meta.index_tag != tag ||
            (meta.incarnation & node_ref::incarnation_mask) != ref.incarnation())
            complain(ref, "is not the node that the reference means");
        if (node.low() != low_) complain(ref, "its low fence is not the high fence of its left neighbour");
        if (!meta.unbounded && !(node.low() < node.high())) complain(ref, "its fences are not in order");
        if (meta.unbounded != !node.link()) complain(ref, "only the rightmost node may lack a high fence and a link");
        if ((node.occupancy() & ~View::layout::all_slots) != 0) complain(ref, "occupies slots that it does not have");
        if (node.count() > View::layout::capacity) complain(ref, "has no free slot");
        check_expected(ref);
        slot_order<typename View::layout> order;
        auto const n = sorted_slots(node, std::span(order));
        for (std::size_t i = 0; i < n; ++i) {
            auto const key = node.key(order[i]);
            if (cover(node, key) != catena::visit::here) complain(ref, "holds a key outside its fences");
            if (i > 0 && !(node.key(order[i - 1]) < key)) complain(ref, "holds a key twice");
            if constexpr (std::is_same_v<typename View::payload_type, node_ref>)
                children_.push_back({.low = key, .ref = node.payload(order[i])});
        }
        if constexpr (std::is_same_v<typename View::payload_type, node_ref>) {
            if (n == 0)
                complain(ref, "is an internal node without children");
            else if (node.key(order[0]) != node.low())
                complain(ref, "has no child at its low fence");
        } else {
            report_.entries += n;
        }
        low_ = node.high();
    }

    void end_level(node_ref last) {
        if (next_expected_ < expected_.size())
            complain(last,
                     std::to_string(expected_.size() - next_expected_) + " children of the level above do not exist");
    }

    [[nodiscard]] std::vector<expected_child> take_children() { return std::exchange(children_, {}); }

private:
    // The nodes of a level in order: each is the next one that the level above lists, or is not listed (yet).
    void check_expected(node_ref ref) {
        if (expected_.empty()) return; // the root's level
        if (next_expected_ == expected_.size() || expected_[next_expected_].ref != ref) {
            ++report_.unlinked;
            return;
        }
        if (expected_[next_expected_].low != low_) complain(ref, "its separator in the parent is not its low fence");
        ++next_expected_;
    }

    index_check& report_;
    std::vector<expected_child> expected_;
    std::size_t next_expected_ = 0;
    std::vector<expected_child> children_;
    Key low_{};
};

/// Reads a node into `image`, again if it is torn; after its patience returns what there is.
template <typename View, typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> read_whole(Session& s, View const& node, node_ref ref) {
    retry again;
    for (;;) {
        op read = op::read(ref.at(), node.image(), View::layout::bytes);
        if (auto const r = co_await s.submit(read); !r) co_return r.error();
        if (node.sealed()) co_return result<void>{};
        if (auto const r = co_await again.wait(s); !r) co_return result<void>{}; // the caller looks at the seal
    }
}

template <typename Layout, typename Session, typename Visit>
[[nodiscard, gnu::noinline]] task<result<node_ref>> walk_level(Session& s, node_ref first, Visit visit_node) {
    scratch_lease const memory(s.scratches());
    node_view<Layout> const node(memory->image(Layout::bytes));
    auto const most = s.pool().geometry.node_bytes * s.pool().geometry.node_count / Layout::bytes;
    auto last = first;
    std::uint64_t seen = 0;
    for (auto ref = first; ref; ref = node.link()) {
        if (++seen > most || ref.level() != first.level()) co_return make_error(errc::corrupt); // links run in a circle
        if (auto const r = co_await read_whole(s, node, ref); !r) co_return r.error();
        visit_node(node, ref);
        last = ref;
        if (!node.sealed()) break; // its link cannot be trusted
    }
    co_return last;
}

template <typename Leaf, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<index_check>> verify(Session& s, Tree& tree) {
    using key_type = typename Tree::key_type;
    index_check report;
    verifier<key_type> checks(report);
    auto const root = co_await refresh_root(s, tree);
    if (!root) co_return root.error();
    report.height = root->level() + 1;
    auto const tag = tree.handle.tag();
    auto const check = [&](auto const& node, node_ref ref) { checks.visit(node, ref, tag); };
    auto first = *root;
    checks.begin_level({});
    for (auto level = root->level(); level > 0; --level) {
        auto const last = co_await walk_level<typename Tree::inner>(s, first, check);
        if (!last) co_return last.error();
        checks.end_level(*last);
        auto children = checks.take_children();
        if (children.empty()) co_return report; // said already
        first = children.front().ref;
        checks.begin_level(std::move(children));
    }
    auto const last = co_await walk_level<Leaf>(s, first, check);
    if (!last) co_return last.error();
    checks.end_level(*last);
    report.remote_bytes = report.nodes * Tree::options::node_bytes;
    co_return report;
}

/// wait_for a node of any level: its owner may be gone.
template <typename Leaf, typename Session, typename Tree, typename View>
[[nodiscard, gnu::noinline]] task<result<void>> wait_at_level(Session& s, Tree& tree, retry& again, node_ref ref,
                                                              View const& node) {
    obstacle<typename Tree::key_type> const o{.node = ref, .lock = node.lock(), .key = node.low()};
    if (ref.level() == 0) co_return co_await wait_for<Leaf>(s, tree, again, o);
    co_return co_await wait_for<typename Tree::inner>(s, tree, again, o);
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
    lock_attempt locking(ref.at(), seen, node.occupancy(), mine.owner());
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
    meta.dead = true;
    word const dead = meta.bits();
    op write = op::write(ref.at() + meta_word * word_bytes, &dead, word_bytes);
    if (auto const r = co_await s.submit(write); !r) co_return r.error();
    co_return retirement::retired;
}

template <typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<node_ref>> read_root(Session& s, Tree& tree) {
    word root = 0;
    op read = op::read(tree.handle.root(), &root, word_bytes);
    if (auto const r = co_await s.submit(read); !r) co_return r.error();
    co_return node_ref::from_word(root);
}

/// Retires all nodes from the root on, level by level, each when no writer is inside any more. False: that is not the root
/// any more. Below a node that is retired nothing dies or is linked: that would need its lock.
template <typename Leaf, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<bool>> retire_all(Session& s, Tree& tree, node_ref root,
                                                           std::vector<block>& retired) {
    scratch_lease const memory(s.scratches());
    node_view<Leaf> const node(memory->image(Tree::options::node_bytes)); // headers of all levels lie alike
    auto& claim = memory->template take<lock_request>(1).front();
    for (auto first = root; first;) {
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
                if (*now != root) co_return false;
                if (done == retirement::gone) break;
                bool const dead = looked && node.meta().dead; // not to be revived
                auto const r =
                    looked && !dead ? co_await wait_at_level<Leaf>(s, tree, again, ref, node) : co_await again.wait(s);
                if (r) continue;
                bool const torn = looked && !node.sealed() && r.error().code == errc::contended;
                co_return torn ? make_error(errc::corrupt, ref.at().node()) : r.error();
            }
            if (done == retirement::gone) break;
            if (auto const r = co_await keep_lease(s); !r) co_return r.error();
            if (ref == first && ref.level() > 0)
                below = child_for(node_view<typename Tree::inner>(node.image()), node.low());
            retired.push_back({.at = ref.at(), .lives = node.meta().incarnation});
            ref = node.link();
        }
        first = below;
    }
    co_return true;
}

/// Frees all nodes of an index that is being dropped. F1 retires them all, F2 CAS root word -> 0, F3 frees the blocks.
/// Until F2 a root may grow, or a bulk load end: then F1 comes over all nodes once more; those that it retired are ours.
/// Whoever drops it again after our death before F2 finds every node where it was; after F2 there is nothing left to do, and
/// the blocks are found when space is reclaimed: each names us and is dead.
/// 3 round trips a node, 2 more for most of them to share the block. Errors: corrupt (a node stays torn, its owner lives),
/// those of the tree's calls; the index is left for another drop.
template <typename Leaf, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<void>> free_all(Session& s, Tree& tree) {
    std::vector<block> retired;
    for (bool forgotten = false; !forgotten;) {
        auto const root = co_await read_root(s, tree);
        if (!root) co_return root.error();
        retired.clear();
        auto const all = co_await retire_all<Leaf>(s, tree, *root, retired);
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
