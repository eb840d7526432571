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

/// How many windows behind the last known one to ask for at once: twice as many as it paid lately, so that a wrong guess
/// costs at most as much as it saves.
class window_guess {
public:
    [[nodiscard]] std::size_t next() const noexcept {
        return std::min(2 * average_.load(std::memory_order_relaxed) / one, most);
    }
    /// So many of the extents that were asked for are there.
    void learn(std::size_t found) noexcept {
        auto const old = average_.load(std::memory_order_relaxed);
        average_.store(old - old / 8 + std::min(found, most) * one / 8, std::memory_order_relaxed);
    }
    static constexpr std::size_t most = 64;

private:
    static constexpr std::size_t one = 64;
    std::atomic<std::size_t> average_{4 * one};
};

/// Heads: the index from the hash of an extent's first block to its address.
template <typename Heads, typename Options>
struct extent_state {
    using options = Options;
    static constexpr std::size_t window = Options::window;
    static_assert((window & (window - 1)) == 0 && window >= 2 && window <= 32, "one bit for each block of a window");

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
