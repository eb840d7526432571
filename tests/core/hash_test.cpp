// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <set>
#include <string_view>

#include <catena/core/hash.hpp>

#include <support/catch.hpp>
#include <support/random.hpp>

using namespace catena;

TEST_CASE("hashes are XXH3, the same on every machine and forever") {
    // The values that xxHash publishes for the empty input; remote seals depend on them.
    REQUIRE(hash64("", 0) == 0x2d06800538d394c2ULL);
    auto const h = hash128("", 0);
    REQUIRE(h.high == 0x99aa06d3014798d8ULL);
    REQUIRE(h.low == 0x6001c324468d497fULL);
}

TEST_CASE("every single flipped bit of a kilobyte changes its hash") {
    auto const seed = test::test_seed(11);
    CAPTURE(seed);
    test::random_source random(seed);
    std::array<std::uint64_t, 128> data;
    for (auto& w : data) w = random.next();
    auto const whole64 = hash64(data.data(), sizeof data);
    auto const whole128 = hash128(data.data(), sizeof data);
    for (std::size_t bit = 0; bit < data.size() * 64; ++bit) {
        CAPTURE(bit);
        data[bit / 64] ^= std::uint64_t{1} << bit % 64;
        auto const other = hash128(data.data(), sizeof data);
        REQUIRE(hash64(data.data(), sizeof data) != whole64);
        REQUIRE((other.high != whole128.high && other.low != whole128.low));
        data[bit / 64] ^= std::uint64_t{1} << bit % 64;
    }
}

TEST_CASE("mix64 is SplitMix64's finaliser: published value, no collisions, every input bit moves about half") {
    STATIC_REQUIRE(mix64(0x9e3779b97f4a7c15ULL) == 0xe220a8397b1dcdafULL); // the first output of seed 0
    std::set<std::uint64_t> seen;
    for (std::uint64_t i = 0; i < 10'000; ++i) REQUIRE(seen.insert(mix64(i)).second);
    for (unsigned bit = 0; bit < 64; ++bit) {
        int moved = 0;
        for (std::uint64_t i = 1; i <= 64; ++i)
            moved += std::popcount(mix64(i * 0x9e3779b97f4a7c15ULL) ^
                                   mix64(i * 0x9e3779b97f4a7c15ULL ^ std::uint64_t{1} << bit));
        CAPTURE(bit, moved);
        REQUIRE(moved > 64 * 24);
        REQUIRE(moved < 64 * 40);
    }
}
