// SPDX-License-Identifier: Apache-2.0
// catena-replay: see --help, which options.cpp holds.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/chains.hpp"
#include "tools/comparison.hpp"
#include "tools/interrupt.hpp"
#include "tools/options.hpp"
#include "tools/output.hpp"
#include "tools/replay_run.hpp"
#include "tools/report.hpp"
#include "tools/trace_source.hpp"

namespace {

using namespace catena::tools;

constexpr std::string_view program = "catena-replay";
constexpr complainer complain{program};

exit_code run_one(settings const& s, prepared_trace const& prepared, chain_maker const& chains) {
    auto const done = run_on_pool(s, prepared, chains, complain);
    if (!done) return done.error();
    bool const printed = print_result(program, s.json, to_table(done->report), to_json(done->report));
    return report_findings(s, *done, complain) && printed ? exit_ok : exit_failed;
}

// Requests in flight at the same time do not see each other's blocks: with several threads hits may differ.
bool same_hits(settings const& s, comparison const& all) {
    if (all.same_hits || s.threads > 1) return true;
    complain("not every way found the same blocks");
    return false;
}

exit_code compare(settings const& s, prepared_trace const& prepared, chain_maker const& chains) {
    interrupt_guard const guard; // also between two replays
    auto const ways = ways_to_compare(s.index);
    comparison all;
    std::vector<std::uint32_t> hits;
    bool sound = true;
    for (std::size_t i = 0; i < ways.size() && !all.stopped; ++i) {
        auto of_this = s;
        of_this.strategy = ways[i].strategy;
        of_this.index = ways[i].index;
        of_this.pool = pool_of(s.pool, ways[i]);
        auto const speaker = fmt::format("{}: {}", program, ways[i].label());
        auto done = run_on_pool(of_this, prepared, chains, complainer{speaker},
                                fmt::format("{} of {}  {:<18}", i + 1, ways.size(), ways[i].label()));
        if (!done && all.rows.empty()) return done.error();
        all.stopped = !done || done->report.stopped || interrupted.load(std::memory_order_relaxed);
        if (!done) sound = false;
        if (!done || done->report.stopped) continue;
        if (!report_findings(of_this, *done, complainer{speaker})) sound = false;
        if (all.rows.empty())
            hits = std::move(done->hits);
        else if (done->hits != hits)
            all.same_hits = false;
        all.rows.push_back(std::move(done->report));
    }
    all.stopped = all.rows.size() < ways.size();
    if (!print_result(program, s.json, to_table(all, s.pool), to_json(all))) sound = false;
    return same_hits(s, all) && sound ? exit_ok : exit_failed;
}

exit_code run(settings const& s) {
    auto const prepared = prepare(s, program);
    if (!prepared) return prepared.error();
    chain_maker const chains(prepared->loaded.requests, prepared->shape);
    return s.compare ? compare(s, *prepared, chains) : run_one(s, *prepared, chains);
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
