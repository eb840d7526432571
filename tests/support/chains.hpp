// SPDX-License-Identifier: Apache-2.0
// chains: made-up chains of block hashes and places for their blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <catena/core/hash.hpp>
#include <catena/prefix/block_hash.hpp>
#include <catena/prefix/location.hpp>

namespace catena::test {

/// The first n blocks of chain number `chain`; different chains share no block.
[[nodiscard]] inline std::vector<block_hash> chain_of(std::uint64_t chain, std::size_t n) {
    std::vector<block_hash> c;
    for (std::uint64_t i = 0; i < n; ++i)
        c.push_back({.high = mix64(chain << 32U | i), .low = mix64(~(chain << 32U | i))});
    return c;
}

[[nodiscard]] inline std::vector<location> places(std::uint16_t segment, std::size_t n) {
    std::vector<location> l;
    for (std::uint64_t i = 0; i < n; ++i) l.emplace_back(segment, i);
    return l;
}

} // namespace catena::test
