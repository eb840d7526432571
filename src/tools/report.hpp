// SPDX-License-Identifier: Apache-2.0
// report: the result of a run as a table for people and as JSON for machines; both say the same.
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "tools/replay.hpp"
#include "tools/samples.hpp"

namespace catena::tools {

/// Mean, p50, p99 and max of one kind of call.
struct call_summary {
    std::uint64_t calls = 0;
    summary round_trips;
    summary verbs;
    summary bytes_read;
    summary bytes_written;
    summary latency_us;
};

[[nodiscard]] call_summary summarize_calls(call_samples samples);

/// What was run.
struct run_description {
    std::string index;
    std::string strategy;
    std::string fabric;
    std::string pool;  ///< the URI
    std::string trace; ///< file, or what generated it
    std::uint64_t trace_requests = 0;
    std::uint64_t skipped_lines = 0;
    std::uint32_t trace_block_tokens = 0;
    std::uint32_t block_tokens = 0;
    bool full_blocks_only = false;
    unsigned threads = 1;
    unsigned clients = 1;
};

/// What came of it.
struct run_report {
    run_description run;
    std::uint64_t requests = 0;
    std::uint64_t blocks = 0;
    std::uint64_t unique_blocks = 0; ///< of the requests that were done
    std::uint64_t hit_blocks = 0;
    std::uint64_t over_half = 0; ///< requests
    double seconds = 0;
    call_summary match;
    call_summary publish;
    std::uint64_t entries = 0;       ///< blocks that are listed, whoever listed them
    std::uint64_t index_entries = 0; ///< one for each block, or for each extent
    std::uint64_t remote_bytes = 0;
    std::uint64_t violations = 0;         ///< invariants of the index that are broken
    std::uint64_t client_cache_bytes = 0; ///< of the client that remembers most
    std::uint64_t client_cache_capacity_bytes = 0;
    std::uint64_t pool_bytes = 0;
    std::uint64_t pool_bytes_taken = 0;
    bool stopped = false; ///< by the user, before the end of the trace

    [[nodiscard]] double hit_ratio() const noexcept { return ratio(hit_blocks, blocks); }
    [[nodiscard]] double over_half_share() const noexcept { return ratio(over_half, requests); }
    [[nodiscard]] double requests_per_second() const noexcept {
        return seconds > 0 ? static_cast<double>(requests) / seconds : 0;
    }
    [[nodiscard]] double remote_bytes_per_block() const noexcept { return ratio(remote_bytes, entries); }
    [[nodiscard]] double index_entries_per_block() const noexcept { return ratio(index_entries, entries); }
    [[nodiscard]] double matched_blocks_per_round_trip() const noexcept {
        auto const trips = match.round_trips.mean * static_cast<double>(match.calls);
        return trips > 0 ? static_cast<double>(hit_blocks) / trips : 0;
    }
    /// Read by match, whatever it was for.
    [[nodiscard]] double bytes_per_matched_block() const noexcept {
        auto const bytes = match.bytes_read.mean * static_cast<double>(match.calls);
        return hit_blocks == 0 ? 0 : bytes / static_cast<double>(hit_blocks);
    }

    /// 0 if there is nothing to divide by.
    [[nodiscard]] static double ratio(std::uint64_t part, std::uint64_t whole) noexcept {
        return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
    }
};

/// Lines of at most 100 columns.
[[nodiscard]] std::string to_table(run_report const& report);

[[nodiscard]] nlohmann::ordered_json to_json(run_report const& report);

} // namespace catena::tools
