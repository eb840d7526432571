// SPDX-License-Identifier: Apache-2.0
// Where the published traces lie, if they are here: they are not part of this repository.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace catena::test {

/// The folder named by the environment variable CATENA_TRACES, else by the build.
[[nodiscard]] inline std::string trace_folder() {
    if (auto const* const named = std::getenv("CATENA_TRACES"); named != nullptr && *named != '\0') return named;
#if defined(CATENA_TRACE_DIR)
    return CATENA_TRACE_DIR;
#else
    return "";
#endif
}

/// The path of a published trace, empty if it is not here.
[[nodiscard]] inline std::string published_trace(std::string const& name) {
    auto const path = std::filesystem::path(trace_folder()) / name;
    std::error_code ignored;
    return !trace_folder().empty() && std::filesystem::is_regular_file(path, ignored) ? path.string() : "";
}

[[nodiscard]] inline std::string why_skipped(std::string const& name) {
    return "skipped: there is no " + name + " in \"" + trace_folder() +
           "\"; name the folder of the traces with the environment variable CATENA_TRACES";
}

} // namespace catena::test
