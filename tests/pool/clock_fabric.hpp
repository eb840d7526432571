// SPDX-License-Identifier: Apache-2.0
// clock_fabric: a local fabric whose time is the test's: it stands still until somebody pauses or the test moves it.
// Leases run out when a test says so, however slow the machine is. Memory nodes may be gone for a while.
// Thread safety: one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <set>
#include <string_view>
#include <utility>

#include <catena/fabric/local_fabric.hpp>

#include <support/world.hpp>

namespace catena::test {

struct virtual_clock {
    std::chrono::nanoseconds now{std::chrono::hours(1)};
    std::uint64_t pauses = 0;
    std::function<void()> on_pause;       ///< what the others do meanwhile
    std::function<void(batch)> on_submit; ///< before a batch is posted: what gets in between
    bool fences_time_out = false;
    std::set<std::uint16_t> gone; ///< memory nodes that do not answer

    void pause(std::chrono::nanoseconds d) {
        now += d;
        ++pauses;
        if (!on_pause) return;
        auto const others = std::exchange(on_pause, nullptr); // they may pause themselves
        others();
        on_pause = others;
    }
};

class clock_channel {
public:
    static constexpr fabric_guarantees guarantees = immediate_channel::guarantees;

    clock_channel(immediate_channel channel, virtual_clock& clock) noexcept
        : channel_(std::move(channel)), clock_(&clock) {}
    [[nodiscard]] completed submit(batch ops) {
        if (clock_->on_submit) {
            auto const others = std::exchange(clock_->on_submit, nullptr); // they may submit themselves
            others(ops);
            if (!clock_->on_submit) clock_->on_submit = others;
        }
        for (auto const& o : ops)
            if (clock_->gone.contains(o.target.node()))
                return completed(make_error(errc::unreachable, o.target.node()));
        return channel_.submit(ops);
    }
    [[nodiscard]] completed fence(client_id id) noexcept {
        return clock_->fences_time_out ? completed(make_error(errc::timed_out)) : channel_.fence(id);
    }
    [[nodiscard]] completed pause(std::chrono::nanoseconds d) {
        clock_->pause(d);
        return completed(result<void>{});
    }
    void poll() const noexcept {}
    [[nodiscard]] std::chrono::nanoseconds now() const noexcept { return clock_->now; }
    [[nodiscard]] fabric_stats& stats() noexcept { return channel_.stats(); }

private:
    immediate_channel channel_;
    virtual_clock* clock_;
};

class clock_fabric {
public:
    using channel_type = clock_channel;
    static constexpr std::string_view name = "clock";

    explicit clock_fabric(std::uint64_t node_bytes = 4U << 20U, std::uint16_t nodes = 1)
        : memory_(ok(local_fabric::create(node_bytes, nodes))) {}

    [[nodiscard]] std::uint16_t node_count() const noexcept { return memory_.node_count(); }
    [[nodiscard]] std::uint64_t node_bytes() const noexcept { return memory_.node_bytes(); }
    [[nodiscard]] setup_result<channel_type> connect(client_id id = {}) {
        auto channel = memory_.connect(id);
        if (!channel) return channel.error();
        return channel_type(std::move(*channel), clock);
    }
    [[nodiscard]] local_fabric& memory() noexcept { return memory_; }

    virtual_clock clock;

private:
    local_fabric memory_;
};
static_assert(fabric<clock_fabric>);

using clock_client = basic_client<clock_fabric>;

/// One operation on the memory nodes, past every protocol.
inline word raw_read(local_fabric& f, remote_ptr at) {
    word w = 0;
    op read = op::read(at, &w, sizeof w);
    ok(ok(f.connect()).submit(batch(&read, 1)).await_resume());
    return w;
}
inline void raw_write(local_fabric& f, remote_ptr at, word value) {
    op write = op::write(at, &value, sizeof value);
    ok(ok(f.connect()).submit(batch(&write, 1)).await_resume());
}

} // namespace catena::test
