// SPDX-License-Identifier: Apache-2.0
// descent: from keys to the nodes of a level that should cover them, many at once.
//
// Each probe walks through cached internal nodes without any round trip; those that miss are read together, one batch
// for each level that is not cached. What a descent answers is a guess: the node itself tells (inspect), and the caller
// tells the probe what it found (follow), which repairs the cache.
// B-link (Lehman and Yao 1981): a key at or above the high fence is found by going right, whoever knows of it or not.
// Thread safety: as the session; the tree_state is shared.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/node_edit.hpp>
#include <catena/index/detail/tree_state.hpp>
#include <catena/pool/retry.hpp>
#include <catena/protocol/hopscotch_io.hpp>
#include <catena/protocol/node_io.hpp>

namespace catena::detail {

template <typename Key>
struct probe {
    Key key{};
    node_ref at;            ///< where to look; null = start from the root
    node_ref parent;        ///< the internal node that said so: one level up, or a cached left neighbour
    std::uint32_t hops = 0; ///< learned: along overflow leaves, since the model was asked
    bool wary = false; ///< `at` is a leaf whose low fence nobody told, or that was torn (protocol/hopscotch_io.hpp)
};

/// Is this the state of an index whose model says where a key's leaf is (index/detail/learned_state.hpp), and not of a tree?
template <typename Tree>
concept routed_by_model = requires {
    typename Tree::model_type;
};
/// Or of a tree? (Overloads name both: g++ 12 does not order them by constraints where template arguments are explicit.)
template <typename Tree>
concept tree_of_nodes = !routed_by_model<Tree>;

/// Did what a probe found bring it further along overflow leaves? Then it need not wait: their chain has an end, if it is not
/// damaged.
template <typename Tree, typename Key>
[[nodiscard]] constexpr bool went_right(probe<Key> const& p, visit seen) noexcept {
    constexpr std::uint32_t most = 1U << 20U;
    return routed_by_model<Tree> && seen == visit::right && p.hops > 0 && p.hops < most;
}

/// What an operation cannot get past: a node that stays torn, locked or dead. None: node is null.
template <typename Key>
struct obstacle {
    node_ref node;
    lock_word lock; ///< as it was seen there: names the owner
    Key key{};      ///< what led there
};

/// May a member that is gone have left this alive node so? (A torn one whose lock is free is damaged if it is a hopscotch
/// leaf: whoever writes one holds its lock till the end.)
template <typename Layout>
[[nodiscard]] bool may_be_left_behind(node_view<Layout> const& node) noexcept {
    return node.lock().locked() || !node.sealed();
}
template <typename Layout>
[[nodiscard]] bool may_be_left_behind(hopscotch_view<Layout> const& leaf) noexcept {
    return leaf.lock().locked();
}

/// Is what inspect() said of `node` something that its owner should have ended by now?
template <typename View>
[[nodiscard]] obstacle<typename View::key_type> obstacle_in(View const& node, node_ref ref, std::uint16_t index_tag,
                                                            visit seen, typename View::key_type const& key) noexcept {
    bool const dead = node.meta().dead && names(ref, node.meta(), index_tag) && node.lock().locked(); // else it is free
    if ((seen == visit::torn && may_be_left_behind(node)) || dead || (seen == visit::here && node.lock().locked()))
        return {.node = ref, .lock = node.lock(), .key = key};
    return {};
}

/// Mends what is in the way if its owner is gone (recovery.hpp).
template <typename Layout, typename Session, tree_of_nodes Tree>
[[nodiscard, gnu::noinline]] task<result<void>> overcome(Session& s, Tree& tree, obstacle<typename Layout::key_type> o);

/// How an operation waits that made no progress: its patience, and then a look whether somebody died.
template <typename Layout, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<void>> wait_for(Session& s, Tree& tree, retry& again,
                                                         obstacle<typename Layout::key_type> o) {
    if (auto const r = co_await again.wait(s); !r) co_return r.error();
    if (!again.paused()) co_return result<void>{};
    co_return co_await overcome<Layout>(s, tree, o);
}

/// Moves a probe on after inspect() said what its node is. A torn node is read again where it is.
template <typename Tree, typename View>
void follow(Tree& tree, probe<typename Tree::key_type>& p, visit seen, View const& node) noexcept {
    switch (seen) {
    case visit::here:
    case visit::torn: return;
    case visit::right:
        // The parent's copy is out of date, or the split is not linked yet: let the next descent read the parent.
        tree.cache.drop(p.parent);
        if (!p.parent) tree.root.store(0, std::memory_order_relaxed);
        p.at = node.link();
        return;
    case visit::dead:
    case visit::stale:
        tree.cache.drop(p.parent);
        tree.root.store(0, std::memory_order_relaxed);
        p.at = p.parent = {};
        return;
    }
}

/// Walks as far down to `level` as cached nodes lead.
template <typename Tree>
void descend_cached(Tree& tree, probe<typename Tree::key_type>& p, std::uint32_t level) {
    while (p.at.level() > level) {
        auto const r = tree.cache.find(p.at, p.key);
        switch (r.where) {
        case route::to::miss: return;
        case route::to::right: // a copy older than a merge may name a neighbour that died: it is to blame then
            p.parent = p.at;
            p.at = r.node;
            break;
        case route::to::child:
            if (r.node.level() >= p.at.level() || !r.node) return; // damage: let the node itself say so
            p.parent = p.at;
            p.at = r.node;
            p.wary = false;
            break;
        case route::to::stale: // a cached node that never covered the key: whoever led here is out of date
            tree.cache.drop(p.parent);
            tree.cache.drop(p.at);
            p.at = tree.root_hint();
            p.parent = {};
            if (!p.at) return;
            break;
        }
    }
}

/// Brings every probe to a node of `level` (leaves: 0). False: the tree has no such level. Round trips: none if all
/// internal nodes are cached, else one for each level that is not. Errors: contended, dropped, unreachable.
template <typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<bool>>
descend(Session& s, Tree& tree, std::span<probe<typename Tree::key_type>> probes, std::uint32_t level) {
    using inner = typename Tree::inner;
    constexpr std::size_t images = 64;
    retry again;
    obstacle<typename Tree::key_type> stuck;
    bool fresh_root = false;
    for (;;) {
        std::size_t missing = 0;
        for (auto& p : probes) {
            if (!p.at) {
                auto root = tree.root_hint();
                if (!root || (root.level() < level && !fresh_root)) {
                    auto const r = co_await refresh_root(s, tree);
                    if (!r) co_return r.error();
                    root = *r;
                    fresh_root = true;
                }
                if (root.level() < level) co_return false;
                p.at = root;
                p.wary = false;
            }
            descend_cached(tree, p, level);
            if (!p.at || p.at.level() > level) ++missing;
        }
        if (missing == 0) co_return true;

        scratch_lease const memory(s.scratches());
        auto const waiting = memory->template take<probe<typename Tree::key_type>*>(missing);
        std::size_t n = 0;
        for (auto& p : probes)
            if (p.at.level() > level) waiting[n++] = &p;
        if (n == 0) continue; // only probes that go back to the root
        std::sort(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(n),
                  [](auto const* a, auto const* b) { return a->at < b->at; });
        auto const ops = memory->template take<op>(std::min(n, images));
        std::size_t reads = 0;
        std::size_t covered = 0; // probes whose node is among the reads
        for (; covered < n; ++covered) {
            auto const at = waiting[covered]->at.at();
            if (reads > 0 && ops[reads - 1].target == at) continue;
            if (reads == images) break;
            ops[reads++] = op::read(at, memory->image(inner::bytes), inner::bytes);
        }
        if (auto const r = co_await s.submit(ops.first(reads)); !r) co_return r.error();

        bool advanced = false;
        for (std::size_t i = 0, o = 0; i < covered; ++i) {
            auto& p = *waiting[i];
            auto const from = p.at;
            while (ops[o].target != from.at()) ++o;
            node_view<inner> const node(static_cast<word*>(ops[o].local));
            auto const seen = inspect(node, from, tree.handle.tag(), p.key);
            follow(tree, p, seen, node);
            if (seen != visit::here) {
                if (auto const blocked = obstacle_in(node, from, tree.handle.tag(), seen, p.key); blocked.node)
                    stuck = blocked;
                ++s.stats().retries;
                continue;
            }
            if (i == 0 || waiting[i - 1]->parent != from) tree.cache.put(from, node);
            auto const child = child_for(node, p.key);
            if (!child || child.level() >= from.level()) continue; // damage: tried again for as long as patience lasts
            advanced = true;
            p.parent = from;
            p.at = child;
            p.wary = false;
        }
        // Sideways counts against the patience, too: between a merge's two writes (or after its merger died there) left
        // and right send a probe to each other.
        if (!advanced) {
            if (auto const r = co_await wait_for<inner>(s, tree, again, stuck); !r) co_return r.error();
            stuck = {};
        }
    }
}

} // namespace catena::detail
