// SPDX-License-Identifier: Apache-2.0
// extent_walk: follows chains through their extents; several chains share their round trips.
//
// W1  Everything that this client knows of a chain, extents that begin its windows and branches of it, is read in one round
//     trip. As the hash of an extent's first block commits to all blocks before it, what is known is what the chain
//     passed through when it was seen last: hardly a READ is in vain.
// W2  Where the last of these ends, or an extent in which the chain leaves its run, there may be a child that this client does
//     not know (X4): its first block is asked for in the index. The question goes along with the READs of W1 where it can be
//     foreseen, else it follows; what is found is read next. With the next question twice as many windows are asked for as the
//     last one found, so that what is asked in vain is at most twice what is needed.
// W3  Of extents that many chains share this client has copies (prefix/extent_copies.hpp): it reads whether they still hold.
// W4  Where other clients are at work the last known extent is read as a whole, as it may have grown.
// W5  With the first batch this client reads what others told in the ring of news since it looked last, and tells what it has published
//     itself (prefix/extent_news.hpp): always where others are at work, else every eighth time, so that a match of a client that is
//     alone writes nothing as a rule. So it knows as a rule where the others' extents are before it needs them.
// Cost       1 round trip if all is known, also where the last known extent may have children and none is this chain's; 1 more
//            where the chain leaves an extent unforeseen; 1 more for what the index told.
// Verdict    of a block: present at the moment when its place was read; absent if its slot has no place, or neither slot nor
//            filter leads to it, or the index does not know it, each at one moment of the call.
// Stale      A placement whose extent is dead or something else by now is dropped, and the index asked. A dead extent that
//            the index still has lists nothing: its first block is absent.
// Dying      An extent of which somebody looks whether it is empty, but a block of it is present: it is spared (CAS) and read
//            again, for until then nobody knows whether that block stays (extent_removal.hpp).
// Thread safety: as the session.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/fabric/op.hpp>
#include <catena/pool/rest.hpp>
#include <catena/pool/retry.hpp>
#include <catena/pool/scratch.hpp>
#include <catena/prefix/detail/chain_walk.hpp>
#include <catena/prefix/detail/extent_list.hpp>
#include <catena/prefix/detail/extent_plan.hpp>
#include <catena/prefix/detail/extent_state.hpp>
#include <catena/prefix/detail/news_errand.hpp>
#include <catena/prefix/extent.hpp>

namespace catena::detail {

template <typename Session, typename State>
class extent_walker {
    static constexpr std::size_t window = State::window;

public:
    extent_walker(Session& s, State& state, std::span<chain_walk> walks)
        : s_(s), state_(state), walks_(walks), memory_(s.scratches()), images_(s.scratches()),
          plan_(state, most_listed(walks), *memory_, *images_), list_(plan_.list()),
          ops_(memory_->template room_for<op>(2 * most_listed(walks) + news_errand<State>::most_ops)),
          found_(memory_->template room_for<std::optional<extent_ref>>(most_listed(walks))), news_(state, *memory_) {}

    /// Walks all chains to their ends, or deadlines: after that no round trip begins for them.
    [[nodiscard, gnu::noinline]] task<result<void>> run() {
        for (auto& w : walks_) w.at = w.from;
        news_.only_if_due();
        while (anything_to_do()) {
            if (plan_.crowded()) begin_again();
            plan_.begin();
            for (auto& w : walks_) {
                if (w.done) continue;
                plan_.list_known(w);
                plan_.ask_for_what_is_needed(w);
            }
            if (auto const r = co_await round_trip(); !r) co_return r.error();
            for (auto& w : walks_) {
                follow(w);
                if (w.progress != nullptr) w.progress->store(w.at, std::memory_order_relaxed);
            }
        }
        co_return result<void>{};
    }

private:
    [[nodiscard]] static std::size_t most_listed(std::span<chain_walk const> walks) noexcept {
        std::size_t windows = 0;
        for (auto const& w : walks) windows += 1 + (w.chain.size() - w.from) / window;
        return std::min<std::size_t>(window + 8 * windows, State::options::batch_reads);
    }

    [[nodiscard]] bool anything_to_do() {
        bool open = false;
        bool timed = false;
        for (auto const& w : walks_) {
            open |= !w.done;
            timed |= !w.done && w.deadline.count() != 0;
        }
        if (!timed) return open;
        open = false;
        auto const now = s_.channel().now();
        for (auto& w : walks_) {
            if (!w.done && w.deadline.count() != 0 && w.deadline <= now) stop(w, walk_stop::timed_out);
            open |= !w.done;
        }
        return open;
    }

    /// There is no room for more: what was read is read again if it is needed still.
    void begin_again() noexcept {
        plan_.clear();
        for (auto& w : walks_)
            if (!w.done && w.extent != extent_list::none) return_to_begin(w);
    }

    /// Reads what is listed and asks what is to be asked.
    [[nodiscard, gnu::noinline]] task<result<void>> round_trip() {
        if (stale_) {
            if (auto const r = co_await again_.wait(s_); !r) co_return r.error();
            stale_ = false;
        }
        auto const keys = plan_.asked();
        auto const found = found_.first(keys.size());
        std::uninitialized_fill(found.begin(), found.end(), std::optional<extent_ref>{});
        for (;;) {
            auto n = list_.plan_reads(ops_);
            if (n == 0 && keys.empty()) co_return result<void>{};
            bool const reads_extents = n != 0;
            n += news_.plan(ops_.subspan(n));
            auto const ops = ops_.first(n);
            auto const begun = s_.channel().now();
            if (keys.empty()) {
                if (auto const r = co_await s_.submit(ops); !r) co_return r.error();
            } else if (auto const r = co_await state_.heads.find_many(s_, keys, found, ops); !r) {
                co_return r.error();
            }
            if (!reads_extents || read_in_time(s_, begun)) break;
            if (auto const r = co_await again_.wait(s_); !r) co_return r.error();
        }
        list_.note_reads();
        news_.done();
        if (keys.empty()) co_return result<void>{};
        if (!list_.has_room_for(keys.size())) { // what was read is of use before it is forgotten
            for (auto& w : walks_) follow(w);
            begin_again();
        }
        std::size_t hits = 0;
        for (std::size_t i = 0; i < keys.size(); ++i) {
            auto& e = list_.add(keys[i], found[i].value_or(extent_ref{}));
            e.asked = true;
            if (!found[i]) continue;
            ++hits;
            e.want = static_cast<std::uint32_t>(e.ref.slots());
            state_.placements.put(keys[i], {.extent = e.ref});
        }
        if (hits != 0) state_.news.wake();
        plan_.learn(hits);
        co_return result<void>{};
    }

    // --- walking ---

    static void stop(chain_walk& w, walk_stop why) noexcept {
        w.end.why = why;
        w.done = true;
    }
    /// The extent in which the walk is must be read anew: to its first block.
    static void return_to_begin(chain_walk& w) noexcept {
        w.extent = extent_list::none;
        w.at = w.begin;
    }

    /// As far as what was read leads.
    void follow(chain_walk& w) {
        while (!w.done) {
            if (w.at == w.chain.size()) return stop(w, walk_stop::chain_end);
            if (w.extent == extent_list::none && !enter(w)) return;
            if (!w.done && w.extent != extent_list::none && !step(w)) return;
        }
    }

    /// To the extent that begins with this block. False: it must be asked for, or read.
    bool enter(chain_walk& w) {
        auto const number = list_.find(w.chain[w.at]);
        if (number == extent_list::none) return false;
        auto& e = list_[number];
        if (!e.ref) { // the index does not know it
            not_there(w);
            return true;
        }
        if (e.have == 0) {
            if (e.copy_failed) forget_hints(e);
            return false;
        }
        extent_view const x(e.words, e.have);
        auto const meta = x.meta();
        if (meta.is(e.ref, state_.handle.tag()) && x.tag(0) == extent_word::tag_of(w.chain[w.at])) {
            e.meta = meta;
            w.extent = number;
            w.begin = w.at;
            return true;
        }
        state_.placements.drop(e.first, e.ref);
        if (e.asked && meta.dead() && meta.is_life_of(e.ref, state_.handle.tag())) {
            not_there(w);
            return true;
        }
        stale_ |= e.asked;
        list_.strike(e);
        return false;
    }
    void not_there(chain_walk& w) {
        if (w.slots.empty()) return stop(w, w.end.extent ? w.end.why : walk_stop::nothing);
        w.extent = extent_list::none;
        w.at = std::min((w.at / window + 1) * window, w.chain.size());
    }

    /// Of a walk that ends at gaps nearly all blocks: those that stand in the extent one after the other, and are present. What ends
    /// them is for step().
    void pass_listed(chain_walk& w, listed_extent const& e, extent_view const& x) noexcept {
        if (!w.slots.empty() || e.meta.dying()) return;
        auto const end = std::min({w.chain.size(), w.begin + e.have, (w.begin / window + 1) * window});
        for (; w.at < end; ++w.at) {
            auto const slot = w.at - w.begin;
            auto const place = x.place(slot);
            if (x.tag(slot) != extent_word::tag_of(w.chain[w.at]) || !extent_word::present(place)) return;
            if (!w.locations.empty()) w.locations[w.at] = location::from_word(place);
        }
    }

    /// Further in the extent, or out of it. False: more of it must be read.
    bool step(chain_walk& w) {
        auto& e = list_[w.extent];
        extent_view const x(e.words, e.have);
        pass_listed(w, e, x);
        if (w.at == w.chain.size()) {
            leave(w, e, x, walk_stop::chain_end);
            return true;
        }
        auto const slot = w.at - w.begin;
        auto why = walk_stop::window_end;
        if (slot == 0 || w.at % window != 0) {
            if (slot >= e.have && slot < e.ref.slots()) {
                e.want = static_cast<std::uint32_t>(e.ref.slots());
                e.have = 0;
                forget_hints(e);
                return_to_begin(w);
                return false;
            }
            why = slot >= e.ref.slots()                               ? walk_stop::no_slot
                  : x.tag(slot) == extent_word::tag_of(w.chain[w.at]) ? walk_stop::absent
                  : extent_word::claimed(x.tag(slot))                 ? walk_stop::other_block
                                                                      : walk_stop::free_slot;
        }
        if (why == walk_stop::absent) {
            auto const place = x.place(slot);
            if (extent_word::present(place) && e.meta.dying()) {
                e.spare = true;
                e.have = 0;
                return_to_begin(w);
                return false;
            }
            if (!w.slots.empty()) { // it does not end at gaps
                w.slots[w.at] = {.extent = e.ref,
                                 .meta = e.meta,
                                 .slot = static_cast<std::uint32_t>(slot),
                                 .place = place,
                                 .removals = x.removals()};
                if (++w.at == w.chain.size()) leave(w, e, x, walk_stop::chain_end);
                return true;
            }
        }
        leave(w, e, x, why);
        bool const leads_on =
            why != walk_stop::absent && why != walk_stop::free_slot && x.children().perhaps(w.chain[w.at]);
        w.done = w.slots.empty() && !leads_on;
        return true;
    }

    /// What was known of its size is wrong, or a copy of it: it is read as a whole, now and if the list begins again meanwhile.
    void forget_hints(listed_extent& e) noexcept {
        e.copy_failed = false;
        state_.placements.put(e.first, {.extent = e.ref});
    }

    /// Out of the extent. Keeps for later what was seen of it.
    void leave(chain_walk& w, listed_extent const& e, extent_view const& x, walk_stop why) {
        auto claimed = static_cast<std::uint32_t>(w.at - w.begin); // what it passed is
        while (claimed < x.slots() && extent_word::claimed(x.tag(claimed))) ++claimed;
        if (claimed == x.slots()) claimed = std::max(claimed, e.known); // there may be more than the chain had use for
        auto p = placement::of(e.ref, claimed, x.children());
        p.uses = static_cast<std::uint8_t>(std::min<unsigned>(e.uses + 1U, placement::most_uses));
        p.removals = extent_removals(x.removals()).count();
        if (why == walk_stop::chain_end) p.behind = e.behind; // what follows was not looked at
        state_.placements.put(e.first, p);
        if (e.uses > 0 && e.removals == p.removals && !e.is_copy) keep_copy(e, x);
        w.end = {.extent = e.ref,
                 .meta = e.meta,
                 .children = x.children(),
                 .slot = static_cast<std::uint32_t>(w.at - w.begin),
                 .why = why};
        w.extent = extent_list::none;
    }

    /// extent_copies V2: its count did not change between the READ before and this one.
    void keep_copy(listed_extent const& e, extent_view const& x) noexcept {
        std::size_t present = 0;
        while (present < x.slots() && extent_word::claimed(x.tag(present)) && extent_word::present(x.place(present)))
            ++present;
        bool const quiet = extent_removals(x.removals()).none_under_way() && !e.meta.dying();
        if (present != 0 && quiet) state_.copies.put(e.first, e.ref, x, present);
    }

    Session& s_;
    State& state_;
    std::span<chain_walk> walks_;
    scratch_lease memory_;
    scratch_lease images_;
    extent_plan<State> plan_;
    extent_list& list_; ///< the plan's
    std::span<op> ops_;
    std::span<std::optional<extent_ref>> found_;
    news_errand<State> news_;
    bool stale_ = false; ///< the index told of an extent that was none any more
    retry again_;
};

} // namespace catena::detail
