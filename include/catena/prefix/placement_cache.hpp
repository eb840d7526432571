// SPDX-License-Identifier: Apache-2.0
// placement_cache: where extents lie, as far as this client learned: what makes a probe one round trip.
//
// From the low half of the hash of an extent's first block to its address, 25 bytes an extent. A hint and no more: an extent says
// itself which life of what it is, and one that is not here is asked for in the index.
// Sets       of eight entries; an entry is three words, the first of which is the exclusive or of the key with the others, so that
//            a mix of two entries is no entry: no lock, no retry. Bounded: a full set lets one entry go at random.
// Prints     A match asks for each block with which a branch may begin, and hardly any is here. So a set has a word of prints,
//            one byte an entry, which lie together: what is not here is told by one word of a small table. An entry is written
//            before its print; one whose print was lost to another writer is not found, and is overwritten some day.
// Growth     Linear hashing (Litwin 1980): there are as many sets as entries need, lying together, for what is spread over a large
//            table comes from memory each time, not from the processor's caches. Who adds an entry adds two sets, each split off the
//            next one in turn: copies what belongs there, lets the new set be found, takes it out of the old one. Who reads
//            meanwhile may miss an entry, who writes may write to the old set in vain: hints.
// Thread safety: any number of threads.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <catena/core/bytes.hpp>
#include <catena/core/hash.hpp>
#include <catena/core/lazy_words.hpp>
#include <catena/prefix/block_hash.hpp>
#include <catena/prefix/extent_news.hpp>
#include <catena/prefix/extent_words.hpp>

namespace catena {

/// What is known of an extent before it is read.
struct placement {
    extent_ref extent;
    std::uint8_t slots =
        0; ///< so many of its slots were claimed when it was last seen; 0: not known, nor what its children are
    bool branched = false;      ///< children of it begin in the same window
    std::uint8_t uses = 0;      ///< how often it was read, up to 3
    std::uint8_t behind = 0;    ///< so many extents that were published with it, for the next windows, lie behind it
    std::uint16_t removals = 0; ///< its count when it was last read: the low bits
    std::uint32_t children = 0; ///< extent_children::filter

    static constexpr std::uint8_t most_uses = 3;

    /// May a child of it begin in the same window?
    [[nodiscard]] constexpr bool perhaps_branches() const noexcept { return branched || slots == 0; }
    /// May a child of it begin with that block?
    [[nodiscard]] constexpr bool perhaps_leads_to(block_hash const& first) const noexcept {
        return slots == 0 || extent_children(children).perhaps(first);
    }
    /// A child begins in the same window. With which block is not known until it is read again.
    constexpr void note_branch() noexcept {
        branched = true;
        children = ~std::uint32_t{0};
    }

    [[nodiscard]] constexpr word hint() const noexcept {
        return word{children} << 32U | word{removals} << 16U | word{behind} << 12U | word{uses} << 9U |
               word{branched} << 8U | slots;
    }
    [[nodiscard]] static constexpr placement of(word ref, word hint) noexcept {
        return {.extent = extent_ref::from_word(ref),
                .slots = static_cast<std::uint8_t>(hint),
                .branched = (hint >> 8U & 1U) != 0,
                .uses = static_cast<std::uint8_t>(hint >> 9U & most_uses),
                .behind = static_cast<std::uint8_t>(hint >> 12U & extent_news::most_behind),
                .removals = static_cast<std::uint16_t>(hint >> 16U),
                .children = static_cast<std::uint32_t>(hint >> 32U)};
    }
    /// As the ring of news tells of the first of them.
    [[nodiscard]] static constexpr placement of(extent_news const& n) noexcept {
        return {.extent = n.first, .behind = static_cast<std::uint8_t>(n.behind)};
    }
    /// Of the one behind it. There is one.
    [[nodiscard]] constexpr placement next() const noexcept {
        return {.extent = extent_ref(extent.at() + extent.bytes(), extent.size_class(), extent.incarnation()),
                .behind = static_cast<std::uint8_t>(behind - 1)};
    }
    /// Of that extent, as it is said to be.
    [[nodiscard]] static constexpr placement of(extent_ref extent, std::size_t slots, extent_children c) noexcept {
        return {.extent = extent,
                .slots = static_cast<std::uint8_t>(slots),
                .branched = c.inside(),
                .children = c.filter()};
    }
};

class placement_cache {
public:
    static constexpr std::size_t entry_bytes = 3 * word_bytes + 1;

    /// Takes at most `capacity_bytes`, at least one set.
    explicit placement_cache(std::size_t capacity_bytes)
        : most_sets_(std::bit_floor(std::max<std::size_t>(capacity_bytes / set_bytes, 1))), prints_(most_sets_),
          words_(most_sets_ * ways * entry_words), sets_(std::min(first_sets, most_sets_)) {}

    [[nodiscard]] std::optional<placement> find(block_hash const& first) const noexcept { return find(first.low); }
    [[nodiscard]] std::optional<placement> find(word key) const noexcept {
        auto const [set, print] = set_of(key);
        for (auto in = ways_with(print, prints_.load(set)); in != 0; in &= in - 1) {
            auto const e = entry_at(set, in);
            auto const ref = words_.load(e + ref_at);
            auto const hint = words_.load(e + hint_at);
            if (ref != 0 && (words_.load(e) ^ ref ^ hint) == key) return placement::of(ref, hint);
        }
        return std::nullopt;
    }

    void put(block_hash const& first, placement const& p) noexcept { put(first.low, p); }
    void put(word key, placement const& p) noexcept {
        auto const [set, print] = set_of(key);
        auto const prints = prints_.load(set);
        for (auto in = ways_with(print, prints); in != 0; in &= in - 1) {
            auto const e = entry_at(set, in);
            auto const ref = words_.load(e + ref_at);
            auto const hint = words_.load(e + hint_at);
            if (ref == 0 || (words_.load(e) ^ ref ^ hint) != key) continue;
            if (ref != p.extent.bits() || hint != p.hint()) write(e, key, p);
            return;
        }
        auto free = ways_with(0, prints);
        if (free == 0)
            free = word{0x80} << 8U * (mix64(key + turn_.fetch_add(1, std::memory_order_relaxed)) % ways);
        else
            used_.fetch_add(1, std::memory_order_relaxed);
        write(entry_at(set, free), key, p);
        set_print(set, free, print);
        grow_if_crowded();
    }

    /// That extent is no longer where it was.
    void drop(block_hash const& first, extent_ref was) noexcept {
        auto const key = first.low;
        auto const [set, print] = set_of(key);
        for (auto in = ways_with(print, prints_.load(set)); in != 0; in &= in - 1) {
            auto const e = entry_at(set, in);
            auto ref = words_.load(e + ref_at);
            if (ref != was.bits() || (words_.load(e) ^ ref ^ words_.load(e + hint_at)) != key) continue;
            if (!words_.at(e + ref_at).compare_exchange_strong(ref, 0, std::memory_order_relaxed)) continue;
            used_.fetch_sub(1, std::memory_order_relaxed);
            set_print(set, in, 0);
        }
    }

    [[nodiscard]] std::size_t bytes_used() const noexcept {
        return used_.load(std::memory_order_relaxed) * entry_bytes;
    }
    [[nodiscard]] std::size_t capacity_bytes() const noexcept { return most_sets_ * set_bytes; }
    /// Memory that was touched so far: in proportion to the entries, not to the capacity.
    [[nodiscard]] std::size_t bytes_in_use() const noexcept {
        return sets_.load(std::memory_order_relaxed) * set_bytes;
    }

private:
    // Of an entry, in words; word 0 is the exclusive or of the key with the others. ref 0: there is no entry.
    static constexpr std::size_t ref_at = 1;
    static constexpr std::size_t hint_at = 2;
    static constexpr std::size_t entry_words = 3;
    static constexpr std::size_t ways = 8;
    static_assert(ways == word_bytes, "a word has the prints of a set");
    static constexpr std::size_t set_bytes = ways * entry_bytes;
    static constexpr std::size_t first_sets = 64;
    static constexpr std::size_t sets_for_each = 2; // entry: then one set in a million has no room for the next
    static constexpr word each_byte = 0x0101010101010101;

    struct place {
        std::size_t set;
        word print; // a byte, not 0: that is the print of no entry
    };
    [[nodiscard]] place set_of(word key) const noexcept {
        auto const h = mix64(key);
        return {.set = among(sets_.load(std::memory_order_acquire), h), .print = print_of(h)};
    }
    [[nodiscard]] static word print_of(word hash) noexcept { return std::max<word>(hash >> 56U, 1); }
    /// Of so many sets the one of that hash: sets beyond the last power of two have split off the first ones.
    [[nodiscard]] static std::size_t among(std::size_t sets, word hash) noexcept {
        auto const whole = std::bit_floor(sets);
        auto const set = hash & (2 * whole - 1);
        return set < sets ? set : set - whole;
    }
    /// The highest bit of each byte that is `print`, and perhaps of some above one that is: who looks at the entry sees that.
    [[nodiscard]] static word ways_with(word print, word prints) noexcept {
        auto const unlike = prints ^ (each_byte * print);
        return (unlike - each_byte) & ~unlike & (each_byte << 7U);
    }
    /// Of the lowest of those ways, its first word.
    [[nodiscard]] static std::size_t entry_at(std::size_t set, word in) noexcept {
        return (set * ways + static_cast<std::size_t>(std::countr_zero(in)) / 8) * entry_words;
    }
    void set_print(std::size_t set, word in, word print) noexcept {
        auto const shift = static_cast<unsigned>(std::countr_zero(in)) / 8 * 8;
        auto const at = prints_.at(set);
        auto now = at.load(std::memory_order_relaxed);
        while (!at.compare_exchange_weak(now, (now & ~(word{0xff} << shift)) | print << shift,
                                         std::memory_order_relaxed)) {}
    }
    void grow_if_crowded() noexcept {
        if (!crowded(sets_.load(std::memory_order_relaxed)) || splitting_.exchange(true, std::memory_order_acquire))
            return;
        for (std::size_t i = 0; i < sets_for_each; ++i)
            if (auto const sets = sets_.load(std::memory_order_relaxed); crowded(sets))
                split(sets - std::bit_floor(sets), sets);
        splitting_.store(false, std::memory_order_release);
    }
    [[nodiscard]] bool crowded(std::size_t sets) const noexcept {
        return sets < most_sets_ && used_.load(std::memory_order_relaxed) * sets_for_each > sets;
    }
    /// `to` is the first set that is not in use.
    void split(std::size_t from, std::size_t to) noexcept {
        std::array<word, ways> moved{}; // their refs
        for (std::size_t way = 0; way < ways; ++way) {
            auto const e = (from * ways + way) * entry_words;
            auto const ref = words_.load(e + ref_at);
            auto const hint = words_.load(e + hint_at);
            auto const key = words_.load(e) ^ ref ^ hint;
            if (ref == 0 || among(to + 1, mix64(key)) != to) continue;
            moved[way] = ref;
            write((to * ways + way) * entry_words, key, placement::of(ref, hint));
            set_print(to, word{0x80} << 8U * way, print_of(mix64(key)));
        }
        sets_.store(to + 1, std::memory_order_release);
        for (std::size_t way = 0; way < ways; ++way) {
            auto ref = moved[way];
            auto const at = words_.at((from * ways + way) * entry_words + ref_at);
            if (ref != 0 && at.compare_exchange_strong(ref, 0, std::memory_order_relaxed))
                set_print(from, word{0x80} << 8U * way, 0);
        }
    }
    void write(std::size_t e, word key, placement const& p) noexcept {
        words_.store(e, key ^ p.extent.bits() ^ p.hint());
        words_.store(e + hint_at, p.hint());
        words_.store(e + ref_at, p.extent.bits());
    }

    std::size_t most_sets_;
    lazy_words prints_;
    lazy_words words_;
    std::atomic<std::size_t> sets_; // in use
    std::atomic<bool> splitting_{false};
    std::atomic<std::size_t> used_{0};
    std::atomic<std::size_t> turn_{0};
};

} // namespace catena
