// SPDX-License-Identifier: Apache-2.0
// extent_plan: what a walk (extent_walk.hpp) reads and asks for in its next round trip, from what this client knows.
// Thread safety: belongs to one operation.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include <catena/core/bytes.hpp>
#include <catena/pool/scratch.hpp>
#include <catena/prefix/detail/chain_walk.hpp>
#include <catena/prefix/detail/extent_list.hpp>
#include <catena/prefix/detail/extent_state.hpp>
#include <catena/prefix/extent.hpp>

namespace catena::detail {

template <typename State>
class extent_plan {
    static constexpr std::size_t window = State::window;
    static constexpr std::size_t most_ahead = 64;

public:
    /// For at most `most` extents; images: memory for what is read of them, which belongs to nobody else.
    extent_plan(State& state, std::size_t most, scratch& memory, scratch& images)
        : state_(state), list_(images, most), asked_(memory.template room_for<block_hash>(most)) {}

    /// What to read.
    [[nodiscard]] extent_list& list() noexcept { return list_; }
    /// What to ask the index for.
    [[nodiscard]] std::span<block_hash const> asked() const noexcept { return asked_.first(asking_); }
    /// The list was too short for what is known.
    [[nodiscard]] bool crowded() const noexcept { return crowded_; }
    /// For the next round trip.
    void begin() noexcept { asking_ = 0; }
    /// Forgets what was read. Whoever is in an extent must read it anew.
    void clear() noexcept {
        list_.clear();
        spare_image_ = nullptr;
        crowded_ = false;
    }

    /// W1, from the block on at which the walk is: what it has passed need not fit the list. What lies behind the last of it is asked for at
    /// once if it may be there.
    void list_known(chain_walk const& w) noexcept {
        std::optional<placement> last;
        std::optional<placement> next; // what the news tell of the next window
        std::size_t begin = 0;
        for (auto head = w.at; head < w.chain.size(); head = (head / window + 1) * window) {
            auto p = state_.placements.find(w.chain[head]);
            if (!p) p = next;
            next.reset();
            if (!p) continue;
            if (!list(w, head, *p)) return;
            last = p;
            begin = head;
            auto const end = std::min((head / window + 1) * window, w.chain.size());
            while (last->perhaps_branches()) {
                auto const branch = branch_of(w, begin, *last, end);
                if (!branch) break;
                if (!list(w, branch->begin, branch->where)) return;
                last = branch->where;
                begin = branch->begin;
            }
            if (last->behind != 0) next = last->next();
        }
        if (!last || !w.slots.empty()) return;
        if (state_.news.others_at_work()) read_whole(w, begin);
        if (last->slots == 0) return;
        auto const passed = passage(w, begin).count;
        auto const end = begin + std::min(passed != 0 ? passed : last->slots, window - begin % window);
        if (end > w.at && end < w.chain.size() && last->perhaps_leads_to(w.chain[end])) ask_from(w, end);
    }

    /// W2 for a walk that knows no more.
    void ask_for_what_is_needed(chain_walk const& w) noexcept {
        if (w.extent != extent_list::none) return; // it waits for more of an extent
        auto const& first = w.chain[w.at];
        if (list_.find(first) != extent_list::none) return;    // listed, and read now
        if (crowded_ && state_.placements.find(first)) return; // in the next round trip
        ask_from(w, w.at);
    }
    /// So many answers told of an extent: there may be more behind.
    void learn(std::size_t hits) noexcept {
        if (hits != 0) ahead_ = std::min(2 * hits, most_ahead);
    }

private:
    /// Slots of an extent that the chain may need.
    [[nodiscard]] static std::size_t within_reach(chain_walk const& w, std::size_t begin, extent_ref e) noexcept {
        return std::min({e.slots(), window - begin % window, w.chain.size() - begin});
    }
    /// Of those, what is known to be claimed and one more.
    [[nodiscard]] static std::size_t useful(chain_walk const& w, std::size_t begin, placement const& p) noexcept {
        auto const most = within_reach(w, begin, p.extent);
        return p.slots == 0 || !w.slots.empty() ? most : std::min<std::size_t>(most, p.slots + 1U);
    }
    bool list(chain_walk const& w, std::size_t begin, placement const& p) noexcept {
        crowded_ |= !list_.has_room_for(1);
        if (crowded_) return false;
        auto const number = list_.find(w.chain[begin]);
        auto& e = number == extent_list::none ? list_.add(w.chain[begin], p.extent) : list_[number];
        if (number == extent_list::none) e.behind = p.behind;
        e.known = std::max<std::uint32_t>(e.known, p.slots);
        if (e.have == 0) e.want = std::max(e.want, static_cast<std::uint32_t>(useful(w, begin, p)));
        if (number == extent_list::none && w.slots.empty()) take_copy(w, begin, e, p);
        return true;
    }
    /// W3. A copy does not know whether its extent has grown: it must be long enough, or the chain leave it on the way.
    void take_copy(chain_walk const& w, std::size_t begin, listed_extent& e, placement const& p) noexcept {
        e.uses = p.uses;
        e.removals = p.removals;
        if (p.uses < 2 || !state_.copies.keeps_any()) return;
        if (spare_image_ == nullptr) spare_image_ = list_.spare_image();
        auto const slots = state_.copies.find(e.first, e.ref, extent_view(spare_image_, e.ref.slots()));
        if (slots < e.want && matching(w, begin, extent_view(spare_image_, slots)) == slots) return;
        e.copied = static_cast<std::uint32_t>(slots);
        e.words = std::exchange(spare_image_, nullptr);
    }

    /// W4.
    void read_whole(chain_walk const& w, std::size_t begin) noexcept {
        auto& e = list_[list_.find(w.chain[begin])];
        if (e.have == 0) e.want = std::max(e.want, static_cast<std::uint32_t>(within_reach(w, begin, e.ref)));
    }

    struct known_branch {
        std::size_t begin;
        placement where;
    };
    /// The first known branch that the chain may take from that extent, in that window: it begins where the chain leaves the slots of the
    /// extent, or behind the last of them. Where it leaves them a copy tells, or what was read.
    [[nodiscard]] std::optional<known_branch> branch_of(chain_walk const& w, std::size_t begin, placement const& p,
                                                        std::size_t end) const noexcept {
        auto const [passed, left] = passage(w, begin);
        end = std::min(end, begin + (left ? passed : p.extent.slots()) + 1);
        for (auto i = begin + std::max<std::size_t>(passed, 1); i < end; ++i) {
            if (!p.perhaps_leads_to(w.chain[i])) continue;
            if (auto const found = state_.placements.find(w.chain[i])) return known_branch{.begin = i, .where = *found};
        }
        return std::nullopt;
    }

    struct passed_blocks {
        std::size_t count = 0; ///< 0: nothing of the extent is here
        bool left = false;     ///< behind them stands another block
    };
    /// So many blocks of the chain stand in what is here of that extent: what was read, or a copy.
    [[nodiscard]] passed_blocks passage(chain_walk const& w, std::size_t begin) const noexcept {
        auto const& e = list_[list_.find(w.chain[begin])];
        auto const have = std::max(e.have, e.copied);
        auto const count = have == 0 ? 0 : matching(w, begin, extent_view(e.words, have));
        return {.count = count, .left = count < have};
    }
    [[nodiscard]] static std::size_t matching(chain_walk const& w, std::size_t begin, extent_view const& x) noexcept {
        auto const most = std::min(x.slots(), w.chain.size() - begin);
        std::size_t n = 0;
        while (n < most && x.tag(n) == extent_word::tag_of(w.chain[begin + n])) ++n;
        return n;
    }

    void ask_from(chain_walk const& w, std::size_t block) noexcept {
        ask(w.chain[block]);
        auto head = (block / window + 1) * window;
        for (std::size_t i = 0; i < ahead_ && head < w.chain.size(); ++i, head += window) ask(w.chain[head]);
    }
    void ask(block_hash const& first) noexcept {
        if (list_.find(first) != extent_list::none || asking_ == asked_.size()) return;
        auto const before = asked_.first(asking_);
        if (std::find(before.begin(), before.end(), first) == before.end()) asked_[asking_++] = first;
    }

    State& state_;
    extent_list list_;
    std::span<block_hash> asked_;
    std::size_t asking_ = 0; ///< of asked_
    bool crowded_ = false;
    std::size_t ahead_ = 0;       ///< windows to ask for beyond the one that is needed
    word* spare_image_ = nullptr; ///< for a copy; of the list's memory
};

} // namespace catena::detail
