// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>
#include <cstring>

#include <catena/fabric/stats.hpp>

#include <support/catch.hpp>

using namespace catena;

namespace {

using counters = std::array<std::uint64_t, sizeof(fabric_stats) / sizeof(std::uint64_t)>;
static_assert(sizeof(counters) == sizeof(fabric_stats));

fabric_stats from(counters const& c) {
    fabric_stats s;
    std::memcpy(static_cast<void*>(&s), c.data(), sizeof s);
    return s;
}

} // namespace

TEST_CASE("adding, subtracting and comparing take every counter into account") {
    counters small{}, large{}, total{};
    for (std::size_t i = 0; i < small.size(); ++i) {
        small[i] = i + 1;
        large[i] = 100 * (i + 1);
        total[i] = small[i] + large[i];
    }
    auto sum = from(small);
    sum += from(large);
    REQUIRE(sum == from(total));
    REQUIRE(sum - from(small) == from(large));
    for (std::size_t i = 0; i < total.size(); ++i) {
        CAPTURE(i);
        auto other = total;
        ++other[i];
        REQUIRE_FALSE(from(other) == from(total));
    }
}

TEST_CASE("verbs are READs, WRITEs, CASes and FAAs") {
    fabric_stats const s{.round_trips = 1000,
                         .reads = 1,
                         .writes = 10,
                         .cas = 100,
                         .faa = 10'000,
                         .bytes_read = 7,
                         .bytes_written = 7,
                         .doorbells = 7,
                         .retries = 7};
    REQUIRE(s.verbs() == 10'111);
}
