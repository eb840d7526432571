// SPDX-License-Identifier: Apache-2.0
// Random numbers of tests: a fixed default seed, CATENA_TEST_SEED in the environment replaces it, threads derive theirs.
// Every random test prints its seed when it fails: auto const seed = test_seed(n); CAPTURE(seed);
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <catena/core/hash.hpp>

namespace catena::test {

[[nodiscard]] inline std::uint64_t test_seed(std::uint64_t otherwise) {
    char const* const text = std::getenv("CATENA_TEST_SEED"); // NOLINT: read before any thread starts
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

/// SplitMix64: one word of state, so that a seed printed is a run repeated.
class random_source {
public:
    explicit random_source(std::uint64_t seed, std::uint64_t thread = 0) noexcept
        : state_(mix64(seed + 1) ^ mix64(thread)) {}

    [[nodiscard]] std::uint64_t next() noexcept { return mix64(state_ += 0x9e3779b97f4a7c15ULL); }
    /// 0 to n - 1.
    [[nodiscard]] std::uint64_t below(std::uint64_t n) noexcept { return next() % n; }
    [[nodiscard]] bool one_in(std::uint64_t n) noexcept { return below(n) == 0; }

private:
    std::uint64_t state_;
};

} // namespace catena::test
