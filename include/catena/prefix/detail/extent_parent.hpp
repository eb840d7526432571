// SPDX-License-Identifier: Apache-2.0
// extent_parent: what who lists blocks in an extent, or a child behind it, asks it and tells it.
//
// P of extent_removal.hpp: his CASes come first, then he READs the meta word; still_counts() says whether they count.
// Thread safety: as the session.
#pragma once

#include <array>
#include <cstdint>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/fabric/op.hpp>
#include <catena/pool/retry.hpp>
#include <catena/prefix/extent.hpp>

namespace catena::detail {

/// P's last step. seen: the meta word that was read behind its CASes. True: what they did counts. 0 or 1 round trips.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<bool>> still_counts(Session& s, extent_ref e, std::uint16_t tag, word seen) {
    while (extent_meta(seen).is(e, tag) && extent_meta(seen).dying()) {
        op spare = op::cas(extent_view::begin(e), seen, extent_meta(seen).when_spared().bits());
        if (auto const r = co_await s.submit(spare); !r) co_return r.error();
        if (spare.swapped()) co_return true;
        seen = spare.fetched;
    }
    co_return extent_meta(seen).is(e, tag);
}

/// One child more, which begins with block `first`, in the same window or not. children: as it was seen; becomes what it is. False:
/// the parent was taken out of use. 1 round trip as a rule.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<bool>> count_child(Session& s, std::uint16_t tag, extent_ref parent,
                                                            extent_children& children, block_hash first,
                                                            bool in_window) {
    retry again;
    for (;;) {
        word meta = 0;
        auto const more = children.with(first, in_window);
        bool const changes = more != children; // else the parent stays anyway
        std::array ops{op::cas(extent_view::children_at(parent), children.bits(), more.bits()),
                       op::read(extent_view::begin(parent), &meta, word_bytes)};
        if (auto const r = co_await s.submit(batch(ops).subspan(changes ? 0 : 1)); !r) co_return r.error();
        bool const counted = !changes || ops[0].swapped();
        if (changes) children = counted ? more : extent_children(ops[0].fetched);
        auto const counts = co_await still_counts(s, parent, tag, meta);
        if (!counts || !*counts || counted) co_return counts;
        if (auto const r = co_await again.wait(s); !r) co_return r.error();
    }
}

/// One child less; nothing if that life of the extent is over, or it has too many to count. True: that was the last one. 2 round
/// trips.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<bool>> uncount_child(Session& s, std::uint16_t tag, extent_ref parent) {
    retry again;
    for (;;) {
        std::array<word, extent_view::prelude_words> words{};
        op look = op::read(extent_view::begin(parent), words.data(), sizeof words);
        if (auto const r = co_await s.submit(look); !r) co_return r.error();
        extent_view const x(words.data(), 0);
        // A parent word may name an extent that never came into force: that was freed without rest and may live again at any
        // time, so the READ may have mixed two lives, and the count be that of the next one.
        if (!x.meta().is(parent, tag) || !x.children().is_of(parent) || x.children().uncounted()) co_return false;
        op less = op::cas(extent_view::children_at(parent), x.children().bits(), x.children().without_one().bits());
        if (auto const r = co_await s.submit(less); !r) co_return r.error();
        if (less.swapped()) co_return x.children().count() == 1;
        if (auto const r = co_await again.wait(s); !r) co_return r.error();
    }
}

} // namespace catena::detail
