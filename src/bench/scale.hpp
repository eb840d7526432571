// SPDX-License-Identifier: Apache-2.0
// scale: ways to store and ask on a simulated network, in virtual time, from one client to many and on one memory node to many.
// Thread safety: one thread.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/prefix/strategy.hpp>

#include "tools/chains.hpp"
#include "tools/sim_cluster.hpp"
#include "tools/sim_report.hpp"
#include "tools/trace.hpp"

namespace catena::bench {

struct simulated_way {
    match_strategy strategy = match_strategy::extents;
    std::string_view index; ///< one of tools::sim_indexes

    [[nodiscard]] std::string name() const;
};
/// Extents, and one entry a block with each index, batched.
[[nodiscard]] std::vector<simulated_way> simulated_ways();

struct scale_setup {
    std::vector<simulated_way> ways;
    std::vector<unsigned> clients;
    std::vector<unsigned> nodes;
    tools::sim_setup setup; ///< all but these
    std::atomic<bool> const* stop = nullptr;
    /// Now and then: share of all work, name of the way.
    std::function<void(double, std::string const&)> progress{};
};

struct scale_row {
    std::string way;
    tools::sim_row row;
};

struct scale_result {
    std::vector<scale_row> rows;
    bool stopped = false; ///< before the last combination
};

/// Errors: a combination failed; which and why.
[[nodiscard]] result<scale_result, std::string> run_scale(tools::trace const& trace, tools::chain_maker const& chains,
                                                          scale_setup const& setup);

} // namespace catena::bench
