// SPDX-License-Identifier: Apache-2.0
// comparison: the same trace through several ways to store and look up, side by side.
// Thread safety: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catena/prefix/strategy.hpp>
#include <nlohmann/json_fwd.hpp>

#include "tools/report.hpp"

namespace catena::tools {

/// A layout and the index behind it.
struct compared_way {
    match_strategy strategy = match_strategy::extents;
    std::string index;

    /// "extents/chime"
    [[nodiscard]] std::string label() const { return std::string(name(strategy)) + '/' + index; }
};

/// Extents and batched lookups with every index, the other strategies with `index`.
[[nodiscard]] std::vector<compared_way> ways_to_compare(std::string_view index);

/// The URI of a pool that a way has for itself: "shm:x?size=1GiB" -> "shm:x-extents-chime?size=1GiB". A local pool is
/// its client's own anyway.
[[nodiscard]] std::string pool_of(std::string_view uri, compared_way const& way);

/// Why no pools can be made of that URI, one for each way and gone after it, in words; nothing if they can.
[[nodiscard]] std::optional<std::string> unfit_to_compare(std::string_view uri);

struct comparison {
    std::vector<run_report> rows;
    bool same_hits = true; ///< every request hit the same blocks in all of them
    bool stopped = false;  ///< by the user or a failure, before the last way
};

/// Lines of at most 120 columns. uri: of all pools.
[[nodiscard]] std::string to_table(comparison const& all, std::string_view uri);

/// An array of what to_json(run_report) makes of each row.
[[nodiscard]] nlohmann::ordered_json to_json(comparison const& all);

} // namespace catena::tools
