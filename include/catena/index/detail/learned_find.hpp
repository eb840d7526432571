// SPDX-License-Identifier: Apache-2.0
// learned_find: a lookup where the model has an error bound (model_use::error_bound): the neighbourhoods of all leaves in which
// the key may be, and where these leaves begin, in one round trip.
// Thread safety: as the session.
#pragma once

#include <cstdint>
#include <optional>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/hopscotch_find.hpp>
#include <catena/index/detail/learned_state.hpp>
#include <catena/protocol/hopscotch_io.hpp>

namespace catena::detail {

/// As hopscotch_find. What one look at the leaves does not settle goes the way of all lookups.
template <typename Leaf, typename Session, routed_by_model Tree>
[[nodiscard, gnu::noinline]] task<result<std::optional<typename Leaf::payload_type>>>
find_in_range(Session& s, Tree& tree, typename Tree::key_type key) {
    auto const piece = tree.stale.load(std::memory_order_relaxed) ? std::nullopt : tree.model.find(key);
    if (!piece) co_return co_await hopscotch_find<Leaf>(s, tree, key);
    auto const range = leaves_for(tree, *piece, key);
    auto const leaves = range.last - range.first + 1;
    if (leaves == 1) co_return co_await hopscotch_find<Leaf>(s, tree, key);
    scratch_lease const memory(s.scratches());
    auto const ops = memory->template take<op>(leaves * max_neighbourhood_reads);
    auto* const images = memory->image(leaves * Leaf::bytes);
    std::size_t n = 0;
    for (std::uint32_t i = 0; i < leaves; ++i)
        n += plan_read(view_of<Leaf>(images + i * Leaf::words), leaf_in<Leaf>(piece->extent, range.first + i),
                       tree.handle.tag(), Leaf::home_of(key), true, ops.subspan(n));
    if (auto const r = co_await s.submit(ops.first(n)); !r) co_return r.error();
    for (auto i = leaves; i-- > 0;) {
        view_of<Leaf> const leaf(images + i * Leaf::words);
        auto const ref = leaf_in<Leaf>(piece->extent, range.first + i);
        if (!names(ref, leaf.meta(), tree.handle.tag())) break;
        if (leaf.below(key)) continue;
        auto const sighting = look_for(leaf, ref, tree.handle.tag(), key, true);
        if (sighting.seen != visit::here) break;
        if (sighting.slot == Leaf::no_slot) co_return std::optional<typename Leaf::payload_type>{};
        co_return std::optional(leaf.payload(sighting.slot));
    }
    ++s.stats().retries;
    co_return co_await hopscotch_find<Leaf>(s, tree, key);
}

} // namespace catena::detail
