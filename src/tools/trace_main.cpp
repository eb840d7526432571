// SPDX-License-Identifier: Apache-2.0
// catena-trace: see --help, which trace_arguments.cpp holds.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/output.hpp"
#include "tools/progress.hpp"
#include "tools/progress_ticker.hpp"
#include "tools/report_page.hpp"
#include "tools/trace_analysis.hpp"
#include "tools/trace_arguments.hpp"
#include "tools/trace_file.hpp"
#include "tools/trace_report.hpp"
#include "tools/units.hpp"

namespace {

using namespace catena::tools;

constexpr complainer complain{trace_program};

analysis_options options_of(trace_settings const& s) {
    return {.cache_percent = s.cache_percent,
            .full_blocks_only = s.full_blocks_only,
            .block_tokens = s.block_tokens,
            .progress = {}};
}

// Counts bytes of a file, seconds of what has no size.
catena::result<loaded_trace, trace_problem> read(trace_settings const& s, std::string const& path, bool draw) {
    trace_options options{.limit = s.limit, .block_tokens = s.trace_block_tokens};
    std::error_code failed;
    auto const size = std::filesystem::is_regular_file(path, failed) ? std::filesystem::file_size(path, failed) : 0;
    auto const label = fmt::format("reading {}", shortened(path, 60));
    if (failed || size == 0) {
        progress_ticker const ticker(stderr, draw, label);
        return load_trace(path, options);
    }
    progress_bar bar(stderr, draw, label);
    auto const begin = std::chrono::steady_clock::now();
    if (draw)
        options.progress = [&](std::uint64_t bytes) {
            bar.show({.share = std::min(1.0, share_of(bytes, size)),
                      .amount = fmt::format("{} of {}", human_size(bytes), human_size(size)),
                      .seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
                      .more = {}});
        };
    return load_trace(path, options);
}

catena::result<loaded_trace, exit_code> load(trace_settings const& s, std::string const& path, bool draw) {
    auto loaded = read(s, path, draw);
    auto const& [skipped, examples] = loaded ? std::tie(loaded->skipped, loaded->examples)
                                             : std::tie(loaded.error().skipped, loaded.error().examples);
    fmt::print(stderr, "{}", describe_skipped(path, skipped, examples));
    if (!loaded) {
        complain("{}", loaded.error().message);
        return exit_trace;
    }
    auto const options = options_of(s);
    if (auto const why = unfit(loaded->requests, cut_of(loaded->requests, options))) {
        complain("--block-tokens {}: {}: {}", *s.block_tokens, path, *why);
        return exit_usage;
    }
    if (auto const why = unfit(loaded->requests, options)) {
        complain("{}: {}", path, *why);
        return exit_trace;
    }
    return std::move(*loaded);
}

trace_analysis analyze_one(trace_settings const& s, loaded_trace loaded, bool draw) {
    progress_bar bar(stderr, draw, shortened(loaded.requests.name, 24));
    auto const begin = std::chrono::steady_clock::now();
    auto options = options_of(s);
    options.progress = [&](std::string_view what, double share) {
        bar.show({.share = share,
                  .amount = std::string(what),
                  .seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
                  .more = {}});
    };
    auto out = analyze(std::move(loaded.requests), options);
    out.skipped_lines = loaded.skipped;
    return out;
}

// True if it was written, or none is wanted.
bool write_report(trace_settings const& s, std::vector<trace_analysis> const& all) {
    if (s.report.empty()) return true;
    auto const written = write_report_page(s.report, report_heading_of(s, all), "trace", report_data_of(all));
    if (!written) complain("--report {}: {}", s.report, written.error());
    return static_cast<bool>(written);
}

exit_code run(trace_settings const& s) {
    bool const draw = s.progress && is_terminal(stderr);
    std::vector<trace_analysis> all;
    for (auto const& path : s.traces) {
        auto loaded = load(s, path, draw);
        if (!loaded) return loaded.error();
        all.push_back(analyze_one(s, std::move(*loaded), draw));
    }
    bool const printed = print_result(trace_program, s.json, to_table(all), to_json(all));
    bool const reported = write_report(s, all);
    return printed && reported ? exit_ok : exit_failed;
}

} // namespace

int main(int argc, char** argv) {
    try {
        auto const s = parse_trace_arguments(argc, argv);
        return s ? run(*s) : s.error();
    } catch (std::exception const& failure) {
        std::fprintf(stderr, "catena-trace: %s\n", failure.what());
        return exit_failed;
    }
}
