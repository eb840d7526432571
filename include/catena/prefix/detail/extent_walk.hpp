// SPDX-License-Identifier: Apache-2.0
// extent_walk: follows chains through their extents; several chains share their round trips.
//
// W1  Everything that this client knows of a chain, extents that begin its windows and branches of it, is read in one round
//     trip. As the hash of an extent's first block commits to all blocks before it, what is known is what the chain
//     passed through when it was seen last: hardly a READ is in vain.
// W2  Where the last of these ends, or an extent in which the chain leaves its run, there may be a child that this client does
//     not know (X4): its first block is asked for in the index, and with it the first blocks of the next windows (window_guess).
//     The question goes along with the READs of W1 where it can be foreseen, else it follows; what is found is read next.
// W4  Where other clients are at work (window_guess) the last known extent is read as a whole, as it may have grown, and the windows
//     behind it are asked for in W1's round trip already.
// W3  Of extents that many chains share this client has copies (prefix/extent_copies.hpp): it reads whether they still hold.
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
#include <optional>
#include <span>
#include <utility>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/fabric/op.hpp>
#include <catena/pool/rest.hpp>
#include <catena/pool/retry.hpp>
#include <catena/pool/scratch.hpp>
#include <catena/prefix/detail/chain_walk.hpp>
#include <catena/prefix/detail/extent_list.hpp>
#include <catena/prefix/detail/extent_state.hpp>
#include <catena/prefix/extent.hpp>

namespace catena::detail {

template <typename Session, typename State>
class extent_walker {
    static constexpr std::size_t window = State::window;

public:
    extent_walker(Session& s, State& state, std::span<chain_walk> walks)
        : s_(s), state_(state), walks_(walks), memory_(s.scratches()), list_memory_(s.scratches()),
          list_(*list_memory_, most_listed(walks)) {
        auto const most = most_listed(walks);
        ops_ = memory_->template take<op>(2 * most);
        asked_ = memory_->template take<block_hash>(most);
        found_ = memory_->template take<std::optional<extent_ref>>(most);
    }

    /// Walks all chains to their ends, or deadlines: after that no round trip begins for them.
    [[nodiscard, gnu::noinline]] task<result<void>> run() {
        for (auto& w : walks_) w.at = w.from;
        while (anything_to_do()) {
            if (crowded_) begin_again();
            asking_ = 0;
            for (auto& w : walks_) {
                if (w.done) continue;
                list_known(w);
                ask_for_what_is_needed(w);
            }
            if (auto const r = co_await round_trip(); !r) co_return r.error();
            for (auto& w : walks_) {
                follow(w);
                if (w.progress != nullptr) w.progress->store(w.at, std::memory_order_relaxed);
            }
        }
        state_.guess.learn(met_, walks_.size(), eager_);
        co_return result<void>{};
    }

private:
    [[nodiscard]] static std::size_t most_listed(std::span<chain_walk const> walks) noexcept {
        std::size_t windows = 0;
        for (auto const& w : walks) windows += 1 + (w.chain.size() - w.from) / window;
        return std::min<std::size_t>(64 + 4 * windows, State::options::batch_reads);
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

    // --- W1 and W2: what to read, what to ask ---

    /// There is no room for more: what was read is read again if it is needed still.
    void begin_again() noexcept {
        list_.clear();
        spare_image_ = nullptr;
        crowded_ = false;
        for (auto& w : walks_)
            if (!w.done && w.extent != chain_walk::none) return_to_begin(w);
    }

    /// Slots of an extent that the chain may need, of those that are known to be claimed and one more.
    [[nodiscard]] static std::size_t useful(chain_walk const& w, std::size_t begin, placement const& p) noexcept {
        auto const most = std::min({p.extent.slots(), window - begin % window, w.chain.size() - begin});
        return p.slots == 0 || !w.slots.empty() ? most : std::min<std::size_t>(most, p.slots + 1U);
    }
    bool list(chain_walk const& w, std::size_t begin, placement const& p) noexcept {
        crowded_ |= !list_.has_room_for(1);
        if (crowded_) return false;
        auto const number = list_.find(w.chain[begin]);
        auto& e = number == extent_list::none ? list_.add(w.chain[begin], p.extent) : list_[number];
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

    /// W1, from the window on in which the walk is. What lies behind the last of it is asked for at once if it may be there.
    void list_known(chain_walk const& w) noexcept {
        std::optional<placement> last;
        std::size_t begin = 0;
        for (auto head = w.at / window * window; head < w.chain.size(); head += window) {
            auto const p = state_.placements.find(w.chain[head]);
            if (!p) continue;
            if (!list(w, head, *p)) return;
            last = p;
            begin = head;
            if (!p->branched) continue;
            auto const end = std::min(head + window, w.chain.size());
            for (auto i = head + 1; i < end; ++i) {
                auto const branch = state_.placements.find(w.chain[i]);
                if (!branch) continue;
                if (!list(w, i, *branch)) return;
                last = branch;
                begin = i;
            }
        }
        if (!last || !w.slots.empty()) return;
        if (eager_) look_beyond(w, begin);
        if (last->slots == 0) return;
        auto const end = begin + std::min<std::size_t>(foreseen(w, begin, last->slots), window - begin % window);
        auto const prints = end < w.chain.size() ? extent_children::prints_of(w.chain[end]) : 0;
        if (prints != 0 && end > w.at && (last->children & prints) == prints) ask_from(w, end);
    }

    /// W4, behind the last known extent.
    void look_beyond(chain_walk const& w, std::size_t begin) noexcept {
        auto& e = list_[list_.find(w.chain[begin])];
        auto const most = std::min({e.ref.slots(), window - begin % window, w.chain.size() - begin});
        if (e.have == 0) e.want = std::max(e.want, static_cast<std::uint32_t>(most));
        auto const next = (begin / window + 1) * window;
        if (next < w.chain.size() && next > w.at) ask_from(w, next);
    }

    /// So many blocks of the chain that extent has, as far as is known: of a copy for sure, else it is hoped that it is all.
    [[nodiscard]] std::size_t foreseen(chain_walk const& w, std::size_t begin, std::size_t slots) const noexcept {
        auto const& e = list_[list_.find(w.chain[begin])];
        return e.copied == 0 ? slots : matching(w, begin, extent_view(e.words, e.copied));
    }
    [[nodiscard]] static std::size_t matching(chain_walk const& w, std::size_t begin, extent_view const& x) noexcept {
        auto const most = std::min(x.slots(), w.chain.size() - begin);
        std::size_t n = 0;
        while (n < most && x.tag(n) == extent_word::tag_of(w.chain[begin + n])) ++n;
        return n;
    }

    /// W2 for a walk that knows no more.
    void ask_for_what_is_needed(chain_walk const& w) noexcept {
        if (w.extent != chain_walk::none) return; // it waits for more of an extent
        auto const& first = w.chain[w.at];
        if (list_.find(first) != extent_list::none) return;    // listed, and read now
        if (crowded_ && state_.placements.find(first)) return; // in the next round trip
        ask_from(w, w.at);
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

    /// Reads what is listed and asks what is to be asked.
    [[nodiscard, gnu::noinline]] task<result<void>> round_trip() {
        if (stale_) {
            if (auto const r = co_await again_.wait(s_); !r) co_return r.error();
            stale_ = false;
        }
        auto const keys = asked_.first(asking_);
        auto const found = found_.first(asking_);
        std::fill(found.begin(), found.end(), std::nullopt);
        for (;;) {
            auto const reads = ops_.first(list_.plan_reads(ops_));
            if (reads.empty() && keys.empty()) co_return result<void>{};
            auto const begun = s_.channel().now();
            auto const done =
                keys.empty() ? co_await read(reads) : co_await state_.heads.find_many(s_, keys, found, reads);
            if (!done) co_return done.error();
            if (reads.empty() || read_in_time(s_, begun)) break;
            if (auto const r = co_await again_.wait(s_); !r) co_return r.error();
        }
        list_.note_reads();
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
        met_ += hits;
        if (hits != 0) ahead_ = std::min(std::max(2 * hits, state_.guess.next()), window_guess::most);
        co_return result<void>{};
    }
    [[nodiscard, gnu::noinline]] task<result<void>> read(std::span<op> reads) { co_return co_await s_.submit(reads); }

    // --- walking ---

    static void stop(chain_walk& w, walk_stop why) noexcept {
        w.end.why = why;
        w.done = true;
    }
    /// The extent in which the walk is must be read anew: to its first block.
    static void return_to_begin(chain_walk& w) noexcept {
        w.extent = chain_walk::none;
        w.at = w.begin;
    }

    /// As far as what was read leads.
    void follow(chain_walk& w) {
        while (!w.done) {
            if (w.at == w.chain.size()) return stop(w, walk_stop::chain_end);
            if (w.extent == chain_walk::none && !enter(w)) return;
            if (!w.done && w.extent != chain_walk::none && !step(w)) return;
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
        bool const this_life = (meta.incarnation() & extent_ref::incarnation_mask) == e.ref.incarnation();
        if (e.asked && this_life && meta.dead()) {
            not_there(w);
            return true;
        }
        stale_ |= e.asked;
        list_.strike(e);
        return false;
    }
    void not_there(chain_walk& w) {
        if (w.slots.empty()) return stop(w, w.end.extent ? w.end.why : walk_stop::nothing);
        w.extent = chain_walk::none;
        w.at = std::min((w.at / window + 1) * window, w.chain.size());
    }

    /// One block further in the extent, or out of it. False: more of it must be read.
    bool step(chain_walk& w) {
        auto& e = list_[w.extent];
        extent_view const x(e.words, e.have);
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
            bool const present = extent_word::present(place);
            if (present && e.meta.dying()) {
                e.spare = true;
                e.have = 0;
                return_to_begin(w);
                return false;
            }
            if (!w.slots.empty())
                w.slots[w.at] = {.extent = e.ref,
                                 .meta = e.meta,
                                 .slot = static_cast<std::uint32_t>(slot),
                                 .place = place,
                                 .removals = x.removals()};
            if (present || !w.slots.empty()) {
                if (!w.locations.empty()) w.locations[w.at] = location::from_word(place);
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
        std::uint32_t claimed = 0;
        while (claimed < x.slots() && extent_word::claimed(x.tag(claimed))) ++claimed;
        if (claimed == x.slots()) claimed = std::max(claimed, e.known); // there may be more than the chain had use for
        auto p = placement::of(e.ref, claimed, x.children());
        p.uses = static_cast<std::uint8_t>(std::min<unsigned>(e.uses + 1U, placement::most_uses));
        p.removals = extent_removals(x.removals()).count();
        state_.placements.put(e.first, p);
        if (e.uses > 0 && e.removals == p.removals && !e.is_copy) keep_copy(e, x);
        w.end = {.extent = e.ref,
                 .meta = e.meta,
                 .children = x.children(),
                 .slot = static_cast<std::uint32_t>(w.at - w.begin),
                 .why = why};
        w.extent = chain_walk::none;
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
    scratch_lease list_memory_;
    extent_list list_;
    std::span<op> ops_;
    std::span<block_hash> asked_; ///< of the next round trip
    std::span<std::optional<extent_ref>> found_;
    std::size_t asking_ = 0; ///< of asked_
    bool crowded_ = false;   ///< the list was too short for what is known
    bool const eager_ = state_.guess.others_are_at_work();
    std::size_t ahead_ = eager_ ? state_.guess.next() : 0; ///< windows to ask for beyond the one that is needed
    std::size_t met_ = 0;                                  ///< extents that this client did not know
    bool stale_ = false;                                   ///< the index told of an extent that was none any more
    word* spare_image_ = nullptr;                          ///< for a copy; of the list's memory
    retry again_;
};

} // namespace catena::detail
