// SPDX-License-Identifier: Apache-2.0
// Ranks of Zipf's law, exponent 0.99: a few of many are drawn most of the time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <support/random.hpp>

namespace catena::test {

class zipf {
public:
    zipf(std::size_t n, std::uint64_t seed) : sums_(n), random_(seed) {
        double sum = 0;
        for (std::size_t i = 0; i < n; ++i) sums_[i] = sum += 1 / std::pow(static_cast<double>(i + 1), 0.99);
    }
    [[nodiscard]] std::uint64_t next() {
        auto const at = static_cast<double>(random_.below(1ULL << 40U)) / static_cast<double>(1ULL << 40U);
        auto const rank = std::upper_bound(sums_.begin(), sums_.end(), at * sums_.back()) - sums_.begin();
        return static_cast<std::uint64_t>(rank);
    }

private:
    std::vector<double> sums_;
    random_source random_;
};

} // namespace catena::test
