// SPDX-License-Identifier: Apache-2.0
// match_end: where a match ended, for the publish that follows it. And what publish did.
// Thread safety: plain values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <catena/prefix/block_hash.hpp>

namespace catena {

/// What a publish goes on from without looking again: saves it a round trip. Plain and small, of no meaning to anybody else; it is
/// checked before it is used, so an old one does no harm, but it is most useful soon. The empty one says nothing.
struct match_end {
    block_hash last{};        ///< the last block that matched; the first of the chain if none did
    std::uint64_t blocks = 0; ///< how many did
    std::array<std::uint64_t, 4> where{};
};

/// What publish did. Of the blocks from `from` on: inserted + already_present + behind_a_gap are all of them.
struct publish_counts {
    std::size_t inserted = 0;
    std::size_t already_present = 0;
    std::size_t behind_a_gap = 0; ///< not listed, since a block before them is not
};

} // namespace catena
