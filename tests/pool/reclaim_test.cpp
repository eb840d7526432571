// SPDX-License-Identifier: Apache-2.0
// What a dead client held of blocks of all kinds of sizes is found, and nothing else is touched. (index/reclaim_test.cpp does
// it for nodes of trees, tests/torture for small blocks with many clients.)
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <catena/pool/reclaim.hpp>

#include <pool/clock_fabric.hpp>
#include <support/accounting.hpp>
#include <support/catch.hpp>
#include <support/mortal_fabric.hpp>
#include <support/world.hpp>

using namespace catena;
using namespace std::chrono_literals;
using namespace catena::test;

namespace {

using victim_client = basic_client<mortal_fabric>;
using victim_session = victim_client::session_type;

constexpr std::uint64_t chunk = std::uint64_t{300} << 10U; ///< 2 blocks of 128 KiB, or 1 of 252 KiB, and an end
constexpr std::uint64_t chunks = 6;

/// One client that goes on, and one that is going to die.
struct scene {
    pool_options options{.lease = 1ms, .chunk_bytes = chunk};
    world w{heap_begin(chunks) + chunks * chunk, 1, options};
    mortal_fabric mortal{w.fabric};
    victim_client victim = victim_client::join(mortal, options);

    [[nodiscard]] local_session& s() { return w.first.s; }
    [[nodiscard]] census count() { return take_census(w.fabric, w.first.pool.geometry()); }
    /// The blocks are in no index: whatever somebody gone held may be taken.
    reclaim_report reclaim() {
        reclaim_report report;
        auto const gone = ok(sync_wait(s(), detail::find_gone(s(), report)));
        auto const any = [](remote_ptr, block_header const&) { return true; };
        ok(sync_wait(s(), detail::sweep(s(), gone, any, report)));
        return report;
    }
};

/// As an index does: the whole block at once, header and all.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> fill(Session& s, block b, std::uint64_t bytes, word with) {
    std::vector<word> words(bytes / word_bytes, with);
    words[block_header::lock_at / word_bytes] = block_header::held_by(s.pool().self.tag());
    words[block_header::meta_at / word_bytes] = block_header::meta_of(b.lives + 1, false, false);
    op write = op::write(b.at, words.data(), bytes);
    co_return co_await s.submit(write);
}

/// Takes blocks, writes all but one of them, frees some, goes. One of each size is left behind, alive.
[[nodiscard, gnu::noinline]] task<result<void>> deed(victim_session& s, std::span<std::uint64_t const> sizes) {
    for (auto const bytes : sizes) {
        std::array<block, 3> mine;
        for (auto& b : mine) {
            auto const taken = co_await allocate(s, bytes);
            if (!taken) co_return taken.error();
            b = *taken;
        }
        for (std::size_t i = 1; i < mine.size(); ++i)
            if (auto const r = co_await fill(s, mine[i], bytes, 0x5a5a'5a5a'5a5a'5a5aULL); !r) co_return r;
        for (std::size_t i = 0; i < 2; ++i) {
            if (i > 0) ++mine[i].lives;
            if (auto const r = co_await free_block(s, mine[i], bytes); !r) co_return r;
        }
    }
    co_return co_await release_all(s);
}

void die_at_every_operation(std::vector<std::uint64_t> const& sizes) {
    std::uint64_t operations = 0;
    std::uint64_t largest = 0;
    for (auto const bytes : sizes) largest = std::max(largest, bytes);
    {
        scene t;
        auto const before = t.mortal.life().operations;
        ok(sync_wait(t.victim.s, deed(t.victim.s, sizes)));
        operations = t.mortal.life().operations - before;
    }
    auto const seed = test_seed(31);
    for (std::uint64_t last = 1; last <= operations; ++last) {
        CAPTURE(seed, last, operations);
        scene t;
        t.mortal.life().tear = seed + last;
        t.mortal.life().operations_left = last;
        (void)sync_wait(t.victim.s, deed(t.victim.s, sizes));
        auto const report = t.reclaim();
        auto const c = t.count();
        CAPTURE(report.blocks, report.chunks, c.alive, c.held, c.unwritten, c.astray, c.unclaimed, c.released);
        for (auto const& complaint : c.complaints) FAIL(complaint);
        REQUIRE(c.unclaimed == 0);
        REQUIRE(c.in_use() - c.astray == bytes_in_hand(t.s()));
        REQUIRE(c.astray <= largest);
        ok(sync_wait(t.s(), release_all(t.s())));
        auto const after = t.count();
        for (auto const& complaint : after.complaints) FAIL(complaint);
        REQUIRE(after.in_use() == c.astray);
        // All of it can be had again.
        std::uint64_t had = 0;
        for (auto const bytes : sizes) {
            for (;;) {
                auto const b = sync_wait(t.s(), allocate(t.s(), bytes));
                if (!b) break;
                had += bytes;
            }
        }
        auto const end = t.count();
        auto const taken = chunks * chunk;
        for (auto const& complaint : end.complaints) FAIL(complaint);
        REQUIRE(end.listed == 0);
        REQUIRE(end.released == 0);
        REQUIRE(had + end.wasted + end.astray == taken);
    }
}

} // namespace

TEST_CASE("what a client held that dies with blocks of 128 KiB is found") { die_at_every_operation({128U << 10U}); }

TEST_CASE("what a client held that dies with blocks of 252 KiB is found: a chunk holds one, and an end") {
    die_at_every_operation({max_block_bytes});
}

TEST_CASE("what a client held that dies with blocks of 4 KiB, 8 KiB and 128 KiB is found, each in its chunks") {
    die_at_every_operation({4096, 8192, 128U << 10U});
}

TEST_CASE("a reclaim reads headers where blocks begin and nowhere else, not in the end of a chunk either") {
    constexpr std::uint64_t bytes = std::uint64_t{64} << 10U; // class 80: 5120 bytes to who would multiply by 64
    scene t;
    auto& v = t.victim.s;
    std::array<block, 3> b;
    for (auto& one : b) one = ok(sync_wait(v, allocate(v, bytes)));
    auto const me = t.w.first.pool.self().tag();
    auto const dead = block_header::held_by(v.pool().self.tag());
    // The survivor has the second one: full of words that would be the dead one's, and of zeros, wherever a header is sought.
    auto const first_of = [](std::uint64_t at) { return at % 128 == 0; };
    for (std::uint64_t at = 0; at < bytes; at += word_bytes)
        raw_write(t.w.fabric, b[1].at + at, first_of(at) ? dead : 0);
    raw_write(t.w.fabric, b[1].at, block_header::held_by(me));
    raw_write(t.w.fabric, b[1].at + block_header::meta_at, block_header::meta_of(1, false, false));
    auto const geometry = t.w.first.pool.geometry();
    auto const number = (b[0].at.offset() - heap_begin(geometry)) / chunk;
    auto const begin = chunk_begin(geometry, number);
    auto const whole = chunk / bytes * bytes;
    REQUIRE(whole < chunk);
    for (auto at = whole; at < chunk; at += 64) raw_write(t.w.fabric, {0, begin + at}, at % 128 == 0 ? dead : 0);
    std::vector<std::byte> const before(t.w.fabric.raw(0) + begin, t.w.fabric.raw(0) + begin + chunk);

    auto const report = t.reclaim();
    REQUIRE(report.members_gone == 1);
    REQUIRE(report.blocks == 1); // the hole before the survivor's block
    REQUIRE(report.chunks == 1);
    REQUIRE(report.bytes == whole - bytes);
    REQUIRE(raw_read(t.w.fabric, b[0].at) == block_header::held_by(me));
    REQUIRE(raw_read(t.w.fabric, chunk_word_at(0, number)) == chunk_word::released(bytes, 2 * bytes).bits());
    auto const* const now = t.w.fabric.raw(0) + begin;
    REQUIRE(std::memcmp(now + word_bytes, before.data() + word_bytes, chunk - word_bytes) == 0);
    auto const c = t.count();
    for (auto const& complaint : c.complaints) FAIL(complaint);
    REQUIRE(c.wasted == chunk - whole);
    REQUIRE(c.released == whole - 2 * bytes);
}

TEST_CASE("a reclaim releases the rest of a chunk of large blocks at a block, and who claims it cuts no end of it") {
    scene t;
    auto& v = t.victim.s;
    ok(sync_wait(v, fill(v, ok(sync_wait(v, allocate(v, 128U << 10U))), 128U << 10U, 7)));
    auto const report = t.reclaim();
    REQUIRE(report.blocks == 1);
    REQUIRE(report.chunks == 1);
    REQUIRE(report.bytes == 256U << 10U);
    REQUIRE(raw_read(t.w.fabric, chunk_word_at(0, 0)) == chunk_word::released(128U << 10U, 128U << 10U).bits());
    REQUIRE(raw_read(t.w.fabric, released_count_of(0, 128U << 10U)) == 1);
    auto const a = ok(sync_wait(t.s(), allocate(t.s(), 128U << 10U)));
    auto const b = ok(sync_wait(t.s(), allocate(t.s(), 128U << 10U)));
    REQUIRE(a.at.offset() == heap_begin(chunks)); // freed by the reclaim, in the hands of the survivor
    REQUIRE(b.at.offset() == heap_begin(chunks) + (128U << 10U));
    auto const next = ok(sync_wait(t.s(), allocate(t.s(), 128U << 10U)));
    REQUIRE(next.at.offset() == heap_begin(chunks) + chunk);
}
