// SPDX-License-Identifier: Apache-2.0
#include "tools/replay_run.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string_view>
#include <utility>

#include <catena/client.hpp>

#include "tools/interrupt.hpp"
#include "tools/pool_size.hpp"
#include "tools/progress.hpp"
#include "tools/replay.hpp"
#include "tools/units.hpp"

namespace catena::tools {
namespace {

using clients = std::vector<client>;

// What is known before anything is listed.
pool_use expected_use(settings const& s, std::uint64_t blocks) {
    return {.pool_bytes = size_of(s.pool),
            .blocks_expected = blocks,
            .sessions = s.clients * std::min(s.clients, s.threads),
            .by_extents = s.strategy == match_strategy::extents};
}

// All before the first request, so that none of them learns at its opening what others list.
result<clients, exit_code> open_clients(settings const& s, std::uint64_t expected_blocks, complainer complain) {
    client_options options;
    options.index = s.index;
    options.strategy = s.strategy;
    options.client_cache_bytes = static_cast<std::size_t>(s.client_cache_bytes);
    options.hot_cache_bytes = static_cast<std::size_t>(s.hot_cache_bytes);
    options.max_sessions = std::max<std::size_t>(options.max_sessions, s.threads);
    clients all;
    for (unsigned i = 0; i < s.clients; ++i) {
        auto opened = client::open(s.pool, options);
        if (!opened) {
            auto const& why = opened.error();
            complain("cannot open the pool \"{}\": {}", s.pool, why.message);
            if (why.code == errc::out_of_memory)
                complain("{}", advice_to_enlarge(s.pool, sufficient_node_size(expected_use(s, expected_blocks))));
            return why.code == errc::invalid_argument ? exit_usage : exit_failed;
        }
        all.push_back(std::move(*opened));
    }
    return all;
}

// A pool to compare with others must begin as they do.
bool is_empty(settings const& s, client const& pool, complainer complain) {
    auto const found = pool.inspect();
    if (found && found->entries == 0) return true;
    complain("the pool \"{}\" is there already and not empty; give --pool another name", s.pool);
    return false;
}

void explain_failure(settings const& s, client const& pool, trace const& requests, chain_maker const& chains,
                     replay_result const& done, complainer complain) {
    auto const& failure = *done.failure;
    complain("{} failed at the request of line {}: {}", failure.while_publishing ? "publish" : "match", failure.line,
             describe(failure.why.code));
    complain("that was after {} of {} requests; {} blocks were published", with_thousands(done.requests),
             with_thousands(requests.requests.size()), with_thousands(done.inserted));
    if (failure.why.code != errc::out_of_memory) return;
    auto const now = pool.report();
    auto use = expected_use(s, chains.unique_blocks(requests.requests));
    use.pool_bytes = now.pool_bytes;
    use.bytes_taken = now.pool_bytes_taken;
    use.blocks_listed = done.inserted;
    use.memory_nodes = now.memory_nodes;
    complain("the pool is full: {} of {} are taken; the whole trace has {} different blocks",
             human_size(now.pool_bytes_taken), human_size(now.pool_bytes), with_thousands(use.blocks_expected));
    complain("{}", advice_to_enlarge(s.pool, sufficient_node_size(use)));
}

// Counts the blocks of the requests that were done only if not all were.
std::uint64_t unique_of_done(trace const& requests, chain_maker const& chains, replay_result const& done) {
    if (done.requests == requests.requests.size()) return chains.unique_blocks(requests.requests);
    std::vector<request> those;
    for (std::size_t i = 0; i < requests.requests.size(); ++i)
        if (done.hits[i] != replay_result::not_done) those.push_back(requests.requests[i]);
    return chains.unique_blocks(those);
}

run_report make_report(settings const& s, prepared_trace const& prepared, clients const& engines,
                       index_report const& index, chain_maker const& chains, replay_result&& done) {
    auto now = engines.front().report();
    for (auto const& each : engines) now.cache_bytes = std::max(now.cache_bytes, each.report().cache_bytes);
    auto const& requests = prepared.loaded.requests;
    return {.run = {.index = now.index,
                    .strategy = std::string(name(now.strategy)),
                    .fabric = now.fabric_name,
                    .pool = s.pool,
                    .trace = requests.name,
                    .trace_requests = requests.requests.size(),
                    .skipped_lines = prepared.loaded.skipped,
                    .trace_block_tokens = requests.block_tokens,
                    .block_tokens = prepared.shape.block_tokens,
                    .full_blocks_only = prepared.shape.full_blocks_only,
                    .threads = s.threads,
                    .clients = s.clients},
            .requests = done.requests,
            .blocks = done.blocks,
            .unique_blocks = unique_of_done(requests, chains, done),
            .hit_blocks = done.hit_blocks,
            .over_half = done.over_half,
            .seconds = done.seconds,
            .match = summarize_calls(std::move(done.match)),
            .publish = summarize_calls(std::move(done.publish)),
            .entries = index.entries,
            .index_entries = index.index_entries,
            .remote_bytes = index.remote_bytes,
            .violations = index.violations.size(),
            .client_cache_bytes = now.cache_bytes,
            .client_cache_capacity_bytes = now.cache_capacity_bytes,
            .pool_bytes = now.pool_bytes,
            .pool_bytes_taken = now.pool_bytes_taken,
            .stopped = done.stopped};
}

bool tell(std::string_view what, std::vector<std::string> const& findings, complainer complain) {
    constexpr std::size_t listed = 10;
    for (std::size_t i = 0; i < std::min(listed, findings.size()); ++i) complain("{}: {}", what, findings[i]);
    if (findings.size() > listed) complain("{}: and {} more", what, with_thousands(findings.size() - listed));
    return findings.empty();
}

} // namespace

result<replay_run, exit_code> run_on_pool(settings const& s, prepared_trace const& prepared, chain_maker const& chains,
                                          complainer complain, std::string const& label) {
    auto const& requests = prepared.loaded.requests;
    auto const opened = open_clients(s, chains.unique_blocks(requests.requests), complain);
    if (!opened) return opened.error();
    auto const& pool = opened->front();
    if (s.compare && !is_empty(s, pool, complain)) return exit_failed;

    progress_bar bar(stderr, s.progress && is_terminal(stderr), label);
    replay_options options{.threads = s.threads, .stop = &interrupted, .progress = {}};
    options.progress = [&bar](replay_state const& now) { bar.show(now); };
    auto done = [&] {
        interrupt_guard const guard;
        return replay(*opened, requests, chains, options);
    }();
    bar.clear();
    if (done.failure) {
        explain_failure(s, pool, requests, chains, done, complain);
        return exit_failed;
    }

    replay_run run;
    if (done.wrong_locations != 0) {
        complain("{} blocks were found at a place where nobody published them", with_thousands(done.wrong_locations));
        run.sound = false;
    }
    auto inspected = pool.inspect();
    if (!inspected) {
        complain("the index cannot be inspected: {}", describe(inspected.error().code));
        run.sound = false;
        inspected = index_report{};
    }
    if (s.verify) run.lost = find_lost_blocks(pool, requests, chains, done);
    run.hits = done.hits;
    run.report = make_report(s, prepared, *opened, *inspected, chains, std::move(done));
    run.violations = std::move(inspected->violations);
    return run;
}

bool report_findings(settings const& s, replay_run const& run, complainer complain) {
    // Others who write to the pool meanwhile can make a sound index look broken: only --verify rules them out.
    bool const unbroken =
        tell(s.verify ? "the index is broken" : "warning, the index looks broken", run.violations, complain);
    bool const complete = tell("after the replay", run.lost, complain);
    return run.sound && (!s.verify || (unbroken && complete));
}

} // namespace catena::tools
