// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "tools/report.hpp"

namespace catena::tools {
namespace {

using json = nlohmann::ordered_json;

json of(summary const& s) { return {{"mean", s.mean}, {"p50", s.p50}, {"p99", s.p99}, {"max", s.max}}; }

json of(call_summary const& s) {
    return {{"calls", s.calls},
            {"round_trips", of(s.round_trips)},
            {"verbs", of(s.verbs)},
            {"bytes_read", of(s.bytes_read)},
            {"bytes_written", of(s.bytes_written)},
            {"latency_us", of(s.latency_us)}};
}

} // namespace

nlohmann::ordered_json to_json(run_report const& report) {
    auto const& run = report.run;
    return {{"index", run.index},
            {"strategy", run.strategy},
            {"fabric", run.fabric},
            {"pool", run.pool},
            {"trace", run.trace},
            {"trace_requests", run.trace_requests},
            {"skipped_lines", run.skipped_lines},
            {"trace_block_tokens", run.trace_block_tokens},
            {"block_tokens", run.block_tokens},
            {"full_blocks_only", run.full_blocks_only},
            {"threads", run.threads},
            {"clients", run.clients},
            {"stopped_early", report.stopped},
            {"requests", report.requests},
            {"blocks", report.blocks},
            {"unique_blocks", report.unique_blocks},
            {"hit_blocks", report.hit_blocks},
            {"hit_ratio", report.hit_ratio()},
            {"requests_over_half", report.over_half_share()},
            {"seconds", report.seconds},
            {"requests_per_second", report.requests_per_second()},
            {"match", of(report.match)},
            {"publish", of(report.publish)},
            {"matched_blocks_per_round_trip", report.matched_blocks_per_round_trip()},
            {"bytes_per_matched_block", report.bytes_per_matched_block()},
            {"entries", report.entries},
            {"index_entries", report.index_entries},
            {"index_entries_per_block", report.index_entries_per_block()},
            {"remote_bytes", report.remote_bytes},
            {"violations", report.violations},
            {"remote_bytes_per_block", report.remote_bytes_per_block()},
            {"client_cache_bytes", report.client_cache_bytes},
            {"client_cache_capacity_bytes", report.client_cache_capacity_bytes},
            {"pool_bytes", report.pool_bytes},
            {"pool_bytes_taken", report.pool_bytes_taken}};
}

} // namespace catena::tools
