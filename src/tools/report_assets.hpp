// SPDX-License-Identifier: Apache-2.0
// report_assets: the files that report pages are made of, as they were when the program was built (cmake/embed.cmake).
// Thread safety: constants.
#pragma once

#include <span>
#include <string_view>

namespace catena::tools {

struct report_asset {
    std::string_view name;                    ///< of the file in report_page/; "chart-library" is the one from outside
    std::span<std::string_view const> pieces; ///< its bytes, one piece after the other
};

/// Only a program that was built with charts has it.
[[nodiscard]] std::span<report_asset const> report_assets();

} // namespace catena::tools
