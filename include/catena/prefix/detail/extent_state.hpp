// SPDX-License-Identifier: Apache-2.0
// extent_state: what the threads of one client share about one extent index.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <catena/pool/catalog.hpp>
#include <catena/prefix/extent.hpp>
#include <catena/prefix/extent_copies.hpp>
#include <catena/prefix/placement_cache.hpp>

namespace catena {

/// Compile-time options of an extent_index: derive from it and override. What changes the layout must be the same at all
/// clients.
struct extent_options {
    static constexpr std::size_t window = 32;        ///< blocks; a power of two, at most 32. Layout.
    static constexpr std::size_t batch_reads = 1024; ///< most extents read in one batch (bounds the scratch)
};

namespace detail {

/// What to ask for before it is known to be needed, from what paid lately.
class window_guess {
public:
    /// Did one in sixteen of the last chains lead to what other clients had listed? Then it pays to ask for that at once.
    [[nodiscard]] bool others_are_at_work() const noexcept {
        return others_.load(std::memory_order_relaxed) >= one / 16;
    }
    /// How many windows behind the last known one to ask for at once: twice as many as were found lately, so that a wrong guess
    /// costs at most as much as it saves.
    [[nodiscard]] std::size_t next() const noexcept {
        return std::min(2 * windows_.load(std::memory_order_relaxed) / one, most);
    }
    /// So many extents were met that this client did not know, by so many chains. asked: it had asked beforehand.
    void learn(std::size_t met, std::size_t chains, bool asked) noexcept {
        move(others_, met != 0 ? one : 0);
        if (met != 0 || asked) move(windows_, std::min(met / std::max<std::size_t>(chains, 1), most) * one);
    }
    static constexpr std::size_t most = 64;

private:
    static constexpr std::size_t one = 256;
    static void move(std::atomic<std::size_t>& average, std::size_t towards) noexcept {
        auto const old = average.load(std::memory_order_relaxed);
        if (old != towards)
            average.store((15 * old + towards + (towards > old ? 15 : 0)) / 16, std::memory_order_relaxed);
    }
    std::atomic<std::size_t> others_{0};
    std::atomic<std::size_t> windows_{4 * one};
};

/// Heads: the index from the hash of an extent's first block to its address.
template <typename Heads, typename Options>
struct extent_state {
    using options = Options;
    static constexpr std::size_t window = Options::window;
    static_assert((window & (window - 1)) == 0 && window >= 2 && window <= 32,
                  "a window is at most what the largest extent holds");

    extent_state(Heads index, catalog_handle h, std::size_t cache_bytes, std::size_t copy_bytes)
        : heads(std::move(index)), handle(h), placements(cache_bytes), copies(copy_bytes) {}

    Heads heads;
    catalog_handle handle; ///< of the extents; the heads have an entry of their own
    placement_cache placements;
    extent_copies copies;
    window_guess guess;
};

} // namespace detail

} // namespace catena
