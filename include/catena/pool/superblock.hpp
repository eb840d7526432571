// SPDX-License-Identifier: Apache-2.0
// superblock: the first 4 KiB of every memory node, and where everything else of a pool lies.
//
// Layout of a memory node's region (bytes; docs/formats.md):
//   0       superblock   64-byte lines: constants with their seal, then the words that clients change
//   4096    members      member_slots x 32 (used on memory node 0 only)
//   36864   catalog      catalog_slots x 256 (used on memory node 0 only)
//   65536   chunk table  one word for each chunk (pool/chunk_table.hpp), rounded up to 4 KiB
//   after   heap         handed out in chunks of chunk_bytes by FAA on the cursor
// Thread safety: pure functions and plain values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <catena/core/bytes.hpp>
#include <catena/core/config.hpp>
#include <catena/core/hash.hpp>
#include <catena/core/remote_ptr.hpp>

namespace catena {

inline constexpr std::uint64_t pool_magic = 0x316c6f6f70746163ULL; // "catpool1"

/// What stands in place of the magic while a pool is wiped (pool/wipe.hpp): 32 bits by which the wiper's client is known, then "wipe".
[[nodiscard]] constexpr word wiping_mark(std::uint64_t number) noexcept {
    return word{0x65706977} << 32U | (number & 0xffffffffU);
}
[[nodiscard]] constexpr bool is_wiping_mark(word magic) noexcept { return magic >> 32U == wiping_mark(0) >> 32U; }

// What it counts: which clients may share a pool. A client that does not know a size class takes its chunks for blocks of
// another size, and in a reclaim signs "headers" in the midst of what others hold: hence 3, although every byte of a pool of
// version 2 would mean the same here.
inline constexpr std::uint32_t pool_format_version = 3;

inline constexpr std::uint64_t members_offset = 4096;
inline constexpr std::uint32_t member_slots = 1024;
inline constexpr std::uint64_t catalog_offset = 36864;
inline constexpr std::uint32_t catalog_slots = 64;
inline constexpr std::uint64_t catalog_entry_bytes = 256;
inline constexpr std::uint64_t heap_offset = 65536; ///< the chunk table; the chunks follow (heap_begin)

// Words of the superblock that clients change with atomics, one line each where they are hot.
inline constexpr std::uint64_t cursor_offset = 512;       ///< FAA: next chunk of the heap
inline constexpr std::uint64_t catalog_lock_offset = 576; ///< CAS: owner of the catalog (memory node 0)
inline constexpr std::uint64_t free_lists_offset = 1024;  ///< CAS: one head word for each size class
inline constexpr std::uint64_t released_offset = 2048;    ///< FAA: one count of released chunks for each size class

// Blocks are multiples of 64 bytes up to 4 KiB, and of 4 KiB up to 252 KiB. The class of a size, in 7 bits:
//   0          no size yet (of a chunk of which nothing was written)
//   1 ... 64   class * 64 bytes
//   65         not used: it would be 4 KiB once more, and a size has one class
//   66 ... 127 (class - 64) * 4 KiB
inline constexpr std::uint64_t block_granule = 64;
inline constexpr std::uint64_t extent_granule = 4096; ///< of blocks that are larger than this
inline constexpr std::uint64_t block_classes = 128;   ///< the unused ones included
inline constexpr std::uint64_t max_block_bytes = std::uint64_t{252} << 10U;
inline constexpr std::uint64_t chunk_granule = 4096; ///< chunks are no multiples of all blocks: an end is left over

[[nodiscard]] constexpr bool is_block_size(std::uint64_t bytes) noexcept {
    return bytes != 0 && bytes <= max_block_bytes &&
           bytes % (bytes <= extent_granule ? block_granule : extent_granule) == 0;
}
/// bytes: a block's, or 0.
[[nodiscard]] constexpr std::uint64_t block_class(std::uint64_t bytes) noexcept {
    CATENA_ASSERT(bytes == 0 || is_block_size(bytes));
    return bytes <= extent_granule ? bytes / block_granule : extent_granule / block_granule + bytes / extent_granule;
}
[[nodiscard]] constexpr std::uint64_t block_bytes_of(std::uint64_t size_class) noexcept {
    constexpr auto small = extent_granule / block_granule; // classes up to this one count granules
    return size_class <= small ? size_class * block_granule : (size_class - small) * extent_granule;
}
static_assert(block_class(max_block_bytes) == block_classes - 1 &&
              block_bytes_of(block_classes - 1) == max_block_bytes);
static_assert(block_class(extent_granule) == 64 && block_class(2 * extent_granule) == 66);
static_assert(free_lists_offset + block_classes * word_bytes <= released_offset);
static_assert(released_offset + block_classes * word_bytes <= members_offset);
static_assert(extent_granule % block_granule == 0 && chunk_granule % extent_granule == 0);

struct pool_uuid {
    std::uint64_t high;
    std::uint64_t low;
    friend bool operator==(pool_uuid const&, pool_uuid const&) = default;
};

/// The constant part, written once when the pool is created.
struct superblock {
    std::uint64_t magic;
    std::uint32_t format_version;
    std::uint16_t node;
    std::uint16_t node_count;
    pool_uuid uuid;
    std::uint64_t incarnation; ///< of this memory node's contents: a node that lost its memory comes back with another
    std::uint64_t node_bytes;
    std::uint64_t chunk_bytes;
    std::uint32_t lease_ms;
    std::uint32_t reserved;
    std::uint64_t seal; ///< XXH3-64 of everything above
};
static_assert(wire_struct<superblock> && sizeof(superblock) == 72);

[[nodiscard]] inline std::uint64_t seal_of(superblock const& s) noexcept {
    return hash64(&s, offsetof(superblock, seal));
}

/// How large the chunks of a memory node of that size are: 1 MiB, less where that would be more than a 64th. (From 16 MiB on
/// they hold the largest block.)
[[nodiscard]] constexpr std::uint64_t default_chunk_bytes(std::uint64_t node_bytes) noexcept {
    std::uint64_t chunk = std::uint64_t{1} << 20U;
    while (chunk > 8192 && chunk > node_bytes / 64) chunk /= 2;
    return chunk;
}
inline constexpr std::uint64_t min_node_bytes = heap_offset + 4096 + 8192;
inline constexpr std::uint64_t max_chunk_bytes = std::uint64_t{1} << 40U;
inline constexpr std::uint64_t max_node_bytes = std::uint64_t{1} << 46U; ///< what a node_ref can reach

/// Where the heap proper begins: after a table of that many chunks.
[[nodiscard]] constexpr std::uint64_t heap_begin(std::uint64_t chunks) noexcept {
    return heap_offset + (chunks * word_bytes + 4095) / 4096 * 4096;
}
/// How many chunks a memory node has.
[[nodiscard]] constexpr std::uint64_t chunk_count(std::uint64_t node_bytes, std::uint64_t chunk_bytes) noexcept {
    if (node_bytes <= heap_offset || chunk_bytes > node_bytes) return 0;
    auto chunks = (node_bytes - heap_offset) / (chunk_bytes + word_bytes);
    while (chunks > 0 && heap_begin(chunks) + chunks * chunk_bytes > node_bytes) --chunks; // the rounding of the table
    return chunks;
}
[[nodiscard]] constexpr std::uint64_t chunk_count(superblock const& s) noexcept {
    return chunk_count(s.node_bytes, s.chunk_bytes);
}
[[nodiscard]] constexpr std::uint64_t heap_begin(superblock const& s) noexcept { return heap_begin(chunk_count(s)); }
/// Where a chunk begins.
[[nodiscard]] constexpr std::uint64_t chunk_begin(superblock const& s, std::uint64_t chunk) noexcept {
    return heap_begin(s) + chunk * s.chunk_bytes;
}

/// What does not fit, in words that name the field; nothing if `found` is a sound superblock of memory node `node`.
[[nodiscard]] inline std::optional<std::string> mismatch(superblock const& found, std::uint16_t node,
                                                         std::uint16_t node_count, std::uint64_t node_bytes) {
    auto const differs = [node](std::string const& field, auto is, auto expected) {
        return "memory node " + std::to_string(node) + ": superblock." + field + " is " + std::to_string(is) +
               ", expected " + std::to_string(expected);
    };
    if (is_wiping_mark(found.magic))
        return "memory node " + std::to_string(node) +
               ": its pool is being wiped, or was when the wiper died; catena-pool drop URI --all goes on with that";
    if (found.magic != pool_magic)
        return "memory node " + std::to_string(node) +
               (found.magic == 0 ? ": there is no pool on it: superblock.magic is 0"
                                 : ": superblock.magic is not that of a catena pool");
    if (found.format_version != pool_format_version)
        return differs("format_version", found.format_version, pool_format_version);
    if (found.seal != seal_of(found))
        return "memory node " + std::to_string(node) + ": superblock.seal does not match its bytes: it is damaged";
    if (found.node != node) return differs("node", found.node, node);
    if (found.node_count != node_count) return differs("node_count", found.node_count, node_count);
    if (found.node_bytes != node_bytes) return differs("node_bytes", found.node_bytes, node_bytes);
    return std::nullopt;
}

} // namespace catena
