// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <catena/pool/node_allocator.hpp>

#include <pool/allocation.hpp>
#include <support/accounting.hpp>
#include <support/catch.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>
#include <support/threads.hpp>
#include <support/world.hpp>

using namespace catena;
using namespace catena::test;

namespace {

struct range {
    std::uint16_t node;
    std::uint64_t begin, end;
};
/// No two ranges of a memory node share a byte, and all lie in its heap.
void require_disjoint(std::vector<range> ranges, std::uint64_t node_bytes) {
    std::sort(ranges.begin(), ranges.end(),
              [](range const& a, range const& b) { return std::pair(a.node, a.begin) < std::pair(b.node, b.begin); });
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        CAPTURE(i, ranges[i].node, ranges[i].begin, ranges[i].end);
        REQUIRE(ranges[i].begin > heap_offset);
        REQUIRE(ranges[i].end <= node_bytes);
        REQUIRE(ranges[i].begin % block_granule == 0);
        if (i > 0 && ranges[i - 1].node == ranges[i].node) REQUIRE(ranges[i - 1].end <= ranges[i].begin);
    }
}

} // namespace

TEST_CASE("blocks of every size are aligned, lie in the heap and do not overlap") {
    auto const seed = test::test_seed(71);
    CAPTURE(seed);
    auto const take_some = [seed](std::uint64_t node_bytes, std::uint64_t chunk_bytes, int blocks) {
        CAPTURE(chunk_bytes);
        test::world w(node_bytes, 3, options(chunk_bytes));
        auto const sizes = block_sizes(chunk_bytes);
        test::random_source random(seed);
        std::vector<range> ranges;
        for (int i = 0; i < blocks; ++i) {
            auto const bytes = sizes[random.below(sizes.size())];
            auto const b = take(w.first.s, bytes);
            REQUIRE(b.lives == 0);
            ranges.push_back({b.at.node(), b.at.offset(), b.at.offset() + bytes});
        }
        require_disjoint(ranges, node_bytes);
    };
    take_some(8U << 20U, chunk, 2000);
    take_some(64U << 20U, max_block_bytes + 2 * chunk_granule, 600); // the largest ones leave an end of each chunk
}

TEST_CASE("blocks are spread over the memory nodes in turn, and sessions begin at different ones") {
    test::world w(4U << 20U, 4, options());
    std::set<std::uint16_t> firsts;
    for (int i = 0; i < 4; ++i) {
        auto s = w.first.session();
        std::map<std::uint16_t, int> count;
        firsts.insert(take(s, 1024).at.node());
        for (int n = 0; n < 40; ++n) ++count[take(s, 1024).at.node()];
        REQUIRE(count.size() == 4);
        for (auto const& [node, n] : count) REQUIRE(n == 10);
    }
    REQUIRE(firsts.size() == 4);
}

TEST_CASE("cutting a block from a chunk takes no round trip, a new chunk a few") {
    test::world w(4U << 20U, 1, options());
    auto& s = w.first.s;
    for (int chunks = 0; chunks < 3; ++chunks) {
        auto const before = s.stats().round_trips;
        (void)take(s, 1024);
        auto const after = s.stats().round_trips;
        REQUIRE(after - before == 4); // an empty free list, no released chunk, cursor, table word
        for (std::uint64_t i = 1; i < chunk / 1024; ++i) (void)take(s, 1024);
        REQUIRE(s.stats().round_trips == after);
    }
}

TEST_CASE("sessions of many threads and clients never get overlapping blocks") {
    constexpr std::size_t threads = 4;
    test::world w(16U << 20U, 2, options());
    auto const seed = test::test_seed(72);
    CAPTURE(seed);
    std::array<std::vector<std::pair<block, std::uint64_t>>, threads> mine;
    test::run_threads(threads, [&](std::size_t who) {
        auto c = w.join(options());
        test::random_source random(seed, who);
        auto& blocks = mine[who];
        auto const tag_of = [&](block const& b) { return word{who + 1} << 56U | b.at.offset(); };
        for (std::size_t i = 0; i < test::scaled(4'000); ++i) {
            if (!blocks.empty() && random.one_in(3)) {
                std::swap(blocks[random.below(blocks.size())], blocks.back());
                auto const [b, bytes] = blocks.back();
                // whoever else had this block would have tagged it
                test::expect(test::raw_read(w.fabric, b.at + word_bytes) == tag_of(b),
                             "somebody else wrote to my block");
                blocks.pop_back();
                give(c.s, b, bytes);
                continue;
            }
            std::uint64_t const bytes = random.one_in(4) ? 512 : 1024;
            auto const b = take(c.s, bytes);
            test::raw_write(w.fabric, b.at + word_bytes, tag_of(b));
            blocks.emplace_back(b, bytes);
        }
        for (auto const& [b, bytes] : blocks)
            test::expect(test::raw_read(w.fabric, b.at + word_bytes) == tag_of(b), "my tag is gone");
    });
    std::vector<range> ranges;
    for (auto const& blocks : mine)
        for (auto const& [b, bytes] : blocks) ranges.push_back({b.at.node(), b.at.offset(), b.at.offset() + bytes});
    require_disjoint(ranges, 16U << 20U);
}

TEST_CASE("a freed block is used again by its session, with its lives, and no round trip") {
    test::world w(4U << 20U, 1, options());
    auto& s = w.first.s;
    auto b = take(s, 1024);
    auto const trips = s.stats().round_trips;
    for (std::uint32_t life = 1; life < 50; ++life) {
        b.lives = life; // its user counts them
        give(s, b, 1024);
        auto const again = take(s, 1024);
        REQUIRE(again.at == b.at);
        REQUIRE(again.lives == life);
    }
    REQUIRE(s.stats().round_trips == trips);
}

TEST_CASE("blocks freed beyond what a session keeps are taken by others, with their lives counted on") {
    test::world w(room_for(16), 1, options());
    auto& s = w.first.s;
    auto const all = take_all(s, 1024);
    REQUIRE(all.size() == 16 * chunk / 1024);
    std::map<std::uint64_t, std::uint32_t> lives;
    for (std::size_t i = 0; i < all.size(); ++i) {
        auto b = all[i];
        b.lives = static_cast<std::uint32_t>(1000 + i);
        lives[b.at.offset()] = b.lives;
        give(s, b, 1024);
    }
    auto other = w.first.session();
    auto const got = take_all(other, 1024);
    REQUIRE(got.size() == all.size() - local_session::max_freed); // the rest is still in the hands of the first
    for (auto const& b : got) {
        CAPTURE(b.at.offset());
        REQUIRE(lives.at(b.at.offset()) == b.lives);
        lives.erase(b.at.offset());
    }
    close(s);
    REQUIRE(take_all(other, 1024).size() == local_session::max_freed);
}

TEST_CASE("out of memory is an error that loses nothing: what is freed can be had again, all of it, many times") {
    test::world w(room_for(5) + 4096, 2, options()); // the last piece is less than a chunk: never used
    auto& s = w.first.s;
    auto const all = take_all(s, 1024);
    REQUIRE(all.size() == 2 * 5 * chunk / 1024);
    for (int i = 0; i < 5; ++i) REQUIRE(sync_wait(s, allocate(s, 1024)).error().code == errc::out_of_memory);
    for (int round = 0; round < 3; ++round) {
        for (auto const& b : all) give(s, b, 1024);
        auto const again = take_all(s, 1024);
        REQUIRE(again.size() == all.size());
        std::set<std::uint64_t> different;
        for (auto const& b : again) different.insert(b.at.word());
        REQUIRE(different.size() == all.size());
    }
    auto other = w.first.session(); // the same error for who comes later
    REQUIRE(sync_wait(other, allocate(other, 64)).error().code == errc::out_of_memory);
    give(s, all.front(), 1024);
    close(s);
    REQUIRE(take(other, 1024).at == all.front().at);
}

TEST_CASE("a memory node that is full does not stop the others from giving") {
    test::world w(room_for(8), 3, options());
    auto filler = w.first.session();
    test::raw_write(w.fabric, {1, cursor_offset}, 8 * chunk); // node 1 has nothing left
    std::set<std::uint16_t> nodes;
    auto const all = take_all(filler, 4096);
    for (auto const& b : all) nodes.insert(b.at.node());
    REQUIRE(nodes == std::set<std::uint16_t>{0, 2});
    REQUIRE(all.size() == 2 * 8 * chunk / 4096);
}

TEST_CASE("a session that closes gives back what it did not use: a hundred of them take no more than a few") {
    test::world w(16U << 20U, 2, options());
    auto const before = taken(w);
    std::uint64_t after_two = 0;
    for (int i = 0; i < 100; ++i) {
        auto s = w.first.session();
        std::vector<block> mine;
        for (int n = 0; n < 70; ++n) mine.push_back(take(s, 1024)); // more than a session keeps when it frees them
        for (auto const& b : mine) give(s, b, 1024);
        close(s);
        if (i == 1) after_two = taken(w);
    }
    REQUIRE(after_two > before);
    REQUIRE(taken(w) <= after_two + 2 * 2 * chunk);
    REQUIRE(test::bytes_in_use<local_session>(w.fabric, w.first.pool.geometry(), {&w.first.s}) == 0);
}

TEST_CASE("a session that only cuts and closes leaves its remainders to the next, block by block") {
    test::world w(room_for(4), 1, options());
    std::vector<range> ranges;
    for (;;) { // each session takes one block only
        auto s = w.first.session();
        auto const b = sync_wait(s, allocate(s, 1024));
        if (!b) break;
        ranges.push_back({b->at.node(), b->at.offset(), b->at.offset() + 1024});
        close(s);
        REQUIRE(test::bytes_in_hand(s) == 0);
    }
    REQUIRE(ranges.size() == 4 * chunk / 1024); // not a block was lost
    require_disjoint(ranges, room_for(4));
}

TEST_CASE("releasing twice, or with nothing held, gives back nothing more") {
    test::world w(4U << 20U, 2, options());
    auto s = w.first.session();
    close(s);
    auto const b = take(s, 1024);
    give(s, b, 1024);
    close(s);
    auto const head = test::raw_read(w.fabric, free_list_of(b.at.node(), 1024));
    close(s);
    REQUIRE(test::raw_read(w.fabric, free_list_of(b.at.node(), 1024)) == head);
    REQUIRE(take(s, 1024).lives == 0); // and the session goes on
}

TEST_CASE("blocks of two sizes are freed to their own lists") {
    test::world w(room_for(8), 1, options());
    auto& s = w.first.s;
    auto const small = take(s, 512);
    auto const large = take(s, 2048);
    give(s, small, 512);
    give(s, large, 2048);
    REQUIRE(take(s, 512).at == small.at);
    REQUIRE(take(s, 2048).at == large.at);
    give(s, small, 512);
    give(s, large, 2048);
    close(s);
    REQUIRE(free_list_head(test::raw_read(w.fabric, free_list_of(0, 512))).offset() == small.at.offset());
    REQUIRE(free_list_head(test::raw_read(w.fabric, free_list_of(0, 2048))).offset() == large.at.offset());
    auto other = w.first.session();
    REQUIRE(take(other, 2048).at == large.at);
    REQUIRE(take(other, 512).at == small.at);
}

TEST_CASE("every size class has a list of its own") {
    std::set<std::uint64_t> heads;
    for (auto const bytes : block_sizes(max_block_bytes)) {
        auto const head = free_list_of(5, bytes);
        REQUIRE(head.node() == 5);
        REQUIRE(head.offset() % word_bytes == 0);
        REQUIRE(heads.insert(head.offset()).second);
        REQUIRE(link_offset(bytes) + word_bytes == bytes);
        REQUIRE(link_offset(bytes) >= block_header::bytes);
    }
}

// --- whose is what: chunk table and headers ---

TEST_CASE("words of the chunk table keep what they are given") {
    auto const owned = chunk_word::owned(0x7ffff, max_block_bytes);
    REQUIRE(owned.state() == chunk_state::owned);
    REQUIRE(owned.owner() == 0x7ffff);
    REQUIRE(owned.block_bytes() == max_block_bytes);
    REQUIRE(owned.first() == 0);
    auto const rest = chunk_word::released(192, max_chunk_bytes - 64);
    REQUIRE(rest.state() == chunk_state::released);
    REQUIRE(rest.owner() == 0);
    REQUIRE(rest.block_bytes() == 192);
    REQUIRE(rest.first() == max_chunk_bytes - 64);
    REQUIRE(rest.has_room_for(192));
    REQUIRE_FALSE(rest.has_room_for(256));
    REQUIRE(chunk_word::released(0, 0).has_room_for(256));
    REQUIRE_FALSE(owned.has_room_for(max_block_bytes));
    REQUIRE(chunk_word().state() == chunk_state::unused);
}

TEST_CASE("a chunk has its owner's name before the first block is cut, and no two sizes share one") {
    test::world w(room_for(8), 1, options());
    auto& s = w.first.s;
    auto const small = take(s, 512);
    auto const large = take(s, 2048);
    auto const me = w.first.pool.self().tag();
    REQUIRE(table_word(w, 0).bits() == chunk_word::owned(me, 512).bits());
    REQUIRE(table_word(w, 1).bits() == chunk_word::owned(me, 2048).bits());
    REQUIRE(table_word(w, 2).bits() == 0);
    for (int i = 0; i < 7; ++i) REQUIRE(take(s, 2048).at.offset() - large.at.offset() < chunk);
    for (int i = 0; i < 31; ++i) REQUIRE(take(s, 512).at.offset() - small.at.offset() < chunk);
    REQUIRE(table_word(w, 2).bits() == 0);
}

TEST_CASE("the rest of a chunk goes to who wants blocks of its size") {
    test::world w(room_for(2), 1, options());
    {
        auto s = w.first.session();
        (void)take(s, 512);
        (void)take(s, 2048);
        close(s);
    }
    REQUIRE(table_word(w, 0).bits() == chunk_word::released(512, 512).bits());
    REQUIRE(table_word(w, 1).bits() == chunk_word::released(2048, 2048).bits());
    REQUIRE(released(w, 512) == 1);
    REQUIRE(released(w, 2048) == 1);
    auto other = w.join(options());
    REQUIRE(sync_wait(other.s, allocate(other.s, 1024)).error().code == errc::out_of_memory);
    REQUIRE(take(other.s, 2048).at.offset() == heap_begin(2) + chunk + 2048);
    REQUIRE(table_word(w, 1).bits() == chunk_word::owned(other.pool.self().tag(), 2048).bits());
    REQUIRE(released(w, 2048) == 0);
    REQUIRE(take_all(other.s, 2048).size() == 6);
    REQUIRE(take_all(w.first.s, 512).size() == 31);
}

TEST_CASE("a count that is too high costs a look at the table and nothing else") {
    test::world w(room_for(2), 1, options());
    test::raw_write(w.fabric, released_count_of(0, 512), 3);
    REQUIRE(take_all(w.first.s, 512).size() == 64);
    REQUIRE(released(w, 512) == 3);
}

TEST_CASE("who finds the chunk that it took adopted by another takes the next one") {
    test::world w(room_for(3), 1, options());
    test::raw_write(w.fabric, chunk_word_at(0, 0), chunk_word::owned(12345, 64).bits());
    REQUIRE(take(w.first.s, 512).at.offset() == heap_begin(3) + chunk);
    REQUIRE(table_word(w, 0).owner() == 12345);
}

TEST_CASE("a block says who holds it while it goes from hand to hand") {
    test::world w(room_for(2), 1, options());
    auto other = w.join(options());
    auto& s = w.first.s;
    auto b = take(s, 512);
    REQUIRE(header_of(w, b).unwritten()); // the owner of the chunk has it
    b.lives = 7;
    ok(sync_wait(s, detail::share(s, b, 512)));
    REQUIRE(header_of(w, b).shared());
    REQUIRE(header_of(w, b).lock() == 0);
    REQUIRE(header_of(w, b).dead());
    REQUIRE(header_of(w, b).lives() == 7);
    auto const before = other.s.stats();
    auto const again = take(other.s, 512);
    REQUIRE(other.s.stats().round_trips - before.round_trips == 4);
    REQUIRE(again.at == b.at);
    REQUIRE(again.lives == 7);
    REQUIRE(header_of(w, b).holder() == other.pool.self().tag());
    REQUIRE(header_of(w, b).in_no_index());
    REQUIRE_FALSE(header_of(w, b).unwritten());
    auto const trips = s.stats().round_trips;
    ok(sync_wait(s, detail::share(s, take(s, 512), 512)));
    REQUIRE(s.stats().round_trips - trips == 2);
}
