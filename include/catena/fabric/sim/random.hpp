// SPDX-License-Identifier: Apache-2.0
// sim_random: the random numbers of a simulation, all from one 64-bit seed (SplitMix64: one word of state).
// Thread safety: a plain value. Two streams of one seed are independent for our purposes.
#pragma once

#include <cstdint>

#include <catena/core/hash.hpp>

namespace catena {

class sim_random {
public:
    explicit sim_random(std::uint64_t seed, std::uint64_t stream = 0) noexcept
        : state_(mix64(seed + 1) ^ mix64(stream + 0x5851f42d4c957f2dULL)) {}

    [[nodiscard]] std::uint64_t next() noexcept { return mix64(state_ += 0x9e3779b97f4a7c15ULL); }
    /// 0 to n - 1; n is far below 2^64, so the modulo does not favour anything by a measurable amount.
    [[nodiscard]] std::uint64_t below(std::uint64_t n) noexcept { return next() % n; }
    [[nodiscard]] bool one_in(std::uint64_t n) noexcept { return below(n) == 0; }

private:
    std::uint64_t state_;
};

} // namespace catena
