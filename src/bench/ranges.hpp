// SPDX-License-Identifier: Apache-2.0
// ranges: what range reads bring to an index with one entry a block. Published traces number their blocks in the order of first use,
// so that a prompt's blocks are stretches of consecutive keys; the hashes that engines use have no order. Both are tried: keys as
// numbered, and the same scattered.
// Counts alone: the same on every machine.
// Thread safety: pure.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include <catena/core/result.hpp>
#include <nlohmann/json_fwd.hpp>

#include "tools/trace.hpp"

namespace catena::bench {

/// How the leading blocks of a request are looked up.
enum class lookup : std::uint8_t {
    one_by_one, ///< find, until one is missing
    batched,    ///< find_many of all
    ranges,     ///< a scan for each stretch of consecutive keys, until one is not there whole
};

/// Means of all requests.
struct range_row {
    std::string index;
    bool numbered = true; ///< keys in the order of first use; else scattered
    lookup how = lookup::batched;
    std::uint64_t requests = 0;
    std::uint64_t hit_blocks = 0;
    double round_trips = 0;
    double verbs = 0;
    double bytes_read = 0;
};

/// All combinations, on a pool in this process, internal nodes cached. stop: set it to end early. Errors: of the index.
[[nodiscard]] result<std::vector<range_row>, std::string> run_ranges(tools::trace const& trace,
                                                                     std::atomic<bool> const& stop);

[[nodiscard]] std::string to_table(std::vector<range_row> const& rows, tools::trace const& trace);
[[nodiscard]] nlohmann::ordered_json to_json(std::vector<range_row> const& rows, tools::trace const& trace);

} // namespace catena::bench
