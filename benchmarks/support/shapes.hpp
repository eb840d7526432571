// SPDX-License-Identifier: Apache-2.0
// Which keys there are, and in which order they come: the distributions that an index may meet.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "world.hpp"

namespace catena::bench {

enum class key_shape { uniform, sequential, clustered };

/// Distinct keys in the order in which they come.
///   uniform     spread like hashes
///   sequential  ids that are counted up: 1, 2, 3, ...
///   clustered   1,000 clusters that begin anywhere; the next key is the next id of any of them, 1 to 4 further
[[nodiscard]] inline std::vector<std::uint64_t> keys_of(key_shape shape, std::uint64_t count, std::uint64_t seed) {
    std::vector<std::uint64_t> keys(count);
    switch (shape) {
    case key_shape::uniform:
        for (std::uint64_t i = 0; i < count; ++i) keys[i] = key_of(seed * count + i);
        break;
    case key_shape::sequential:
        for (std::uint64_t i = 0; i < count; ++i) keys[i] = i + 1;
        break;
    case key_shape::clustered: {
        constexpr std::uint64_t clusters = 1000;
        constexpr std::uint64_t apart = std::uint64_t{1} << 40U; // two never meet
        std::mt19937_64 random(seed);
        std::vector<std::uint64_t> starts(~std::uint64_t{0} / apart);
        for (std::size_t i = 0; i < starts.size(); ++i) starts[i] = i * apart;
        std::array<std::uint64_t, clusters> next{};
        for (std::size_t i = 0; i < clusters; ++i) {
            std::uniform_int_distribution<std::size_t> one(i, starts.size() - 1);
            std::swap(starts[i], starts[one(random)]);
            next[i] = starts[i] + random() % (apart / 2);
        }
        std::uniform_int_distribution<std::size_t> cluster(0, clusters - 1);
        std::uniform_int_distribution<std::uint64_t> gap(1, 4);
        for (auto& key : keys) {
            auto& at = next[cluster(random)];
            at += gap(random);
            key = at;
        }
        break;
    }
    }
    return keys;
}

} // namespace catena::bench
