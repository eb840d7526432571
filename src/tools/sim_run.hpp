// SPDX-License-Identifier: Apache-2.0
// sim_run: replays a trace with many clients on a simulated network and measures in virtual time.
//
// Closed loop: each client has `depth` coroutines, each of which takes the next request of the trace when it finished its
// last: match the chain, publish what was missing. Engines do not think in between.
// The window      from the start until the first coroutine finds no request left: all of it with all clients at work.
//                 Throughput and utilisation are of this window, latencies and hits of all requests.
// Thread safety: one thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <catena/core/result.hpp>

#include "tools/chains.hpp"
#include "tools/replay.hpp"
#include "tools/sim_cluster.hpp"
#include "tools/trace.hpp"

namespace catena::tools {

/// What can be busy; of clients and memory nodes the busiest one counts.
inline constexpr std::array<std::string_view, 5> sim_resources{
    "client NIC send", "client NIC receive", "memory NIC receive", "memory NIC send", "memory atomics"};

/// One kind of call.
struct sim_calls {
    std::vector<double> latency_us; ///< one for each call
    std::uint64_t round_trips = 0;  ///< of all
};

struct sim_result {
    double window_seconds = 0; ///< virtual, as all times here
    std::uint64_t window_requests = 0;
    std::uint64_t window_blocks = 0;
    std::array<double, sim_resources.size()> utilisation{}; ///< share of the window, 0 to 1

    std::uint64_t requests = 0; ///< without those of the warm-up, as all counts here
    std::uint64_t blocks = 0;
    std::uint64_t hit_blocks = 0;
    std::uint64_t inserted = 0;
    std::uint64_t already_present = 0;
    std::uint64_t wrong_locations = 0; ///< 0, or the index is broken
    std::uint64_t retries = 0;         ///< torn or stale reads and lost races that cost another round trip
    sim_calls match;
    sim_calls publish;               ///< only of requests that missed something
    std::vector<std::uint32_t> hits; ///< hit blocks of each request of the trace, or replay_result::not_done
    std::optional<replay_failure> failure;
    bool stopped = false;
};

struct sim_run_options {
    std::atomic<bool> const* stop = nullptr;       ///< set it to end early; requests that were begun are finished
    std::function<void(std::uint64_t)> progress{}; ///< now and then: requests that were done
};

/// Requires: warm_up leaves at least clients * depth requests. Errors: the cluster cannot be made.
[[nodiscard]] setup_result<sim_result> simulate(trace const& trace, chain_maker const& chains, sim_setup const& setup,
                                                sim_run_options const& options = {});

} // namespace catena::tools
