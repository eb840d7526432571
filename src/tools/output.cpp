// SPDX-License-Identifier: Apache-2.0
#include "tools/output.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace catena::tools {

bool is_place_for_file(std::string const& json) {
    namespace fs = std::filesystem;
    if (json.empty() || json == "-") return true;
    auto const path = fs::path(json);
    return !fs::is_directory(path) && (!path.has_parent_path() || fs::is_directory(path.parent_path()));
}

bool print_result(std::string_view program, std::string const& json, std::string const& table,
                  nlohmann::ordered_json const& data) {
    auto* const to = json == "-" ? stderr : stdout;
    fmt::print(to, "{}", table);
    std::fflush(to);
    if (json.empty()) return true;
    auto const text = data.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
    if (json == "-") {
        fmt::print("{}", text);
        return std::fflush(stdout) == 0;
    }
    std::ofstream out(json, std::ios::binary);
    out << text << std::flush;
    if (!out) fmt::print(stderr, "{}: cannot write {}\n", program, json);
    return static_cast<bool>(out);
}

} // namespace catena::tools
