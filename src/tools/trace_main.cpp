// SPDX-License-Identifier: Apache-2.0
// catena-trace: see --help, which trace_arguments.cpp holds.
#include <chrono>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/output.hpp"
#include "tools/progress.hpp"
#include "tools/progress_ticker.hpp"
#include "tools/trace_analysis.hpp"
#include "tools/trace_arguments.hpp"
#include "tools/trace_file.hpp"
#include "tools/units.hpp"

namespace {

using namespace catena::tools;

constexpr complainer complain{trace_program};

std::optional<std::string> unfit(trace const& t, bool full_blocks_only) {
    std::uint64_t accesses = 0;
    bool full = false;
    for (auto const& r : t.requests) {
        accesses += r.id_count;
        full = full || r.input_length >= t.block_tokens;
    }
    if (accesses > most_accesses)
        return fmt::format("{} blocks in all, more than {}: take fewer requests with --limit", with_thousands(accesses),
                           with_thousands(most_accesses));
    if (full_blocks_only && !full)
        return fmt::format("no request has a full block of {} tokens: leave out --full-blocks-only", t.block_tokens);
    return std::nullopt;
}

catena::result<loaded_trace, exit_code> load(trace_settings const& s, std::string const& path, bool draw) {
    trace_options const options{.limit = s.limit, .block_tokens = s.trace_block_tokens};
    auto loaded = [&] {
        progress_ticker const ticker(stderr, draw, fmt::format("reading {}", shortened(path, 60)));
        return load_trace(path, options);
    }();
    auto const& [skipped, examples] = loaded ? std::tie(loaded->skipped, loaded->examples)
                                             : std::tie(loaded.error().skipped, loaded.error().examples);
    fmt::print(stderr, "{}", describe_skipped(path, skipped, examples));
    if (!loaded) {
        complain("{}", loaded.error().message);
        return exit_trace;
    }
    if (auto const why = unfit(loaded->requests, s.full_blocks_only)) {
        complain("{}: {}", path, *why);
        return exit_trace;
    }
    return std::move(*loaded);
}

trace_analysis analyze_one(trace_settings const& s, loaded_trace loaded, bool draw) {
    progress_bar bar(stderr, draw, shortened(loaded.requests.name, 24));
    auto const begin = std::chrono::steady_clock::now();
    analysis_options options{.cache_percent = s.cache_percent, .full_blocks_only = s.full_blocks_only, .progress = {}};
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

exit_code run(trace_settings const& s) {
    bool const draw = s.progress && is_terminal(stderr);
    std::vector<trace_analysis> all;
    for (auto const& path : s.traces) {
        auto loaded = load(s, path, draw);
        if (!loaded) return loaded.error();
        all.push_back(analyze_one(s, std::move(*loaded), draw));
    }
    return print_result(trace_program, s.json, to_table(all), to_json(all)) ? exit_ok : exit_failed;
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
