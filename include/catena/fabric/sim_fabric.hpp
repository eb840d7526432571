// SPDX-License-Identifier: Apache-2.0
// sim_fabric: one client's view of a simulated network. Code above sees a fabric like any other: batches, guarantees,
// counters; every await really suspends, and the network decides who goes on.
//
//   timed_network network({...});                        // or adversarial_network
//   sim_fabric mine(network);                            // one for each client: its own NIC, its own life
//   auto pool = memory_pool<sim_fabric>::create(mine);   // calm: costs no time
//   network.set_calm(false);  start tasks;  while (network.step()) {}
//
// Thread safety: one thread for all clients of a network.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <string_view>

#include <catena/core/result.hpp>
#include <catena/fabric/batch_rules.hpp>
#include <catena/fabric/fabric.hpp>
#include <catena/fabric/sim/network.hpp>

namespace catena {

class sim_channel {
public:
    static constexpr fabric_guarantees guarantees{.atomic_words = true, .ordered_batch = true};

    sim_channel(sim_network& network, std::uint32_t endpoint) noexcept : network_(&network), endpoint_(endpoint) {}

    class awaitable {
    public:
        awaitable(sim_network& network, sim_flight const& f) noexcept : network_(&network), flight_(f) {}
        [[nodiscard]] bool await_ready() { return !flight_.outcome || network_->ends_at_once(flight_); }
        void await_suspend(std::coroutine_handle<> h) {
            flight_.waiting = h;
            network_->submit(flight_);
        }
        [[nodiscard]] result<void> await_resume() const noexcept { return flight_.outcome; }

    private:
        sim_network* network_;
        sim_flight flight_;
    };

    /// Errors: invalid_argument (an operation outside its memory node or a misaligned atomic; nothing of the batch was
    /// done), unreachable, fenced.
    [[nodiscard]] awaitable submit(batch ops) {
        sim_flight f{.what = sim_flight::kind::operations, .endpoint = endpoint_, .ops = ops};
        auto const shape = shape_of(ops, network_->node_count(), network_->node_bytes());
        if (shape.wrong) {
            f.fail(*shape.wrong);
            return {*network_, f};
        }
        for (op const& o : ops) count(o, stats_);
        ++stats_.round_trips;
        stats_.doorbells += shape.doorbells();
        return {*network_, f};
    }
    [[nodiscard]] awaitable pause(std::chrono::nanoseconds d) {
        return {*network_, {.what = sim_flight::kind::pause, .endpoint = endpoint_, .due = d}};
    }
    [[nodiscard]] awaitable fence(client_id whom) {
        sim_flight f{.what = sim_flight::kind::fence, .endpoint = endpoint_, .whom = whom};
        if (whom == client_id{}) f.fail(make_error(errc::invalid_argument));
        ++stats_.round_trips;
        return {*network_, f};
    }
    void poll() noexcept { (void)network_->step(); }
    [[nodiscard]] std::chrono::nanoseconds now() const noexcept { return network_->now(); }
    [[nodiscard]] fabric_stats& stats() noexcept { return stats_; }

private:
    sim_network* network_;
    std::uint32_t endpoint_;
    fabric_stats stats_;
};

class sim_fabric {
public:
    using channel_type = sim_channel;
    static constexpr std::string_view name = "sim";

    explicit sim_fabric(sim_network& network) : network_(&network), host_(network.add_host()) {}

    [[nodiscard]] std::uint16_t node_count() const noexcept { return network_->node_count(); }
    [[nodiscard]] std::uint64_t node_bytes() const noexcept { return network_->node_bytes(); }
    [[nodiscard]] setup_result<channel_type> connect(client_id id = {}) {
        return channel_type(*network_, network_->connect(host_, id));
    }
    [[nodiscard]] std::uint32_t host() const noexcept { return host_; }
    [[nodiscard]] sim_network& network() noexcept { return *network_; }

private:
    sim_network* network_;
    std::uint32_t host_;
};
static_assert(fabric<sim_fabric>);

} // namespace catena
