// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include <catena/pool/catalog.hpp>
#include <catena/pool/membership.hpp>
#include <catena/pool/node_allocator.hpp>
#include <catena/pool/superblock.hpp>

#include <support/catch.hpp>

using namespace catena;
using test::has_text;

namespace {

superblock sound() {
    superblock s{.magic = pool_magic,
                 .format_version = pool_format_version,
                 .node = 3,
                 .node_count = 5,
                 .uuid = {.high = 11, .low = 12},
                 .incarnation = 13,
                 .node_bytes = 1U << 20U,
                 .chunk_bytes = 16384,
                 .lease_ms = 1000,
                 .reserved = 0,
                 .seal = 0};
    s.seal = seal_of(s);
    return s;
}
/// Sealed again after a change: another pool's, not a damaged one.
superblock resealed(superblock s) {
    s.seal = seal_of(s);
    return s;
}
std::string complaint(superblock const& s) { return mismatch(s, 3, 5, 1U << 20U).value_or(""); }

} // namespace

TEST_CASE("a sound superblock fits") { REQUIRE(complaint(sound()).empty()); }

TEST_CASE("each field that differs is named, with what it is and what was expected") {
    auto s = sound();
    SECTION("magic") {
        s.magic ^= 1;
        REQUIRE_THAT(complaint(resealed(s)), has_text("superblock.magic"));
    }
    SECTION("format_version") {
        s.format_version = 2; // its clients do not know the large blocks
        REQUIRE_THAT(complaint(resealed(s)), has_text("superblock.format_version is 2, expected 3"));
        REQUIRE_THAT(complaint(s), has_text("format_version")); // another format may have its seal elsewhere
    }
    SECTION("node") {
        s.node = 4;
        REQUIRE_THAT(complaint(resealed(s)), has_text("superblock.node is 4, expected 3"));
    }
    SECTION("node_count") {
        s.node_count = 6;
        REQUIRE_THAT(complaint(resealed(s)), has_text("superblock.node_count is 6, expected 5"));
    }
    SECTION("node_bytes") {
        s.node_bytes = 4096;
        REQUIRE_THAT(complaint(resealed(s)), has_text("superblock.node_bytes is 4096, expected 1048576"));
    }
    SECTION("seal") {
        s.lease_ms = 999;
        REQUIRE_THAT(complaint(s), has_text("superblock.seal"));
        REQUIRE_THAT(complaint(s), has_text("damaged"));
    }
    if (!complaint(s).empty()) REQUIRE_THAT(complaint(s), has_text("memory node 3"));
}

TEST_CASE("any one bit flipped in a superblock is found") {
    auto const s = sound();
    std::array<unsigned char, sizeof s> bytes;
    std::memcpy(bytes.data(), &s, sizeof s);
    for (std::size_t bit = 0; bit < sizeof s * 8; ++bit) {
        CAPTURE(bit);
        auto damaged = bytes;
        damaged[bit / 8] = static_cast<unsigned char>(damaged[bit / 8] ^ 1U << bit % 8);
        superblock found;
        std::memcpy(&found, damaged.data(), sizeof found);
        REQUIRE_FALSE(complaint(found).empty());
    }
}

TEST_CASE("chunks are 1 MiB, at most a 64th of a small memory node, and hold two nodes, from 16 MiB on every block") {
    REQUIRE(default_chunk_bytes(std::uint64_t{1} << 40U) == 1U << 20U);
    REQUIRE(default_chunk_bytes(64U << 20U) == 1U << 20U);
    for (std::uint64_t bytes = min_node_bytes; bytes < (1U << 26U); bytes = bytes * 5 / 4) {
        CAPTURE(bytes);
        auto const chunk = default_chunk_bytes(bytes);
        REQUIRE(chunk % chunk_granule == 0);
        REQUIRE(chunk >= 8192);
        REQUIRE((chunk >= max_block_bytes || bytes < 16U << 20U));
        REQUIRE((chunk <= bytes / 64 || chunk == 8192));
        REQUIRE(chunk_count(bytes, chunk) > 0);
    }
}

TEST_CASE("the parts of a memory node's region do not overlap") {
    STATIC_REQUIRE(sizeof(superblock) <= cursor_offset);
    STATIC_REQUIRE(cursor_offset + 64 <= catalog_lock_offset);
    STATIC_REQUIRE(catalog_lock_offset + 64 <= free_lists_offset);
    STATIC_REQUIRE(free_list_of(0, max_block_bytes).offset() + word_bytes <= released_offset);
    STATIC_REQUIRE(released_count_of(0, 0).offset() >= released_offset);
    STATIC_REQUIRE(released_count_of(0, max_block_bytes).offset() + word_bytes <= members_offset);
    STATIC_REQUIRE(free_list_of(0, block_granule).offset() >= free_lists_offset);
    STATIC_REQUIRE(member_at(member_slots - 1).offset() + sizeof(member_record) <= catalog_offset);
    STATIC_REQUIRE(catalog_offset + catalog_slots * catalog_entry_bytes <= heap_offset);
    STATIC_REQUIRE(heap_offset % chunk_granule == 0);
}

TEST_CASE(
    "blocks are multiples of 64 bytes up to 4 KiB and of 4 KiB up to 252 KiB; nothing else is a size of a block") {
    std::vector<std::uint64_t> sizes;
    for (std::uint64_t i = 1; i <= 64; ++i) sizes.push_back(i * 64);
    for (std::uint64_t i = 2; i <= 63; ++i) sizes.push_back(i * 4096);
    for (std::uint64_t bytes = 0; bytes <= (1U << 20U); ++bytes)
        if (is_block_size(bytes) != std::binary_search(sizes.begin(), sizes.end(), bytes)) FAIL(bytes);
    for (std::uint64_t high = 1U << 20U; high != 0; high *= 2)
        for (std::uint64_t const low : {0U, 64U, 4096U, 128U << 10U}) REQUIRE_FALSE(is_block_size(high + low));
    std::set<std::uint64_t> classes;
    for (auto const bytes : sizes) {
        CAPTURE(bytes);
        REQUIRE(block_class(bytes) > 0);
        REQUIRE(block_class(bytes) < block_classes);
        REQUIRE(block_bytes_of(block_class(bytes)) == bytes);
        REQUIRE(classes.insert(block_class(bytes)).second);
    }
    REQUIRE(classes.size() == 126);
    REQUIRE_FALSE(classes.contains(65));
    REQUIRE(block_class(0) == 0);
    REQUIRE(block_bytes_of(0) == 0);
}

TEST_CASE("the class of a size is that of docs/formats.md, up to 4 KiB that of version 2") {
    for (std::uint64_t i = 1; i <= 64; ++i) REQUIRE(block_class(64 * i) == i);
    REQUIRE(block_class(8192) == 66);
    REQUIRE(block_class(12288) == 67);
    REQUIRE(block_class(std::uint64_t{128} * 1024) == 96);
    REQUIRE(block_class(std::uint64_t{252} * 1024) == 127);
    for (std::uint64_t c = 0; c < block_classes; ++c) {
        CAPTURE(c);
        auto const bytes = block_bytes_of(c);
        REQUIRE((block_class(bytes) == c || c == 65));
        if (block_class(bytes) != c || c == 0) continue;
        REQUIRE(free_list_of(3, bytes) == remote_ptr(3, 1024 + 8 * c));
        REQUIRE(released_count_of(3, bytes) == remote_ptr(3, 2048 + 8 * c));
        REQUIRE(chunk_word::owned(0x7ffff, bytes).bits() == (1ULL << 62U | c << 55U | 0x7ffffULL << 36U));
        REQUIRE(chunk_word::released(bytes, 3 * bytes).bits() == (2ULL << 62U | c << 55U | 3 * bytes / 64));
        REQUIRE(chunk_word::owned(0x7ffff, bytes).block_bytes() == bytes);
        REQUIRE(chunk_word::owned(0x7ffff, bytes).owner() == 0x7ffff);
        REQUIRE(chunk_word::released(bytes, 3 * bytes).first() == 3 * bytes);
        REQUIRE(chunk_word::released(bytes, 3 * bytes).block_bytes() == bytes);
    }
}

TEST_CASE("a memory node has as many chunks as fit behind their table") {
    for (std::uint64_t const chunk : {4096ULL, 8192ULL, 16384ULL, 1ULL << 20U, 3ULL << 20U}) {
        for (std::uint64_t bytes = heap_offset; bytes < (1U << 28U); bytes = bytes * 9 / 8 / 64 * 64) {
            CAPTURE(chunk, bytes);
            auto const n = chunk_count(bytes, chunk);
            REQUIRE(heap_begin(n) % 4096 == 0);
            REQUIRE(heap_begin(n) >= heap_offset + n * word_bytes);
            if (n > 0) REQUIRE(heap_begin(n) + n * chunk <= bytes);
            REQUIRE(heap_begin(n + 1) + (n + 1) * chunk > bytes);
        }
    }
    REQUIRE(chunk_count(min_node_bytes, default_chunk_bytes(min_node_bytes)) == 1);
    REQUIRE(chunk_count(max_node_bytes, 1U << 20U) > 0);
    REQUIRE(chunk_count(1U << 20U, ~std::uint64_t{4095}) == 0);
}
