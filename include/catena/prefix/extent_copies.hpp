// SPDX-License-Identifier: Apache-2.0
// extent_copies: slots of extents that many chains share, such as system prompts: of these a match reads 24 bytes.
//
// Admission  Most chains are seen once. An extent is copied when it is read for the second time (placement::uses), so that those
//            that come once do not flush those that come often; among those that were admitted, one that was not asked for
//            since the last replacement goes first.
// Validation Every use reads the extent's meta word and its count of removals, in the round trip in which the rest of the chain is
//            read. A forget counts that it begins, then takes places off, then counts that it is done (extent_forget.hpp F2).
//            V1 A copy is used only while the count is what it was when the slots were read, and none was under way then. So no
//               forget took anything off in between: it would have counted its beginning.
//            V2 Slots and count are words of one READ, which may mix moments: slots before a forget, the count after it. So they are
//               copied only if the count was the same in an earlier READ (placement::removals): then it was that from before the
//               slots were read until after.
//            V3 A forget that died under way is never done: of its extent nothing is copied any more.
//            Blocks that were added are not missed: a copy answers only for slots that it has, and places of these can
//            change by forgets alone.
// Cost       24 bytes instead of 24 + 16 a slot; if the copy does not hold any more, another round trip.
// Memory     Sets of four copies, which lie one behind the other in the order in which they were first used, with a small table that
//            leads to them: a client with few copies touches little memory, however much it may use.
// Thread safety: any number of threads. A reader copies out and looks whether a writer was at work meanwhile (a sequence word);
// a writer who meets another one lets it be. Bounded.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <catena/core/bytes.hpp>
#include <catena/core/lazy_words.hpp>
#include <catena/prefix/extent.hpp>

namespace catena {

class extent_copies {
    static constexpr std::size_t ways = 4;
    // A set, in words: refs and keys of its copies, which are a cache line; the state of each; the slots of each.
    static constexpr std::size_t key_at = ways;
    static constexpr std::size_t states_at = 2 * ways;
    static constexpr std::size_t state_words = 4;
    static constexpr std::size_t slots_at = states_at + ways * state_words;
    static constexpr std::size_t slots_words = 2 * extent_class::slots(extent_class::count - 1);
    static constexpr std::size_t set_words = slots_at + ways * slots_words;
    static_assert(set_words * word_bytes % cache_line == 0);

public:
    static constexpr std::size_t bytes_a_set =
        (set_words + 1) * word_bytes; ///< four copies; with its entry of the table

    /// 0: keeps nothing.
    explicit extent_copies(std::size_t capacity_bytes)
        : most_sets_(capacity_bytes < bytes_a_set ? 0 : std::bit_floor(capacity_bytes / bytes_a_set)),
          table_(most_sets_), words_(most_sets_ * set_words) {}

    [[nodiscard]] bool keeps_any() const noexcept { return most_sets_ != 0; }

    /// Copies slots of that extent to x, from the first on, and the count of removals that they hold for.
    /// Returns how many; 0: there is no copy.
    [[nodiscard]] std::size_t find(block_hash const& first, extent_ref e, extent_view const& x) const noexcept {
        if (most_sets_ == 0) return 0;
        auto const set = table_.at(entry_of(first)).load(std::memory_order_acquire);
        if (set == no_set || set == being_made) return 0;
        for (std::size_t way = 0; way < ways; ++way) {
            auto const c = copy_at(set, way);
            if (words_.load(c.ref) != e.bits() || words_.load(c.key) != first.low) continue;
            auto const before = words_.at(c.state + sequence_at).load(std::memory_order_acquire);
            auto const slots = std::min<std::size_t>(copied(c.state + count_at), e.slots());
            x.words()[1] = copied(c.state + removals_at);
            for (std::size_t i = 0; i < slots; ++i) {
                x.tag(i) = copied(c.slots + 2 * i);
                x.place(i) = copied(c.slots + 2 * i + 1);
            }
            bool const same = copied(c.ref) == e.bits() && copied(c.key) == first.low;
            if (before % 2 != 0 || words_.load(c.state + sequence_at) != before || !same) return 0;
            if (words_.load(c.state + asked_at) == 0) words_.store(c.state + asked_at, 1);
            return slots;
        }
        return 0;
    }

    /// Keeps the first `slots` slots of x. The caller has made sure of V2.
    void put(block_hash const& first, extent_ref e, extent_view const& x, std::size_t slots) noexcept {
        if (most_sets_ == 0) return;
        auto const set = set_for(first);
        if (set == being_made) return;
        auto const c = place_for(first, e, set);
        auto sequence = words_.load(c.state + sequence_at);
        if (sequence % 2 != 0 || !words_.at(c.state + sequence_at)
                                      .compare_exchange_strong(sequence, sequence + 1, std::memory_order_acquire))
            return;
        if (words_.load(c.ref) == 0) used_.fetch_add(1, std::memory_order_relaxed);
        publish(c.ref, e.bits());
        publish(c.key, first.low);
        publish(c.state + count_at, slots);
        publish(c.state + removals_at, x.removals());
        publish(c.state + asked_at, 1);
        for (std::size_t i = 0; i < slots; ++i) {
            publish(c.slots + 2 * i, x.tag(i));
            publish(c.slots + 2 * i + 1, x.place(i));
        }
        words_.at(c.state + sequence_at).store(sequence + 2, std::memory_order_release);
    }

    [[nodiscard]] std::size_t bytes_used() const noexcept {
        return used_.load(std::memory_order_relaxed) * (bytes_a_set / ways);
    }
    [[nodiscard]] std::size_t capacity_bytes() const noexcept { return most_sets_ * bytes_a_set; }

private:
    // Of a state.
    static constexpr std::size_t sequence_at = 0;
    static constexpr std::size_t count_at = 1;
    static constexpr std::size_t removals_at = 2;
    static constexpr std::size_t asked_at = 3;
    // In the table, where else there is the number of a set, from 1 on.
    static constexpr word no_set = 0;
    static constexpr word being_made = ~word{0};

    /// Where the words of a copy are.
    struct copy {
        std::size_t ref;
        std::size_t key;
        std::size_t state;
        std::size_t slots;
    };
    [[nodiscard]] static copy copy_at(word set, std::size_t way) noexcept {
        auto const begin = static_cast<std::size_t>(set - 1) * set_words;
        return {.ref = begin + way,
                .key = begin + key_at + way,
                .state = begin + states_at + way * state_words,
                .slots = begin + slots_at + way * slots_words};
    }

    // Of a copy: read after the sequence word before and before the one behind, written after it is odd. (By order of each access, not
    // by fences, which ThreadSanitizer does not know.)
    [[nodiscard]] word copied(std::size_t i) const noexcept { return words_.at(i).load(std::memory_order_acquire); }
    void publish(std::size_t i, word value) const noexcept { words_.at(i).store(value, std::memory_order_release); }

    [[nodiscard]] std::size_t entry_of(block_hash const& first) const noexcept { return first.high & (most_sets_ - 1); }
    /// Its number, or being_made: by another thread, just now.
    [[nodiscard]] word set_for(block_hash const& first) noexcept {
        auto const entry = table_.at(entry_of(first));
        auto set = entry.load(std::memory_order_acquire);
        if (set != no_set || !entry.compare_exchange_strong(set, being_made, std::memory_order_relaxed)) return set;
        set = sets_.fetch_add(1, std::memory_order_relaxed) + 1;
        entry.store(set, std::memory_order_release);
        return set;
    }
    /// Its old place, an empty one, or that of one that nobody asked for since somebody was replaced here.
    [[nodiscard]] copy place_for(block_hash const& first, extent_ref e, word set) noexcept {
        auto to = ways;
        for (std::size_t way = 0; way < ways; ++way) {
            auto const c = copy_at(set, way);
            auto const ref = words_.load(c.ref);
            if (ref == e.bits() || (ref != 0 && words_.load(c.key) == first.low)) return c;
            if (to == ways && (ref == 0 || words_.load(c.state + asked_at) == 0)) to = way;
        }
        if (to == ways) {
            for (std::size_t way = 0; way < ways; ++way) words_.store(copy_at(set, way).state + asked_at, 0);
            to = (first.low >> 32U) % ways;
        }
        return copy_at(set, to);
    }

    std::size_t most_sets_;
    lazy_words table_; // numbers of sets
    lazy_words words_; // of the sets
    std::atomic<std::size_t> sets_{0};
    std::atomic<std::size_t> used_{0};
};

} // namespace catena
