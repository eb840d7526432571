// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <catena/protocol/local_locks.hpp>

#include <support/catch.hpp>
#include <support/scale.hpp>
#include <support/threads.hpp>
#include <support/world.hpp>

using namespace catena;

namespace {

constexpr std::size_t image_bytes = 64;
constexpr std::uint64_t small_pool = 1U << 20U;

node_ref node(std::uint64_t n) { return {remote_ptr(0, 65536 + 64 * n), 0, 1}; }

/// A claim with the image that a holder works on.
struct claim : lock_request {
    alignas(8) std::array<word, image_bytes / word_bytes> memory{};
    explicit claim(node_ref n) {
        node = n;
        image = memory.data();
    }
    claim(claim const&) = delete;
    claim& operator=(claim const&) = delete;
};

/// Waits for the lock, then calls then(claim).
template <typename Session, typename Then>
task<int> wait_for(Session& s, local_locks& locks, claim& c, Then then) {
    co_await locks.acquire(s, c);
    then(c);
    co_return 0;
}

} // namespace

TEST_CASE("a lock that nobody holds is had at once, one that is held is not, and another node's is") {
    auto const locks = std::make_unique<local_locks>();
    claim a(node(1)), b(node(1)), c(node(2));
    REQUIRE(locks->try_acquire(a));
    REQUIRE_FALSE(locks->try_acquire(b));
    REQUIRE(locks->try_acquire(c));
    locks->release(a, false, 0);
    REQUIRE(locks->try_acquire(b));
    REQUIRE_FALSE(b.handed);
    locks->release(b, false, 0);
    locks->release(c, false, 0);
}

TEST_CASE("two lives of one block of memory are two locks") {
    auto const locks = std::make_unique<local_locks>();
    claim a(node_ref(remote_ptr(0, 65536), 0, 1)), b(node_ref(remote_ptr(0, 65536), 0, 2));
    REQUIRE(locks->try_acquire(a));
    REQUIRE(locks->try_acquire(b));
    locks->release(a, false, 0);
    locks->release(b, false, 0);
}

TEST_CASE("many locks are held at once, though they share buckets") {
    auto const locks = std::make_unique<local_locks>();
    std::deque<claim> claims;
    for (std::uint64_t i = 0; i < 2000; ++i) REQUIRE(locks->try_acquire(claims.emplace_back(node(i))));
    for (std::uint64_t i = 0; i < 2000; ++i) {
        claim again(node(i));
        REQUIRE_FALSE(locks->try_acquire(again));
    }
    for (std::uint64_t i = 0; i < 2000; i += 2) locks->release(claims[i], false, 0);
    for (std::uint64_t i = 0; i < 2000; ++i) {
        claim again(node(i));
        REQUIRE(locks->try_acquire(again) == (i % 2 == 0));
        if (i % 2 == 0) locks->release(again, false, 0);
    }
    for (std::uint64_t i = 1; i < 2000; i += 2) locks->release(claims[i], false, 0);
}

TEST_CASE("acquire does not suspend when the lock is free") {
    test::world w(small_pool);
    auto const locks = std::make_unique<local_locks>();
    claim a(node(1));
    bool held = false;
    auto t = wait_for(w.first.s, *locks, a, [&](claim&) { held = true; });
    t.start();
    REQUIRE((t.done() && held && !a.handed && a.granted_or_why));
    REQUIRE_FALSE(locks->may_hand_over(a)); // nobody waits
    locks->release(a, false, 0);
}

TEST_CASE("waiters of several sessions get the lock in the order in which they came, with the image if it is handed") {
    test::world w(small_pool);
    auto second = w.first.session();
    auto third = w.first.session();
    std::array sessions{&w.first.s, &second, &third};
    bool const handed = GENERATE(false, true);
    CAPTURE(handed);
    auto const locks = std::make_unique<local_locks>();
    claim first(node(1));
    REQUIRE(locks->try_acquire(first));
    std::deque<claim> claims;
    std::vector<task<int>> tasks;
    std::vector<std::size_t> order;
    constexpr std::size_t waiters = 7;
    for (std::size_t i = 0; i < waiters; ++i) {
        auto& c = claims.emplace_back(node(1));
        tasks.push_back(wait_for(*sessions[i % 3], *locks, c, [&order, i](claim&) { order.push_back(i); }));
        tasks.back().start();
        REQUIRE_FALSE(tasks.back().done());
    }
    for (auto* const s : sessions) s->progress();
    REQUIRE(order.empty()); // nobody was let in
    REQUIRE(locks->may_hand_over(first));
    claim* holder = &first;
    for (std::size_t i = 0; i < waiters; ++i) {
        CAPTURE(i);
        holder->memory.fill(100 + i);
        locks->release(*holder, handed, image_bytes);
        for (auto* const s : sessions) s->progress();
        REQUIRE(order.size() == i + 1);
        REQUIRE(order.back() == i);
        REQUIRE(claims[i].handed == handed);
        REQUIRE(claims[i].granted_or_why);
        for (word const word_of_image : claims[i].memory) REQUIRE(word_of_image == (handed ? 100 + i : 0));
        holder = &claims[i];
    }
    REQUIRE_FALSE(locks->may_hand_over(*holder));
    locks->release(*holder, false, 0);
    claim last(node(1));
    REQUIRE(locks->try_acquire(last));
    locks->release(last, false, 0);
}

TEST_CASE("who comes while others wait stands behind them") {
    test::world w(small_pool);
    auto const locks = std::make_unique<local_locks>();
    claim first(node(1)), a(node(1)), b(node(1)), late(node(1));
    REQUIRE(locks->try_acquire(first));
    std::string order;
    auto ta = wait_for(w.first.s, *locks, a, [&](claim&) { order += 'a'; });
    auto tb = wait_for(w.first.s, *locks, b, [&](claim&) { order += 'b'; });
    ta.start();
    tb.start();
    locks->release(first, false, 0); // granted to a, which does not know yet
    claim thief(node(1));
    REQUIRE_FALSE(locks->try_acquire(thief));
    auto tl = wait_for(w.first.s, *locks, late, [&](claim&) { order += 'l'; });
    tl.start();
    w.first.s.progress();
    REQUIRE(order == "a");
    locks->release(a, false, 0);
    w.first.s.progress();
    locks->release(b, false, 0);
    w.first.s.progress();
    REQUIRE(order == "abl");
    locks->release(late, false, 0);
}

TEST_CASE("a release copies exactly the bytes of the image") {
    test::world w(small_pool);
    auto const locks = std::make_unique<local_locks>();
    claim first(node(1)), second(node(1));
    first.memory.fill(1);
    second.memory.fill(2);
    REQUIRE(locks->try_acquire(first));
    auto t = wait_for(w.first.s, *locks, second, [](claim&) {});
    t.start();
    locks->release(first, true, 3 * word_bytes);
    w.first.s.progress();
    REQUIRE(second.memory == std::array<word, 8>{1, 1, 1, 2, 2, 2, 2, 2});
    locks->release(second, false, 0);
}

TEST_CASE("the remote lock is handed over at most max_handovers times in a row, then set free once") {
    test::world w(small_pool);
    auto const locks = std::make_unique<local_locks>();
    constexpr std::size_t waiters = 3 * (local_locks::max_handovers + 1);
    claim first(node(1));
    REQUIRE(locks->try_acquire(first));
    std::deque<claim> claims;
    std::vector<task<int>> tasks;
    for (std::size_t i = 0; i < waiters; ++i) {
        tasks.push_back(wait_for(w.first.s, *locks, claims.emplace_back(node(1)), [](claim&) {}));
        tasks.back().start();
    }
    claim* holder = &first;
    for (std::size_t i = 0; i < waiters; ++i) {
        CAPTURE(i);
        bool const may = locks->may_hand_over(*holder);
        REQUIRE(may == (i % (local_locks::max_handovers + 1) != local_locks::max_handovers));
        locks->release(*holder, may, image_bytes);
        w.first.s.progress();
        holder = &claims[i];
        REQUIRE(holder->handed == may);
    }
    locks->release(*holder, false, 0);
}

TEST_CASE("a holder that gives up refuses all who wait behind it, and leaves the lock free") {
    test::world w(small_pool);
    auto second = w.first.session();
    auto const locks = std::make_unique<local_locks>();
    claim first(node(1)), elsewhere(node(2)), waits_elsewhere(node(2));
    REQUIRE(locks->try_acquire(first));
    REQUIRE(locks->try_acquire(elsewhere));
    std::deque<claim> claims;
    std::vector<task<int>> tasks;
    for (std::size_t i = 0; i < 5; ++i) {
        tasks.push_back(wait_for(i % 2 == 0 ? w.first.s : second, *locks, claims.emplace_back(node(1)), [](claim&) {}));
        tasks.back().start();
    }
    auto other = wait_for(second, *locks, waits_elsewhere, [](claim&) {});
    other.start();
    locks->release_and_refuse(first, make_error(errc::contended));
    w.first.s.progress();
    second.progress();
    for (std::size_t i = 0; i < 5; ++i) {
        CAPTURE(i);
        REQUIRE(tasks[i].done());
        REQUIRE_FALSE(claims[i].granted_or_why);
        REQUIRE_FALSE(claims[i].handed);
    }
    REQUIRE_FALSE(other.done()); // another node's waiters wait on
    claim next(node(1));
    REQUIRE(locks->try_acquire(next));
    locks->release(next, false, 0);
    locks->release(elsewhere, false, 0);
    second.progress();
    REQUIRE((other.done() && waits_elsewhere.granted_or_why));
    locks->release(waits_elsewhere, false, 0);
}

TEST_CASE("threads that share locks exclude each other, and a handed image is the newest one") {
    test::world w(small_pool);
    auto const locks = std::make_unique<local_locks>();
    constexpr std::size_t threads = 4;
    constexpr std::size_t nodes = 3;
    std::size_t const rounds = test::scaled(4'000);
    std::array<word, nodes> remote{}; // what the lock protects: plain memory, so that TSan watches, too
    std::array<std::atomic<int>, nodes> inside{};
    std::atomic<std::uint64_t> handovers{0};
    std::atomic<std::uint64_t> refusals{0};
    std::atomic<std::uint64_t> changes{0};
    test::run_threads(threads, [&](std::size_t who) {
        auto s = w.first.session();
        for (std::size_t i = 0; i < rounds; ++i) {
            auto const n = (who + i) % nodes;
            claim c(node(n));
            (void)sync_wait(s, wait_for(s, *locks, c, [](claim&) {}));
            if (!c.granted_or_why) {
                ++refusals;
                continue;
            }
            test::expect(inside[n].fetch_add(1) == 0, "two holders at once");
            if (c.handed) {
                test::expect(c.memory[0] == remote[n], "an old image was handed over");
                ++handovers;
            } else {
                c.memory[0] = remote[n];
            }
            remote[n] = ++c.memory[0];
            ++changes;
            inside[n].fetch_sub(1);
            if (i % 97 == 96)
                locks->release_and_refuse(c, make_error(errc::contended));
            else
                locks->release(c, locks->may_hand_over(c), image_bytes);
        }
    });
    INFO(handovers << " handovers, " << refusals << " refusals");
    REQUIRE(remote[0] + remote[1] + remote[2] == changes);
    REQUIRE(changes + refusals == threads * rounds);
}
