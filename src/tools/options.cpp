// SPDX-License-Identifier: Apache-2.0
#include "tools/options.hpp"

#include <cstdint>

#include <CLI/CLI.hpp>
#include <catena/client.hpp>
#include <fmt/format.h>

#include "tools/common_options.hpp"
#include "tools/option_checks.hpp"

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
    constexpr std::uint64_t most_threads = 256;
    auto const indexes = client::index_types();

    CLI::App app(description, "catena-replay");
    app.footer(footer);
    settings s;
    s.pool = "local:?size=1GiB";
    s.index = client_options{}.index;
    common_options common(app, s);
    auto* const file = common.add_trace();
    app.add_option("--requests", s.requests, "Length of the generated trace")
        ->option_text(fmt::format("N [{}]", s.requests))
        ->excludes(file)
        ->check(at_least_one(any_number));
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
    common.add_lookup();
    app.add_option("--threads", s.threads, "Engines that work at the same time")
        ->option_text("N [1]")
        ->check(at_least_one(most_threads));

    common.add_output();
    app.add_flag("--verify", s.verify,
                 "Afterwards check the index and match every request again;\nneeds a pool that nobody else writes to");
    if (auto const stop = common.parse(argc, argv)) return *stop;
    return s;
}

} // namespace catena::tools
