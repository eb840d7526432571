// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <catena/fabric/immediate_channel.hpp>
#include <catena/fabric/local_fabric.hpp>

#include <support/catch.hpp>
#include <support/scale.hpp>
#include <support/threads.hpp>
#include <support/world.hpp>

using namespace catena;
using test::ok;

namespace {

constexpr std::uint64_t node_bytes = 4096;

/// Submits what must succeed.
void run(immediate_channel& c, batch ops) { ok(c.submit(ops).await_resume()); }
void run(immediate_channel& c, op& single) { run(c, batch(&single, 1)); }

word word_at(local_fabric& f, remote_ptr at) {
    word w = 0;
    std::memcpy(&w, f.raw(at.node()) + at.offset(), sizeof w);
    return w;
}

} // namespace

TEST_CASE("a batch is counted exactly: one round trip, every verb, every byte, one doorbell for each memory node") {
    auto fabric = ok(local_fabric::create(node_bytes, 5));
    auto c = ok(fabric.connect());
    std::array<word, 8> buffer{};
    std::array ops{op::read({0, 0}, buffer.data(), 64),
                   op::read({2, 8}, buffer.data(), 3),
                   op::write({2, 100}, buffer.data(), 17),
                   op::cas({4, 16}, 0, 1),
                   op::faa({4, 24}, 2),
                   op::faa({0, 32}, 3)};
    run(c, ops);
    REQUIRE(c.stats() == fabric_stats{.round_trips = 1,
                                      .reads = 2,
                                      .writes = 1,
                                      .cas = 1,
                                      .faa = 2,
                                      .bytes_read = 64 + 3 + 3 * 8,
                                      .bytes_written = 17 + 3 * 8,
                                      .doorbells = 3,
                                      .retries = 0});
    REQUIRE(c.stats().verbs() == 6);
    auto const first = c.stats();
    op one = op::write({4, 0}, buffer.data(), 8);
    run(c, one);
    REQUIRE(c.stats() - first == fabric_stats{.round_trips = 1,
                                              .reads = 0,
                                              .writes = 1,
                                              .cas = 0,
                                              .faa = 0,
                                              .bytes_read = 0,
                                              .bytes_written = 8,
                                              .doorbells = 1,
                                              .retries = 0});
    auto sum = first;
    sum += c.stats() - first;
    REQUIRE(sum == c.stats());
}

TEST_CASE("channels count for themselves") {
    auto fabric = ok(local_fabric::create(node_bytes));
    auto a = ok(fabric.connect());
    auto b = ok(fabric.connect());
    op add = op::faa({0, 0}, 1);
    run(a, add);
    REQUIRE(a.stats().faa == 1);
    REQUIRE(b.stats() == fabric_stats{});
}

TEST_CASE("operations of one batch take effect in posted order") {
    auto fabric = ok(local_fabric::create(node_bytes));
    auto c = ok(fabric.connect());
    word const seven = 7;
    word before = 99, between = 99, after = 99;
    std::array ops{op::read({0, 8}, &before, 8), op::write({0, 8}, &seven, 8), op::read({0, 8}, &between, 8),
                   op::cas({0, 8}, 7, 20),       op::faa({0, 8}, 5),           op::read({0, 8}, &after, 8)};
    run(c, ops);
    REQUIRE((before == 0 && between == 7 && after == 25));
    REQUIRE((ops[3].swapped() && ops[4].fetched == 20));
}

TEST_CASE("operations reach the memory node and offset that they name, and no other") {
    constexpr std::uint16_t nodes = 64;
    auto fabric = ok(local_fabric::create(node_bytes, nodes));
    auto c = ok(fabric.connect());
    for (std::uint16_t node = 0; node < nodes; ++node) {
        word const value = 1000U + node;
        op write = op::write({node, node_bytes - 8}, &value, 8);
        run(c, write);
    }
    for (std::uint16_t node = 0; node < nodes; ++node) {
        CAPTURE(node);
        REQUIRE(word_at(fabric, {node, node_bytes - 8}) == 1000U + node);
        REQUIRE(word_at(fabric, {node, 0}) == 0);
    }
}

TEST_CASE("an operation outside its memory node or a misaligned atomic is refused, and nothing of its batch is done") {
    auto fabric = ok(local_fabric::create(node_bytes, 2));
    auto c = ok(fabric.connect());
    std::array<std::byte, 2 * node_bytes> buffer{};
    word const mark = 0xabcdef;
    std::vector<op> const wrong{
        op::read({0, node_bytes}, buffer.data(), 1),
        op::read({0, node_bytes - 7}, buffer.data(), 8),
        op::read({0, 0}, buffer.data(), node_bytes + 1),
        op::write({1, node_bytes - 1}, buffer.data(), 2),
        op::write({1, remote_ptr::max_offset}, buffer.data(), 8),
        op::write({1, 0}, buffer.data(), 0xffffffffU), // longer than the memory node
        op::read({2, 0}, buffer.data(), 8),            // there are two memory nodes
        op::read({64, 0}, buffer.data(), 8),
        op::write({0xffff, 0}, buffer.data(), 8),
        op::cas({0, node_bytes}, 0, 1),
        op::cas({0, node_bytes - 4}, 0, 1),
        op::faa({1, 4}, 1),
        op::faa({1, 1}, 1),
        op::cas({0, 9}, 0, 1),
    };
    for (std::size_t i = 0; i < wrong.size(); ++i)
        for (std::size_t place = 0; place < 3; ++place) { // the wrong one first, in the middle, last
            CAPTURE(i, place);
            std::vector<op> ops{op::write({0, 64}, &mark, 8), op::faa({1, 64}, 1)};
            ops.insert(ops.begin() + static_cast<std::ptrdiff_t>(place), wrong[i]);
            auto const r = c.submit(ops).await_resume();
            REQUIRE_FALSE(r);
            REQUIRE(r.error() == make_error(errc::invalid_argument, wrong[i].target.node()));
            REQUIRE(word_at(fabric, {0, 64}) == 0);
            REQUIRE(word_at(fabric, {1, 64}) == 0);
        }
    REQUIRE(c.stats() == fabric_stats{});
}

TEST_CASE("operations that just fit are done") {
    auto fabric = ok(local_fabric::create(node_bytes));
    auto c = ok(fabric.connect());
    std::array<std::byte, node_bytes> buffer{};
    std::array ops{op::read({0, 0}, buffer.data(), node_bytes), op::read({0, node_bytes - 1}, buffer.data(), 1),
                   op::read({0, node_bytes}, buffer.data(), 0), op::faa({0, node_bytes - 8}, 1)};
    run(c, ops);
    REQUIRE(word_at(fabric, {0, node_bytes - 8}) == 1);
}

TEST_CASE("a submit is complete when it returns: awaiting it never suspends") {
    auto fabric = ok(local_fabric::create(node_bytes));
    auto c = ok(fabric.connect());
    op add = op::faa({0, 0}, 1);
    auto const done = c.submit(batch(&add, 1));
    REQUIRE(done.await_ready());
    REQUIRE(c.pause(std::chrono::nanoseconds(0)).await_ready());
    c.poll();
}

TEST_CASE("pause lets about that much time pass on the channel's clock, which never goes back") {
    auto fabric = ok(local_fabric::create(node_bytes));
    auto c = ok(fabric.connect());
    auto const before = c.now();
    ok(c.pause(std::chrono::milliseconds(2)).await_resume());
    auto const after = c.now();
    REQUIRE(after - before >= std::chrono::milliseconds(2));
    REQUIRE(c.now() >= after);
}

TEST_CASE("a reader never sees the flag of an ordered batch without its data") {
    auto fabric = ok(local_fabric::create(node_bytes));
    constexpr std::size_t words = 16;
    std::uint64_t const rounds = test::scaled(60'000);
    std::atomic<bool> stop{false};
    test::run_threads(3, [&](std::size_t who) {
        auto c = ok(fabric.connect());
        if (who == 0) {
            test::raise_at_end const stopping(stop);
            std::array<word, words> data;
            for (word i = 1; i <= rounds; ++i) {
                data.fill(i);
                std::array ops{op::write({0, 1024}, data.data(), sizeof data), op::write({0, 0}, &i, sizeof i)};
                run(c, ops);
            }
            return;
        }
        while (!stop) {
            word flag = 0;
            std::array<word, words> data{};
            std::array ops{op::read({0, 0}, &flag, sizeof flag), op::read({0, 1024}, data.data(), sizeof data)};
            run(c, ops);
            for (word const w : data) // newer data is fine: the writer went on
                test::expect(w >= flag,
                             "flag " + std::to_string(flag) + " came before its data, which says " + std::to_string(w));
        }
    });
}

TEST_CASE("a write that completed is seen by every read that is posted after it") {
    // Store buffering: two threads each announce themselves, then look for the other. Both must not miss each other.
    auto fabric = ok(local_fabric::create(node_bytes));
    std::uint64_t const rounds = test::scaled(20'000);
    std::atomic<std::uint64_t> arrived{0};
    std::array<std::vector<word>, 2> seen{std::vector<word>(rounds), std::vector<word>(rounds)};
    bool const one_batch = GENERATE(false, true);
    CAPTURE(one_batch);
    test::run_threads(2, [&](std::size_t who) {
        auto c = ok(fabric.connect());
        for (std::uint64_t i = 0; i < rounds; ++i) {
            ++arrived; // meet, so that both run at once
            while (arrived < 2 * (i + 1)) std::this_thread::yield();
            word const mine = i + 1;
            std::array ops{op::write({0, who * 64}, &mine, 8), op::read({0, (1 - who) * 64}, &seen[who][i], 8)};
            if (one_batch) {
                run(c, ops);
            } else {
                run(c, ops[0]);
                run(c, ops[1]);
            }
        }
    });
    for (std::uint64_t i = 0; i < rounds; ++i) {
        bool const met = seen[0][i] > i || seen[1][i] > i;
        if (!met) FAIL("both missed each other in round " << i);
    }
}

TEST_CASE("atomics of many threads lose nothing") {
    auto fabric = ok(local_fabric::create(node_bytes));
    std::uint64_t const each = test::scaled(20'000);
    test::run_threads(4, [&](std::size_t who) {
        auto c = ok(fabric.connect());
        for (std::uint64_t i = 0; i < each; ++i) {
            if (who % 2 == 0) {
                op add = op::faa({0, 8}, 1);
                run(c, add);
            } else {
                word expected = 0;
                for (;;) {
                    op swap = op::cas({0, 8}, expected, expected + 1);
                    run(c, swap);
                    if (swap.swapped()) break;
                    expected = swap.fetched;
                }
            }
        }
    });
    REQUIRE(word_at(fabric, {0, 8}) == 4 * each);
}
