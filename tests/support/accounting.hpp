// SPDX-License-Identifier: Apache-2.0
// Where the bytes of a pool are: read from the raw memory of nodes that nobody is using at the moment.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <catena/pool/block_header.hpp>
#include <catena/pool/chunk_table.hpp>
#include <catena/pool/free_list.hpp>
#include <catena/pool/node_allocator.hpp>
#include <catena/pool/superblock.hpp>

namespace catena::test {

/// Every byte of the chunks that were taken is in exactly one of these (pool/block_header.hpp).
struct census {
    std::uint64_t listed = 0;                     ///< on a free list
    std::uint64_t astray = 0;                     ///< in transit to or from one when a client died: lost
    std::uint64_t released = 0;                   ///< rests of released chunks
    std::uint64_t unclaimed = 0;                  ///< chunks that the cursor passed and nobody owns
    std::uint64_t wasted = 0;                     ///< ends of chunks, each smaller than a block of its chunk
    std::uint64_t unwritten = 0;                  ///< in the hands of the owner of the chunk
    std::uint64_t held = 0;                       ///< in no index, in the hands of whom the header names
    std::uint64_t alive = 0;                      ///< nodes of an index, or written to become one
    std::map<std::uint32_t, std::uint64_t> hands; ///< of unwritten and held: by member tag
    std::map<std::uint64_t, std::uint64_t>
        blocks; ///< where each begins that is alive, unwritten or held, and its bytes
    std::vector<std::string> complaints;

    [[nodiscard]] std::uint64_t in_use() const noexcept { return alive + held + unwritten + unclaimed + astray; }
};

/// raw_of(node): the memory of a memory node.
template <typename RawOf>
[[nodiscard]] census take_census(superblock const& geometry, RawOf raw_of) {
    census c;
    for (std::uint16_t node = 0; node < geometry.node_count; ++node) {
        std::byte const* const raw = raw_of(node);
        auto const word_at = [raw](std::uint64_t at) {
            word w = 0;
            std::memcpy(&w, raw + at, sizeof w);
            return w;
        };
        auto const complain = [&](std::uint64_t at, std::string const& what) {
            c.complaints.push_back("memory node " + std::to_string(node) + ", offset " + std::to_string(at) + ": " +
                                   what);
        };
        auto const chunks = chunk_count(geometry);
        auto const taken = std::min<std::uint64_t>(word_at(cursor_offset) / geometry.chunk_bytes, chunks);
        std::map<std::uint64_t, std::uint64_t> listed; // offset -> bytes
        for (std::uint64_t of_class = 1; of_class < block_classes; ++of_class) {
            auto const bytes = block_bytes_of(of_class);
            if (block_class(bytes) != of_class) {
                if (word_at(free_lists_offset + of_class * word_bytes) != 0) complain(of_class, "a list of no size");
                continue;
            }
            auto at = free_list_head(word_at(free_list_of(node, bytes).offset())).offset();
            for (; at != 0; at = word_at(at + link_offset(bytes))) {
                if (at < heap_begin(geometry) || at + bytes > geometry.node_bytes) {
                    complain(at, "on a free list, outside the heap");
                    break;
                }
                if (!listed.emplace(at, bytes).second) {
                    complain(at, "twice on the free lists");
                    break;
                }
            }
        }
        std::map<std::uint64_t, std::uint64_t> released_counts;
        for (std::uint64_t i = 0; i < chunks; ++i) {
            chunk_word const w(word_at(chunk_word_at(node, i).offset()));
            auto const begin = chunk_begin(geometry, i);
            if (i >= taken) {
                if (w.bits() != 0) complain(begin, "a chunk beyond the cursor has an owner");
                continue;
            }
            if (w.state() == chunk_state::unused) {
                c.unclaimed += geometry.chunk_bytes;
                continue;
            }
            auto const bytes = w.block_bytes();
            bool const owned = w.state() == chunk_state::owned;
            auto const sound = owned ? chunk_word::owned(w.owner(), bytes) : chunk_word::released(bytes, w.first());
            if (w.bits() != sound.bits() || bytes > geometry.chunk_bytes || (owned && bytes == 0) ||
                (bytes != 0 && (w.first() % bytes != 0 || w.first() + bytes > geometry.chunk_bytes))) {
                complain(begin, "a word of the chunk table that nobody writes");
                continue;
            }
            if (w.state() == chunk_state::released) {
                ++released_counts[bytes];
                if (bytes == 0) {
                    c.released += geometry.chunk_bytes;
                    continue;
                }
            }
            auto const whole = geometry.chunk_bytes / bytes * bytes;
            c.wasted += geometry.chunk_bytes - whole;
            for (auto at = begin; at < begin + whole; at += bytes) {
                block_header h;
                std::memcpy(&h, raw + at, sizeof h);
                if (auto const found = listed.find(at); found != listed.end()) {
                    if (found->second != bytes) complain(at, "on the free list of another size");
                    if (!h.shared() || h.lock() != 0) complain(at, "on a free list, but not marked as shared");
                    c.listed += bytes;
                    listed.erase(found);
                    continue;
                }
                if (w.state() == chunk_state::released && at - begin >= w.first()) {
                    if (!h.unwritten()) complain(at, "written, in the rest of a released chunk");
                    c.released += bytes;
                    continue;
                }
                if (h.shared() && h.lock() == 0) {
                    c.astray += bytes;
                    continue;
                }
                c.blocks[std::uint64_t{node} << 48U | at] = bytes;
                if (h.unwritten()) {
                    c.unwritten += bytes;
                    if (w.state() == chunk_state::released)
                        complain(at, "not written, in the part of a released chunk that is in use");
                    else
                        c.hands[w.owner()] += bytes;
                } else if (h.in_no_index()) {
                    c.held += bytes;
                    c.hands[h.holder()] += bytes;
                } else {
                    c.alive += bytes;
                }
            }
        }
        for (auto const& [at, bytes] : listed) complain(at, "on a free list, not a block of a chunk");
        for (auto const& [bytes, n] : released_counts)
            if (word_at(released_count_of(node, bytes).offset()) < n)
                complain(0, "the count of released chunks is too low, blocks of " + std::to_string(bytes));
    }
    return c;
}

template <typename Fabric>
    requires requires(Fabric& f) { f.raw(std::uint16_t{}); }
[[nodiscard]] census take_census(Fabric& fabric, superblock const& geometry) {
    return take_census(geometry, [&fabric](std::uint16_t node) { return fabric.raw(node); });
}

/// Bytes that a session has in hand and not in use.
template <typename Session>
[[nodiscard]] std::uint64_t bytes_in_hand(Session& s) {
    std::uint64_t bytes = 0;
    for (auto const& c : s.allocation().classes) {
        bytes += c.freed.size() * c.bytes;
        for (auto const& of_node : c.chunks)
            for (auto const& r : of_node) bytes += (r.end - r.next) / c.bytes * c.bytes;
    }
    return bytes;
}

/// Bytes that were handed out and are neither on a free list nor in the hands of one of `sessions`: they are nodes of
/// some index, or lost. `sessions` must be all that ever allocated and did not release_all().
template <typename Session, typename Fabric>
[[nodiscard]] std::uint64_t bytes_in_use(Fabric& fabric, superblock const& geometry,
                                         std::initializer_list<Session*> sessions) {
    auto in_use = take_census(fabric, geometry).in_use();
    for (auto* const s : sessions) in_use -= bytes_in_hand(*s);
    return in_use;
}

} // namespace catena::test
