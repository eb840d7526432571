// SPDX-License-Identifier: Apache-2.0
// trace_order: is there an order in the ids of a trace, as they follow each other in prompts?
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>

#include "tools/trace.hpp"
#include "tools/trace_blocks.hpp"
#include "tools/trace_distribution.hpp"
#include "tools/trace_runs_test.hpp"

namespace catena::tools {

/// The runs test of each request by itself. Few numbers are consistent with nearly everything: a test of them finds
/// randomness where there is none, so those with enough numbers (runs_test::enough) are counted apart.
struct runs_tests {
    std::uint64_t possible = 0;        ///< requests whose numbers allow a test at all
    std::uint64_t possible_random = 0; ///< of these, with p > 0.05: nothing speaks against random order
    std::uint64_t sound = 0;           ///< requests with enough numbers
    std::uint64_t sound_random = 0;
};

struct id_order {
    std::uint64_t pairs = 0;             ///< ids that follow each other in a request
    std::uint64_t sequential = 0;        ///< of these, with the second one more than the first
    std::uint64_t requests_of_pairs = 0; ///< requests of two ids and more
    double sequential_of_a_request = 0;  ///< mean of these requests' own shares
    distribution stretches;              ///< per request: longest sequences of id, id + 1, id + 2, ...
    std::optional<runs_test> hits;       ///< all accesses in the trace's order: was that block used before, or not?
    std::optional<runs_test> ids;        ///< all ids in the trace's order: above their median, or below?
    runs_tests in_requests;              ///< the ids of one request about their median
    runs_tests between_stretches;        ///< the first ids of one request's stretches about their median
};

/// `blocks`: of the same trace.
[[nodiscard]] id_order order_of(trace const& t, trace_blocks const& blocks);

} // namespace catena::tools
