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
// Thread safety: any number of threads. A reader copies out and looks whether a writer was at work meanwhile (a sequence word);
// a writer who meets another one lets it be. Bounded; memory is touched as it is used.
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
public:
    /// 0: keeps nothing.
    explicit extent_copies(std::size_t capacity_bytes)
        : sets_(capacity_bytes < set_words * word_bytes ? 0
                                                        : std::bit_floor(capacity_bytes / (set_words * word_bytes))),
          words_(sets_ * set_words) {}

    [[nodiscard]] bool keeps_any() const noexcept { return sets_ != 0; }

    /// Copies slots of that extent to x, from the first on, and the count of removals that they hold for.
    /// Returns how many; 0: there is no copy.
    [[nodiscard]] std::size_t find(block_hash const& first, extent_ref e, extent_view const& x) const noexcept {
        if (sets_ == 0) return 0;
        auto const set = set_of(first);
        for (std::size_t way = 0; way < ways; ++way) {
            auto const c = set + way * copy_words;
            if (words_.load(c + ref_at) != e.bits() || words_.load(c + key_at) != first.low) continue;
            auto const before = words_.at(c).load(std::memory_order_acquire);
            auto const slots = std::min<std::size_t>(copied(c + count_at), e.slots());
            x.words()[1] = copied(c + removals_at);
            for (std::size_t i = 0; i < slots; ++i) {
                x.tag(i) = copied(c + header_words + 2 * i);
                x.place(i) = copied(c + header_words + 2 * i + 1);
            }
            bool const same = copied(c + ref_at) == e.bits() && copied(c + key_at) == first.low;
            if (before % 2 != 0 || words_.load(c) != before || !same) return 0;
            if (words_.load(c + asked_at) == 0) words_.store(c + asked_at, 1);
            return slots;
        }
        return 0;
    }

    /// Keeps the first `slots` slots of x. The caller has made sure of V2.
    void put(block_hash const& first, extent_ref e, extent_view const& x, std::size_t slots) noexcept {
        if (sets_ == 0) return;
        auto const c = place_for(first, e);
        auto sequence = words_.load(c);
        if (sequence % 2 != 0 ||
            !words_.at(c).compare_exchange_strong(sequence, sequence + 1, std::memory_order_acquire))
            return;
        if (words_.load(c + ref_at) == 0) used_.fetch_add(1, std::memory_order_relaxed);
        publish(c + ref_at, e.bits());
        publish(c + key_at, first.low);
        publish(c + count_at, slots);
        publish(c + removals_at, x.removals());
        publish(c + asked_at, 1);
        for (std::size_t i = 0; i < slots; ++i) {
            publish(c + header_words + 2 * i, x.tag(i));
            publish(c + header_words + 2 * i + 1, x.place(i));
        }
        words_.at(c).store(sequence + 2, std::memory_order_release);
    }

    [[nodiscard]] std::size_t bytes_used() const noexcept {
        return used_.load(std::memory_order_relaxed) * copy_words * word_bytes;
    }
    [[nodiscard]] std::size_t capacity_bytes() const noexcept { return sets_ * set_words * word_bytes; }

private:
    // Of a copy, in words.
    static constexpr std::size_t ref_at = 1; // (word 0 is the sequence)
    static constexpr std::size_t key_at = 2;
    static constexpr std::size_t count_at = 3;
    static constexpr std::size_t removals_at = 4;
    static constexpr std::size_t asked_at = 5;
    static constexpr std::size_t header_words = 6;
    static constexpr std::size_t copy_words =
        round_up(header_words + 2 * extent_class::slots(extent_class::count - 1), cache_line / word_bytes);
    static constexpr std::size_t ways = 4;
    static constexpr std::size_t set_words = ways * copy_words;

    // Of a copy: read after the sequence word before and before the one behind, written after it is odd. (By order of each access, not
    // by fences, which ThreadSanitizer does not know.)
    [[nodiscard]] word copied(std::size_t i) const noexcept { return words_.at(i).load(std::memory_order_acquire); }
    void publish(std::size_t i, word value) const noexcept { words_.at(i).store(value, std::memory_order_release); }

    [[nodiscard]] std::size_t set_of(block_hash const& first) const noexcept {
        return (first.high & (sets_ - 1)) * set_words;
    }
    /// Its old place, an empty one, or that of one that nobody asked for since somebody was replaced here.
    [[nodiscard]] std::size_t place_for(block_hash const& first, extent_ref e) noexcept {
        auto const set = set_of(first);
        auto to = ways;
        for (std::size_t way = 0; way < ways; ++way) {
            auto const c = set + way * copy_words;
            auto const ref = words_.load(c + ref_at);
            if (ref == e.bits() || (ref != 0 && words_.load(c + key_at) == first.low)) return c;
            if (to == ways && (ref == 0 || words_.load(c + asked_at) == 0)) to = way;
        }
        if (to == ways) {
            for (std::size_t way = 0; way < ways; ++way) words_.store(set + way * copy_words + asked_at, 0);
            to = (first.low >> 32U) % ways;
        }
        return set + to * copy_words;
    }

    std::size_t sets_;
    lazy_words words_;
    std::atomic<std::size_t> used_{0};
};

} // namespace catena
