// SPDX-License-Identifier: Apache-2.0
// joined: a chain that begins like one and goes on like another: how branches are made.
#pragma once

#include <span>
#include <vector>

#include <catena/prefix/block_hash.hpp>

namespace catena::test {

[[nodiscard]] inline std::vector<block_hash> joined(std::span<block_hash const> begin,
                                                    std::span<block_hash const> end) {
    std::vector<block_hash> c(begin.begin(), begin.end());
    c.insert(c.end(), end.begin(), end.end());
    return c;
}

} // namespace catena::test
