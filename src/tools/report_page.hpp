// SPDX-License-Identifier: Apache-2.0
// report_page: a result as one HTML file with charts, that opens without a network and needs no other file.
//
// A page is the skeleton, style and helpers of src/tools/report_page/, the chart library that was found when the program was
// built, the result's own script report_page/NAME.js, and its data.
// Thread safety: none needed; call from one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <catena/core/result.hpp>
#include <nlohmann/json_fwd.hpp>

namespace catena::tools {

/// Plain text all of them: markup in it is shown, not obeyed.
struct report_heading {
    std::string title;
    std::string subtitle; ///< a line under it
    std::string footer;   ///< which program made the page, and from what
};

/// Was this program built with charts (CATENA_CHARTS)? Without them no page can be written.
[[nodiscard]] bool has_charts() noexcept;

/// Why no page can be written to `path`, in words that can follow "--report PATH: "; nothing if it can. To be asked before the
/// work, not after it: makes a file there and removes it, and leaves alone what is there.
[[nodiscard]] std::optional<std::string> unfit_for_report(std::string const& path);

/// The text of a page whose script is report_page/`script`.js. Requires has_charts() and that there is such a script.
[[nodiscard]] std::string make_report_page(report_heading const& heading, std::string_view script,
                                           nlohmann::ordered_json const& data);

/// Writes the page: under another name beside it first, so that there is never a torn one. The error is why not, as of
/// unfit_for_report.
[[nodiscard]] result<void, std::string> write_report_page(std::string const& path, report_heading const& heading,
                                                          std::string_view script, nlohmann::ordered_json const& data);

} // namespace catena::tools
