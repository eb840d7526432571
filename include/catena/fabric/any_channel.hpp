// SPDX-License-Identifier: Apache-2.0
// any_channel: a channel whose transport is chosen at run time. What is above it is compiled once for all transports; the price is a
// virtual call a batch.
// Thread safety: one thread at a time, with any number of coroutines on it.
#pragma once

#include <chrono>
#include <coroutine>
#include <memory>
#include <memory_resource>
#include <type_traits>
#include <utility>

#include <catena/core/config.hpp>
#include <catena/core/result.hpp>
#include <catena/fabric/client_id.hpp>
#include <catena/fabric/fabric.hpp>
#include <catena/fabric/guarantees.hpp>
#include <catena/fabric/op.hpp>
#include <catena/fabric/stats.hpp>

namespace catena {

/// A batch, a fence or a pause that a coroutine awaits: lives in the frame of that coroutine, which must not end before it.
struct flight {
    batch ops;
    std::coroutine_handle<> waiting; ///< resumed by poll() when it is done; nothing as long as nobody suspended
    result<void> outcome;
    bool done = false;
    std::size_t posted = 0;         ///< for the driver: operations that were posted whole
    std::uint32_t part = 0;         ///< for the driver: bytes of the next operation that were posted
    std::uint32_t under_way = 0;    ///< for the driver: parts that were posted and have not completed
    std::chrono::nanoseconds due{}; ///< of a pause, on the channel's clock
    flight* next = nullptr;         ///< for the driver's lists

    void end(result<void> how) noexcept {
        outcome = how;
        done = true;
    }
};

/// What a transport implements. submit, fence and pause may end the flight at once; one that they do not end is ended by a later
/// poll(), which then resumes whoever waits for it. Meanings, errors and bounds: the concept `channel`.
class channel_driver {
public:
    channel_driver() = default;
    channel_driver(channel_driver const&) = delete;
    channel_driver& operator=(channel_driver const&) = delete;
    virtual ~channel_driver() = default;

    virtual void submit(flight& f) noexcept = 0;
    virtual void fence(flight& f, client_id whom) noexcept = 0;
    virtual void pause(flight& f, std::chrono::nanoseconds d) noexcept = 0;
    virtual void poll() noexcept = 0;
    [[nodiscard]] virtual std::chrono::nanoseconds now() const noexcept = 0;
    [[nodiscard]] virtual fabric_stats& stats() noexcept = 0;
    [[nodiscard]] virtual std::pmr::memory_resource* memory() noexcept { return std::pmr::new_delete_resource(); }
};

/// The driver of a channel whose awaits never suspend.
template <channel Channel>
class immediate_driver final : public channel_driver {
public:
    explicit immediate_driver(Channel c) noexcept : channel_(std::move(c)) {}
    void submit(flight& f) noexcept override { f.end(channel_.submit(f.ops).await_resume()); }
    void fence(flight& f, client_id whom) noexcept override { f.end(channel_.fence(whom).await_resume()); }
    void pause(flight& f, std::chrono::nanoseconds d) noexcept override { f.end(channel_.pause(d).await_resume()); }
    void poll() noexcept override { channel_.poll(); }
    [[nodiscard]] std::chrono::nanoseconds now() const noexcept override { return channel_.now(); }
    [[nodiscard]] fabric_stats& stats() noexcept override { return channel_.stats(); }

private:
    Channel channel_;
};

class any_channel {
public:
    /// Every transport behind it gives these.
    static constexpr fabric_guarantees guarantees{.atomic_words = true, .ordered_batch = true};

    explicit any_channel(std::unique_ptr<channel_driver> driver) noexcept : driver_(std::move(driver)) {}

    /// Posts when awaited.
    template <typename Start>
    class [[nodiscard]] awaitable {
    public:
        awaitable(batch ops, Start start) noexcept : start_(start) { flight_.ops = ops; }
        awaitable(awaitable const&) = delete;
        awaitable& operator=(awaitable const&) = delete;
        ~awaitable() { CATENA_ASSERT(!started_ || flight_.done); }

        [[nodiscard]] bool await_ready() noexcept {
            started_ = true;
            start_(flight_);
            return flight_.done;
        }
        void await_suspend(std::coroutine_handle<> h) noexcept { flight_.waiting = h; }
        [[nodiscard]] result<void> await_resume() const noexcept { return flight_.outcome; }

    private:
        flight flight_;
        Start start_;
        bool started_ = false;
    };

    [[nodiscard]] auto submit(batch ops) noexcept {
        return awaitable(ops, [d = driver_.get()](flight& f) { d->submit(f); });
    }
    [[nodiscard]] auto fence(client_id whom) noexcept {
        return awaitable({}, [d = driver_.get(), whom](flight& f) { d->fence(f, whom); });
    }
    [[nodiscard]] auto pause(std::chrono::nanoseconds time) noexcept {
        return awaitable({}, [d = driver_.get(), time](flight& f) { d->pause(f, time); });
    }
    void poll() noexcept { driver_->poll(); }
    [[nodiscard]] std::chrono::nanoseconds now() const noexcept { return driver_->now(); }
    [[nodiscard]] fabric_stats& stats() noexcept { return driver_->stats(); }
    /// Where local buffers are best taken from: what lies there is sent and received without a copy. For its thread alone; ends
    /// with the channel.
    [[nodiscard]] std::pmr::memory_resource* memory() noexcept { return driver_->memory(); }

private:
    std::unique_ptr<channel_driver> driver_;
};
static_assert(channel<any_channel>);

} // namespace catena
