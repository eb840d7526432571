// SPDX-License-Identifier: Apache-2.0
// placement_cache: where extents lie, as far as this client learned: what makes a probe one round trip.
//
// From the hash of an extent's first block to its address, 24 bytes an extent. A hint and no more: an extent says itself
// which life of what it is, and one that is not here is asked for in the index.
// Sets of eight entries; an entry is three words, the first of which is the exclusive or of the key with the others, so that
// a mix of two entries is no entry: no lock, no retry. Bounded: a full set lets one entry go at random.
// Thread safety: any number of threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include <catena/core/bytes.hpp>
#include <catena/core/config.hpp>
#include <catena/core/hash.hpp>
#include <catena/prefix/block_hash.hpp>
#include <catena/prefix/extent.hpp>

namespace catena {

/// What is known of an extent before it is read.
struct placement {
    extent_ref extent;
    std::uint8_t slots = 0;     ///< so many of its slots were claimed when it was last seen; 0: not known
    bool branched = false;      ///< children of it begin in the same window
    std::uint32_t children = 0; ///< extent_children::filter

    [[nodiscard]] constexpr word hint() const noexcept { return word{children} << 32U | word{branched} << 8U | slots; }
    [[nodiscard]] static constexpr placement of(word ref, word hint) noexcept {
        return {.extent = extent_ref::from_word(ref),
                .slots = static_cast<std::uint8_t>(hint),
                .branched = (hint >> 8U & 1U) != 0,
                .children = static_cast<std::uint32_t>(hint >> 32U)};
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
        : sets_(std::bit_floor(std::max<std::size_t>(capacity_bytes / sizeof(set), 1))),
          memory_(std::make_unique<set[]>(sets_)) {}

    [[nodiscard]] std::optional<placement> find(block_hash const& first) const noexcept {
        auto const key = key_of(first);
        for (auto const& e : set_of(first).entries) {
            auto const ref = e.ref.load(std::memory_order_relaxed);
            auto const hint = e.hint.load(std::memory_order_relaxed);
            if (ref != 0 && (e.check.load(std::memory_order_relaxed) ^ ref ^ hint) == key)
                return placement::of(ref, hint);
        }
        return std::nullopt;
    }

    void put(block_hash const& first, placement const& p) noexcept {
        auto const key = key_of(first);
        auto& entries = set_of(first).entries;
        entry* to = nullptr;
        for (auto& e : entries) {
            auto const ref = e.ref.load(std::memory_order_relaxed);
            if (ref == 0) {
                if (to == nullptr) to = &e;
                continue;
            }
            if ((e.check.load(std::memory_order_relaxed) ^ ref ^ e.hint.load(std::memory_order_relaxed)) != key)
                continue;
            if (ref == p.extent.bits() && e.hint.load(std::memory_order_relaxed) == p.hint()) return;
            write(e, key, p);
            return;
        }
        if (to == nullptr)
            to = &entries[mix64(key + turn_.fetch_add(1, std::memory_order_relaxed)) % set::ways];
        else
            used_.fetch_add(1, std::memory_order_relaxed);
        write(*to, key, p);
    }

    /// That extent is no longer where it was.
    void drop(block_hash const& first, extent_ref was) noexcept {
        auto const key = key_of(first);
        for (auto& e : set_of(first).entries) {
            auto ref = e.ref.load(std::memory_order_relaxed);
            if (ref != was.bits() ||
                (e.check.load(std::memory_order_relaxed) ^ ref ^ e.hint.load(std::memory_order_relaxed)) != key)
                continue;
            if (e.ref.compare_exchange_strong(ref, 0, std::memory_order_relaxed))
                used_.fetch_sub(1, std::memory_order_relaxed);
        }
    }

    [[nodiscard]] std::size_t bytes_used() const noexcept {
        return used_.load(std::memory_order_relaxed) * entry_bytes;
    }
    [[nodiscard]] std::size_t capacity_bytes() const noexcept { return sets_ * sizeof(set); }

private:
    struct entry {
        std::atomic<word> check{0};
        std::atomic<word> ref{0}; ///< 0: no entry
        std::atomic<word> hint{0};
    };
    struct alignas(cache_line) set {
        static constexpr std::size_t ways = 8;
        entry entries[ways]; // NOLINT: std::array of atomics
    };
    static_assert(sizeof(set) == set::ways * entry_bytes);

    [[nodiscard]] static word key_of(block_hash const& h) noexcept { return h.low; }
    [[nodiscard]] set& set_of(block_hash const& h) const noexcept { return memory_[h.high & (sets_ - 1)]; }
    static void write(entry& e, word key, placement const& p) noexcept {
        e.check.store(key ^ p.extent.bits() ^ p.hint(), std::memory_order_relaxed);
        e.hint.store(p.hint(), std::memory_order_relaxed);
        e.ref.store(p.extent.bits(), std::memory_order_relaxed);
    }

    std::size_t sets_;
    std::unique_ptr<set[]> memory_;
    std::atomic<std::size_t> used_{0};
    std::atomic<std::size_t> turn_{0};
};

} // namespace catena
