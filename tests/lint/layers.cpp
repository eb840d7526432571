// SPDX-License-Identifier: Apache-2.0
// lint_layers ROOT: checks the source tree under ROOT and prints every violation with its reason; exit code 1 if any.
//
//   - A header in include/catena/LAYER/ includes headers of its own layer and of the layers below, in the order of
//     `layers`; layout includes core only, so that remote bytes can be tested without any I/O.
//   - include/catena/README.md lists every header exactly once, top to bottom in reading order: a header includes only
//     headers that are printed below it. That order exists only if there is no include cycle.
//   - verbs headers (infiniband/, rdma/) are included in src/fabric/verbs/ alone.
//   - catena headers are included as <catena/...>, and exist; no file is longer than `max_lines`.
//   - Every file begins with its SPDX line; every header says #pragma once.
#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace fs = std::filesystem;

namespace {

constexpr std::array<std::string_view, 8> layers{"core",     "fabric", "pool",   "layout",
                                                 "protocol", "index",  "prefix", "client"};
constexpr std::size_t max_lines = 600;

struct include_line {
    std::size_t number;
    std::string target; ///< as written between the brackets
    bool quoted;
};

struct source_file {
    std::string path; ///< relative to ROOT
    std::vector<std::string> lines;
    std::vector<include_line> includes;
};

class report {
public:
    void add(std::string const& file, std::size_t line, std::string const& text) {
        std::cout << file;
        if (line != 0) std::cout << ':' << line;
        std::cout << ": " << text << '\n';
        ++violations_;
    }
    [[nodiscard]] std::size_t violations() const { return violations_; }

private:
    std::size_t violations_ = 0;
};

std::vector<std::string> read_lines(fs::path const& path) {
    std::ifstream in(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

std::vector<source_file> read_tree(fs::path const& root, std::string const& folder) {
    static std::regex const include_pattern(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"].*)");
    std::vector<source_file> files;
    if (!fs::exists(root / folder)) return files;
    for (auto const& entry : fs::recursive_directory_iterator(root / folder)) {
        auto const extension = entry.path().extension();
        if (extension != ".hpp" && extension != ".cpp") continue;
        source_file file{.path = entry.path().lexically_relative(root).generic_string(),
                         .lines = read_lines(entry.path()),
                         .includes = {}};
        for (std::size_t i = 0; i < file.lines.size(); ++i) {
            std::smatch match;
            if (std::regex_match(file.lines[i], match, include_pattern))
                file.includes.push_back({.number = i + 1, .target = match[2], .quoted = match[1] == "\""});
        }
        files.push_back(std::move(file));
    }
    std::sort(files.begin(), files.end(), [](auto const& a, auto const& b) { return a.path < b.path; });
    return files;
}

bool starts_with_any(std::string const& text, std::initializer_list<std::string_view> prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(), [&](auto prefix) { return text.starts_with(prefix); });
}

/// The rank of "LAYER/..." below include/catena/. Headers beside the folders: version.hpp, fwd.hpp and (as they need
/// nothing) any of their kind count as core; catena.hpp and client.hpp stand on top.
std::optional<std::size_t> rank_of(std::string const& header) {
    auto const slash = header.find('/');
    std::string_view layer = std::string_view(header).substr(0, slash);
    if (slash == std::string::npos) layer = header == "version.hpp" || header == "fwd.hpp" ? "core" : "client";
    auto const found = std::find(layers.begin(), layers.end(), layer);
    if (found == layers.end()) return std::nullopt;
    return static_cast<std::size_t>(found - layers.begin());
}

bool may_include(std::size_t from, std::size_t to) {
    if (layers[from] == "layout") return layers[to] == "layout" || layers[to] == "core";
    return to <= from;
}

constexpr std::string_view include_folder = "include/catena/";

void check_every_file(std::vector<source_file> const& files, std::set<std::string> const& headers, report& out) {
    for (auto const& file : files) {
        bool const header = file.path.ends_with(".hpp");
        bool const is_public = file.path.starts_with("include/");
        if (file.lines.empty() || file.lines[0] != "// SPDX-License-Identifier: Apache-2.0")
            out.add(file.path, 1, "the first line must be \"// SPDX-License-Identifier: Apache-2.0\"");
        if (header && std::find(file.lines.begin(), file.lines.end(), "#pragma once") == file.lines.end())
            out.add(file.path, 0, "a header needs #pragma once");
        if (file.lines.size() > max_lines)
            out.add(file.path, 0,
                    "has " + std::to_string(file.lines.size()) + " lines, more than " + std::to_string(max_lines) +
                        ": split it by what its parts know");
        for (auto const& include : file.includes) {
            if (starts_with_any(include.target, {"infiniband/", "rdma/"}) &&
                !file.path.starts_with("src/fabric/verbs/"))
                out.add(file.path, include.number,
                        "includes <" + include.target + ">: only src/fabric/verbs/ may, all else builds without verbs");
            if (include.quoted && is_public)
                out.add(file.path, include.number,
                        "includes \"" + include.target + "\": public headers are included as <catena/LAYER/FILE.hpp>");
            if (include.target.starts_with("catena/") && !headers.contains(include.target.substr(7)))
                out.add(file.path, include.number, "includes <" + include.target + ">, which does not exist");
        }
    }
}

void check_layers(std::vector<source_file> const& files, report& out) {
    for (auto const& file : files) {
        if (!file.path.starts_with(include_folder)) continue;
        auto const from = rank_of(file.path.substr(include_folder.size()));
        if (!from) {
            out.add(file.path, 0, "its folder is no layer");
            continue;
        }
        for (auto const& include : file.includes) {
            if (!include.target.starts_with("catena/")) continue;
            auto const to = rank_of(include.target.substr(7));
            if (to && !may_include(*from, *to))
                out.add(file.path, include.number,
                        "back arrow: layer " + std::string(layers[*from]) + " must not include <" + include.target +
                            "> of layer " + std::string(layers[*to]));
        }
    }
}

/// Depth-first search; prints one cycle for each header that closes one.
class cycle_search {
public:
    cycle_search(std::vector<source_file> const& files, report& out) : out_(out) {
        for (auto const& file : files)
            if (file.path.starts_with(include_folder))
                by_name_["catena/" + file.path.substr(include_folder.size())] = &file;
    }
    void run() {
        for (auto const& [name, file] : by_name_) visit(name);
    }

private:
    void visit(std::string const& name) {
        auto const file = by_name_.find(name);
        if (file == by_name_.end() || done_.contains(name)) return;
        if (auto const again = std::find(path_.begin(), path_.end(), name); again != path_.end()) {
            std::string cycle;
            for (auto step = again; step != path_.end(); ++step) cycle.append(*step).append(" -> ");
            out_.add(file->second->path, 0, "include cycle: " + cycle + name);
            return;
        }
        path_.push_back(name);
        for (auto const& include : file->second->includes) visit(include.target);
        path_.pop_back();
        done_.insert(name);
    }

    report& out_;
    std::map<std::string, source_file const*> by_name_;
    std::set<std::string> done_;
    std::vector<std::string> path_;
};

std::string out_of_order(std::string const& name, std::string const& included, std::size_t line) {
    std::string text = name;
    text.append(" includes ").append(included).append(", which is printed above it (line ");
    text.append(std::to_string(line)).append("): move ").append(name).append(" above that line");
    return text;
}

/// An entry of the reading order is a line that begins with the header in backticks, after a table's or a list's mark:
/// "| `core/error.hpp` | ...", "- `core/error.hpp`: ...", "1. `core/error.hpp` ...".
void check_reading_order(fs::path const& root, std::vector<source_file> const& files, report& out) {
    static std::regex const entry_pattern(R"(^\s*(?:\||[-*]|\d+\.)?\s*`(?:catena/)?([A-Za-z0-9_/]+\.hpp)`.*)");
    std::string const page = std::string(include_folder) + "README.md";
    if (!fs::exists(root / page)) {
        out.add(page, 0, "is missing: it lists the headers in reading order");
        return;
    }
    std::map<std::string, std::size_t> line_of;
    auto const lines = read_lines(root / page);
    for (std::size_t i = 0; i < lines.size(); ++i) {
        std::smatch match;
        if (!std::regex_match(lines[i], match, entry_pattern)) continue;
        auto const [entry, fresh] = line_of.emplace(match[1], i + 1);
        if (!fresh)
            out.add(page, i + 1, entry->first + " is listed twice, first in line " + std::to_string(entry->second));
        if (!fs::exists(root / include_folder / entry->first))
            out.add(page, i + 1, entry->first + " is listed but does not exist");
    }
    for (auto const& file : files) {
        if (!file.path.starts_with(include_folder)) continue;
        auto const name = file.path.substr(include_folder.size());
        auto const own = line_of.find(name);
        if (own == line_of.end()) {
            out.add(page, 0, name + " is not listed");
            continue;
        }
        for (auto const& include : file.includes) {
            if (!include.target.starts_with("catena/")) continue;
            auto const other = line_of.find(include.target.substr(7));
            if (other != line_of.end() && other->second < own->second)
                out.add(page, own->second, out_of_order(name, other->first, other->second));
        }
    }
}

} // namespace

int main(int argc, char** argv) { // NOLINT(bugprone-exception-escape): then the test fails, as it should
    if (argc != 2) {
        std::cerr << "usage: lint_layers ROOT\n";
        return 2;
    }
    fs::path const root = argv[1];
    auto files = read_tree(root, "include");
    if (files.empty()) {
        std::cerr << "lint_layers: no headers under " << (root / "include") << '\n';
        return 2;
    }
    std::set<std::string> headers;
    for (auto const& file : files)
        if (file.path.starts_with(include_folder)) headers.insert(file.path.substr(include_folder.size()));
    for (auto& file : read_tree(root, "src")) files.push_back(std::move(file));

    report out;
    check_every_file(files, headers, out);
    check_layers(files, out);
    cycle_search cycles(files, out);
    cycles.run();
    check_reading_order(root, files, out);
    std::cout << files.size() << " files checked, " << out.violations() << " violations\n";
    return out.violations() == 0 ? 0 : 1;
}
