// SPDX-License-Identifier: Apache-2.0
// Blocks above 4 KiB: of a chunk they leave an end.
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include <catena/pool/node_allocator.hpp>

#include <pool/allocation.hpp>
#include <support/accounting.hpp>
#include <support/catch.hpp>
#include <support/world.hpp>

using namespace catena;
using namespace catena::test;

namespace {

constexpr std::uint64_t extent = std::uint64_t{128} << 10U;
constexpr std::uint64_t wide_chunk = std::uint64_t{300} << 10U; ///< two of them and an end of 44 KiB

census sound_census(world& w) {
    auto c = take_census(w.fabric, w.first.pool.geometry());
    for (auto const& complaint : c.complaints) FAIL(complaint);
    return c;
}

} // namespace

TEST_CASE("of a chunk as many blocks are cut as fit, whatever their size; the end is left over") {
    constexpr std::uint64_t chunks = 2;
    for (auto const bytes : block_sizes(wide_chunk)) {
        CAPTURE(bytes);
        world w(room_for(chunks, wide_chunk), 1, options(wide_chunk));
        auto const all = take_all(w.first.s, bytes);
        REQUIRE(all.size() == chunks * (wide_chunk / bytes));
        std::set<std::uint64_t> begins;
        for (auto const& b : all) {
            auto const begin = b.at.offset() - heap_begin(chunks);
            if (begin / wide_chunk != (begin + bytes - 1) / wide_chunk) FAIL("from one chunk into the next");
            if (begin % wide_chunk % bytes != 0) FAIL("two blocks overlap");
            if (!begins.insert(begin).second) FAIL("a block twice");
        }
        auto const c = sound_census(w);
        REQUIRE(c.unwritten == all.size() * bytes);
        REQUIRE(c.wasted == chunks * (wide_chunk % bytes));
        REQUIRE(c.unwritten + c.wasted == chunks * wide_chunk);
        REQUIRE(bytes_in_hand(w.first.s) == 0);
    }
}

TEST_CASE("a block larger than the chunks of the pool is refused, and nothing is taken for it") {
    world w(room_for(4), 2, options());
    auto& s = w.first.s;
    auto const before = taken(w);
    auto const trips = s.stats().round_trips;
    for (auto const bytes : block_sizes(max_block_bytes)) {
        if (bytes <= chunk) continue;
        CAPTURE(bytes);
        auto const b = sync_wait(s, allocate(s, bytes));
        REQUIRE_FALSE(b);
        REQUIRE(b.error().code == errc::invalid_argument);
    }
    REQUIRE(s.stats().round_trips == trips);
    REQUIRE(taken(w) == before);
    for (std::uint64_t i = 0; i < 4; ++i) REQUIRE(table_word(w, i).bits() == 0);
    REQUIRE(take_all(s, chunk).size() == 8); // one that fills a chunk is none of them
    REQUIRE(sound_census(w).wasted == 0);
}

TEST_CASE("a freed block of 128 KiB is used again by its session, with its lives, and no round trip") {
    world w(room_for(1, wide_chunk), 1, options(wide_chunk));
    auto& s = w.first.s;
    auto b = take(s, extent);
    (void)take(s, extent);
    REQUIRE(sync_wait(s, allocate(s, extent)).error().code == errc::out_of_memory);
    auto const trips = s.stats().round_trips;
    for (std::uint32_t life = 1; life < 50; ++life) {
        b.lives = life;
        give(s, b, extent);
        auto const again = take(s, extent);
        REQUIRE(again.at == b.at);
        REQUIRE(again.lives == life);
    }
    REQUIRE(s.stats().round_trips == trips);
}

TEST_CASE("blocks of 128 KiB that one session shares are taken and signed by another, with their lives") {
    constexpr std::uint64_t chunks = 40;
    world w(room_for(chunks, wide_chunk), 1, options(wide_chunk));
    auto other = w.join(options());
    auto& s = w.first.s;
    auto const all = take_all(s, extent);
    REQUIRE(all.size() == 2 * chunks);
    std::map<std::uint64_t, std::uint32_t> lives;
    for (auto b : all) {
        b.lives = static_cast<std::uint32_t>(1 + lives.size());
        lives[b.at.offset()] = b.lives;
        give(s, b, extent);
    }
    auto const shared = all.size() - allocation_state::most_freed(extent);
    REQUIRE(free_list_head(raw_read(w.fabric, free_list_of(0, extent))).offset() == all.back().at.offset());
    REQUIRE(sound_census(w).listed == shared * extent);
    auto got = take_all(other.s, extent);
    REQUIRE(got.size() == shared);
    close(s);
    REQUIRE(sound_census(w).listed == allocation_state::most_freed(extent) * extent);
    for (auto const& b : take_all(other.s, extent)) got.push_back(b);
    REQUIRE(got.size() == all.size());
    for (auto const& b : got) {
        REQUIRE(lives.at(b.at.offset()) == b.lives);
        lives.erase(b.at.offset());
        REQUIRE(header_of(w, b).holder() == other.pool.self().tag());
    }
    auto const c = sound_census(w);
    REQUIRE(c.held == got.size() * extent);
    REQUIRE(c.wasted == chunks * (wide_chunk - 2 * extent));
}

TEST_CASE("the rest of a chunk of large blocks goes to who wants blocks of its size, its end to nobody") {
    world w(room_for(2, wide_chunk), 1, options(wide_chunk));
    {
        auto s = w.first.session();
        for (auto const bytes : {extent, max_block_bytes}) // they stay in use
            raw_write(w.fabric, take(s, bytes).at, block_header::held_by(w.first.pool.self().tag()));
        close(s); // of the second chunk nothing is left but an end
    }
    auto const me = w.first.pool.self().tag();
    REQUIRE(table_word(w, 0).bits() == chunk_word::released(extent, extent).bits());
    REQUIRE(table_word(w, 1).bits() == chunk_word::owned(me, max_block_bytes).bits());
    REQUIRE(released(w, extent) == 1);
    REQUIRE(released(w, max_block_bytes) == 0);
    auto const c = sound_census(w);
    REQUIRE(c.released == extent);
    REQUIRE(c.wasted == wide_chunk - 2 * extent + wide_chunk - max_block_bytes);
    auto other = w.join(options());
    for (std::uint64_t const bytes : {std::uint64_t{2048}, extent - 4096, extent + 4096, max_block_bytes}) {
        CAPTURE(bytes);
        raw_write(w.fabric, released_count_of(0, bytes), 1); // too high: the table is looked at
        REQUIRE(sync_wait(other.s, allocate(other.s, bytes)).error().code == errc::out_of_memory);
    }
    REQUIRE(take(other.s, extent).at.offset() == heap_begin(2) + extent);
    REQUIRE(table_word(w, 0).bits() == chunk_word::owned(other.pool.self().tag(), extent).bits());
    REQUIRE(released(w, extent) == 0);
    REQUIRE(take_all(other.s, extent).empty());
    close(other.s); // there is nothing to release but an end
    REQUIRE(released(w, extent) == 0);
}

TEST_CASE("a chunk that was never cut is released and taken for blocks of any size") {
    world w(room_for(1, wide_chunk), 1, options(wide_chunk));
    raw_write(w.fabric, {0, cursor_offset}, wide_chunk);
    raw_write(w.fabric, chunk_word_at(0, 0), chunk_word::released(0, 0).bits());
    raw_write(w.fabric, released_count_of(0, 0), 1);
    REQUIRE(sound_census(w).released == wide_chunk);
    REQUIRE(take_all(w.first.s, max_block_bytes).size() == 1);
    REQUIRE(released(w, 0) == 0);
    REQUIRE(sound_census(w).wasted == wide_chunk - max_block_bytes);
}

TEST_CASE("blocks of 4 KiB, 8 KiB and their neighbours do not mix") {
    auto const sizes = std::to_array<std::uint64_t>({4032, 4096, 8192, 12288});
    world w(room_for(sizes.size()), 1, options());
    std::map<std::uint64_t, block> mine;
    {
        auto s = w.first.session();
        for (auto const bytes : sizes) mine[bytes] = take(s, bytes);
        for (std::size_t i = 0; i < sizes.size(); ++i) REQUIRE(table_word(w, i).block_bytes() == sizes[i]);
        for (auto const bytes : sizes) give(s, mine[bytes], bytes);
        close(s);
    }
    auto other = w.join(options());
    for (auto const bytes : sizes) {
        CAPTURE(bytes);
        auto const head = free_list_head(raw_read(w.fabric, free_list_of(0, bytes)));
        REQUIRE(head.offset() == mine[bytes].at.offset());
        REQUIRE(released(w, bytes) == (bytes == 12288 ? 0 : 1)); // a chunk holds one of these
    }
    REQUIRE(sound_census(w).listed == 4032 + 4096 + 8192 + 12288);
    for (auto const bytes : sizes) {
        CAPTURE(bytes);
        auto const all = take_all(other.s, bytes);
        REQUIRE(all.size() == chunk / bytes);
        REQUIRE(all.front().at == mine[bytes].at);
    }
    REQUIRE(raw_read(w.fabric, {0, free_lists_offset + 65 * word_bytes}) == 0);
    REQUIRE(raw_read(w.fabric, {0, released_offset + 65 * word_bytes}) == 0);
    (void)sound_census(w);
}
