// SPDX-License-Identifier: Apache-2.0
// chains: from the ids of a trace to the 128-bit chain hashes that an engine would look up.
//
// A trace block of T tokens becomes T / B chained blocks of B tokens: H = child_hash(parent, {id, number in
// the block}). A trace holds no tokens, so the id stands for them: equal ids give equal hashes as far as both prompts
// reach into the block. Of the last block only as many parts exist as input_length says.
// Thread safety: const members from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <catena/prefix/block_hash.hpp>
#include <catena/prefix/location.hpp>

#include "tools/trace.hpp"

namespace catena::tools {

struct chain_shape {
    std::uint32_t block_tokens = 512; ///< B; divides the trace's T
    bool full_blocks_only = false;    ///< leave out a partial last block: floor(n / B) blocks, else ceil(n / B)
};

/// Why a trace cannot be cut in that shape, in words; nothing if it can.
[[nodiscard]] std::optional<std::string> unfit(trace const& trace, chain_shape const& shape);

/// Cuts the requests of one trace. Borrows the trace, which must outlive it.
class chain_maker {
public:
    /// Requires that the shape is not unfit.
    chain_maker(trace const& trace, chain_shape const& shape);

    /// Blocks in the chain of a request; 0 is possible with full_blocks_only.
    [[nodiscard]] std::uint64_t blocks(request const& r) const;

    /// Replaces `chain` by the chain of a request.
    void hash(request const& r, std::vector<block_hash>& chain) const;

    /// How many different blocks some requests of the trace have, counted in the trace alone.
    [[nodiscard]] std::uint64_t unique_blocks(std::span<request const> requests) const;

private:
    trace const* trace_;
    chain_shape shape_;
    std::uint32_t parts_; // of a trace block: T / B
    block_hash root_;     // the namespace: block size and the first request, so that traces do not share ids in a pool
};

/// A made-up place for a block's data. It follows from the hash, so that every answer of a pool can be checked; two
/// blocks have different places but for a chance of 2^-64 a pair.
[[nodiscard]] constexpr location made_up_location(block_hash const& block) noexcept {
    return location::from_word(block.low >> 1U); // no block lies in segment 65535
}

/// How many blocks of the chain are not where made_up_location puts them; `locations` is at least as long.
[[nodiscard]] std::uint64_t count_wrong(std::span<block_hash const> chain, std::span<location const> locations);

} // namespace catena::tools
