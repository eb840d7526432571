// SPDX-License-Identifier: Apache-2.0
// placement_cache: where extents lie, as far as this client learned: what makes a probe one round trip.
//
// From the low half of the hash of an extent's first block to its address, 24 bytes an extent. A hint and no more: an extent says
// itself which life of what it is, and one that is not here is asked for in the index.
// Sets of eight entries; an entry is three words, the first of which is the exclusive or of the key with the others, so that
// a mix of two entries is no entry: no lock, no retry. Bounded: a full set lets one entry go at random; memory is touched as
// it is used.
// Thread safety: any number of threads.
#pragma once

#include <algorithm>
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
    std::uint8_t slots = 0;     ///< so many of its slots were claimed when it was last seen; 0: not known
    bool branched = false;      ///< children of it begin in the same window
    std::uint8_t uses = 0;      ///< how often it was read, up to 3
    std::uint8_t behind = 0;    ///< so many extents that were published with it, for the next windows, lie behind it
    std::uint16_t removals = 0; ///< its count when it was last read: the low bits
    std::uint32_t children = 0; ///< extent_children::filter

    static constexpr std::uint8_t most_uses = 3;

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
    static constexpr std::size_t entry_bytes = 3 * word_bytes;

    /// Takes at most `capacity_bytes`, at least one set.
    explicit placement_cache(std::size_t capacity_bytes)
        : sets_(std::bit_floor(std::max<std::size_t>(capacity_bytes / set_bytes, 1))), words_(sets_ * ways * 3) {}

    [[nodiscard]] std::optional<placement> find(block_hash const& first) const noexcept { return find(first.low); }
    [[nodiscard]] std::optional<placement> find(word key) const noexcept {
        auto const set = set_of(key);
        for (std::size_t e = set; e < set + 3 * ways; e += 3) {
            auto const ref = words_.load(e + ref_at);
            auto const hint = words_.load(e + hint_at);
            if (ref != 0 && (words_.load(e) ^ ref ^ hint) == key) return placement::of(ref, hint);
        }
        return std::nullopt;
    }

    void put(block_hash const& first, placement const& p) noexcept { put(first.low, p); }
    void put(word key, placement const& p) noexcept {
        auto const set = set_of(key);
        auto to = nowhere;
        for (std::size_t e = set; e < set + 3 * ways; e += 3) {
            auto const ref = words_.load(e + ref_at);
            auto const hint = words_.load(e + hint_at);
            if (ref == 0) {
                if (to == nowhere) to = e;
            } else if ((words_.load(e) ^ ref ^ hint) == key) {
                if (ref != p.extent.bits() || hint != p.hint()) write(e, key, p);
                return;
            }
        }
        if (to == nowhere)
            to = set + 3 * (mix64(key + turn_.fetch_add(1, std::memory_order_relaxed)) % ways);
        else
            used_.fetch_add(1, std::memory_order_relaxed);
        write(to, key, p);
    }

    /// That extent is no longer where it was.
    void drop(block_hash const& first, extent_ref was) noexcept {
        auto const key = first.low;
        auto const set = set_of(key);
        for (std::size_t e = set; e < set + 3 * ways; e += 3) {
            auto ref = words_.load(e + ref_at);
            if (ref != was.bits() || (words_.load(e) ^ ref ^ words_.load(e + hint_at)) != key) continue;
            if (words_.at(e + ref_at).compare_exchange_strong(ref, 0, std::memory_order_relaxed))
                used_.fetch_sub(1, std::memory_order_relaxed);
        }
    }

    [[nodiscard]] std::size_t bytes_used() const noexcept {
        return used_.load(std::memory_order_relaxed) * entry_bytes;
    }
    [[nodiscard]] std::size_t capacity_bytes() const noexcept { return sets_ * set_bytes; }

private:
    // Of an entry, in words; word 0 is the exclusive or of the key with the others. ref 0: there is no entry.
    static constexpr std::size_t ref_at = 1;
    static constexpr std::size_t hint_at = 2;
    static constexpr std::size_t ways = 8;
    static constexpr std::size_t set_bytes = ways * entry_bytes;
    static constexpr std::size_t nowhere = ~std::size_t{0};

    [[nodiscard]] std::size_t set_of(word key) const noexcept { return (mix64(key) & (sets_ - 1)) * ways * 3; }
    void write(std::size_t e, word key, placement const& p) noexcept {
        words_.store(e, key ^ p.extent.bits() ^ p.hint());
        words_.store(e + hint_at, p.hint());
        words_.store(e + ref_at, p.extent.bits());
    }

    std::size_t sets_;
    lazy_words words_;
    std::atomic<std::size_t> used_{0};
    std::atomic<std::size_t> turn_{0};
};

} // namespace catena
