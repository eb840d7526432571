// SPDX-License-Identifier: Apache-2.0
// extent_drop: takes all extents of an index out of use that is being dropped, and frees them.
//
// Actors     D who drops the index; one at a time (the catalog's lock).  P who publishes, K who takes empty extents out of use
//            (extent_removal.hpp), both until they hear of the drop.
// Protocol   E1 drop of the heads (index/detail/drop.hpp), which retires their leaves one by one and shows what each holds. Who is in a
//               retired leaf stays in the index: K's erase, and whatever P would insert, end with errc::dropped.
//            E2 for the extents of a leaf: READ headers; CAS lock: as read -> held by D; CAS meta: as read -> dead, by a drop
//               (one batch, in this order: what is dead by a drop and held by D he has in his hands); rest (pool/rest.hpp), then free.
//            E3 the ring of news is left behind (news_setup.hpp).
//            E4 the entry of the extents is taken off the catalog.
// Why        An extent has one who frees it: K, if his erase came before the leaf was retired; else D, also if K found it dead
//            already. An extent that P made is in a retired leaf, and D's, or in none, and P's (extent_publish.hpp: insert). Where D
//            comes to a leaf once more, its extents are dead by a drop and held by him, or they live again elsewhere.
// Dies       D in E1, E2: whoever drops it again sees the same leaves, and takes over what D held. After the heads were gone: what D
//            held (not yet used again or shared: most_resting, and most_freed of each size) names him, is dead, and of an index that the
//            catalog does not have once E4 is done: any reclaim finds it. Until E4 the name is taken.
// Late       P's CASes fail in another life of the memory (extent.hpp); a walk finds another life, or a dead extent, and asks the index.
// Cost       those of the drop of the heads, 2 round trips a leaf, 2 for most extents to share the block; most_resting extents in
//            rest_time. Memory: that of the drop of the heads.
// Thread safety: as the session.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/fabric/op.hpp>
#include <catena/pool/block_header.hpp>
#include <catena/pool/catalog.hpp>
#include <catena/pool/rest.hpp>
#include <catena/pool/retry.hpp>
#include <catena/pool/scratch.hpp>
#include <catena/prefix/detail/news_setup.hpp>
#include <catena/prefix/extent_words.hpp>

namespace catena::detail {

/// E2: what the drop of the heads shows the values to. tag: of the extents.
template <typename Session>
class extent_dropper {
public:
    extent_dropper(Session& s, std::uint16_t tag) noexcept : s_(&s), tag_(tag) {}

    [[nodiscard, gnu::noinline]] task<result<void>> operator()(std::span<extent_ref const> of_a_leaf) {
        scratch_lease const memory(s_->scratches());
        auto left = memory->template take<extent_ref>(of_a_leaf.size());
        std::copy(of_a_leaf.begin(), of_a_leaf.end(), left.begin());
        auto const headers = memory->template take<block_header>(left.size());
        auto const ops = memory->template take<op>(2 * left.size());
        retry again;
        for (;;) {
            for (std::size_t i = 0; i < left.size(); ++i)
                ops[i] = op::read(left[i].at(), &headers[i], block_header::bytes);
            if (!left.empty())
                if (auto const r = co_await s_->submit(ops.first(left.size())); !r) co_return r.error();
            std::size_t n = 0;
            for (std::size_t i = 0; i < left.size(); ++i) {
                if (!is_to_take(left[i], headers[i])) continue;
                auto const& h = headers[n] = headers[i];
                auto const& e = left[n] = left[i];
                ops[2 * n] = op::cas(e.at() + block_header::lock_at, h.lock(), mine());
                ops[2 * n + 1] =
                    op::cas(e.at() + block_header::meta_at, h.meta(), extent_meta(h.meta()).when_dropped().bits());
                ++n;
            }
            left = left.first(n);
            if (left.empty()) co_return result<void>{};
            if (auto const r = co_await s_->submit(ops.first(2 * n)); !r) co_return r.error();
            n = 0;
            for (std::size_t i = 0; i < left.size(); ++i) {
                if (!ops[2 * i].swapped() || !ops[2 * i + 1].swapped()) { // K or P was there
                    left[n++] = left[i];
                    continue;
                }
                auto const r = co_await rest_block(
                    *s_, {.at = left[i].at(), .lives = extent_meta(headers[i].meta()).incarnation()}, left[i].bytes());
                if (!r) co_return r.error();
            }
            left = left.first(n);
            if (left.empty()) co_return result<void>{};
            if (auto const r = co_await again.wait(*s_); !r) co_return r.error();
        }
    }

private:
    [[nodiscard]] word mine() const noexcept { return block_header::held_by(s_->pool().self.tag()); }
    [[nodiscard]] bool is_to_take(extent_ref e, block_header const& h) const noexcept {
        extent_meta const meta(h.meta());
        return !h.shared() && meta.is_life_of(e, tag_) && !(meta.dropped() && h.lock() == mine());
    }

    Session* s_;
    std::uint16_t tag_;
};

/// E1 may have been ended by somebody else.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<bool>> is_off_the_catalog(Session& s, catalog_handle h) {
    word state = 0;
    op look = op::read(h.entry(), &state, word_bytes);
    if (auto const r = co_await s.submit(look); !r) co_return r.error();
    co_return state != catalog_entry::state_of(h.generation, index_phase::ready) &&
        state != catalog_entry::state_of(h.generation, index_phase::dropping);
}

/// E3 and E4, once the heads are gone. Waits until all that this session freed has rested.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> drop_listing(Session& s, catalog_handle h) {
    auto const dropped = co_await drop_index(s, h, [&s, h] { return leave_news_ring(s, h); });
    if (!dropped) co_return dropped.error();
    co_return co_await end_rest(s);
}

} // namespace catena::detail
