// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_arguments.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/option_checks.hpp"
#include "tools/output.hpp"
#include "tools/report_page.hpp"
#include "tools/trace_analysis.hpp"

namespace catena::tools {
namespace {

constexpr auto description =
    R"(catena-trace - what does a workload look like, before it meets an index?

Looks at traces of LLM requests. No pool is needed, and nothing but the traces is read.
)";

constexpr auto footer = R"(
Trace format: one JSON object a line with the integers timestamp (ms), input_length (tokens of the
prompt), output_length, and hash_ids, an array of block ids where equal ids mean equal prefixes.

Examples:
  catena-trace analyze conversation.jsonl              what there is to know about a trace
  catena-trace analyze a.jsonl b.jsonl                 two side by side
  catena-trace analyze a.jsonl --report a.html         as a page with charts, for a browser
  catena-trace analyze --help                          what the figures mean, and how they are made

Exit status: 0 done, 1 the result could not be written, 2 wrong usage, 3 a trace is missing, empty
or unusable.
)";

constexpr auto analyze_description = "What a workload looks like: reuse, shape, order and skew of its blocks";

constexpr auto analyze_footer = R"(
Answers, one section each: Are the ids chains? What would an unbounded cache find, what bounded
ones? How far apart are the uses of a block? What shape has the trie of all prompts? Is there order
in the ids, and could it be random? How unevenly are blocks used? Up to three traces stand side by
side, more in further tables.

Trace format: one JSON object a line with the integers timestamp (ms), input_length (tokens of the
prompt), output_length, and hash_ids, an array of block ids where equal ids mean equal prefixes.
Lines that are anything else are reported with their number, counted, and left out.

How the figures are made. All are exact, percentiles by nearest rank.
  block        an id after a prefix; a trace whose ids are chains has as many blocks as ids
  hits         the leading blocks of a request that the cache has; then all its blocks are used
  LRU          a cache of P percent of the unique blocks, block by block, for each order of use
  distance     different blocks between two uses of one that follow each other (stack distance)
  runs test    of Wald and Wolfowitz, two-sided, with the normal distribution. Of all accesses in
               the trace's order: was the block used before or not; is the id above the median of
               all or below. Of each request by itself: its ids, and the first ids of its stretches
               (id, id + 1, ...), above or below their median. What equals a median is left out.
  Zipf         most likely exponent for the use counts, ranked, over all blocks of the trace

--block-tokens 16 cuts the blocks of the traces to 16 tokens, as catena-replay does. The last block
of a request is cut where its prompt ends. The figures are exact and the same as those of a trace
written out in such blocks, but nothing is written out: blocks that are always used together are
kept as one, so this takes hardly more memory, whatever N is. The ids and their order (chains,
sequences, runs tests) stay those of the trace's own blocks.

--report writes the same figures as a page with charts. It is one file: it fetches nothing, can be
sent around, and opens in any browser, also on a phone; light or dark, as the device is set. Of
several traces it draws the first six.

Memory: some 40 bytes for each block of each request of the largest trace, some 60 if its ids are
no chains. Time: about a microsecond for each.

Examples:
  catena-trace analyze conversation.jsonl
  catena-trace analyze conversation.jsonl agent.jsonl --full-blocks-only
                                                       as engines do, which cache full blocks only
  catena-trace analyze conversation.jsonl --block-tokens 16 --full-blocks-only
                                                       as an engine with blocks of 16 tokens has it
  catena-trace analyze conversation.jsonl agent.jsonl --report workloads.html
                                                       charts, the traces side by side
  catena-trace analyze day.jsonl --cache-percent 0.1,0.5,1
                                                       smaller caches
  catena-trace analyze conversation.jsonl --limit 3000 its first 3,000 requests
  catena-trace analyze a.jsonl --json a.json           also histograms and curves, to draw
  catena-trace analyze a.jsonl --json - 2>/dev/null | jq '.traces[].trie.branching'

Exit status: 0 done (also when ids are no chains: the table says so), 1 the result could not be
written, 2 wrong usage, 3 a trace is missing, empty or unusable.
)";

CLI::Validator a_percentage() {
    return CLI::Validator(
        [](std::string const& text) {
            double value = 0;
            if (CLI::detail::lexical_cast(text, value) && value > 0 && value <= 100) return std::string{};
            return fmt::format("\"{}\" is not a number above 0, up to 100", text);
        },
        "");
}

void add_analyze(CLI::App& app, trace_settings& s, bool& no_progress) {
    auto& command = *app.add_subcommand("analyze", analyze_description);
    command.footer(analyze_footer);
    command.option_defaults()->group("Trace");
    command.add_option("TRACE", s.traces, "JSON lines in the Mooncake format")->option_text("...")->required();
    command.add_option("--limit", s.limit, "Only the first N requests of each trace")
        ->option_text("N")
        ->check(at_least_one(std::numeric_limits<std::uint64_t>::max()));
    command
        .add_option("--block-tokens", s.block_tokens,
                    "Cut the traces' blocks to N tokens; N must divide them (default: do not)")
        ->option_text("N")
        ->check(at_least_one(std::uint64_t{1} << 20U));
    command.add_flag("--full-blocks-only", s.full_blocks_only,
                     "Leave out the partial last block of a prompt, as engines do");
    command
        .add_option("--trace-block-tokens", s.trace_block_tokens,
                    "Tokens of a block in the traces (default: deduced from each)")
        ->option_text("T")
        ->check(at_least_one(std::uint64_t{1} << 20U));

    command.option_defaults()->group("Analysis");
    command.add_option("--cache-percent", s.cache_percent, "Sizes of the bounded caches, in % of the unique blocks")
        ->option_text(fmt::format("P,... [{}]", fmt::join(s.cache_percent, ",")))
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(a_percentage());

    command.option_defaults()->group("Output");
    command
        .add_option("--json", s.json,
                    "Write the result as JSON too; - is standard output,\nthe table then goes to standard error")
        ->option_text("FILE");
    command.add_option("--report", s.report, "Write the result as a page with charts too: one HTML file")
        ->option_text("FILE");
    command.add_flag("--no-progress", no_progress, "No progress line (there is one on a terminal only)");
    command.set_help_flag("-h,--help", "This text")->group("Output");
}

} // namespace

result<trace_settings, exit_code> parse_trace_arguments(int argc, char const* const* argv) {
    CLI::App app(description, std::string(trace_program));
    app.footer(footer);
    app.get_formatter()->column_width(32);
    app.get_formatter()->label("SUBCOMMAND", "COMMAND");
    app.require_subcommand(1);
    trace_settings s;
    s.cache_percent = analysis_options{}.cache_percent;
    bool no_progress = false;
    add_analyze(app, s, no_progress);
    if (auto const stop = parse_commands(app, argc, argv)) return *stop;
    constexpr complainer complain{trace_program};
    s.progress = !no_progress;
    if (!is_place_for_file(s.json)) {
        complain("--json {}: not a place for a file", s.json);
        return exit_usage;
    }
    if (!s.report.empty()) {
        if (auto const why = unfit_for_report(s.report)) {
            complain("--report {}: {}", s.report, *why);
            return exit_usage;
        }
    }
    return s;
}

} // namespace catena::tools
