// SPDX-License-Identifier: Apache-2.0
#include "tools/common_options.hpp"

#include <array>
#include <string_view>
#include <vector>

#include <catena/client.hpp>
#include <catena/prefix/strategy.hpp>
#include <catena/version.hpp>
#include <fmt/format.h>

#include "tools/option_checks.hpp"
#include "tools/synthetic_trace.hpp"
#include "tools/units.hpp"

namespace catena::tools {

common_options::common_options(CLI::App& app, common_settings& s) : app_(app), s_(s) {
    client_options const client_defaults;
    synthetic_parameters const synthetic;
    s_.requests = synthetic.requests;
    s_.seed = synthetic.seed;
    cache_ = exact_size(client_defaults.client_cache_bytes);
    app_.get_formatter()->column_width(32);
}

CLI::Option* common_options::add_trace() {
    constexpr std::uint64_t most_tokens = std::uint64_t{1} << 20U;
    app_.option_defaults()->group("Trace");
    auto* const file = app_.add_option("TRACE", s_.trace, "JSON lines in the Mooncake format; none: generate a trace")
                           ->option_text(" ")
                           ->group("Trace");
    app_.add_option("--limit", s_.limit, "Only the first N requests")
        ->option_text("N")
        ->check(at_least_one(any_number));
    app_.add_option(
            "--block-tokens", s_.block_tokens,
            "Tokens of a cached block; cuts each block of the trace\ninto smaller chained ones (default: the trace's)")
        ->option_text("B")
        ->check(at_least_one(most_tokens));
    app_.add_flag("--full-blocks-only", s_.full_blocks_only,
                  "Leave out the partial last block of a prompt, as engines do");
    app_.add_option("--trace-block-tokens", s_.trace_block_tokens,
                    "Tokens of a block in the trace (default: deduced from it)")
        ->option_text("T")
        ->needs(file)
        ->check(at_least_one(most_tokens));
    return file;
}

void common_options::add_generated(CLI::Option* file) {
    app_.add_option("--requests", s_.requests, "Length of the generated trace")
        ->option_text(fmt::format("N [{}]", s_.requests))
        ->excludes(file)
        ->check(at_least_one(any_number));
    app_.add_option("--seed", s_.seed, "Makes another generated trace")
        ->option_text(fmt::format("N [{}]", s_.seed))
        ->excludes(file);
}

void common_options::add_lookup() {
    constexpr std::array strategies{match_strategy::extents, match_strategy::batched, match_strategy::galloping,
                                    match_strategy::binary, match_strategy::sequential};
    std::vector<std::string_view> names;
    for (auto const each : strategies) names.push_back(name(each));
    strategy_ = name(client_options{}.strategy);
    app_.add_option("--strategy", strategy_, joined(names))
        ->option_text(fmt::format("NAME [{}]", strategy_))
        ->check(one_of(names, "strategy"));
    app_.add_option("--client-cache", cache_, "Bound of what each client remembers of the index")
        ->option_text(fmt::format("SIZE [{}]", cache_))
        ->check(a_size());
}

void common_options::add_output() {
    app_.option_defaults()->group("Output");
    app_.add_option("--json", s_.json,
                    "Write the result as JSON too; - is standard output,\nthe table then goes to standard error")
        ->option_text("FILE");
    app_.add_flag("--no-progress", no_progress_, "No progress bar (there is one on a terminal only)");
    app_.set_help_flag("-h,--help", "This text")->group("Output");
    app_.set_version_flag("--version", fmt::format("{} {}", app_.get_name(), version_string), "The version")
        ->group("Output");
}

std::optional<exit_code> common_options::parse(int argc, char const* const* argv) {
    app_.failure_message([](CLI::App const* app, CLI::Error const& mistake) {
        return fmt::format("{0}: {1}\n{0} --help says what is possible\n", app->get_name(), mistake.what());
    });
    try {
        app_.parse(argc, argv);
    } catch (CLI::ParseError const& stop) {
        return app_.exit(stop) == 0 ? exit_ok : exit_usage;
    }
    s_.strategy = *match_strategy_from(strategy_);
    s_.client_cache_bytes = *parse_size(cache_);
    s_.progress = !no_progress_;
    return std::nullopt;
}

} // namespace catena::tools
