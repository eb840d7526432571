// SPDX-License-Identifier: Apache-2.0
// compare_report: a comparison as a table for people and as JSON for machines, from which the page is made too; all say the same.
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "bench/machine.hpp"
#include "bench/rounds.hpp"
#include "bench/scale.hpp"

namespace catena::bench {

/// What was compared.
struct comparison_description {
    machine where;
    std::string redis; ///< "7.0.15"; empty if there was none
    std::string trace;
    std::uint64_t trace_requests = 0;
    std::uint64_t warm_up = 0; ///< of them: not measured
    std::uint64_t skipped_lines = 0;
    std::uint32_t trace_block_tokens = 0;
    std::uint32_t block_tokens = 0;
    bool full_blocks_only = false;
    std::uint64_t unique_blocks = 0;
    std::string against; ///< name of the system that ratios are of; empty: there are none
};

struct comparison {
    comparison_description about;
    rounds_result measured;
    tools::sim_setup simulated; ///< what all rows of `scale` have in common
    scale_result scale;
};

/// How many times as much as the system that it is compared with, within each round; nothing if there is none.
struct ratios {
    spread requests_per_second;
    spread matches_per_second;
    spread matched_blocks_per_second;
    spread match_p99; ///< below 1 is quicker
    spread request_p99;
};
[[nodiscard]] std::optional<ratios> ratios_of(comparison const& all, system_figures const& one);

/// Lines of at most 120 columns.
[[nodiscard]] std::string to_table(comparison const& all);
[[nodiscard]] nlohmann::ordered_json to_json(comparison const& all);

} // namespace catena::bench
