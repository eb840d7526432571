// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <atomic>
#include <cstdint>
#include <set>
#include <vector>

#include <catena/pool/free_list.hpp>
#include <catena/pool/node_allocator.hpp>

#include <pool/clock_fabric.hpp>
#include <support/catch.hpp>
#include <support/scale.hpp>
#include <support/threads.hpp>
#include <support/world.hpp>

using namespace catena;
using test::ok;
using test::raw_read;
using test::raw_write;

namespace {

constexpr std::uint64_t bytes = 256;
constexpr std::uint64_t link_at = link_offset(bytes);

remote_ptr block_at(std::uint64_t n, std::uint16_t node = 0) { return {node, heap_offset + n * bytes}; }

template <typename Session>
void push(Session& s, remote_ptr b) {
    ok(sync_wait(s, push_free(s, free_list_of(b.node(), bytes), b, link_at)));
}
template <typename Session>
remote_ptr pop(Session& s, std::uint16_t node = 0) {
    return ok(sync_wait(s, pop_free(s, free_list_of(node, bytes), link_at)));
}

} // namespace

TEST_CASE("a head names a block of its memory node, up to 256 TiB, and counts its changes") {
    free_list_head const empty(0);
    REQUIRE(empty.empty());
    for (std::uint64_t const offset :
         {std::uint64_t{64}, std::uint64_t{65536}, std::uint64_t{1} << 40U, (std::uint64_t{1} << 48U) - 64}) {
        CAPTURE(offset);
        auto const h = empty.with(offset);
        REQUIRE(h.offset() == offset);
        REQUIRE_FALSE(h.empty());
        REQUIRE(h.with(0).empty());
        REQUIRE(h.bits() != h.with(offset).bits()); // the same block again is another head
    }
    // the tag comes round after 2^22 changes, and touches nothing else
    free_list_head h(0);
    for (int i = 0; i < 1 << 22; ++i) h = h.with(4096);
    REQUIRE(h.bits() == 4096 / block_granule);
}

TEST_CASE("an empty list gives nothing, for one round trip") {
    test::world w(1U << 20U);
    auto const before = w.first.s.stats().round_trips;
    REQUIRE_FALSE(static_cast<bool>(pop(w.first.s)));
    REQUIRE(w.first.s.stats().round_trips == before + 1);
}

TEST_CASE("blocks come back last in, first out, each memory node's from its own list") {
    test::world w(1U << 20U, 2);
    auto& s = w.first.s;
    for (std::uint64_t n = 0; n < 100; ++n) {
        push(s, block_at(n, 0));
        push(s, block_at(n, 1));
    }
    for (std::uint16_t node = 0; node < 2; ++node) {
        for (std::uint64_t n = 100; n-- > 0;) REQUIRE(pop(s, node) == block_at(n, node));
        REQUIRE_FALSE(static_cast<bool>(pop(s, node)));
        REQUIRE_FALSE(static_cast<bool>(pop(s, node)));
    }
}

TEST_CASE("a push takes 2 round trips and a pop 3 when nobody else is there") {
    test::world w(1U << 20U);
    auto& s = w.first.s;
    auto const before = s.stats().round_trips;
    push(s, block_at(1));
    REQUIRE(s.stats().round_trips == before + 2);
    (void)pop(s);
    REQUIRE(s.stats().round_trips == before + 5);
}

TEST_CASE("a push writes the link word of its block and no other") {
    test::world w(1U << 20U);
    for (std::uint64_t i = 0; i < bytes; i += word_bytes) raw_write(w.fabric, block_at(2) + i, 7777);
    push(w.first.s, block_at(1));
    push(w.first.s, block_at(2));
    for (std::uint64_t i = 0; i < bytes; i += word_bytes)
        REQUIRE(raw_read(w.fabric, block_at(2) + i) == (i == link_at ? block_at(1).offset() : 7777));
}

TEST_CASE("a block that was taken and pushed again while another client pops does not break the list (ABA)") {
    // By hand: R1 and R2 of a pop; then others take two blocks and put the first one back; then R3.
    test::world w(1U << 20U);
    auto& s = w.first.s;
    for (std::uint64_t n = 1; n <= 3; ++n) push(s, block_at(n)); // 3 on top of 2 on top of 1
    auto const head = free_list_of(0, bytes);
    free_list_head const seen(raw_read(w.fabric, head));
    REQUIRE(seen.offset() == block_at(3).offset());
    auto const next = raw_read(w.fabric, block_at(3) + link_at);
    REQUIRE(next == block_at(2).offset());
    REQUIRE(pop(s) == block_at(3));
    REQUIRE(pop(s) == block_at(2)); // somebody uses 2 now
    push(s, block_at(3));
    op take = op::cas(head, seen.bits(), seen.with(next).bits());
    ok(s.submit(take).await_resume());
    REQUIRE_FALSE(take.swapped()); // else the list would lead to 2
    REQUIRE(pop(s) == block_at(3));
    REQUIRE(pop(s) == block_at(1));
    REQUIRE_FALSE(static_cast<bool>(pop(s)));
}

TEST_CASE("a link word that is somebody's data while a pop reads it is thrown away") {
    // Another client has taken the block and writes into it; our R3 must fail, whatever R2 read.
    test::world w(1U << 20U);
    auto& s = w.first.s;
    push(s, block_at(1));
    auto const head = free_list_of(0, bytes);
    free_list_head const seen(raw_read(w.fabric, head));
    REQUIRE(pop(s) == block_at(1));
    raw_write(w.fabric, block_at(1) + link_at, ~word{0});
    op take = op::cas(head, seen.bits(), seen.with(~word{0} % w.first.pool.geometry().node_bytes).bits());
    ok(s.submit(take).await_resume());
    REQUIRE_FALSE(take.swapped());
}

TEST_CASE("threads that take and give back never hold a block twice, and lose none") {
    test::world w(1U << 20U);
    constexpr std::size_t blocks = 12;
    constexpr std::size_t threads = 4;
    for (std::uint64_t n = 0; n < blocks; ++n) push(w.first.s, block_at(n));
    std::array<std::atomic<int>, blocks> held{};
    std::atomic<std::uint64_t> taken{0};
    test::run_threads(threads, [&](std::size_t who) {
        auto c = w.join({.lease = std::chrono::seconds(60), .chunk_bytes = 0, .patience = std::chrono::seconds(60)});
        std::vector<remote_ptr> mine;
        for (std::size_t i = 0; i < test::scaled(4'000); ++i) {
            auto const b = pop(c.s);
            if (b) {
                auto const n = (b.offset() - heap_offset) / bytes;
                test::expect(n < blocks && b == block_at(n), "no block of ours");
                test::expect(held[n].fetch_add(1) == 0, "a block held twice");
                raw_write(w.fabric, b + link_at, ~word{0} - who); // use it: its link is our data now
                ++taken;
                mine.push_back(b);
            }
            if (mine.size() > 2 || (!b && !mine.empty())) {
                held[(mine.front().offset() - heap_offset) / bytes].fetch_sub(1);
                push(c.s, mine.front());
                mine.erase(mine.begin());
            }
        }
        for (auto const b : mine) {
            held[(b.offset() - heap_offset) / bytes].fetch_sub(1);
            push(c.s, b);
        }
    });
    std::set<std::uint64_t> left;
    for (auto b = pop(w.first.s); b; b = pop(w.first.s)) REQUIRE(left.insert(b.offset()).second);
    REQUIRE(left.size() == blocks);
    REQUIRE(taken > 100);
}
