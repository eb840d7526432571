// SPDX-License-Identifier: Apache-2.0
// extent_walk: follows chains through their extents; several chains share their round trips.
//
// W1  Everything that this client knows of a chain, extents that begin its windows and branches of it, is read in one round
//     trip. As the hash of an extent's first block commits to all blocks before it, what is known is what the chain
//     passed through when it was seen last: hardly a READ is in vain.
// W2  The walk goes from extent to extent as far as it was read. Where the bit of a branch says that there may be an extent
//     that this client does not know (X4), its first block is asked for in the index, and with it the first blocks of the
//     next windows (window_guess): one round trip. What is found is read in one more. And so on.
// Cost       1 round trip if all is known; else 2 for each time that the chain leaves what is known, or 1 if nothing is there.
// Verdict    of a block: present at the moment when its place was read; absent if its slot has no place, or neither slot nor
//            bit leads to it, or the index does not know it, each at one moment of the call.
// Stale      A placement whose extent is dead or something else by now is dropped, and the index asked. A dead extent that
//            the index still has lists nothing: its first block is absent.
// Dying      An extent of which somebody looks whether it is empty, but a block of it is present: it is spared (CAS) and read
//            again, for until then nobody knows whether that block stays (extent_removal.hpp).
// Thread safety: as the session.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/fabric/op.hpp>
#include <catena/pool/rest.hpp>
#include <catena/pool/retry.hpp>
#include <catena/pool/scratch.hpp>
#include <catena/prefix/detail/extent_state.hpp>
#include <catena/prefix/extent.hpp>

namespace catena::detail {

/// Why a walk ended.
enum class walk_stop : std::uint8_t {
    chain_end,   ///< every block is listed
    nothing,     ///< not even the block that it began with
    absent,      ///< the block has a slot, but no place
    free_slot,   ///< the slot where the block would be is free
    other_block, ///< ... belongs to another block
    no_slot,     ///< the extent is too small for it
    window_end,  ///< it would begin the next window
    timed_out,   ///< the deadline passed
};

/// The last extent that a walk was in, and where in it: what a publish goes on from.
struct walk_end {
    extent_ref extent;
    extent_meta meta;
    extent_children children;
    std::uint32_t slot = 0; ///< of the block at which it ended, had it one
    walk_stop why = walk_stop::nothing;
};

/// Where a block is listed, or was.
struct block_slot {
    extent_ref extent;
    extent_meta meta;
    std::uint32_t slot = 0;
    word place = 0; ///< as it was read
};

/// One chain to follow.
struct chain_walk {
    std::span<block_hash const> chain;
    std::size_t from = 0;           ///< the walk begins at this block, the first of a window
    std::span<location> locations;  ///< empty, or as long as the chain
    std::span<block_slot> slots{};  ///< empty, or as long as the chain: with it the walk does not end at gaps
    std::size_t at = 0;             ///< every block in [from, at) is listed (without slots)
    walk_end end{};
    bool done = false;

    // of the walk
    std::uint32_t extent = none; ///< of the walker's list
    std::size_t begin = 0;       ///< the block at which it begins
    static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
};

template <typename Session, typename State>
class extent_walker {
    static constexpr std::size_t window = State::window;

public:
    extent_walker(Session& s, State& state, std::span<chain_walk> walks)
        : s_(s), state_(state), walks_(walks), memory_(s.scratches()) {}

    /// Walks all chains. deadline: of the channel's clock, 0 for none; chains that are not done then say timed_out.
    [[nodiscard, gnu::noinline]] task<result<void>> run(std::chrono::nanoseconds deadline = {}) {
        std::size_t windows = 0;
        for (auto& w : walks_) {
            w.at = w.from;
            windows += 1 + (w.chain.size() - w.from) / window;
        }
        auto const most = std::min<std::size_t>(64 + 4 * windows, State::options::batch_reads);
        seen_ = memory_->template take<seen_extent>(most);
        table_ = memory_->template take<std::uint32_t>(std::bit_ceil(2 * most));
        ops_ = memory_->template take<op>(2 * most);
        asked_ = memory_->template take<block_hash>(most);
        found_ = memory_->template take<std::optional<extent_ref>>(most);
        images_ = memory_->mark();
        forget_all();
        for (;;) {
            if (crowded_) begin_again();
            for (auto& w : walks_)
                if (!w.done) list_known(w);
            if (auto const r = co_await read_all(); !r) co_return r.error();
            bool open = false;
            for (auto& w : walks_) {
                if (!w.done) follow(w);
                open |= !w.done;
            }
            if (!open) co_return result<void>{};
            if (deadline.count() != 0 && s_.channel().now() >= deadline) {
                for (auto& w : walks_)
                    if (!w.done) stop(w, walk_stop::timed_out);
                co_return result<void>{};
            }
            if (auto const r = co_await ask(); !r) co_return r.error();
        }
    }

private:
    /// An extent by the hash of its first block.
    struct seen_extent {
        block_hash first{};
        extent_ref ref;          ///< null: the index does not know it
        std::uint32_t want = 0;  ///< slots to read
        std::uint32_t have = 0;  ///< slots read; 0: not read, or to be read again
        std::uint32_t known = 0; ///< slots that were claimed when it was seen before
        bool asked = false;      ///< the index said so just now
        bool spare = false;      ///< it is dying and must not
        word* words = nullptr;
        extent_meta meta{}; ///< as it was read first
    };

    // --- the list of extents, a table over it ---

    void forget_all() noexcept {
        count_ = 0;
        std::fill(table_.begin(), table_.end(), chain_walk::none);
        memory_->reset_to(images_);
        crowded_ = false;
    }
    /// There is no room for more: what was read is read again if it is needed still.
    void begin_again() noexcept {
        forget_all();
        for (auto& w : walks_)
            if (!w.done && w.extent != chain_walk::none) return_to_begin(w);
    }
    [[nodiscard]] std::uint32_t* entry_of(block_hash const& first) noexcept {
        auto const mask = table_.size() - 1;
        for (auto i = static_cast<std::size_t>(first.high) & mask;; i = (i + 1) & mask)
            if (table_[i] == chain_walk::none || seen_[table_[i]].first == first) return &table_[i];
    }
    seen_extent& add(block_hash const& first, extent_ref ref) noexcept {
        auto* const entry = entry_of(first);
        if (*entry == chain_walk::none) *entry = static_cast<std::uint32_t>(count_++);
        auto& e = seen_[*entry];
        e = {.first = first, .ref = ref};
        return e;
    }

    /// Slots of that extent that the chain may need, of those that are known to be claimed and one more.
    [[nodiscard]] std::size_t useful(chain_walk const& w, std::size_t begin, placement const& p) const noexcept {
        auto const most = std::min({p.extent.slots(), window - begin % window,
                                    w.chain.size() - begin});
        return p.slots == 0 || !w.slots.empty() ? most : std::min<std::size_t>(most, p.slots + 1U);
    }
    bool list_known(chain_walk& w, std::size_t begin, placement const& p) noexcept {
        crowded_ |= count_ == seen_.size();
        if (crowded_) return false;
        auto* const entry = entry_of(w.chain[begin]);
        auto& e = *entry == chain_walk::none ? add(w.chain[begin], p.extent) : seen_[*entry];
        e.known = std::max<std::uint32_t>(e.known, p.slots);
        if (e.have == 0) e.want = std::max(e.want, static_cast<std::uint32_t>(useful(w, begin, p)));
        return true;
    }
    /// W1: what is known of the chain from the window on in which the walk is.
    void list_known(chain_walk& w) noexcept {
        for (auto head = w.at / window * window; head < w.chain.size(); head += window) {
            auto const p = state_.placements.find(w.chain[head]);
            if (!p) continue;
            if (!list_known(w, head, *p)) return;
            if (!p->branched) continue;
            auto const end = std::min(head + window, w.chain.size());
            for (auto i = head + 1; i < end; ++i)
                if (auto const branch = state_.placements.find(w.chain[i]); branch && !list_known(w, i, *branch))
                    return;
        }
    }

    // --- reading ---

    /// Reads what is listed and not read yet. 1 round trip.
    [[nodiscard, gnu::noinline]] task<result<void>> read_all() {
        for (;;) {
            std::size_t n = 0;
            for (auto& e : std::span(seen_).first(count_)) {
                if (!e.ref || e.have != 0) continue;
                if (e.words == nullptr)
                    e.words = memory_->image(extent_view::bytes_of(e.ref.slots()));
                if (e.spare) {
                    ops_[n++] = op::cas(extent_view::begin(e.ref), e.meta.bits(), e.meta.when_spared().bits());
                    e.spare = false;
                }
                ops_[n++] = op::read(extent_view::begin(e.ref), e.words, extent_view::bytes_of(e.want));
            }
            if (n == 0) co_return result<void>{};
            auto const begun = s_.channel().now();
            if (auto const r = co_await s_.submit(ops_.first(n)); !r) co_return r.error();
            if (read_in_time(s_, begun)) break;
            if (auto const r = co_await again_.wait(s_); !r) co_return r.error();
        }
        for (auto& e : std::span(seen_).first(count_))
            if (e.ref && e.have == 0) e.have = e.want;
        co_return result<void>{};
    }

    /// W2: asks the index for the first blocks that walks need. 1 round trip if anything is to be asked.
    [[nodiscard, gnu::noinline]] task<result<void>> ask() {
        std::size_t n = 0;
        for (auto const& w : walks_) {
            if (w.done || w.extent != chain_walk::none) continue; // (it waits for more of an extent that is known)
            auto const& first = w.chain[w.at];
            if (*entry_of(first) != chain_walk::none) continue; // another walk's question, or not read yet
            if (crowded_ && state_.placements.find(first)) continue;
            if (n == asked_.size()) break;
            asked_[n++] = first;
            auto head = (w.at / window + 1) * window;
            for (std::size_t i = 0; i < ahead_ && head < w.chain.size() && n < asked_.size(); ++i, head += window)
                if (*entry_of(w.chain[head]) == chain_walk::none) asked_[n++] = w.chain[head];
        }
        if (n == 0) co_return result<void>{};
        if (stale_) {
            if (auto const r = co_await again_.wait(s_); !r) co_return r.error();
            stale_ = false;
        }
        if (count_ + n > seen_.size()) begin_again();
        auto const keys = asked_.first(n);
        auto const found = found_.first(n);
        std::fill(found.begin(), found.end(), std::nullopt);
        if (auto const r = co_await state_.heads.find_many(s_, keys, found); !r) co_return r.error();
        std::size_t hits = 0;
        for (std::size_t i = 0; i < n; ++i) {
            auto& e = add(keys[i], found[i].value_or(extent_ref{}));
            e.asked = true;
            if (!found[i]) continue;
            ++hits;
            e.want = static_cast<std::uint32_t>(e.ref.slots());
            state_.placements.put(keys[i], {.extent = e.ref});
        }
        state_.guess.learn(hits);
        ahead_ = hits == n ? std::min(2 * n, window_guess::most) : state_.guess.next();
        co_return result<void>{};
    }

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
            if (w.done) return;
            if (!step(w)) return;
        }
    }

    /// To the extent that begins with this block. False: it must be asked for, or read.
    bool enter(chain_walk& w) {
        auto const entry = *entry_of(w.chain[w.at]);
        if (entry == chain_walk::none) return false;
        auto& e = seen_[entry];
        if (!e.ref) { // the index does not know it
            not_there(w);
            return true;
        }
        if (e.have == 0) return false;
        extent_view const x(e.words, e.have);
        auto const meta = x.meta();
        bool const this_life = (meta.incarnation() & extent_ref::incarnation_mask) == e.ref.incarnation();
        if (meta.is(e.ref, state_.handle.tag()) && x.tag(0) == extent_word::tag_of(w.chain[w.at])) {
            e.meta = meta;
            w.extent = entry;
            w.begin = w.at;
            return true;
        }
        state_.placements.drop(e.first, e.ref);
        if (e.asked && this_life && meta.dead()) {
            not_there(w);
            return true;
        }
        // From now on nobody finds this entry (the table's leads on to others), and the index is asked.
        stale_ |= e.asked;
        e.first.low = ~e.first.low;
        e.ref = {};
        return false;
    }
    void not_there(chain_walk& w) {
        if (w.slots.empty()) return stop(w, w.end.extent ? w.end.why : walk_stop::nothing);
        next_window(w);
    }
    void next_window(chain_walk& w) noexcept {
        w.extent = chain_walk::none;
        w.at = std::min((w.at / window + 1) * window, w.chain.size());
        if (w.at == w.chain.size()) stop(w, walk_stop::chain_end);
    }

    /// One block further in the extent, or out of it. False: more of it must be read.
    bool step(chain_walk& w) {
        auto& e = seen_[w.extent];
        extent_view const x(e.words, e.have);
        auto const slot = w.at - w.begin;
        auto why = walk_stop::window_end;
        bool const within = slot == 0 || w.at % window != 0;
        if (within && slot >= e.ref.slots()) {
            why = walk_stop::no_slot;
        } else if (within && slot >= e.have) {
            e.want = static_cast<std::uint32_t>(e.ref.slots());
            e.have = 0;
            return_to_begin(w);
            return false;
        } else if (within && x.tag(slot) == extent_word::tag_of(w.chain[w.at])) {
            return at_slot(w, e, x, slot);
        } else if (within) {
            why = extent_word::claimed(x.tag(slot)) ? walk_stop::other_block : walk_stop::free_slot;
        }
        learn(e, x);
        w.end = {.extent = e.ref,
                 .meta = e.meta,
                 .children = x.children(),
                 .slot = static_cast<std::uint32_t>(slot),
                 .why = why};
        bool const leads_on = x.children().at(w.at % window);
        if (w.slots.empty() && (why == walk_stop::free_slot || !leads_on)) {
            w.done = true;
            return true;
        }
        w.extent = chain_walk::none;
        return true;
    }

    /// The block has a slot.
    bool at_slot(chain_walk& w, seen_extent& e, extent_view const& x, std::size_t slot) {
        auto const place = x.place(slot);
        bool const present = extent_word::present(place);
        if (present && e.meta.dying()) {
            e.spare = true;
            e.have = 0;
            return_to_begin(w);
            return false;
        }
        if (!w.slots.empty())
            w.slots[w.at] = {
                .extent = e.ref, .meta = e.meta, .slot = static_cast<std::uint32_t>(slot), .place = place};
        if (!present && w.slots.empty()) {
            learn(e, x);
            w.end = {.extent = e.ref,
                     .meta = e.meta,
                     .children = x.children(),
                     .slot = static_cast<std::uint32_t>(slot),
                     .why = walk_stop::absent};
            w.done = true;
            return true;
        }
        if (!w.locations.empty()) w.locations[w.at] = location::from_word(place);
        ++w.at;
        if (w.at == w.chain.size()) {
            learn(e, x);
            w.end = {.extent = e.ref,
                     .meta = e.meta,
                     .children = x.children(),
                     .slot = static_cast<std::uint32_t>(slot + 1),
                     .why = walk_stop::chain_end};
        }
        return true;
    }

    /// Keeps for later what was seen of an extent.
    void learn(seen_extent const& e, extent_view const& x) {
        std::uint32_t claimed = 0;
        while (claimed < x.slots() && extent_word::claimed(x.tag(claimed))) ++claimed;
        if (claimed == x.slots()) claimed = std::max(claimed, e.known); // there may be more than the chain had use for
        state_.placements.put(e.first, {.extent = e.ref,
                                        .slots = static_cast<std::uint8_t>(claimed),
                                        .branched = x.children().inside(),
                                        .removals = static_cast<std::uint32_t>(x.removals())});
    }

    Session& s_;
    State& state_;
    std::span<chain_walk> walks_;
    scratch_lease memory_;
    std::span<seen_extent> seen_;
    std::span<std::uint32_t> table_;
    std::span<op> ops_;
    std::span<block_hash> asked_;
    std::span<std::optional<extent_ref>> found_;
    std::pair<std::size_t, std::size_t> images_;
    std::size_t count_ = 0;
    std::size_t ahead_ = state_.guess.next(); ///< windows to ask for beyond the one that is needed
    bool crowded_ = false;                    ///< the list was too short for what is known
    bool stale_ = false;                      ///< the index told of an extent that was none any more
    retry again_;
};

} // namespace catena::detail
