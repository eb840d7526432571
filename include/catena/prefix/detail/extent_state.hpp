// SPDX-License-Identifier: Apache-2.0
// extent_state: what the threads of one client share about one extent index.
#pragma once

#include <cstddef>
#include <cstdint>

#include <catena/pool/catalog.hpp>
#include <catena/prefix/extent.hpp>
#include <catena/prefix/extent_copies.hpp>
#include <catena/prefix/extent_news.hpp>
#include <catena/prefix/news_outbox.hpp>
#include <catena/prefix/news_watch.hpp>
#include <catena/prefix/placement_cache.hpp>

namespace catena {

/// Compile-time options of an extent_index: derive from it and override. What changes the layout must be the same at all
/// clients.
struct extent_options {
    static constexpr std::size_t window = 32; ///< blocks; a power of two, at most 32. Layout.
    /// Of the ring of news, at most a chunk of the pool; 0: there is none. An index keeps the ring that it was made with.
    static constexpr std::size_t news_bytes = 16384;
    static constexpr std::size_t batch_reads = 1024; ///< most extents read in one batch (bounds the scratch)
};

namespace detail {

/// Heads: the index from the hash of an extent's first block to its address.
template <typename Heads, typename Options>
struct extent_state {
    using options = Options;
    static constexpr std::size_t window = Options::window;
    static_assert((window & (window - 1)) == 0 && window >= 2 && window <= 32,
                  "a window is at most what the largest extent holds");

    extent_state(Heads index, catalog_handle h, news_ring ring, std::uint64_t head, std::size_t cache_bytes,
                 std::size_t copy_bytes)
        : heads(std::move(index)), handle(h), news(ring, head), placements(cache_bytes), copies(copy_bytes) {}

    Heads heads;
    catalog_handle handle; ///< of the extents; the heads have an entry of their own
    news_watch news;
    news_outbox outbox;
    placement_cache placements;
    extent_copies copies;
};

} // namespace detail

} // namespace catena
