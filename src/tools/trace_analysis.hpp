// SPDX-License-Identifier: Apache-2.0
// trace_analysis: everything that catena-trace analyze says about a trace. The parts are in headers of their own.
//
// Memory: bounded by the trace, some 40 bytes for each of its block accesses at the worst moment, some 60 if nearly all of
// them are violations. Cutting it to smaller blocks (trace_cut.hpp) hardly takes more.
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tools/trace.hpp"
#include "tools/trace_blocks.hpp"
#include "tools/trace_caches.hpp"
#include "tools/trace_cut.hpp"
#include "tools/trace_distribution.hpp"
#include "tools/trace_order.hpp"
#include "tools/trace_reuse.hpp"
#include "tools/trace_shape.hpp"
#include "tools/trace_skew.hpp"

namespace catena::tools {

/// A size of cache, and what caches of it would have found.
struct cache_size {
    double percent = 0; ///< of the unique blocks
    bounded_cache leaf_first;
    bounded_cache root_first;
};

struct trace_analysis {
    std::string name;
    std::uint32_t block_tokens = 0;       ///< of the blocks analysed
    std::uint32_t trace_block_tokens = 0; ///< of those in the trace, from which they are cut
    bool full_blocks_only = false;
    std::uint64_t skipped_lines = 0; ///< they were no request
    std::uint64_t left_out = 0;      ///< requests without a full block, if only those count
    std::uint64_t requests = 0;
    std::uint64_t accesses = 0; ///< blocks of all requests
    std::uint64_t unique = 0;   ///< different ones among them
    std::uint64_t tokens = 0;   ///< of all prompts
    std::uint64_t span_ms = 0;  ///< from the earliest timestamp to the latest
    distribution blocks_of_requests;

    chain_validity validity;
    unbounded_cache unbounded;
    std::vector<cache_size> caches;
    block_reuse reuse;
    trie_shape shape;
    id_order order; ///< of the trace's own ids and blocks, which cutting leaves as they are
    use_skew skew;
};

struct analysis_options {
    std::vector<double> cache_percent{1, 2, 5, 10, 20, 50, 100};
    bool full_blocks_only = false;
    std::optional<std::uint32_t> block_tokens{}; ///< cut the trace's blocks to so many tokens; must divide them
    /// Told now and then what is being done and how much of all is done, from 0 to 1.
    std::function<void(std::string_view, double)> progress{};
};

/// How these options cut that trace.
[[nodiscard]] trace_cut cut_of(trace const& t, analysis_options const& options);

/// Why a trace cannot be analysed with these options, in words; nothing if it can.
[[nodiscard]] std::optional<std::string> unfit(trace const& t, analysis_options const& options);

/// Takes the trace, to give its memory back as soon as it is not needed. Requires that it is not unfit.
[[nodiscard]] trace_analysis analyze(trace t, analysis_options const& options = {});

/// At most 100 columns wide; traces stand side by side, three in a row of columns.
[[nodiscard]] std::string to_table(std::vector<trace_analysis> const& all);

/// Also the histograms and curves, so that a page of charts needs nothing else.
[[nodiscard]] nlohmann::ordered_json to_json(std::vector<trace_analysis> const& all);

} // namespace catena::tools
