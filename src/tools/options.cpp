// SPDX-License-Identifier: Apache-2.0
#include "tools/options.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>
#include <catena/client.hpp>
#include <fmt/format.h>

#include "tools/common_options.hpp"
#include "tools/comparison.hpp"
#include "tools/option_checks.hpp"
#include "tools/output.hpp"
#include "tools/units.hpp"

namespace catena::tools {
namespace {

constexpr auto description =
    R"(catena-replay - how well does a KV-cache index serve a real day's prompts?

Replays a trace of LLM requests against an index in remote memory. For every request it does what
an inference engine does: it asks how many leading blocks of the prompt are cached (match), then
lists the others as cached (publish). Nothing is evicted. It prints hits, round trips, verbs, bytes
and latencies; with --compare those of all ways to store and look up, side by side. Without a TRACE
it generates one in the shape of Mooncake's conversation trace.
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

Ways to store: extents are runs of up to 32 blocks, read as a whole, with one index entry each; a
client remembers where they are. The other strategies have one index entry a block, and differ in
how many they look up at once. A pool that was filled in one way cannot be opened in the other.

--compare replays the trace once for each: extents and batched with every index, the other
strategies with --index (sherman unless it is named). Each has a pool of its own that is gone when
it is done: with shm:NAME these are NAME-extents-chime and so on. The columns: round trips, verbs
and bytes read of a match; matched blocks by round trips, and bytes read by matched blocks, of all
matches; round trips of a publish; and what is left at the end: entries of the index and bytes of
remote memory by listed blocks, and what a client remembers. The hits must be the same in all rows,
else the exit status is 1 (with several threads they may differ).

--clients N opens the pool N times before the first request; request i goes to client i mod N. It
shows what clients pay for what others published. Local pools belong to one client: take shm.

Examples:
  catena-replay                                        a generated trace, a pool in this process
  catena-replay conversation.jsonl --limit 1000        the first 1,000 requests of a file
  catena-replay conversation.jsonl --block-tokens 16 --full-blocks-only --pool 'local:?size=4GiB'
                                                       blocks as small as vLLM's
  catena-replay trace.jsonl --threads 4 --pool 'shm:demo?size=2GiB&nodes=2' --json result.json
                                                       shared memory that other processes can join
  catena-replay trace.jsonl --compare --full-blocks-only
                                                       which way to store is best for this trace?
  catena-replay trace.jsonl --clients 8 --pool 'shm:demo?size=1GiB'
                                                       eight engines that share what they publish
  catena-replay trace.jsonl --pool 'verbs://10.0.0.1,10.0.0.2?secret=/etc/catena/secret'
                                                       over RDMA, on servers catena-memd
  catena-replay trace.jsonl --json - 2>/dev/null | jq .match.round_trips

Exit status: 0 done (also when Ctrl-C ended it early; what was measured is printed), 1 the replay
failed (pool full, contended, ...), --verify found something wrong or --compare other hits, 2 wrong
usage, 3 the trace is missing, empty or unusable.
)";

// Why these settings do not go together; nothing if they do.
std::optional<std::string> contradiction(settings const& s) {
    if (s.clients > 1 && s.pool.starts_with("local:"))
        return "--clients: a local pool belongs to one client; take --pool 'shm:NAME?size=1GiB'";
    if (s.compare)
        if (auto const why = unfit_to_compare(s.pool)) return fmt::format("--compare with --pool {}: {}", s.pool, *why);
    return std::nullopt;
}

} // namespace

result<settings, exit_code> parse_arguments(int argc, char const* const* argv) {
    constexpr std::uint64_t most_threads = 256;
    constexpr std::uint64_t most_clients = 256;
    constexpr std::string_view compared_index = "sherman";
    auto const indexes = client::index_types();

    CLI::App app(description, "catena-replay");
    app.footer(footer);
    settings s;
    s.pool = "local:?size=1GiB";
    s.index = client_options{}.index;
    auto hot_cache = exact_size(client_options{}.hot_cache_bytes);
    common_options common(app, s);
    common.add_generated(common.add_trace());

    app.option_defaults()->group("Index");
    app.add_option("--pool", s.pool,
                   "Where the remote memory is:\nlocal:?size=1GiB&nodes=2, shm:NAME?size=1GiB&nodes=2 or\n"
                   "verbs://HOST:PORT,HOST:PORT (catena-pool --help)")
        ->option_text(fmt::format("URI [{}]", s.pool));
    auto* const index = app.add_option("--index", s.index, joined(indexes));
    index->option_text(fmt::format("NAME [{}]", s.index))->check(one_of(indexes, "index"));
    common.add_lookup();
    app.add_option("--hot-cache", hot_cache, "Extents: bound of copies of those that are often read; 0: none")
        ->option_text(fmt::format("SIZE [{}]", hot_cache))
        ->check(a_size());
    app.add_option("--threads", s.threads, "Engines that work at the same time")
        ->option_text("N [1]")
        ->check(at_least_one(most_threads));
    app.add_option("--clients", s.clients, "Clients of the pool that take turns; needs a shm pool")
        ->option_text("N [1]")
        ->check(at_least_one(most_clients));
    app.add_flag("--compare", s.compare, "All ways to store and look up, each on a pool of its own,\nside by side")
        ->option_text(" ")
        ->excludes("--strategy");

    common.add_output();
    app.add_flag("--verify", s.verify,
                 "Afterwards check the index and match every request again;\nneeds a pool that nobody else writes to");
    if (auto const stop = common.parse(argc, argv)) return *stop;
    s.hot_cache_bytes = *parse_size(hot_cache);
    if (s.compare && index->empty()) s.index = compared_index;
    if (auto const why = contradiction(s)) {
        complainer{app.get_name()}("{}", *why);
        return exit_usage;
    }
    return s;
}

} // namespace catena::tools
