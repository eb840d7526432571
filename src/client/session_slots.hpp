// SPDX-License-Identifier: Apache-2.0
// session_slots: sessions for calls that come from any thread. A call takes the first free slot after one that its thread
// prefers, so that threads do not meet as long as there are slots; no lock is shared by all.
// Thread safety: any number of threads.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include <catena/core/config.hpp>
#include <catena/core/result.hpp>
#include <catena/pool/memory_pool.hpp>

namespace catena {

template <typename Pool>
class session_slots {
public:
    using session_type = typename Pool::session_type;

private:
    struct alignas(cache_line) slot {
        std::atomic<bool> busy{false};
        std::optional<session_type> session;
    };

public:
    session_slots(Pool& pool, std::size_t count, std::chrono::nanoseconds patience)
        : pool_(pool), patience_(patience), count_(count == 0 ? 1 : count), slots_(std::make_unique<slot[]>(count_)) {}

    /// One session for one call.
    class lease {
    public:
        lease(lease&& o) noexcept : slot_(std::exchange(o.slot_, nullptr)) {}
        lease& operator=(lease&&) = delete;
        ~lease() {
            if (slot_ != nullptr) slot_->busy.store(false, std::memory_order_release);
        }
        [[nodiscard]] session_type& operator*() const noexcept { return *slot_->session; }

    private:
        friend session_slots;
        explicit lease(slot* s) noexcept : slot_(s) {}
        slot* slot_;
    };

    /// Waits while all are taken. Errors: contended (for longer than the patience), unreachable (a new one fails).
    [[nodiscard]] result<lease> take() {
        std::size_t const first = preferred() % count_;
        std::optional<std::chrono::steady_clock::time_point> waiting_since; // hardly ever, and the clock costs
        for (;;) {
            for (std::size_t i = 0; i < count_; ++i) {
                auto& s = slots_[(first + i) % count_];
                if (s.busy.load(std::memory_order_relaxed) || s.busy.exchange(true, std::memory_order_acquire))
                    continue;
                lease taken(&s);
                if (s.session) return taken;
                auto opened = pool_.open_session();
                if (!opened) return make_error(opened.error().code);
                s.session.emplace(std::move(*opened));
                return taken;
            }
            auto const now = std::chrono::steady_clock::now();
            if (!waiting_since) waiting_since = now;
            if (now - *waiting_since > patience_) return make_error(errc::contended);
            std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
    }

    /// Calls visit(session) for every session made so far, each while no call uses it.
    template <typename Visit>
    void for_each(Visit visit) {
        for (std::size_t i = 0; i < count_; ++i) {
            auto& s = slots_[i];
            while (s.busy.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
            lease const taken(&s);
            if (s.session) visit(*s.session);
        }
    }

private:
    [[nodiscard]] static std::size_t preferred() noexcept {
        static std::atomic<std::size_t> threads{0};
        thread_local std::size_t const mine = threads++;
        return mine;
    }

    Pool& pool_;
    std::chrono::nanoseconds patience_;
    std::size_t count_;
    std::unique_ptr<slot[]> slots_;
};

} // namespace catena
