// SPDX-License-Identifier: Apache-2.0
// extent_removal: takes extents out of use that list nothing any more, and frees them.
//
// Actors     K who found an extent empty.  P who lists a block in it, or a child behind it, at the same time.
// Protocol   K1 CAS meta: alive -> dying, READ the extent (one batch, in this order).
//            K2 if it lists nothing and has no children: CAS meta: dying -> dead. Else CAS meta: dying -> alive, a count
//               further ("spared").
//            K3 erase it from the index, if it is still this extent that the index has.
//            K4 who erased it: CAS lock: as read -> held by K; CAS children of the parent: one less; rest (pool/rest.hpp),
//               then free. If that was the parent's last child, K goes on with the parent.
//            P  CAS place (or children), READ meta (one batch, in this order): alive: it is listed.  dying: CAS meta: dying ->
//               spared; if that succeeds, or somebody else spared it, it is listed.  dead: it is not; P lists it elsewhere.
// Why        K1's READ and P's READ are behind K1's CAS and P's: at least one of the two sees the other. Both seeing each other
//            is decided by the CAS on meta that comes first. A spared extent has another meta word, so a K that slept
//            between K1 and K2 fails.
// Dies       K after K1: the extent is dying until a P or a walk that finds a block in it spares it; it lists nothing that
//            is lost. After K2: dead; the index still has it: whoever wants to list that block finds so and does K3, K4.
//            After K3: the block is found by reclaim once the member that its lock word names is gone; the parent has a
//            child too many (X5).
// Cost       3 round trips to look and decide, those of an erase of the index, 1 to sign, 2 for the parent.
// Thread safety: as the session.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/fabric/op.hpp>
#include <catena/index/mutation.hpp>
#include <catena/pool/block_header.hpp>
#include <catena/pool/rest.hpp>
#include <catena/pool/scratch.hpp>
#include <catena/prefix/detail/extent_parent.hpp>
#include <catena/prefix/extent.hpp>

namespace catena::detail {

/// K3 and K4 of an extent that is dead, as it was read after it died. Returns the parent if that was its last child.
template <typename Session, typename State>
[[nodiscard, gnu::noinline]] task<result<extent_ref>> bury(Session& s, State& state, extent_ref e,
                                                           whole_extent const& x) {
    auto const key = x.first();
    auto parent = x.parent();
    auto const lives = x.meta().incarnation();
    op sign = op::cas(e.at() + block_header::lock_at, x.lock(), block_header::held_by(s.pool().self.tag()));
    state.placements.drop(key, e);
    mutation<block_hash, extent_ref> erase{
        .key = key, .value = e, .kind = mutation_kind::erase_if, .outcome = mutation_outcome::pending};
    auto const applied = co_await state.heads.apply(s, std::span(&erase, 1));
    bool const erased = erase.outcome == mutation_outcome::erased;
    if (!applied && !erased) co_return applied.error();
    if (!erased) co_return extent_ref{};
    // It is ours now, unless its last writer is gone and somebody reclaims it; also after an error, such as that of a merge
    // of leaves that comes behind the erase and meets a drop.
    if (auto const r = co_await s.submit(sign); !r) co_return r.error();
    if (sign.swapped()) {
        // Whoever adopts it (extent_publish.hpp) counts it elsewhere, until its parent is taken from it here.
        for (bool taken = !parent; !taken;) {
            op take = op::cas(x.parent_at(e), parent.bits(), 0);
            if (auto const r = co_await s.submit(take); !r) co_return r.error();
            taken = take.swapped();
            parent = extent_ref::from_word(take.fetched);
        }
        auto const r = co_await rest_block(s, {.at = e.at(), .lives = lives}, e.bytes());
        if (!r) co_return r.error();
    }
    if (!applied) co_return applied.error();
    if (!parent) co_return extent_ref{};
    auto const last = co_await uncount_child(s, state.handle.tag(), parent);
    if (!last) co_return last.error();
    co_return *last ? parent : extent_ref{};
}

/// K1 to K4, and the same of its ancestors if it was their last child. Does nothing to an extent that lists something.
template <typename Session, typename State>
[[nodiscard, gnu::noinline]] task<result<void>> remove_if_empty(Session& s, State& state, extent_ref e) {
    scratch_lease const memory(s.scratches());
    auto* const words = memory->image(extent_class::bytes(extent_class::count - 1));
    while (e) {
        whole_extent const x(words, e.size_class());
        op look = op::read(e.at(), words, e.bytes());
        if (auto const r = co_await s.submit(look); !r) co_return r.error();
        auto const seen = x.meta();
        if (!seen.is(e, state.handle.tag()) || x.children().count() != 0 || !x.lists_nothing())
            co_return result<void>{};
        auto const dying = seen.when_dying();
        std::array ops{op::cas(extent_view::begin(e), seen.bits(), dying.bits()), op::read(e.at(), words, e.bytes())};
        if (auto const r = co_await s.submit(batch(ops)); !r) co_return r.error();
        if (!ops[0].swapped()) continue; // (one that was dying already had the same meta word)
        bool const empty = x.children().count() == 0 && x.lists_nothing();
        op decide =
            op::cas(extent_view::begin(e), dying.bits(), empty ? dying.when_dead().bits() : dying.when_spared().bits());
        if (auto const r = co_await s.submit(decide); !r) co_return r.error();
        if (!empty) co_return result<void>{};
        if (!decide.swapped()) continue; // spared by somebody who saw it when it was not empty yet, or dead
        auto const parent = co_await bury(s, state, e, x);
        if (!parent) co_return parent.error();
        e = *parent;
    }
    co_return result<void>{};
}

} // namespace catena::detail
