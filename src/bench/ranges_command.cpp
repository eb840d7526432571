// SPDX-License-Identifier: Apache-2.0
#include "bench/ranges_command.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "bench/bench_options.hpp"
#include "bench/ranges.hpp"
#include "tools/common_options.hpp"
#include "tools/interrupt.hpp"
#include "tools/option_checks.hpp"
#include "tools/output.hpp"
#include "tools/trace_source.hpp"

namespace catena::bench {
namespace {

constexpr auto description = R"(catena-bench ranges - what do range reads bring to an index with one entry a block?

Published traces number their blocks in the order of first use, so a prompt is a few stretches of
consecutive numbers, which a tree can read by ranges. The hashes that engines use have no order.
This looks up every request's leading blocks one by one, in one batch, and by ranges, in B-link
trees with sorted leaves (sherman) and with hopscotch leaves (chime), once with keys as numbered,
once with the same scattered. It counts, so the result is the same on every machine.)";

constexpr auto footer = R"(
Examples:
  catena-bench ranges conversation.jsonl
  catena-bench ranges conversation.jsonl --json - 2>/dev/null | jq '.rows[] | [.index, .keys, .lookup, .round_trips]'

Exit status: 0 done, 1 an index failed, or Ctrl-C ended it, 2 wrong usage, 3 the trace is missing, empty or unusable.
)";

} // namespace

tools::exit_code ranges(int argc, char const* const* argv) {
    using namespace tools;
    constexpr complainer complain{program};
    CLI::App app(description, fmt::format("{} ranges", program));
    app.footer(footer);
    common_settings s;
    common_options common(app, s);
    common.add_generated(common.add_trace());
    common.add_output();
    if (auto const stop = common.parse(argc, argv)) return *stop;
    if (s.block_tokens || s.full_blocks_only) {
        complain("ranges: the trace's own numbers are looked up, so its blocks cannot be cut");
        return exit_usage;
    }
    auto const prepared = prepare(s, program);
    if (!prepared) return prepared.error();
    auto const& trace = prepared->loaded.requests;
    interrupt_guard const guard;
    auto const rows = run_ranges(trace, interrupted);
    if (!rows) {
        complain("ranges: {}", rows.error());
        return exit_failed;
    }
    if (interrupted.load()) {
        complain("ranges: interrupted, no result");
        return exit_failed;
    }
    return print_result(program, s.json, to_table(*rows, trace), to_json(*rows, trace)) ? exit_ok : exit_failed;
}

} // namespace catena::bench
