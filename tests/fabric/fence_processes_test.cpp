// SPDX-License-Identifier: Apache-2.0
// Fences across processes: of one that was killed, and of one that the system keeps from running. Children fork before
// this process has any thread, and leave with _exit.
#include <array>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <catena/fabric/shm_fabric.hpp>

#include <fabric/processes.hpp>
#include <support/catch.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>
#include <support/world.hpp>

using namespace catena;
using namespace std::chrono_literals;
using test::child_process;
using test::ok;
using test::segment_name;

namespace {

constexpr client_id victim{11}, other{22};
constexpr std::uint64_t node_bytes = 256 * 1024;
constexpr std::uint64_t page = 4096;

shm_fabric open(segment_name const& name) { return ok(shm_fabric::open(name, {.node_bytes = node_bytes, .nodes = 1})); }

/// Writes whole nodes, so that it is in the middle of a batch nearly always. Ends when it is fenced.
template <typename Meet>
void write_until_fenced(segment_name const& name, Meet meet) {
    auto f = open(name);
    auto c = ok(f.connect(victim));
    std::vector<word> numbers(node_bytes / word_bytes);
    for (word i = 1;; ++i) {
        std::fill(numbers.begin(), numbers.end(), i);
        op one = op::write({0, 0}, numbers.data(), node_bytes);
        if (auto const r = c.submit(batch(&one, 1)).await_resume(); !r) {
            if (r.error().code != errc::fenced) ::_exit(2);
            word seen = 0; // it may still look
            op read = op::read({0, 0}, &seen, sizeof seen);
            ok(c.submit(batch(&read, 1)).await_resume());
            meet();
            return;
        }
        if (i == 1) meet();
    }
}

/// Is a channel of the victim in the middle of a batch? Read from the file, as documented in docs/formats.md.
bool is_writing(segment_name const& name) {
    std::ifstream file(name.path(), std::ios::binary);
    auto const word_at = [&](std::uint64_t offset) {
        word w = 0;
        file.seekg(static_cast<std::streamoff>(offset)).read(reinterpret_cast<char*>(&w), sizeof w);
        return w;
    };
    for (word i = 0, high = word_at(page); i < high; ++i) {
        auto const gate = page + 8256 + 64 * i;
        if (word_at(gate + 8) == static_cast<word>(victim) && word_at(gate + 16) == 1) return true;
    }
    return false;
}

/// On a busy machine a process may not run for longer than a fence waits.
void fence_at_last(immediate_channel& c) {
    for (int tries = 0; tries < 100; ++tries) {
        auto const r = c.fence(victim).await_resume();
        if (r) return;
        test::expect(r.error().code == errc::timed_out, "another error");
    }
    throw test::failure("a batch that does not end");
}

std::vector<word> contents(immediate_channel& c) {
    std::vector<word> all(node_bytes / word_bytes);
    op read = op::read({0, 0}, all.data(), node_bytes);
    ok(c.submit(batch(&read, 1)).await_resume());
    return all;
}
bool whole(std::vector<word> const& all) { return all.front() == all.back(); }

} // namespace

TEST_CASE("a process that was killed in the middle of a batch is fenced at once") {
    auto const seed = test::test_seed(31);
    test::random_source random(seed);
    std::size_t in_the_middle = 0;
    for (std::size_t run = 0; run < (test::sanitized ? 10 : 30); ++run) {
        CAPTURE(seed, run);
        segment_name const name;
        child_process child([&](auto meet) { write_until_fenced(name, meet); });
        child.arrived();
        auto f = open(name);
        auto c = ok(f.connect(other));
        child.go_on();
        std::this_thread::sleep_for(std::chrono::microseconds(random.below(500)));
        child.kill();
        in_the_middle += is_writing(name) ? 1 : 0;
        auto const begin = std::chrono::steady_clock::now();
        ok(c.fence(victim).await_resume());
        REQUIRE(std::chrono::steady_clock::now() - begin < gate_table::patience);
    }
    std::cout << "killed in the middle of a batch: " << in_the_middle << '\n';
    REQUIRE(in_the_middle > 0);
}

TEST_CASE("a process that does not get to run is not fenced while it is in a batch, and is after it") {
    for (std::size_t run = 0; run < 5; ++run) {
        CAPTURE(run);
        segment_name const name;
        child_process child([&](auto meet) { write_until_fenced(name, meet); });
        child.arrived();
        auto f = open(name);
        auto c = ok(f.connect(other));
        child.go_on();
        bool caught = false;
        for (int tries = 0; !caught && tries < 1000; ++tries) {
            std::this_thread::sleep_for(100us);
            child.stop();
            caught = is_writing(name);
            if (!caught) child.resume();
        }
        REQUIRE(caught);
        auto const begin = std::chrono::steady_clock::now();
        REQUIRE(c.fence(victim).await_resume().error().code == errc::timed_out);
        REQUIRE(std::chrono::steady_clock::now() - begin < 10s); // no hang
        child.resume();
        child.arrived(); // it was shut out with the next batch
        fence_at_last(c);
        REQUIRE(whole(contents(c))); // what it was at came to its end
        child.go_on();
        REQUIRE(child.join() == 0);
    }
}

TEST_CASE(
    "a process that was stopped between its batches is fenced while it stands, and does nothing when it wakes up") {
    segment_name const name;
    child_process child([&](auto meet) {
        auto f = open(name);
        auto c = ok(f.connect(victim));
        meet();
        for (;;) {
            op add = op::faa({0, 0}, 1);
            if (auto const r = c.submit(batch(&add, 1)).await_resume(); !r) {
                test::expect(r.error().code == errc::fenced, "another error");
                meet();
                return;
            }
            std::this_thread::sleep_for(50us);
        }
    });
    child.arrived();
    auto f = open(name);
    auto c = ok(f.connect(other));
    child.go_on();
    std::this_thread::sleep_for(5ms);
    for (child.stop(); is_writing(name); child.stop()) child.resume();
    ok(c.fence(victim).await_resume());
    auto const then = contents(c);
    child.resume();
    child.arrived();
    REQUIRE(contents(c) == then);
    child.go_on();
    REQUIRE(child.join() == 0);
}

TEST_CASE("a fence stops another process at the end of a batch: all of it is there, and nothing comes after") {
    for (std::size_t run = 0; run < (test::sanitized ? 10 : 50); ++run) {
        CAPTURE(run);
        segment_name const name;
        child_process child([&](auto meet) { write_until_fenced(name, meet); });
        child.arrived();
        auto f = open(name);
        auto c = ok(f.connect(other));
        child.go_on();
        std::this_thread::sleep_for(std::chrono::microseconds(20 * run));
        fence_at_last(c);
        auto const then = contents(c);
        REQUIRE(whole(then));
        child.arrived();
        REQUIRE(contents(c) == then);
        child.go_on();
        REQUIRE(child.join() == 0);
    }
}

TEST_CASE("a child that inherited the file of a process that died makes it count as alive, until it ends") {
    segment_name const name;
    auto f = open(name);
    auto c = ok(f.connect(other));
    std::array<int, 2> hold{};
    REQUIRE(::pipe(hold.data()) == 0);
    child_process child([&](auto meet) {
        auto theirs = open(name);
        auto channel = ok(theirs.connect(victim));
        if (::fork() == 0) { // a grandchild that keeps all files until we say so
            ::close(hold[1]);
            char byte = 0;
            ::_exit(::read(hold[0], &byte, 1) == 0 ? 0 : 1);
        }
        std::vector<word> numbers(node_bytes / word_bytes);
        op one = op::write({0, 0}, numbers.data(), node_bytes);
        meet();
        for (;;) ok(channel.submit(batch(&one, 1)).await_resume());
    });
    child.arrived();
    child.go_on();
    for (bool caught = false; !caught;) {
        std::this_thread::sleep_for(100us);
        child.stop();
        caught = is_writing(name);
        if (!caught) child.resume();
    }
    child.kill();
    REQUIRE(c.fence(victim).await_resume().error().code == errc::timed_out);
    ::close(hold[1]);
    ::close(hold[0]);
    fence_at_last(c);
}
