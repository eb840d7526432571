// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <coroutine>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>

#include <core/allocations.hpp>
#include <support/catch.hpp>
#include <support/scale.hpp>

using namespace catena;

namespace {

/// Suspends who awaits it until the test opens it: an operation that is under way.
struct gate {
    std::coroutine_handle<> waiting;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) noexcept { waiting = h; }
    void await_resume() const noexcept {}
    void open() { std::exchange(waiting, {}).resume(); }
};

/// How far apart the stack frames were from which note() was called.
struct stack_extent {
    std::uintptr_t lowest = std::numeric_limits<std::uintptr_t>::max();
    std::uintptr_t highest = 0;
    [[gnu::noinline]] void note() noexcept {
        auto const here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
        lowest = std::min(lowest, here);
        highest = std::max(highest, here);
    }
    [[nodiscard]] std::uintptr_t bytes() const noexcept { return highest - lowest; }
};

task<int> leaf(int n) { co_return n; }
task<int> twice(int n) { co_return co_await leaf(n) + co_await leaf(n); }
task<int> four_times(int n) { co_return co_await twice(n) + co_await twice(n); }

task<std::uint64_t> noted(stack_extent& stack, std::uint64_t n) {
    stack.note();
    co_return n;
}
task<std::uint64_t> noted_deeper(stack_extent& stack, std::uint64_t n) { co_return co_await noted(stack, n); }
task<std::uint64_t> sum(stack_extent& stack, std::uint64_t n) {
    std::uint64_t total = 0;
    for (std::uint64_t i = 0; i < n; ++i) total += co_await noted_deeper(stack, i);
    co_return total;
}

task<int> behind(gate& g, int n) {
    co_await g;
    co_return n;
}
task<std::uint64_t> noted_behind(gate& g, stack_extent& stack, std::uint64_t n) {
    co_await g;
    stack.note();
    co_return n;
}
task<std::uint64_t> sum_behind(gate& g, stack_extent& stack, std::uint64_t n) {
    std::uint64_t total = 0;
    for (std::uint64_t i = 0; i < n; ++i) total += co_await noted_behind(g, stack, i);
    co_return total;
}

template <typename T>
T run(task<T> work) {
    work.start();
    REQUIRE(work.done());
    return work.take();
}

} // namespace

TEST_CASE("a task does nothing until it is started") {
    bool ran = false;
    auto const body = [&]() -> task<int> {
        ran = true;
        co_return 1;
    };
    {
        auto const never = body();
        REQUIRE_FALSE(ran);
    } // and may be thrown away without having run
    REQUIRE_FALSE(ran);
    REQUIRE(run(body()) == 1);
    REQUIRE(ran);
}

TEST_CASE("values pass through nested tasks") {
    REQUIRE(run(four_times(5)) == 20);
    REQUIRE(run([]() -> task<std::string> { co_return "abc"; }()) == "abc");
}

TEST_CASE("a value that only moves passes through nested tasks") {
    auto const inner = [](int n) -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(n); };
    auto const outer = [&]() -> task<std::unique_ptr<int>> {
        auto p = co_await inner(9);
        ++*p;
        co_return p;
    };
    REQUIRE(*run(outer()) == 10);
}

TEST_CASE("a result passes through a task from its value and from its error") {
    auto const body = [](bool good) -> task<result<int>> {
        if (good) co_return 3;
        co_return make_error(errc::full);
    };
    REQUIRE(*run(body(true)) == 3);
    REQUIRE(run(body(false)).error().code == errc::full);
}

TEST_CASE("a million nested synchronous tasks do not grow the stack") {
    stack_extent stack;
    std::uint64_t const n = test::scaled(1'000'000);
    CAPTURE(n);
    REQUIRE(run(sum(stack, n)) == n * (n - 1) / 2);
    REQUIRE(stack.bytes() == 0); // every one ran at the same depth
}

TEST_CASE("a task that suspends resumes who awaits it, through several levels") {
    gate g;
    auto const middle = [&]() -> task<int> { co_return co_await behind(g, 20) + 1; };
    auto const top = [&]() -> task<int> { co_return co_await middle() * 2; };
    auto work = top();
    work.start();
    REQUIRE_FALSE(work.done());
    REQUIRE(g.waiting);
    g.open();
    REQUIRE(work.done());
    REQUIRE(work.take() == 42);
}

TEST_CASE("tasks that suspend one after the other do not grow the stack") {
    gate g;
    stack_extent stack;
    std::uint64_t const n = test::scaled(100'000);
    auto work = sum_behind(g, stack, n);
    work.start();
    std::uint64_t opened = 0;
    while (!work.done()) {
        REQUIRE(g.waiting);
        g.open();
        ++opened;
    }
    REQUIRE(opened == n);
    REQUIRE(work.take() == n * (n - 1) / 2);
    REQUIRE(stack.bytes() < 4096);
}

TEST_CASE("two tasks that wait at once end in the order in which they are resumed") {
    gate first, second;
    std::vector<int> ended;
    auto const body = [&](gate& g, int n) -> task<int> {
        auto const v = co_await behind(g, n);
        ended.push_back(v);
        co_return v;
    };
    auto a = body(first, 1);
    auto b = body(second, 2);
    a.start();
    b.start();
    second.open();
    REQUIRE((b.done() && !a.done()));
    first.open();
    REQUIRE(a.done());
    REQUIRE(ended == std::vector{2, 1});
    REQUIRE(a.take() + b.take() == 3);
}

TEST_CASE("a suspended task that is thrown away destroys what it holds") {
    gate g;
    auto const watched = std::make_shared<int>(1);
    auto const body = [](gate& at, std::shared_ptr<int> held) -> task<int> {
        co_await at;
        co_return *held;
    };
    auto const outer = [&]() -> task<int> { co_return co_await body(g, watched); };
    {
        auto work = outer();
        work.start();
        REQUIRE(watched.use_count() > 1);
    }
    REQUIRE(watched.use_count() == 1);
}

TEST_CASE("moving a task moves its coroutine; assigning over one ends the old one") {
    gate g;
    auto const watched = std::make_shared<int>(1);
    auto const body = [](gate& at, std::shared_ptr<int> held) -> task<int> {
        co_await at;
        co_return *held;
    };
    auto a = body(g, watched);
    a.start();
    auto b = std::move(a);
    REQUIRE_FALSE(b.done());
    b = leaf(4);
    REQUIRE(watched.use_count() == 1);
    REQUIRE(run(std::move(b)) == 4);
}

TEST_CASE("warm tasks take their frames from the pool and never allocate") {
    if (address_sanitizer) return; // the frame pool stands aside for it
    (void)run(four_times(1));
    int total = 0;
    auto const before = test::allocations.load();
    for (int i = 0; i < 1000; ++i) {
        auto work = four_times(i);
        work.start();
        total += work.take();
    }
    auto const taken = test::allocations.load() - before;
    REQUIRE(total == 4 * 999 * 1000 / 2);
    REQUIRE(taken == 0);
}

TEST_CASE("warm tasks that suspend never allocate") {
    if (address_sanitizer) return;
    gate g;
    auto const once = [&] {
        auto work = behind(g, 3);
        work.start();
        g.open();
        return work.take();
    };
    int total = once();
    auto const before = test::allocations.load();
    for (int i = 0; i < 1000; ++i) total += once();
    auto const taken = test::allocations.load() - before;
    REQUIRE(total == 3003);
    REQUIRE(taken == 0);
}
