// SPDX-License-Identifier: Apache-2.0
// What budget tests compare: exact costs of one memory node, and averages.
#pragma once

#include <cstdint>

#include <catena/fabric/stats.hpp>

namespace catena::test {

[[nodiscard]] inline double each(std::uint64_t total, std::uint64_t n) {
    return static_cast<double>(total) / static_cast<double>(n);
}

/// Bytes of CAS operations come on top.
[[nodiscard]] inline fabric_stats exactly(std::uint64_t round_trips, std::uint64_t reads, std::uint64_t read_bytes,
                                          std::uint64_t writes, std::uint64_t written, std::uint64_t cas) {
    fabric_stats s;
    s.round_trips = s.doorbells = round_trips;
    s.reads = reads;
    s.writes = writes;
    s.cas = cas;
    s.bytes_read = read_bytes + 8 * cas;
    s.bytes_written = written + 8 * cas;
    return s;
}

} // namespace catena::test
