// SPDX-License-Identifier: Apache-2.0
// task<T>: a coroutine that starts when it is awaited and hands its value to the awaiter.
//
// On fabrics that complete at once nothing ever suspends: awaiting a task runs it as a nested call and goes on, which
// costs a frame from the frame_pool and no switch. Where an operation does suspend, the awaiting coroutine is resumed
// by symmetric transfer when the awaited one ends.
// Coroutines in headers are [[gnu::noinline]]: where g++ 12 inlines one as a whole it may leave a reference to a frame
// function that the linker has thrown away with another translation unit's copy ("defined in discarded section").
// Thread safety: a task and everything that it awaits are driven by one thread at a time (its session's).
// Exceptions: the data path throws nothing; one that escapes a task ends the process.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

#include <catena/core/config.hpp>
#include <catena/core/frame_pool.hpp>

namespace catena {

template <typename T>
class [[nodiscard]] task {
public:
    struct promise_type {
        std::coroutine_handle<> awaiting;
        std::optional<T> value;

        [[nodiscard]] static void* operator new(std::size_t bytes) { return frame_pool::mine().allocate(bytes); }
        static void operator delete(void* frame, std::size_t bytes) noexcept {
            frame_pool::mine().deallocate(frame, bytes);
        }

        [[nodiscard]] task get_return_object() noexcept { return task(handle::from_promise(*this)); }
        [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
        [[nodiscard]] auto final_suspend() const noexcept {
            struct to_awaiting {
                [[nodiscard]] bool await_ready() const noexcept { return false; }
                [[nodiscard]] std::coroutine_handle<> await_suspend(handle ended) const noexcept {
                    auto const next = ended.promise().awaiting;
                    return next ? next : std::noop_coroutine();
                }
                void await_resume() const noexcept {}
            };
            return to_awaiting{};
        }
        template <typename U>
        void return_value(U&& v) {
            value.emplace(std::forward<U>(v));
        }
        [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
    };

    task(task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, {})) {}
    task& operator=(task&& other) noexcept {
        if (this != &other) {
            if (coroutine_) coroutine_.destroy();
            coroutine_ = std::exchange(other.coroutine_, {});
        }
        return *this;
    }
    ~task() {
        if (coroutine_) coroutine_.destroy();
    }

    // Awaiting: run it now, as a nested call; suspend the awaiter only if it really had to wait.
    [[nodiscard]] bool await_ready() const {
        coroutine_.resume();
        return coroutine_.done();
    }
    void await_suspend(std::coroutine_handle<> awaiting) const noexcept { coroutine_.promise().awaiting = awaiting; }
    [[nodiscard]] T await_resume() const { return std::move(*coroutine_.promise().value); }

    // Driving it from outside a coroutine (pool/session.hpp: sync_wait).
    void start() const { coroutine_.resume(); }
    [[nodiscard]] bool done() const noexcept { return coroutine_.done(); }
    [[nodiscard]] T take() const {
        CATENA_ASSERT(done());
        return std::move(*coroutine_.promise().value);
    }

private:
    using handle = std::coroutine_handle<promise_type>;
    explicit task(handle coroutine) noexcept : coroutine_(coroutine) {}

    handle coroutine_;
};

} // namespace catena
