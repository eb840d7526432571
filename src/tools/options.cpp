// SPDX-License-Identifier: Apache-2.0
#include "tools/options.hpp"

#include <limits>
#include <vector>

#include <CLI/CLI.hpp>
#include <catena/client.hpp>
#include <catena/version.hpp>
#include <fmt/format.h>

#include "tools/option_checks.hpp"
#include "tools/synthetic_trace.hpp"
#include "tools/units.hpp"

namespace catena::tools {
namespace {

constexpr auto description =
    R"(catena-replay - how well does a KV-cache index serve a real day's prompts?

Replays a trace of LLM requests against an index in remote memory. For every request it does what
an inference engine does: it asks how many leading blocks of the prompt are cached (match), then
lists the others as cached (publish). Nothing is evicted. It prints hits, round trips, verbs, bytes
and latencies. Without a TRACE it generates one in the shape of Mooncake's conversation trace.
)";

constexpr auto footer = R"(
Sizes are bytes or 64K, 64KiB, 1.5MiB, 2GiB (powers of 1024).

Trace format: one JSON object a line with the integers timestamp (ms), input_length (tokens of the
prompt), output_length, and hash_ids, an array of block ids where equal ids mean equal prefixes.
Lines that are anything else are reported with their number, counted, and left out.

Figures: latency is that of the match or publish call alone; requests a second are requests by the
time of the whole loop, hashing included. Percentiles are exact (nearest rank). A publish is made,
and counted, only for a request that missed something. With several threads, requests in flight do
not see each other's blocks, so hits may differ slightly from run to run.

Examples:
  catena-replay                                        a generated trace, a pool in this process
  catena-replay conversation.jsonl --limit 1000        the first 1,000 requests of a file
  catena-replay conversation.jsonl --block-tokens 16 --full-blocks-only --pool 'local:?size=4GiB'
                                                       blocks as small as vLLM's
  catena-replay trace.jsonl --threads 4 --pool 'shm:demo?size=2GiB&nodes=2' --json result.json
                                                       shared memory that other processes can join
  catena-replay trace.jsonl --json - 2>/dev/null | jq .match.round_trips

Exit status: 0 done (also when Ctrl-C ended it early; what was measured is printed), 1 the replay
failed (pool full, contended, ...) or --verify found something wrong, 2 wrong usage, 3 the trace is
missing, empty or unusable.
)";

} // namespace

result<settings, exit_code> parse_arguments(int argc, char const* const* argv) {
    constexpr std::uint64_t any = std::numeric_limits<std::uint64_t>::max();
    constexpr std::uint64_t most_threads = 256;
    constexpr std::uint64_t most_tokens = std::uint64_t{1} << 20U;
    client_options const client_defaults;
    synthetic_parameters const synthetic;
    auto const indexes = client::index_types();
    std::vector<std::string_view> const strategies(match_strategy_names.begin(), match_strategy_names.end());

    settings s;
    s.pool = "local:?size=1GiB";
    s.index = client_defaults.index;
    s.requests = synthetic.requests;
    s.seed = synthetic.seed;
    std::string strategy(name(client_defaults.strategy));
    std::string cache = exact_size(client_defaults.client_cache_bytes);
    bool no_progress = false;

    CLI::App app(description, "catena-replay");
    app.footer(footer);
    app.get_formatter()->column_width(32);
    app.option_defaults()->group("Trace");
    auto* const file = app.add_option("TRACE", s.trace, "JSON lines in the Mooncake format; none: generate a trace")
                           ->option_text(" ")
                           ->group("Trace");
    app.add_option("--limit", s.limit, "Only the first N requests")->option_text("N")->check(at_least_one(any));
    app.add_option(
           "--block-tokens", s.block_tokens,
           "Tokens of a cached block; cuts each block of the trace\ninto smaller chained ones (default: the trace's)")
        ->option_text("B")
        ->check(at_least_one(most_tokens));
    app.add_flag("--full-blocks-only", s.full_blocks_only,
                 "Leave out the partial last block of a prompt, as engines do");
    app.add_option("--trace-block-tokens", s.trace_block_tokens,
                   "Tokens of a block in the trace (default: deduced from it)")
        ->option_text("T")
        ->needs(file)
        ->check(at_least_one(most_tokens));
    app.add_option("--requests", s.requests, "Length of the generated trace")
        ->option_text(fmt::format("N [{}]", s.requests))
        ->excludes(file)
        ->check(at_least_one(any));
    app.add_option("--seed", s.seed, "Makes another generated trace")
        ->option_text(fmt::format("N [{}]", s.seed))
        ->excludes(file);

    app.option_defaults()->group("Index");
    app.add_option("--pool", s.pool,
                   "Where the remote memory is:\nlocal:?size=1GiB&nodes=2 or shm:NAME?size=1GiB&nodes=2")
        ->option_text(fmt::format("URI [{}]", s.pool));
    app.add_option("--index", s.index, joined(indexes))
        ->option_text(fmt::format("NAME [{}]", s.index))
        ->check(one_of(indexes, "index"));
    app.add_option("--strategy", strategy, joined(strategies))
        ->option_text(fmt::format("NAME [{}]", strategy))
        ->check(one_of(strategies, "strategy"));
    app.add_option("--client-cache", cache, "Bound of the cache of inner nodes")
        ->option_text(fmt::format("SIZE [{}]", cache))
        ->check(a_size());
    app.add_option("--threads", s.threads, "Engines that work at the same time")
        ->option_text("N [1]")
        ->check(at_least_one(most_threads));

    app.option_defaults()->group("Output");
    app.add_option("--json", s.json,
                   "Write the result as JSON too; - is standard output,\nthe table then goes to standard error")
        ->option_text("FILE");
    app.add_flag("--no-progress", no_progress, "No progress bar (there is one on a terminal only)");
    app.add_flag("--verify", s.verify,
                 "Afterwards check the index and match every request again;\nneeds a pool that nobody else writes to");
    app.set_help_flag("-h,--help", "This text")->group("Output");
    app.set_version_flag("--version", fmt::format("catena-replay {}", version_string), "The version")->group("Output");

    app.failure_message([](CLI::App const*, CLI::Error const& mistake) {
        return fmt::format("catena-replay: {}\ncatena-replay --help says what is possible\n", mistake.what());
    });

    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& stop) {
        if (app.exit(stop) == 0) return exit_ok;
        return exit_usage;
    }
    s.strategy = *match_strategy_from(strategy);
    s.client_cache_bytes = *parse_size(cache);
    s.progress = !no_progress;
    return s;
}

} // namespace catena::tools
