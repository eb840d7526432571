// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <catena/pool/node_allocator.hpp>

#include <pool/clock_fabric.hpp>
#include <support/accounting.hpp>
#include <support/catch.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>
#include <support/threads.hpp>
#include <support/world.hpp>

using namespace catena;
using namespace std::chrono_literals;
using test::local_session;
using test::ok;

namespace {

constexpr std::uint64_t chunk = 16384;
pool_options options() { return {.lease = 60s, .chunk_bytes = chunk, .patience = 60s}; }

block take(local_session& s, std::uint64_t bytes) { return ok(sync_wait(s, allocate(s, bytes))); }
void give(local_session& s, block b, std::uint64_t bytes) { ok(sync_wait(s, free_block(s, b, bytes))); }
void close(local_session& s) { ok(sync_wait(s, release_all(s))); }
std::uint64_t taken(test::world& w) { return ok(test::local_client::pool_type::usage(w.first.s)).bytes_taken; }

/// Everything that can be had, then out_of_memory.
std::vector<block> take_all(local_session& s, std::uint64_t bytes) {
    std::vector<block> all;
    for (;;) {
        auto const b = sync_wait(s, allocate(s, bytes));
        if (!b) {
            test::expect(b.error().code == errc::out_of_memory, "another error");
            return all;
        }
        all.push_back(*b);
    }
}

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
        REQUIRE(ranges[i].begin >= heap_offset);
        REQUIRE(ranges[i].end <= node_bytes);
        REQUIRE(ranges[i].begin % block_granule == 0);
        if (i > 0 && ranges[i - 1].node == ranges[i].node) REQUIRE(ranges[i - 1].end <= ranges[i].begin);
    }
}

} // namespace

TEST_CASE("blocks of every size are aligned, lie in the heap and do not overlap") {
    test::world w(8U << 20U, 3, options());
    auto const seed = test::test_seed(71);
    CAPTURE(seed);
    test::random_source random(seed);
    std::vector<range> ranges;
    for (int i = 0; i < 2000; ++i) {
        auto const bytes = block_granule * (1 + random.below(max_block_bytes / block_granule));
        auto const b = take(w.first.s, bytes);
        REQUIRE(b.lives == 0);
        ranges.push_back({b.at.node(), b.at.offset(), b.at.offset() + bytes});
    }
    require_disjoint(ranges, 8U << 20U);
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
        REQUIRE(after - before <= 5);
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
                test::expect(test::raw_read(w.fabric, b.at) == tag_of(b), "somebody else wrote to my block");
                blocks.pop_back();
                give(c.s, b, bytes);
                continue;
            }
            std::uint64_t const bytes = random.one_in(4) ? 512 : 1024;
            auto const b = take(c.s, bytes);
            test::raw_write(w.fabric, b.at, tag_of(b));
            blocks.emplace_back(b, bytes);
        }
        for (auto const& [b, bytes] : blocks)
            test::expect(test::raw_read(w.fabric, b.at) == tag_of(b), "my tag is gone");
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
    test::world w(heap_offset + 16 * chunk, 1, options());
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
    test::world w(heap_offset + 5 * chunk + 4096, 2, options()); // the last piece is less than a chunk: never used
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
    test::world w(heap_offset + 8 * chunk, 3, options());
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
    test::world w(heap_offset + 4 * chunk, 1, options());
    std::vector<range> ranges;
    for (;;) { // each session takes one block only
        auto s = w.first.session();
        auto const b = sync_wait(s, allocate(s, 1024));
        if (!b) break;
        ranges.push_back({b->at.node(), b->at.offset(), b->at.offset() + 1024});
        close(s);
        REQUIRE(s.allocation().freed.empty());
        for (auto const& c : s.allocation().chunks) REQUIRE(c.next == c.end);
    }
    REQUIRE(ranges.size() == 4 * chunk / 1024); // not a block was lost
    require_disjoint(ranges, heap_offset + 4 * chunk);
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
    test::world w(heap_offset + 8 * chunk, 1, options());
    auto& s = w.first.s;
    auto const small = take(s, 512);
    auto const large = take(s, 2048);
    give(s, small, 512);
    give(s, large, 2048); // the session keeps one size; the other goes to the memory node
    REQUIRE(free_list_head(test::raw_read(w.fabric, free_list_of(0, 2048))).offset() == large.at.offset());
    REQUIRE(take(s, 512).at == small.at);
    auto other = w.first.session();
    REQUIRE(take(other, 2048).at == large.at);
}

TEST_CASE("every size class has a list of its own") {
    std::set<std::uint64_t> heads;
    for (std::uint64_t bytes = block_granule; bytes <= max_block_bytes; bytes += block_granule) {
        auto const head = free_list_of(5, bytes);
        REQUIRE(head.node() == 5);
        REQUIRE(head.offset() % word_bytes == 0);
        REQUIRE(heads.insert(head.offset()).second);
        REQUIRE(link_offset(bytes) + word_bytes == bytes);
        REQUIRE(lives_offset(bytes) + word_bytes == link_offset(bytes));
    }
}
