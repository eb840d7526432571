// SPDX-License-Identifier: Apache-2.0
// rounds: every system serves the same trace once a round, each round in another order, so that what else the machine does meets all
// of them alike. Figures are medians over the rounds; ratios are taken within a round.
// Thread safety: one thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <catena/core/result.hpp>

#include "bench/pass.hpp"
#include "bench/systems.hpp"
#include "tools/samples.hpp"

namespace catena::bench {

/// One figure over the rounds: its median, and how far it went.
struct spread {
    double median = 0;
    double least = 0;
    double most = 0;
};
/// Requires at least one value.
[[nodiscard]] spread spread_of(std::vector<double> values);

/// Latencies of one kind of call.
struct latencies {
    static constexpr std::array per_mille{500U, 900U, 990U, 999U};

    double mean = 0;
    std::array<double, per_mille.size()> at{};
    double max = 0;
};
/// By nearest rank of all samples. Sorts them; none: zeros.
[[nodiscard]] latencies latencies_of(std::vector<float>& samples);

/// What one system did in one round.
struct round_figures {
    double requests_per_second = 0;       ///< requests by the time in match and publish
    double matches_per_second = 0;        ///< requests by the time in match
    double matched_blocks_per_second = 0; ///< hit blocks by the time in match
    latencies match_us;
    latencies publish_us; ///< of requests that missed something
    latencies request_us; ///< match and publish
    double server_us = 0; ///< processor time of the server, a request
};

/// What one system did in all rounds. What does not depend on time is the same in all: that of the last round.
struct system_figures {
    system what;
    std::vector<round_figures> rounds;
    std::uint64_t requests = 0; ///< measured in a round
    std::uint64_t blocks = 0;
    std::uint64_t hit_blocks = 0;
    std::uint64_t publishes = 0;
    traffic sent;
    footprint size;
    std::vector<float> match_us; ///< samples of all rounds, sorted
    std::vector<float> request_us;

    [[nodiscard]] double round_trips_per_match() const noexcept { return per(sent.match_round_trips, requests); }
    [[nodiscard]] double round_trips_per_publish() const noexcept { return per(sent.publish_round_trips, publishes); }
    [[nodiscard]] double bytes_per_request() const noexcept { return per(sent.bytes, requests); }
    [[nodiscard]] double bytes_per_block() const noexcept { return per(size.bytes, size.blocks); }

    /// Over the rounds, of a figure that `what` takes out of one.
    template <typename What>
    [[nodiscard]] spread over_rounds(What what_of) const {
        std::vector<double> values;
        for (auto const& each : rounds) values.push_back(what_of(each));
        return spread_of(std::move(values));
    }

private:
    [[nodiscard]] static double per(std::uint64_t part, std::uint64_t whole) noexcept {
        return tools::ratio(static_cast<double>(part), static_cast<double>(whole));
    }
};

struct rounds_setup {
    std::vector<system> systems;
    unsigned rounds = 5;
    std::uint64_t warm_up = 0; ///< requests
    surroundings where;
    std::atomic<bool> const* stop = nullptr;
    /// Now and then: share of all work, name of the system, which round from 1.
    std::function<void(double, std::string const&, unsigned)> progress{};
};

struct rounds_result {
    std::vector<system_figures> systems; ///< in the order of the setup
    unsigned rounds = 0;                 ///< that all systems finished
    bool same_hits = true;               ///< every request hit the same blocks in all of them
    bool stopped = false;
};

/// Errors: a system failed; which and why.
[[nodiscard]] result<rounds_result, std::string> run_rounds(tools::trace const& trace, tools::chain_maker const& chains,
                                                            rounds_setup const& setup);

} // namespace catena::bench
