// SPDX-License-Identifier: Apache-2.0
// extent_forget: takes blocks of a chain off the list, leaf to root.
//
// Protocol   F1 walk the windows of these blocks, gaps and all (extent_walk.hpp).
//            F2 from the last block to the first, for each extent: CAS removals: one begun; then CAS places: as read -> absent, and
//               READ what is left of it; then CAS removals: one done.
//            F3 extents that list nothing any more: extent_removal.hpp.
// Dies       in F2: a part is taken off, from the leaf's end as far as one memory node goes. What was begun is never done, so that
//            nobody keeps copies of that extent any more (prefix/extent_copies.hpp).
// Late       Whoever stands still between any two steps finds other words than he expects if the memory has another life by then:
//            all is done by CAS, and absent places, removals and the meta word say which life they are of.
// Cost       1 round trip for F1 if all is known, 3 for F2; F3 for each extent that is empty.
// Thread safety: as the session.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/fabric/op.hpp>
#include <catena/pool/membership.hpp>
#include <catena/pool/retry.hpp>
#include <catena/pool/scratch.hpp>
#include <catena/prefix/detail/extent_removal.hpp>
#include <catena/prefix/detail/extent_state.hpp>
#include <catena/prefix/detail/extent_walk.hpp>

namespace catena::detail {

template <typename Session, typename State>
class extent_forgetter {
    static constexpr std::size_t window = State::window;
    static constexpr std::size_t batch_ops = 512;

public:
    /// Takes chain[keep..] off; expected: empty, or only blocks that are listed there.
    extent_forgetter(Session& s, State& state, std::span<block_hash const> chain, std::size_t keep,
                     std::span<location const> expected)
        : s_(s), state_(state), chain_(chain), keep_(keep), expected_(expected), memory_(s.scratches()) {}

    /// Returns how many went.
    [[nodiscard, gnu::noinline]] task<result<std::size_t>> run() {
        if (auto const r = co_await keep_lease(s_); !r) co_return r.error();
        slots_ = memory_->template take<block_slot>(chain_.size());
        ops_ = memory_->template take<op>(2 * batch_ops + 2 * window);
        parts_ = memory_->template take<part>(std::min((chain_.size() - keep_), batch_ops) + 1);
        chain_walk w{.chain = chain_, .from = keep_ / window * window, .locations = {}, .slots = slots_};
        extent_walker<Session, State> walker(s_, state_, std::span(&w, 1));
        if (auto const r = co_await walker.run(); !r) co_return r.error();
        emptied_ = memory_->template take<extent_ref>(chain_.size() - keep_);
        retry again;
        for (;;) {
            emptied_count_ = 0;
            auto const lost = co_await take_off();
            if (!lost) co_return lost.error();
            if (!*lost) break;
            if (auto const r = co_await again.wait(s_); !r) co_return r.error();
        }
        if (auto const r = co_await remove_emptied(); !r) co_return r.error();
        co_return erased_;
    }

private:
    [[nodiscard]] bool to_take(std::size_t block) const noexcept {
        auto const& b = slots_[block];
        return b.extent && extent_word::present(b.place) && (expected_.empty() || b.place == expected_[block].word());
    }

    /// Blocks of one extent of which some are to be taken off.
    struct part {
        extent_ref extent;
        std::size_t begin = 0;
        std::size_t end = 0;
        extent_removals counts{0};
        bool counted = false; ///< in the step that is under way
    };

    /// F2, F3. True: some were replaced meanwhile and must be looked at again.
    [[nodiscard, gnu::noinline]] task<result<bool>> take_off() {
        bool lost = false;
        for (auto end = chain_.size(); end > keep_;) {
            std::size_t n = 0;
            std::size_t blocks = 0;
            while (end > keep_ && blocks < batch_ops) {
                auto const e = slots_[end - 1].extent;
                part p{.extent = e, .end = end, .counts = extent_removals(slots_[end - 1].removals)};
                std::size_t some = 0;
                for (; end > keep_ && slots_[end - 1].extent == e; --end) some += to_take(end - 1) ? 1 : 0;
                p.begin = end;
                blocks += some;
                if (some != 0) parts_[n++] = p;
            }
            auto const parts = parts_.first(n);
            if (auto const r = co_await count(parts, &extent_removals::with_one_begun); !r) co_return r.error();
            auto const again = co_await take_places(parts);
            if (!again) co_return again.error();
            lost |= *again;
            if (auto const r = co_await count(parts, &extent_removals::with_one_done); !r) co_return r.error();
        }
        co_return lost;
    }

    /// Until all that still live are counted. 1 round trip as a rule.
    [[nodiscard, gnu::noinline]] task<result<void>> count(std::span<part> parts,
                                                          extent_removals (extent_removals::*one)() const noexcept) {
        retry again;
        for (bool first = true;; first = false) {
            std::size_t n = 0;
            for (auto& p : parts)
                if (p.extent && !p.counted)
                    ops_[n++] = op::cas(extent_view::removals_at(p.extent), p.counts.bits(), (p.counts.*one)().bits());
            if (n == 0) break;
            if (!first)
                if (auto const r = co_await again.wait(s_); !r) co_return r.error();
            if (auto const r = co_await s_.submit(ops_.first(n)); !r) co_return r.error();
            n = 0;
            for (auto& p : parts) {
                if (!p.extent || p.counted) continue;
                auto const& o = ops_[n++];
                p.counted = o.swapped();
                extent_removals const now(p.counted ? o.operand : o.fetched);
                if (!now.same_life(p.counts)) p.extent = {}; // it lists nothing of ours any more
                p.counts = now;
            }
        }
        for (auto& p : parts) p.counted = false;
        co_return result<void>{};
    }

    /// CASes of the places, and a look at what is left. 1 round trip.
    [[nodiscard, gnu::noinline]] task<result<bool>> take_places(std::span<part> parts) {
        auto const images = memory_->mark();
        std::size_t n = 0;
        for (auto const& p : parts) {
            if (!p.extent) continue;
            for (auto i = p.end; i-- > p.begin;)
                if (to_take(i))
                    ops_[n++] = op::cas(extent_view::place_at(p.extent, slots_[i].slot), slots_[i].place,
                                        extent_word::absent(slots_[i].meta.incarnation()));
            auto const bytes = extent_view::bytes_of(p.extent.slots());
            ops_[n++] = op::read(extent_view::begin(p.extent), memory_->image(bytes), bytes);
        }
        if (n == 0) co_return false;
        if (auto const r = co_await s_.submit(ops_.first(n)); !r) co_return r.error();
        bool lost = false;
        n = 0;
        for (auto const& p : parts) {
            if (!p.extent) continue;
            bool replaced = false;
            for (auto i = p.end; i-- > p.begin;) {
                if (!to_take(i)) continue;
                auto const& o = ops_[n++];
                erased_ += o.swapped() ? 1 : 0;
                slots_[i].place = o.swapped() ? o.operand : o.fetched;
                replaced |= to_take(i);
            }
            auto* const words = static_cast<word*>(ops_[n++].local);
            note_emptied(p.extent, words);
            if (replaced) lost |= look_again(p.extent, p.begin, p.end, words);
        }
        memory_->reset_to(images);
        co_return lost;
    }
    /// What stands in the slots now are other blocks, if that life of the extent is over.
    [[nodiscard]] bool look_again(extent_ref e, std::size_t begin, std::size_t end, word* words) noexcept {
        extent_view const x(words, 0);
        bool const same = x.meta().is(e, state_.handle.tag());
        for (auto& b : slots_.subspan(begin, end - begin)) {
            if (!same) b.extent = {};
            b.removals = x.removals();
        }
        return same;
    }
    /// Of several who take blocks off an extent at the same time the last one sees that it is empty.
    void note_emptied(extent_ref e, word* words) noexcept {
        extent_view const x(words, e.slots());
        if (!x.lists_nothing() || x.children().count() != 0) return;
        if (emptied_count_ == 0 || emptied_[emptied_count_ - 1] != e) emptied_[emptied_count_++] = e;
    }

    /// F3, leaf to root.
    [[nodiscard, gnu::noinline]] task<result<void>> remove_emptied() {
        for (auto const e : emptied_.first(emptied_count_))
            if (auto const r = co_await remove_if_empty(s_, state_, e); !r) co_return r.error();
        co_return result<void>{};
    }

    Session& s_;
    State& state_;
    std::span<block_hash const> chain_;
    std::size_t keep_;
    std::span<location const> expected_;
    scratch_lease memory_;
    std::span<block_slot> slots_;
    std::span<op> ops_;
    std::span<part> parts_;         ///< of one batch
    std::span<extent_ref> emptied_; ///< perhaps: as they were read
    std::size_t emptied_count_ = 0;
    std::size_t erased_ = 0;
};

} // namespace catena::detail
