// SPDX-License-Identifier: Apache-2.0
#include "tools/report_page.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include <catena/core/config.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "tools/report_assets.hpp"

namespace catena::tools {
namespace {

namespace fs = std::filesystem;

constexpr auto without_charts = "this program was built without charts: install Chart.js (Debian: libjs-chart.js) and "
                                "build it with CATENA_CHARTS=ON";

std::string asset([[maybe_unused]] std::string_view name) {
    std::string text;
#if defined(CATENA_WITH_CHARTS)
    auto const all = report_assets();
    auto const found =
        std::find_if(all.begin(), all.end(), [&](report_asset const& each) { return each.name == name; });
    CATENA_ASSERT(found != all.end());
    if (found == all.end()) return text;
    for (auto const piece : found->pieces) text += piece;
#endif
    return text;
}

std::string escaped(std::string_view text) {
    std::string out;
    for (auto const c : text) {
        if (c == '&')
            out += "&amp;";
        else if (c == '<')
            out += "&lt;";
        else
            out += c;
    }
    return out;
}

// In JSON '<' stands in strings only; escaped there, no string can end the script element or begin a comment.
std::string embedded(nlohmann::ordered_json const& data) {
    auto const text = data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    std::string out;
    out.reserve(text.size());
    for (auto const c : text) {
        if (c == '<')
            out += "\\u003c";
        else
            out += c;
    }
    return out;
}

std::string script_of(std::string_view asset_name) { return fmt::format("<script>\n{}</script>\n", asset(asset_name)); }

// Puts values for {{name}}, in one pass: what a value holds is never looked at.
std::string filled(std::string_view skeleton, std::vector<std::pair<std::string_view, std::string>> const& values) {
    std::string out;
    while (true) {
        auto const begin = skeleton.find("{{");
        out += skeleton.substr(0, begin);
        if (begin == std::string_view::npos) return out;
        auto const end = skeleton.find("}}", begin);
        auto const name = skeleton.substr(begin + 2, end - begin - 2);
        auto const value =
            std::find_if(values.begin(), values.end(), [&](auto const& each) { return each.first == name; });
        CATENA_ASSERT(value != values.end());
        out += value->second;
        skeleton.remove_prefix(end + 2);
    }
}

// Beside the page, so that the rename stays in one file system; through links, so that they stay links.
struct place {
    fs::path page;
    fs::path temporary;
};

result<place, std::string> place_for(std::string const& path) {
    if (!has_charts()) return std::string(without_charts);
    if (path.empty() || path == "-") return std::string("not a place for a page: name a file");
    std::error_code failed;
    auto page = fs::weakly_canonical(fs::absolute(path, failed), failed);
    if (failed) return failed.message();
    auto const status = fs::status(page, failed);
    if (fs::is_directory(status)) return std::string("is a directory");
    if (fs::exists(status) && !fs::is_regular_file(status)) return std::string("is not a regular file");
    if (!fs::is_directory(page.parent_path(), failed))
        return fmt::format("there is no directory {}", page.parent_path().string());
    auto temporary = page;
    temporary += fmt::format(".new-{}", getpid());
    return place{.page = std::move(page), .temporary = std::move(temporary)};
}

// Nothing, or what the system says.
std::optional<std::string> written(fs::path const& path, std::string_view text) {
    errno = 0;
    std::ofstream out(path, std::ios::binary);
    out << text;
    out.close();
    if (out) return std::nullopt;
    auto const why = errno;
    std::error_code ignored;
    fs::remove(path, ignored);
    return fmt::format("cannot be written{}", why == 0 ? std::string() : fmt::format(": {}", std::strerror(why)));
}

} // namespace

bool has_charts() noexcept {
#if defined(CATENA_WITH_CHARTS)
    return true;
#else
    return false;
#endif
}

std::optional<std::string> unfit_for_report(std::string const& path) {
    auto const where = place_for(path);
    if (!where) return where.error();
    auto why = written(where.value().temporary, "");
    std::error_code ignored;
    if (!why) fs::remove(where.value().temporary, ignored);
    return why;
}

std::string make_report_page(report_heading const& heading, std::string_view script,
                             nlohmann::ordered_json const& data) {
    CATENA_ASSERT(has_charts());
    std::string scripts; // page.js first: it counts errors of the others
    for (auto const* const name : {"format.js", "page.js", "chart-library", "charts.js", "bars.js"})
        scripts += script_of(name);
    scripts += script_of(fmt::format("{}.js", script));
    return filled(asset("page.html"), {{"title", escaped(heading.title)},
                                       {"subtitle", escaped(heading.subtitle)},
                                       {"footer", escaped(heading.footer)},
                                       {"style", asset("page.css")},
                                       {"data", embedded(data)},
                                       {"scripts", std::move(scripts)}});
}

result<void, std::string> write_report_page(std::string const& path, report_heading const& heading,
                                            std::string_view script, nlohmann::ordered_json const& data) {
    auto const where = place_for(path);
    if (!where) return where.error();
    auto const& [page, temporary] = where.value();
    if (auto const why = written(temporary, make_report_page(heading, script, data))) return *why;
    std::error_code failed;
    fs::rename(temporary, page, failed);
    if (!failed) return {};
    std::error_code ignored;
    fs::remove(temporary, ignored);
    return fmt::format("cannot be written: {}", failed.message());
}

} // namespace catena::tools
