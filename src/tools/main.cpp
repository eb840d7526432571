// SPDX-License-Identifier: Apache-2.0
// catena-replay: see --help, which options.cpp holds.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catena/client.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/chains.hpp"
#include "tools/interrupt.hpp"
#include "tools/options.hpp"
#include "tools/output.hpp"
#include "tools/pool_size.hpp"
#include "tools/progress.hpp"
#include "tools/replay.hpp"
#include "tools/report.hpp"
#include "tools/trace_source.hpp"
#include "tools/units.hpp"

namespace {

using namespace catena::tools;

constexpr std::string_view program = "catena-replay";
constexpr complainer complain{program};

// --- the steps of a run, in order; each says what went wrong ---

catena::result<catena::client, exit_code> open_pool(settings const& s, std::uint64_t expected_blocks) {
    catena::client_options options;
    options.index = s.index;
    options.strategy = s.strategy;
    options.client_cache_bytes = static_cast<std::size_t>(s.client_cache_bytes);
    options.max_sessions = std::max<std::size_t>(options.max_sessions, s.threads);
    auto opened = catena::client::open(s.pool, options);
    if (opened) return std::move(*opened);
    auto const& why = opened.error();
    complain("cannot open the pool \"{}\": {}", s.pool, why.message);
    if (why.code == catena::errc::out_of_memory)
        complain("try --pool '{}'", with_size(s.pool, sufficient_node_size({.pool_bytes = size_of(s.pool),
                                                                            .blocks_expected = expected_blocks})));
    return why.code == catena::errc::invalid_argument ? exit_usage : exit_failed;
}

void explain_failure(settings const& s, catena::client const& pool, trace const& requests, chain_maker const& chains,
                     replay_result const& done) {
    auto const& failure = *done.failure;
    complain("{} failed at the request of line {}: {}", failure.while_publishing ? "publish" : "match", failure.line,
             catena::describe(failure.why.code));
    complain("that was after {} of {} requests; {} blocks were published", with_thousands(done.requests),
             with_thousands(requests.requests.size()), with_thousands(done.inserted));
    if (failure.why.code != catena::errc::out_of_memory) return;
    auto const now = pool.report();
    auto const size = sufficient_node_size({.pool_bytes = now.pool_bytes,
                                            .bytes_taken = now.pool_bytes_taken,
                                            .blocks_listed = done.inserted,
                                            .blocks_expected = chains.unique_blocks(requests.requests),
                                            .memory_nodes = now.memory_nodes});
    complain("the pool is full: {} of {} are taken; the whole trace has {} different blocks",
             human_size(now.pool_bytes_taken), human_size(now.pool_bytes),
             with_thousands(chains.unique_blocks(requests.requests)));
    complain("try --pool '{}'{}", with_size(s.pool, size),
             s.pool.starts_with("local:") ? "" : " under another name: a pool that exists keeps its size");
}

// Counts the blocks of the requests that were done only if not all were.
std::uint64_t unique_of_done(trace const& requests, chain_maker const& chains, replay_result const& done) {
    if (done.requests == requests.requests.size()) return chains.unique_blocks(requests.requests);
    std::vector<request> those;
    for (std::size_t i = 0; i < requests.requests.size(); ++i)
        if (done.hits[i] != replay_result::not_done) those.push_back(requests.requests[i]);
    return chains.unique_blocks(those);
}

run_report make_report(settings const& s, loaded_trace const& loaded, chain_shape const& shape,
                       catena::client const& pool, catena::index_report const& index, chain_maker const& chains,
                       replay_result&& done) {
    auto const now = pool.report();
    auto const& requests = loaded.requests;
    return {.run = {.index = now.index,
                    .strategy = std::string(name(s.strategy)),
                    .fabric = now.fabric_name,
                    .pool = s.pool,
                    .trace = requests.name,
                    .trace_requests = requests.requests.size(),
                    .skipped_lines = loaded.skipped,
                    .trace_block_tokens = requests.block_tokens,
                    .block_tokens = shape.block_tokens,
                    .full_blocks_only = shape.full_blocks_only,
                    .threads = s.threads},
            .requests = done.requests,
            .blocks = done.blocks,
            .unique_blocks = unique_of_done(requests, chains, done),
            .hit_blocks = done.hit_blocks,
            .over_half = done.over_half,
            .seconds = done.seconds,
            .match = summarize_calls(std::move(done.match)),
            .publish = summarize_calls(std::move(done.publish)),
            .entries = index.entries,
            .remote_bytes = index.remote_bytes,
            .violations = index.violations.size(),
            .client_cache_bytes = now.cache_bytes,
            .client_cache_capacity_bytes = now.cache_capacity_bytes,
            .pool_bytes = now.pool_bytes,
            .pool_bytes_taken = now.pool_bytes_taken,
            .stopped = done.stopped};
}

bool report_findings(std::string_view what, std::vector<std::string> const& findings) {
    constexpr std::size_t listed = 10;
    for (std::size_t i = 0; i < std::min(listed, findings.size()); ++i) complain("{}: {}", what, findings[i]);
    if (findings.size() > listed) complain("{}: and {} more", what, with_thousands(findings.size() - listed));
    return findings.empty();
}

exit_code run(settings const& s) {
    auto const prepared = prepare(s, program);
    if (!prepared) return prepared.error();
    auto const& [loaded, shape] = *prepared;
    auto const& requests = loaded.requests;
    chain_maker const chains(requests, shape);
    auto opened = open_pool(s, chains.unique_blocks(requests.requests));
    if (!opened) return opened.error();
    auto const& pool = *opened;

    progress_bar bar(stderr, s.progress && is_terminal(stderr));
    replay_options options{.threads = s.threads, .stop = &interrupted, .progress = {}};
    options.progress = [&bar](replay_state const& now) { bar.show(now); };
    auto done = [&] {
        interrupt_guard const guard;
        return replay(pool, requests, chains, options);
    }();
    bar.clear();
    if (done.failure) {
        explain_failure(s, pool, requests, chains, done);
        return exit_failed;
    }

    bool sound = true;
    if (done.wrong_locations != 0) {
        complain("{} blocks were found at a place where nobody published them", with_thousands(done.wrong_locations));
        sound = false;
    }
    auto const inspected = pool.inspect();
    if (!inspected) {
        complain("the index cannot be inspected: {}", catena::describe(inspected.error().code));
        sound = false;
    }
    auto const index = inspected ? *inspected : catena::index_report{};
    std::vector<std::string> const lost =
        s.verify ? find_lost_blocks(pool, requests, chains, done) : std::vector<std::string>{};

    auto const report = make_report(s, loaded, shape, pool, index, chains, std::move(done));
    if (!print_result(program, s.json, to_table(report), to_json(report))) sound = false;
    // Others who write to the pool meanwhile can make a sound index look broken: only --verify rules them out.
    bool const unbroken =
        report_findings(s.verify ? "the index is broken" : "warning, the index looks broken", index.violations);
    bool const complete = report_findings("after the replay", lost);
    if (s.verify && !(unbroken && complete)) sound = false;
    return sound ? exit_ok : exit_failed;
}

} // namespace

int main(int argc, char** argv) {
    try {
        auto const s = parse_arguments(argc, argv);
        return s ? run(*s) : s.error();
    } catch (std::exception const& failure) {
        std::fprintf(stderr, "catena-replay: %s\n", failure.what());
        return exit_failed;
    }
}
