// SPDX-License-Identifier: Apache-2.0
// Batches over queue pairs, against the same batches on local memory.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <support/catch.hpp>
#include <support/random.hpp>

#include <catena/fabric/local_fabric.hpp>

#include "verbs/rdma.hpp"

using namespace catena;
using namespace catena::test;

namespace {

constexpr std::uint64_t node_bytes = 4U << 20U;

/// The operations of one batch and their buffers, which lie in the channel's memory or anywhere.
struct some_ops {
    std::vector<op> ops;
    std::vector<std::byte> anywhere;
    std::byte* registered = nullptr;
    std::size_t bytes = 0;

    [[nodiscard]] std::vector<std::byte> all_buffers() const {
        std::vector<std::byte> all(anywhere);
        all.insert(all.end(), registered, registered + bytes);
        return all;
    }
};

/// The same batch, whatever the channel: from the same seed.
some_ops random_batch(random_source random, any_channel& c, std::uint16_t nodes, std::size_t most_ops,
                      std::size_t longest) {
    some_ops made;
    std::size_t const n = 1 + random.below(most_ops);
    made.bytes = n * longest;
    made.anywhere.resize(n * longest);
    made.registered = static_cast<std::byte*>(c.memory()->allocate(made.bytes, 64));
    for (std::size_t i = 0; i < made.bytes; ++i) {
        made.registered[i] = static_cast<std::byte>(random.next());
        made.anywhere[i] = static_cast<std::byte>(random.next());
    }
    for (std::size_t i = 0; i < n; ++i) {
        auto* const local = (random.one_in(2) ? made.registered : made.anywhere.data()) + i * longest;
        auto const length = random.one_in(3) ? random.below(longest + 1) : random.below(80);
        auto const node = static_cast<std::uint16_t>(random.below(nodes));
        remote_ptr const anywhere{node, random.below(node_bytes - longest)};
        remote_ptr const at_word{node, random.below(64) * word_bytes};
        switch (random.below(4)) {
        case 0: made.ops.push_back(op::read(anywhere, local, length)); break;
        case 1: made.ops.push_back(op::write(anywhere, local, length)); break;
        case 2: made.ops.push_back(op::cas(at_word, random.below(3), random.below(3))); break;
        default: made.ops.push_back(op::faa(at_word, random.below(3)));
        }
        made.ops.back().fenced = made.ops.back().kind != op_kind::read; // else it may overtake a READ
    }
    return made;
}

[[nodiscard, gnu::noinline]] task<result<void>> add_often(any_channel& c, remote_ptr at, int times) {
    for (int i = 0; i < times; ++i) {
        op add = op::faa(at, 1);
        if (auto const r = co_await c.submit(batch(&add, 1)); !r) co_return r.error();
    }
    co_return result<void>{};
}
[[nodiscard, gnu::noinline]] task<result<void>> paused(any_channel& c, std::chrono::nanoseconds d) {
    co_return co_await c.pause(d);
}

} // namespace

TEST_CASE("batches do on verbs what they do on local memory, and count the same", "[verbs]") {
    auto const seed = test_seed(31);
    CAPTURE(seed);
    constexpr std::uint16_t nodes = 2;
    cluster_here const cluster(node_bytes, nodes);
    auto fabric = cluster.open();
    auto remote = ok(fabric.connect());
    auto local = ok(local_fabric::create(node_bytes, nodes));
    any_fabric as_any(std::move(local));
    auto here = ok(as_any.connect());
    for (std::uint64_t round = 0; round < 150; ++round) {
        random_source const random(seed, round);
        auto const longest =
            round % 10 == 0 ? std::size_t{40'000} : std::size_t{600}; // longer than one piece of the ring
        auto mine = random_batch(random, remote, nodes, round % 7 == 0 ? 700 : 40, round % 7 == 0 ? 600 : longest);
        auto theirs = random_batch(random, here, nodes, round % 7 == 0 ? 700 : 40, round % 7 == 0 ? 600 : longest);
        ok(run(remote, mine.ops));
        ok(run(here, theirs.ops));
        REQUIRE(mine.all_buffers() == theirs.all_buffers());
        for (std::size_t i = 0; i < mine.ops.size(); ++i) REQUIRE(mine.ops[i].fetched == theirs.ops[i].fetched);
        REQUIRE(remote.stats() == here.stats());
        remote.memory()->deallocate(mine.registered, mine.bytes, 64);
        here.memory()->deallocate(theirs.registered, theirs.bytes, 64);
    }
    for (std::uint16_t n = 0; n < nodes; ++n) {
        std::vector<std::byte> there(node_bytes);
        op read = op::read({n, 0}, there.data(), there.size()); // 4 MiB that are not registered
        ok(run(here, read));
        REQUIRE(std::memcmp(there.data(), cluster.node(n).raw(), node_bytes) == 0);
        std::vector<std::byte> seen(node_bytes);
        op same = op::read({n, 0}, seen.data(), seen.size());
        ok(run(remote, same));
        REQUIRE(seen == there);
    }
}

TEST_CASE("what is invalid is refused as a whole and not counted", "[verbs]") {
    cluster_here const cluster(node_bytes);
    auto fabric = cluster.open();
    auto c = ok(fabric.connect());
    word w = 1;
    std::array ops{op::write({0, 0}, &w, sizeof w), op::read({0, node_bytes - 4}, &w, sizeof w)};
    auto r = run(c, ops);
    REQUIRE((!r && r.error() == make_error(errc::invalid_argument, 0)));
    op misaligned = op::faa({0, 4}, 1);
    r = run(c, misaligned);
    REQUIRE((!r && r.error().code == errc::invalid_argument));
    op elsewhere = op::faa({1, 0}, 1);
    r = run(c, elsewhere);
    REQUIRE((!r && r.error() == make_error(errc::invalid_argument, 1)));
    REQUIRE(c.stats() == fabric_stats{});
    ok(run(c, batch{}));
    op last = op::write({0, node_bytes - 8}, &w, sizeof w);
    ok(run(c, last));
    REQUIRE(c.stats().writes == 1);
}

TEST_CASE("more than the queue pair takes waits its turn; hundreds of coroutines share a thread", "[verbs]") {
    cluster_here const cluster(node_bytes, 2);
    auto fabric = cluster.open();
    auto c = ok(fabric.connect());
    constexpr int each = 5;
    std::vector<task<result<void>>> all;
    std::vector<std::vector<op>> batches; // of twice the depth of a queue pair
    for (std::uint16_t i = 0; i < 4; ++i) {
        auto& b = batches.emplace_back();
        for (int n = 0; n < 512; ++n) b.push_back(op::faa({static_cast<std::uint16_t>(n % 2), 8}, 1));
        all.push_back(submitted(c, b));
    }
    for (int i = 0; i < 300; ++i) all.push_back(add_often(c, {static_cast<std::uint16_t>(i % 2), 0}, each));
    drive(c, all);
    for (auto const& t : all) ok(t.take());
    for (std::uint16_t n = 0; n < 2; ++n) {
        word sums[2] = {0, 0};
        op read = op::read({n, 0}, sums, sizeof sums);
        ok(run(c, read));
        REQUIRE(sums[0] == 150 * each);
        REQUIRE(sums[1] == 4 * 256);
    }
    REQUIRE(c.stats().round_trips == 4 + 300 * each + 2);
    REQUIRE(c.stats().doorbells == 4 * 2 + 300 * each + 2);
}

TEST_CASE("a session locks little memory where there are no huge pages", "[verbs]") {
    auto const kib = [](char const* file, std::string const& name) { // "NAME:   12 kB"
        std::ifstream in(file);
        std::uint64_t n = 0;
        for (std::string line; std::getline(in, line);)
            if (line.starts_with(name)) n = std::stoull(line.substr(name.size() + 1));
        return n;
    };
    if (kib("/proc/meminfo", "HugePages_Free") != 0) {
        WARN("there are huge pages: not tested");
        return;
    }
    cluster_here const cluster(node_bytes, 2);
    auto fabric = cluster.open();
    auto const before = kib("/proc/self/status", "VmPin");
    REQUIRE(before >= 2 * 2 * node_bytes / 1024); // the memory nodes of this test
    auto c = ok(fabric.connect());
    auto const locked = kib("/proc/self/status", "VmPin") - before;
    CAPTURE(locked);
    REQUIRE(locked >= 2 * 32);
    REQUIRE(locked <= 2 * 128);                            // two devices
    auto* const large = c.memory()->allocate(700'000, 64); // and what it needs, when it needs it
    word seen = 1;
    std::memcpy(large, &seen, sizeof seen);
    op write = op::write({1, 0}, large, 65536);
    op read = op::read({1, 0}, &seen, sizeof seen);
    ok(run(c, write));
    seen = 0;
    ok(run(c, read));
    REQUIRE(seen == 1);
    c.memory()->deallocate(large, 700'000, 64);
}

TEST_CASE("a pause lets the others of its thread go on", "[verbs]") {
    using namespace std::chrono_literals;
    cluster_here const cluster(node_bytes);
    auto fabric = cluster.open();
    auto c = ok(fabric.connect());
    std::vector<task<result<void>>> all;
    all.push_back(paused(c, 30ms));
    all.push_back(paused(c, 10ms));
    all.push_back(add_often(c, {0, 0}, 20));
    auto const begin = c.now();
    for (auto& t : all) t.start();
    while (!all[2].done()) c.poll();
    bool const first_slept = !all[0].done();
    while (!all[1].done()) c.poll();
    REQUIRE(c.now() - begin >= 10ms);
    while (!all[0].done()) c.poll();
    REQUIRE(c.now() - begin >= 30ms);
    REQUIRE(first_slept);
    for (auto const& t : all) ok(t.take());
}

TEST_CASE("atomics of many threads add up, each thread with queue pairs of its own", "[verbs]") {
    cluster_here const cluster(node_bytes);
    auto fabric = cluster.open();
    run_threads(4, [&](std::size_t) {
        auto c = ok(fabric.connect());
        std::vector<task<result<void>>> all;
        for (int i = 0; i < 8; ++i) all.push_back(add_often(c, {0, 64}, 50));
        drive(c, all);
        for (auto const& t : all) ok(t.take());
    });
    word sum = 0;
    std::memcpy(&sum, cluster.node().raw() + 64, sizeof sum);
    REQUIRE(sum == 4 * 8 * 50);
    REQUIRE(cluster.node().counters().accepted == 4);
}
