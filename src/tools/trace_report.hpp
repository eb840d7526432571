// SPDX-License-Identifier: Apache-2.0
// trace_report: an analysis as what the page report_page/trace.js shows.
// Thread safety: pure functions.
#pragma once

#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tools/report_page.hpp"
#include "tools/trace_analysis.hpp"
#include "tools/trace_arguments.hpp"

namespace catena::tools {

/// Pages are passed around, so they name the traces' files and not the folders in which these lay.
[[nodiscard]] report_heading report_heading_of(trace_settings const& s, std::vector<trace_analysis> const& all);

/// As to_json, each trace with a short `label` that no other has.
[[nodiscard]] nlohmann::ordered_json report_data_of(std::vector<trace_analysis> const& all);

} // namespace catena::tools
