// SPDX-License-Identifier: Apache-2.0
// extent_maker: new extents for the windows of a chain, in memory of this client's, which nobody can find yet.
// Thread safety: as the session. Bound: most_made extents at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/fabric/op.hpp>
#include <catena/pool/node_allocator.hpp>
#include <catena/pool/rest.hpp>
#include <catena/pool/scratch.hpp>
#include <catena/prefix/extent.hpp>

namespace catena::detail {

/// A new extent for chain[begin, end).
struct made_extent {
    std::size_t begin = 0;
    std::size_t end = 0;
    extent_ref ref;
    extent_ref parent;
    std::uint32_t lives = 0;
    extent_children children; ///< the next of those that were made with it, if there is one
};

template <typename Session, typename State>
class extent_maker {
    static constexpr std::size_t window = State::window;

public:
    static constexpr std::size_t most_made = 128;

    /// For chain[from..].
    extent_maker(Session& s, State& state, std::span<block_hash const> chain, std::span<location const> locations,
                 std::size_t from, scratch& memory)
        : s_(s), state_(state), chain_(chain), locations_(locations), memory_(memory),
          room_(memory.template take<made_extent>(std::min((chain.size() - from) / window + 2, most_made))) {}

    [[nodiscard]] std::size_t most() const noexcept { return room_.size(); }
    [[nodiscard]] std::span<made_extent> made() const noexcept { return room_.first(count_); }
    /// For chain[begin..], as many as there is room for, each the parent of the next. After an error there are none. No round trip as
    /// a rule.
    [[nodiscard, gnu::noinline]] task<result<void>> make(extent_ref parent, std::size_t begin) {
        count_ = 0;
        if (begin == chain_.size()) co_return result<void>{};
        if (auto const r = co_await free_rested(s_); !r) co_return r.error();
        if (images_ == nullptr) images_ = memory_.image(room_.size() * extent_class::bytes(extent_class::count - 1));
        // One behind the other, as far as the allocator can: whole runs are written and read at once.
        auto const node = s_.allocation().turn;
        auto* image = images_;
        while (begin < chain_.size() && count_ < room_.size()) {
            auto const room = window - begin % window;
            auto const c = class_for(std::min(chain_.size() - begin, room), room);
            auto const run = std::min({chain_.size() - begin, room, extent_class::slots(c)});
            s_.allocation().turn = node;
            auto got = co_await allocate(s_, extent_class::bytes(c));
            if (!got && got.error().code == errc::out_of_memory && !s_.allocation().resting.empty()) {
                if (auto const r = co_await end_rest(s_); !r) co_return r.error(); // what was forgotten just now
                got = co_await allocate(s_, extent_class::bytes(c));
            }
            if (!got) {
                auto const undone = co_await discard_all();
                co_return undone ? got.error() : undone.error();
            }
            auto& m = room_[count_];
            m = {.begin = begin,
                 .end = begin + run,
                 .ref = extent_ref(got->at, c, got->lives + 1),
                 .parent = parent,
                 .lives = got->lives + 1,
                 .children = extent_children::none(got->lives + 1)};
            if (m.end < chain_.size() && count_ + 1 < room_.size())
                m.children = m.children.with(chain_[m.end], m.end % window != 0);
            make_extent(image, c,
                        {.lock = block_header::held_by(s_.pool().self.tag()),
                         .index_tag = state_.handle.tag(),
                         .incarnation = m.lives,
                         .run = chain_.subspan(begin, run),
                         .places = locations_.subspan(begin, run),
                         .children = m.children,
                         .parent = parent});
            parent = m.ref;
            begin = m.end;
            image += m.ref.bytes() / word_bytes;
            ++count_;
        }
        co_return result<void>{};
    }

    /// WRITEs of all that were made; returns how many, at most one each.
    [[nodiscard]] std::size_t plan_writes(std::span<op> ops) const noexcept {
        std::size_t n = 0;
        auto* image = images_;
        for (std::size_t i = 0; i < count_; ++i) {
            auto const& e = room_[i].ref;
            if (i != 0 && e.at() == room_[i - 1].ref.at() + room_[i - 1].ref.bytes())
                ops[n - 1].length += static_cast<std::uint32_t>(e.bytes());
            else
                ops[n++] = op::write(e.at(), image, e.bytes());
            image += e.bytes() / word_bytes;
        }
        return n;
    }

    /// Frees what was made, none of which anybody can find.
    [[nodiscard, gnu::noinline]] task<result<void>> discard_all() {
        for (auto const& m : made())
            if (auto const r = co_await discard(m); !r) co_return r.error();
        count_ = 0;
        co_return result<void>{};
    }
    [[nodiscard, gnu::noinline]] task<result<void>> discard(made_extent const& m) {
        co_return co_await free_block(s_, {.at = m.ref.at(), .lives = m.lives}, m.ref.bytes());
    }

private:
    /// Three times as much as is needed now, for the next turns of the conversation.
    [[nodiscard]] static std::uint32_t class_for(std::size_t run, std::size_t room) noexcept {
        return extent_class::for_slots(std::min(room, 3 * run));
    }

    Session& s_;
    State& state_;
    std::span<block_hash const> chain_;
    std::span<location const> locations_;
    scratch& memory_;
    std::span<made_extent> room_;
    word* images_ = nullptr; ///< of all that is made, one behind the other
    std::size_t count_ = 0;
};

} // namespace catena::detail
