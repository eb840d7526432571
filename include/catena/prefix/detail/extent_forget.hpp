// SPDX-License-Identifier: Apache-2.0
// extent_forget: takes blocks of a chain off the list, leaf to root.
//
// Protocol   F1 walk the windows of these blocks, gaps and all (extent_walk.hpp).
//            F2 from the last block to the first, for each extent: FAA removals: one begun; CAS places: as read -> absent; FAA
//               removals: one done; READ what is left of it.
//            F3 extents that list nothing any more: extent_removal.hpp.
// Dies       in F2: a part is taken off, from the leaf's end as far as one memory node goes. What was begun is never done, so that
//            nobody keeps copies of that extent any more (prefix/extent_copies.hpp).
// Cost       1 round trip for F1 if all is known, 1 for F2; F3 for each extent that is empty.
// Thread safety: as the session.
#pragma once

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
        ops_ = memory_->template take<op>(batch_ops + window + 3);
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

    /// F2. True: some were replaced meanwhile and must be looked at again.
    [[nodiscard, gnu::noinline]] task<result<bool>> take_off() {
        bool lost = false;
        for (auto end = chain_.size(); end > keep_;) {
            auto const images = memory_->mark();
            std::size_t n = 0;
            auto begin = end;
            while (begin > keep_ && n < batch_ops) {
                auto const e = slots_[begin - 1].extent;
                auto const before = n++; // for what counts the beginning
                for (; begin > keep_ && slots_[begin - 1].extent == e; --begin)
                    if (auto const& b = slots_[begin - 1]; to_take(begin - 1))
                        ops_[n++] = op::cas(extent_view::place_at(e, b.slot), b.place,
                                            extent_word::absent(b.meta.incarnation()));
                if (n == before + 1) {
                    n = before;
                    continue;
                }
                auto const bytes = extent_view::bytes_of(e.slots());
                ops_[before] = op::faa(extent_view::removals_at(e), extent_removals::begun);
                ops_[n++] = op::faa(extent_view::removals_at(e), extent_removals::done);
                ops_[n++] = op::read(extent_view::begin(e), memory_->image(bytes), bytes);
            }
            if (n != 0)
                if (auto const r = co_await s_.submit(ops_.first(n)); !r) co_return r.error();
            extent_ref e;
            for (auto const& o : ops_.first(n)) {
                if (o.kind == op_kind::read) note_emptied(e, static_cast<word*>(o.local));
                if (o.kind != op_kind::cas) continue;
                while (!to_take(end - 1)) --end;
                --end;
                e = slots_[end].extent;
                erased_ += o.swapped() ? 1 : 0;
                slots_[end].place = o.swapped() ? o.operand : o.fetched;
                lost |= to_take(end);
            }
            end = begin;
            memory_->reset_to(images);
        }
        co_return lost;
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
    std::span<extent_ref> emptied_; ///< perhaps: as they were read
    std::size_t emptied_count_ = 0;
    std::size_t erased_ = 0;
};

} // namespace catena::detail
