// SPDX-License-Identifier: Apache-2.0
// trace_cut: a trace whose blocks of T tokens are cut to blocks of B, as an engine has them: T / B for each, and of the last one of
// a request as many as its prompt reaches into.
//
// Cut blocks are never listed one by one. Requests use a block of the trace from its beginning on, all of it or up to where a
// prompt ends; between two such ends its blocks are used together by all, so they make one piece (trace_blocks.hpp).
// Memory: pieces are as many as blocks of the trace and different ends of prompts in them, whatever B is.
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tools/trace.hpp"
#include "tools/trace_blocks.hpp"

namespace catena::tools {

struct trace_cut {
    std::uint32_t block_tokens = 512; ///< B, divides the trace's T; T: nothing is cut
    bool full_blocks_only =
        false; ///< leave out a partial last block: floor(n / B) blocks of n tokens, else ceil(n / B)

    /// Blocks of a request; 0 is possible with full_blocks_only.
    [[nodiscard]] std::uint64_t blocks(request const& r) const {
        return full_blocks_only ? r.input_length / block_tokens : blocks_for(r.input_length, block_tokens);
    }
};

/// Why a trace cannot be cut so, in words; nothing if it can.
[[nodiscard]] std::optional<std::string> unfit(trace const& t, trace_cut const& cut);

/// Leaves out the ids of which a request has no block, and requests without any block; returns how many those are.
std::uint64_t leave_out_unused(trace& t, trace_cut const& cut);

/// `whole`: number_blocks(t); `t`: without what leave_out_unused leaves out. Requires that the cut is not unfit, and at most
/// most_accesses blocks of all requests.
[[nodiscard]] trace_blocks cut_blocks(trace_blocks whole, trace const& t, trace_cut const& cut);

} // namespace catena::tools
