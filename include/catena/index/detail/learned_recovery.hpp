// SPDX-License-Identifier: Apache-2.0
// learned_recovery: what becomes of a leaf of a learned index whose owner died: index/detail/recovery.hpp, but without parents
// and without merges, and under the lease of the model (index/detail/model_lease.hpp).
//
// Actors     D the dead owner.  T whoever cannot get past what D left.
// Protocol   T1 is D gone? Only then: it is fenced first.  T2 take the lease; who held it and is gone, D perhaps, has his training
//            ended first.  T3 is the leaf part of the generation in force? If not it needs nothing: it is dead, or is going to be,
//            or nothing leads to it.  T4 CAS lock word: D -> T; READ; mend; WRITE, sealed and free, as for a tree.
// Mend       as layout/hopscotch_mend.hpp: the fence is the low fence of the leaf that the link leads to, which never changes; where
//            there is none it is where the next leaf of the model begins.
// T dies     the leaf names T, the lease names T: the same again.
// Thread safety: as the session.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/learned_state.hpp>
#include <catena/index/detail/model_lease.hpp>
#include <catena/pool/membership.hpp>
#include <catena/protocol/hopscotch_io.hpp>

namespace catena::detail {

/// T4. We have the lease and the local lock of the leaf, which is part of the generation in force. seen: its lock word, which
/// names somebody gone, or ourselves. end: where the next leaf of the model begins; none: nowhere. False: it changed.
template <typename Leaf, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<bool>> mend_leaf(Session& s, Tree& tree, node_ref ref, lock_word seen,
                                                          std::optional<typename Tree::key_type> end) {
    scratch_lease const memory(s.scratches());
    view_of<Leaf> const leaf(memory->image(Leaf::bytes));
    auto const me = s.pool().self.tag();
    std::array ops{op::cas(ref.at(), seen.bits(), seen.held_by(me).bits()),
                   op::read(ref.at(), leaf.image(), Leaf::bytes)};
    if (auto const r = co_await s.submit(batch(ops)); !r) co_return r.error();
    if (!ops[0].swapped()) co_return false;
    if (leaf.link()) {
        view_of<Leaf> const sibling(memory->image(Leaf::bytes));
        op read = op::read(leaf.link().at(), sibling.image(), Leaf::header_words * word_bytes);
        if (auto const r = co_await s.submit(read); !r) co_return r.error();
        if (!names(leaf.link(), sibling.meta(), tree.handle.tag())) co_return co_await damaged(s, ref.at().node());
        end = sibling.low();
    }
    hopscotch_mend(leaf, end);
    std::array<op, max_rewrite_ops> rewrite;
    auto const n = plan_rewrite(leaf, ref.at(), me, rewrite);
    if (auto const r = co_await s.submit(batch(rewrite).first(n)); !r) co_return r.error();
    co_return true;
}

/// Where the leaves of a piece begin, and where the last one ends.
template <typename Key>
struct piece_borders {
    std::vector<Key> lows;
    std::optional<Key> end; ///< none: nowhere

    [[nodiscard]] std::optional<Key> end_of(std::uint32_t leaf) const noexcept {
        return leaf + 1 < lows.size() ? std::optional(lows[leaf + 1]) : end;
    }
};

/// end: where the next piece begins. No round trip where the model says it all, else 1.
template <typename Session, routed_by_model Tree>
[[nodiscard, gnu::noinline]] task<result<piece_borders<typename Tree::key_type>>>
borders_of(Session& s, Tree& tree, model_piece<typename Tree::key_type> piece,
           std::optional<typename Tree::key_type> end) {
    using leaf = typename Tree::leaf;
    piece_borders<typename Tree::key_type> borders{.lows = {}, .end = end};
    auto const n = piece.line.leaves();
    if constexpr (Tree::options::use == model_use::placement) {
        (void)s, (void)tree;
        for (std::uint32_t i = 0; i < n; ++i) borders.lows.push_back(first_key_of(piece, i));
    } else {
        scratch_lease const memory(s.scratches());
        auto const ops = memory->template take<op>(n);
        auto* const words = memory->image(n * leaf::key_words * word_bytes);
        for (std::uint32_t i = 0; i < n; ++i)
            ops[i] = op::read(leaf_in<leaf>(piece.extent, i).at() + leaf::low_at * word_bytes,
                              words + i * leaf::key_words, leaf::key_words * word_bytes);
        if (auto const r = co_await s.submit(ops); !r) co_return r.error();
        for (std::uint32_t i = 0; i < n; ++i)
            borders.lows.push_back(load_words<typename Tree::key_type>(words + i * leaf::key_words));
    }
    co_return borders;
}

/// T3, T4 under the lease: the leaf `o.node`, if a walk from the model over `o.key` comes to it.
template <typename Leaf, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<void>> mend_if_in_force(Session& s, Tree& tree,
                                                                 obstacle<typename Leaf::key_type> o) {
    if (auto const r = co_await refresh_model(s, tree); !r) co_return r.error();
    typename Tree::model_type::next_piece next;
    auto const piece = tree.model.find(o.key, &next);
    if (!piece) co_return result<void>{};
    auto const borders = co_await borders_of(s, tree, *piece, next.begin());
    if (!borders) co_return borders.error();
    auto const& lows = borders->lows;
    auto const above =
        std::upper_bound(lows.begin() + 1, lows.end(), o.key); // all keys of a piece are above its first low
    auto const number = static_cast<std::uint32_t>(above - lows.begin() - 1);
    scratch_lease const memory(s.scratches());
    view_of<Leaf> const leaf(memory->image(Leaf::bytes));
    auto const most = s.pool().geometry.node_bytes * s.pool().geometry.node_count / Leaf::bytes;
    std::uint64_t walked = 0;
    for (auto ref = leaf_in<Leaf>(piece->extent, number); ref && walked < most; ref = leaf.link(), ++walked) {
        op read = op::read(ref.at(), leaf.image(), Leaf::bytes);
        if (auto const r = co_await s.submit(read); !r) co_return r.error();
        if (!names(ref, leaf.meta(), tree.handle.tag())) break;
        if (ref != o.node) continue;
        if (!leaf.lock().locked() || leaf.lock().owner() != o.lock.owner()) break; // somebody was at it
        auto& claim = memory->template take<lock_request>(1).front();
        claim.node = ref;
        if (!tree.locks.try_acquire(claim)) break; // of ours, and somebody is at it
        auto const mended = co_await mend_leaf<Leaf>(s, tree, ref, leaf.lock(), borders->end_of(number));
        tree.locks.release(claim, false, 0);
        if (!mended) co_return mended.error();
        break;
    }
    co_return result<void>{};
}

/// Looks whether the owner of what is in the way is gone, and mends it then. 1 round trip if it lives.
template <typename Layout, typename Session, routed_by_model Tree>
[[nodiscard, gnu::noinline]] task<result<void>> overcome(Session& s, Tree& tree,
                                                         obstacle<typename Layout::key_type> o) {
    if (!o.node) co_return result<void>{};
    if (o.lock.owner() == s.pool().self.tag()) { // were we shut out?
        if (auto const r = co_await keep_lease(s); !r) co_return r.error();
    } else {
        auto const gone = co_await is_gone(s, o.lock.owner());
        if (!gone) co_return gone.error();
        if (!*gone) co_return result<void>{};
    }
    model_lease<Layout, Session, Tree> lease(s, tree);
    auto const had = co_await lease.try_acquire();
    if (!had) co_return had.error();
    if (!*had) co_return result<void>{}; // whoever has it may be at this very leaf
    auto const mended = co_await mend_if_in_force<Layout>(s, tree, o);
    auto const released = co_await lease.release();
    if (!mended) co_return mended.error();
    co_return released;
}

} // namespace catena::detail
