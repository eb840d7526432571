// SPDX-License-Identifier: Apache-2.0
// table_lines: lines that several tables have in common, at most 100 columns wide.
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tools/report.hpp"

namespace catena::tools {

inline constexpr std::size_t widest_line = 100;
inline constexpr std::size_t label_width = 18;

/// "1 thread", "2 threads".
[[nodiscard]] std::string plural(std::uint64_t number, std::string_view thing);

/// "label             value"; a long value loses its middle, never its line.
[[nodiscard]] std::string line(std::string_view label, std::string_view value);

/// "label             1,234   remark"
[[nodiscard]] std::string figure(std::string_view label, std::uint64_t number, std::string_view remark);

/// Which trace, how it was cut, and what was left out of it.
[[nodiscard]] std::string about_trace(run_description const& run);

} // namespace catena::tools
