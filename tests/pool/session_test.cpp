// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <atomic>
#include <coroutine>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <catena/pool/session.hpp>

#include <support/catch.hpp>
#include <support/threads.hpp>
#include <support/world.hpp>

using namespace catena;
using test::ok;

namespace {

/// Parks whoever awaits it until the waiter is granted.
template <typename Session>
struct until_granted {
    Session& s;
    local_waiter& w;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) const noexcept {
        w.handle = h;
        s.park(w);
    }
    void await_resume() const noexcept {}
};

template <typename Session>
task<int> wait_for(Session& s, local_waiter& w, int value, std::vector<int>* order = nullptr) {
    co_await until_granted<Session>{s, w};
    if (order != nullptr) order->push_back(value);
    co_return value;
}
template <typename Session>
task<int> wait_twice(Session& s, local_waiter& first, local_waiter& second) {
    co_return co_await wait_for(s, first, 1) + co_await wait_for(s, second, 2);
}

} // namespace

TEST_CASE("a batch of a session is one round trip on its own channel") {
    test::world w(1U << 20U);
    auto other = w.first.session();
    auto& s = w.first.s;
    auto const before = s.stats();
    auto const work = [&]() -> task<result<word>> {
        std::array ops{op::faa({0, heap_offset}, 2), op::faa({0, heap_offset}, 3)};
        if (auto const r = co_await s.submit(batch(ops)); !r) co_return r.error();
        co_return ops[1].fetched;
    };
    REQUIRE(ok(sync_wait(s, work())) == 2);
    REQUIRE((s.stats() - before).round_trips == 1);
    REQUIRE((s.stats() - before).faa == 2);
    REQUIRE(other.stats() == fabric_stats{});
}

TEST_CASE("a coroutine that waits in this process is resumed by its session's progress, once it is granted") {
    test::world w(1U << 20U);
    auto& s = w.first.s;
    local_waiter first, second;
    auto t = wait_twice(s, first, second);
    t.start();
    s.progress();
    REQUIRE_FALSE(t.done());
    first.granted = true;
    s.progress();
    REQUIRE_FALSE(t.done());
    second.granted = true;
    s.progress();
    REQUIRE(t.done());
    REQUIRE(t.take() == 3);
}

TEST_CASE("many coroutines of one session wait at once and end as they are granted") {
    test::world w(1U << 20U);
    auto& s = w.first.s;
    std::array<local_waiter, 50> waiters;
    std::vector<task<int>> tasks;
    std::vector<int> order;
    for (std::size_t i = 0; i < waiters.size(); ++i) {
        tasks.push_back(wait_for(s, waiters[i], static_cast<int>(i), &order));
        tasks.back().start();
    }
    for (std::size_t i = 0; i < waiters.size(); i += 2) waiters[i].granted = true;
    s.progress();
    REQUIRE(order.size() == waiters.size() / 2);
    for (auto const n : order) REQUIRE(n % 2 == 0);
    for (auto& waiter : waiters) waiter.granted = true;
    s.progress();
    for (auto& t : tasks) REQUIRE(t.done());
    REQUIRE(order.size() == waiters.size());
}

TEST_CASE("a waiter may be granted by another thread") {
    test::world w(1U << 20U);
    auto& s = w.first.s;
    for (int i = 0; i < 50; ++i) {
        local_waiter waiter;
        std::thread granter([&] { waiter.granted.store(true, std::memory_order_release); });
        REQUIRE(sync_wait(s, wait_for(s, waiter, i)) == i);
        granter.join();
    }
}

TEST_CASE("sessions of one pool share its state and begin to allocate at different memory nodes") {
    test::world w(1U << 20U, 3);
    auto a = w.first.session();
    auto b = w.first.session();
    REQUIRE(&a.pool() == &b.pool());
    REQUIRE(a.allocation().turn != b.allocation().turn);
    REQUIRE(a.allocation().of(64).chunks.size() == 3);
}

TEST_CASE("a session that is moved keeps its counters and its scratches") {
    test::world w(1U << 20U);
    auto a = w.first.session();
    op add = op::faa({0, heap_offset}, 1);
    ok(a.submit(add).await_resume());
    { scratch_lease const used(a.scratches()); }
    auto b = std::move(a);
    REQUIRE(b.stats().faa == 1);
    ok(b.submit(add).await_resume());
    REQUIRE(b.stats().faa == 2);
}
