// SPDX-License-Identifier: Apache-2.0
// What a fence promises, on every fabric of this machine: within one process here, fence_processes_test.cpp has others.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>

#include <catena/fabric/local_fabric.hpp>
#include <catena/fabric/shm_fabric.hpp>

#include <fabric/processes.hpp>
#include <support/catch.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>
#include <support/threads.hpp>
#include <support/world.hpp>

using namespace catena;
using test::ok;

namespace {

constexpr client_id a{11}, b{22};
constexpr std::uint64_t node_bytes = 64 * 1024;

struct local_world {
    local_fabric fabric = ok(local_fabric::create(node_bytes, 2));
};
struct shm_world {
    test::segment_name name;
    shm_fabric fabric = ok(shm_fabric::open(name, {.node_bytes = node_bytes, .nodes = 2}));
};

result<void> run(immediate_channel& c, batch ops) { return c.submit(ops).await_resume(); }
result<void> run(immediate_channel& c, op& single) { return run(c, batch(&single, 1)); }
result<void> fence(immediate_channel& c, client_id id) { return c.fence(id).await_resume(); }
/// On a busy machine a thread may not run for longer than a fence waits.
void fence_at_last(immediate_channel& c, client_id id) {
    for (int tries = 0; tries < 100; ++tries) {
        auto const r = fence(c, id);
        if (r) return;
        test::expect(r.error().code == errc::timed_out, "another error");
    }
    throw test::failure("a batch that does not end");
}
word read(immediate_channel& c, remote_ptr at) {
    word w = 0;
    op one = op::read(at, &w, sizeof w);
    ok(run(c, one));
    return w;
}

} // namespace

TEMPLATE_TEST_CASE("after a fence no WRITE and no atomic of any channel of that client does anything; READs go on", "",
                   local_world, shm_world) {
    TestType w;
    auto one = ok(w.fabric.connect(a)), two = ok(w.fabric.connect(a)), other = ok(w.fabric.connect(b));
    word const value = 7;
    op first = op::write({1, 64}, &value, sizeof value);
    ok(run(one, first));
    ok(fence(other, a));
    for (auto* const c : {&one, &two}) {
        word const wrong = 99;
        word seen = 55;
        std::array write{op::write({1, 64}, &wrong, sizeof wrong)};
        std::array cas{op::cas({1, 64}, 7, 99)};
        std::array faa{op::faa({1, 64}, 99)};
        std::array mixed{op::read({1, 64}, &seen, sizeof seen), op::write({0, 64}, &wrong, sizeof wrong)};
        auto const trips = c->stats();
        for (batch const ops : {batch(write), batch(cas), batch(faa), batch(mixed)})
            REQUIRE(run(*c, ops).error().code == errc::fenced);
        REQUIRE(seen == 55); // nothing of the batch was done
        REQUIRE(c->stats() == trips);
        REQUIRE(read(*c, {1, 64}) == 7);
        REQUIRE(read(*c, {0, 64}) == 0);
    }
    op add = op::faa({1, 64}, 1);
    ok(run(other, add));
    REQUIRE(add.fetched == 7);
    auto nobody = ok(w.fabric.connect());
    ok(run(nobody, add));
    ok(fence(nobody, b)); // whoever it is that fences
    REQUIRE(run(other, add).error().code == errc::fenced);
    ok(fence(other, b)); // itself, and though it is fenced itself
}

TEMPLATE_TEST_CASE("a channel that a fenced client connects later is fenced", "", local_world, shm_world) {
    TestType w;
    auto other = ok(w.fabric.connect(b));
    ok(fence(other, a));
    auto late = ok(w.fabric.connect(a));
    op add = op::faa({0, 0}, 1);
    REQUIRE(run(late, add).error().code == errc::fenced);
    REQUIRE(read(late, {0, 0}) == 0);
}

TEMPLATE_TEST_CASE("a fence is one round trip, and nobody can be fenced who has no name", "", local_world, shm_world) {
    TestType w;
    auto c = ok(w.fabric.connect(b));
    ok(fence(c, a));
    REQUIRE(c.stats() == fabric_stats{.round_trips = 1});
    REQUIRE(fence(c, anonymous_client).error().code == errc::invalid_argument);
}

TEMPLATE_TEST_CASE("channels that are moved stay what they are, in a fabric that is moved; what is left of them writes "
                   "nothing",
                   "", local_world, shm_world) {
    TestType w;
    auto before = ok(w.fabric.connect(a));
    auto const fabric = std::move(w.fabric);
    auto first = std::move(before);
    auto second = std::move(first);
    op add = op::faa({0, 0}, 1);
    ok(run(second, add));
    REQUIRE(run(first, add).error().code == errc::invalid_argument); // NOLINT: moved from, on purpose
    REQUIRE(fence(first, b).error().code == errc::unsupported);      // NOLINT
    ok(fence(second, a));
    first = std::move(second);
    REQUIRE(run(first, add).error().code == errc::fenced);
    REQUIRE(run(second, add).error().code == errc::invalid_argument); // NOLINT
    REQUIRE(read(first, {0, 0}) == 1);
}

TEMPLATE_TEST_CASE("channels come and go by the thousand", "", local_world, shm_world) {
    TestType w;
    for (std::uint64_t i = 0; i < 10'000; ++i) {
        auto c = ok(w.fabric.connect(client_id{1 + i % 1500}));
        op add = op::faa({0, 0}, 1);
        ok(run(c, add));
    }
}

TEST_CASE("a channel that belongs to no fabric can fence nobody") {
    alignas(64) std::array<std::byte, 64> memory{};
    immediate_channel c(memory.data(), 1, memory.size(), memory.size());
    REQUIRE(fence(c, a).error().code == errc::unsupported);
    op add = op::faa({0, 0}, 1);
    ok(run(c, add));
}

// Two threads write for one client: a batch of equal numbers over many words, and one with an atomic. A third one fences
// it at some moment, looks, and looks again later.
TEMPLATE_TEST_CASE("a batch in flight took effect before the fence was over, or never does", "", local_world,
                   shm_world) {
    TestType w;
    constexpr std::size_t words = 100;
    auto const seed = test::test_seed(21);
    auto const rounds = test::scaled(200);
    std::atomic<std::uint64_t> started{0}, stopped{0};
    std::uint64_t batches = 0;
    test::run_threads(3, [&](std::size_t who) {
        for (std::uint64_t round = 1; round <= rounds; ++round) {
            client_id const id{round};
            if (who > 0) {
                auto c = ok(w.fabric.connect(id));
                std::array<word, words> numbers{};
                for (word i = round << 32U;; ++i) {
                    numbers.fill(i);
                    std::array ops{op::write({0, 0}, numbers.data(), sizeof numbers), op::faa({1, 0}, 1)};
                    auto const r = who == 1 ? run(c, batch(ops)) : run(c, ops[1]);
                    if (!r) {
                        test::expect(r.error().code == errc::fenced, "another error");
                        break;
                    }
                    if (i == round << 32U) ++started;
                }
                ++stopped;
                while (stopped.load() < 3 * round) std::this_thread::yield();
                continue;
            }
            auto c = ok(w.fabric.connect());
            while (started.load() < 2 * round) std::this_thread::yield();
            test::random_source random(seed + round);
            for (auto spin = random.below(2000); spin > 0; --spin) (void)stopped.load();
            fence_at_last(c, id);
            auto const look = [&] {
                std::array<word, words> seen{};
                word count = 0;
                std::array ops{op::read({0, 0}, seen.data(), sizeof seen), op::read({1, 0}, &count, sizeof count)};
                ok(run(c, batch(ops)));
                test::expect(std::equal(seen.begin() + 1, seen.end(), seen.begin()), "a part of a batch");
                test::expect(seen[0] >> 32U == round, "not of this round");
                return std::pair(seen[0], count);
            };
            auto const then = look();
            while (stopped.load() < 3 * round - 1) std::this_thread::yield();
            test::expect(look() == then, "something took effect after the fence");
            batches += then.second;
            ++stopped;
        }
    });
    REQUIRE(batches > rounds);
}
