// SPDX-License-Identifier: Apache-2.0
// sim_report: scale curves as a table for people and as JSON for machines; both say the same.
// Thread safety: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tools/samples.hpp"
#include "tools/sim_run.hpp"

namespace catena::tools {

/// From this share of the time on, waiting for a part dominates: random arrivals at a queue that is busy for a share u of
/// the time wait u / (1 - u) service times, more than two from here on.
inline constexpr double saturated_from = 0.7;

/// What was run: the same for all rows.
struct sim_description {
    std::string trace;
    std::uint64_t trace_requests = 0;
    std::uint64_t skipped_lines = 0;
    std::uint32_t block_tokens = 0;
    sim_setup setup; ///< without clients and nodes
    bool stopped = false;
};

/// One combination.
struct sim_row {
    unsigned nodes = 0;
    unsigned clients = 0;
    std::uint64_t requests = 0; ///< measured
    std::uint64_t blocks = 0;
    std::uint64_t hit_blocks = 0;
    std::uint64_t retries = 0;
    double window_us = 0;
    double requests_per_second = 0;
    double blocks_per_second = 0;
    summary match_us;
    summary publish_us;
    std::uint64_t publishes = 0;
    double round_trips_per_match = 0;
    double round_trips_per_publish = 0;
    std::array<double, sim_resources.size()> utilisation{};

    /// The busiest resource if it is saturated: an index into sim_resources.
    [[nodiscard]] std::optional<std::size_t> saturated() const;
    [[nodiscard]] std::string_view saturates() const;
};

[[nodiscard]] sim_row make_row(sim_setup const& setup, sim_result&& result);

[[nodiscard]] std::string to_table(sim_description const& run, std::vector<sim_row> const& rows);

[[nodiscard]] nlohmann::ordered_json to_json(sim_description const& run, std::vector<sim_row> const& rows);

} // namespace catena::tools
