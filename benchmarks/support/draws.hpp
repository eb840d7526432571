// SPDX-License-Identifier: Apache-2.0
// Which keys a benchmark asks for: numbers below n, uniform or Zipf distributed, drawn before the clock runs.
// Thread safety: one stream per thread, each with its own seed.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace catena::bench {

/// Ranks 0 .. n - 1 with probability proportional to 1 / (rank + 1)^exponent: rejection-inversion (Hörmann and
/// Derflinger 1996), no tables.
class zipf {
public:
    zipf(std::uint64_t n, double exponent)
        : exponent_(exponent), low_(integral(1.5) - 1.0), high_(integral(static_cast<double>(n) + 0.5)),
          cut_(2.0 - inverse(integral(2.5) - std::pow(2.0, -exponent))), n_(n) {}

    template <typename Random>
    [[nodiscard]] std::uint64_t operator()(Random& random) const {
        for (;;) {
            auto const u = std::uniform_real_distribution<double>(low_, high_)(random);
            auto const x = inverse(u);
            auto k = std::floor(x + 0.5);
            if (k < 1) k = 1;
            if (k > static_cast<double>(n_)) k = static_cast<double>(n_);
            if (k - x <= cut_ || u >= integral(k + 0.5) - std::pow(k, -exponent_))
                return static_cast<std::uint64_t>(k) - 1;
        }
    }

private:
    [[nodiscard]] double integral(double x) const { return std::pow(x, 1.0 - exponent_) / (1.0 - exponent_); }
    [[nodiscard]] double inverse(double y) const { return std::pow(y * (1.0 - exponent_), 1.0 / (1.0 - exponent_)); }

    double exponent_;
    double low_;
    double high_;
    double cut_;
    std::uint64_t n_;
};

enum class spread { uniform, zipf99 };

class draws {
public:
    draws(spread how, std::uint64_t n, std::uint64_t seed) : numbers_(count) {
        std::mt19937_64 random(seed);
        if (how == spread::uniform) {
            std::uniform_int_distribution<std::uint64_t> pick(0, n - 1);
            for (auto& d : numbers_) d = pick(random);
        } else {
            zipf const pick(n, 0.99);
            for (auto& d : numbers_) d = pick(random);
        }
    }

    [[nodiscard]] std::uint64_t next() noexcept { return numbers_[at_++ % count]; }

private:
    static constexpr std::size_t count = std::size_t{1} << 18U;
    std::vector<std::uint64_t> numbers_;
    std::size_t at_ = 0;
};

} // namespace catena::bench
