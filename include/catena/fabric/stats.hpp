// SPDX-License-Identifier: Apache-2.0
// What a client asked of the fabric: exact counts, always on. Budgets in tests and benchmarks are read from these.
// Thread safety: a plain value; a channel's own counters are written by its one thread.
#pragma once

#include <cstdint>

namespace catena {

/// Bytes: a READ counts its length as read, a WRITE as written; CAS and FAA count 8 each way.
struct fabric_stats {
    std::uint64_t round_trips = 0; ///< batches awaited
    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
    std::uint64_t cas = 0;
    std::uint64_t faa = 0;
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_written = 0;
    std::uint64_t doorbells = 0; ///< one for each memory node that a batch touches
    std::uint64_t retries = 0;   ///< torn or stale reads and lost races that cost another round trip

    [[nodiscard]] constexpr std::uint64_t verbs() const noexcept { return reads + writes + cas + faa; }

    constexpr fabric_stats& operator+=(fabric_stats const& o) noexcept {
        round_trips += o.round_trips;
        reads += o.reads;
        writes += o.writes;
        cas += o.cas;
        faa += o.faa;
        bytes_read += o.bytes_read;
        bytes_written += o.bytes_written;
        doorbells += o.doorbells;
        retries += o.retries;
        return *this;
    }
    friend constexpr fabric_stats operator-(fabric_stats a, fabric_stats const& b) noexcept {
        a.round_trips -= b.round_trips;
        a.reads -= b.reads;
        a.writes -= b.writes;
        a.cas -= b.cas;
        a.faa -= b.faa;
        a.bytes_read -= b.bytes_read;
        a.bytes_written -= b.bytes_written;
        a.doorbells -= b.doorbells;
        a.retries -= b.retries;
        return a;
    }
    friend constexpr bool operator==(fabric_stats const&, fabric_stats const&) = default;
};

} // namespace catena
