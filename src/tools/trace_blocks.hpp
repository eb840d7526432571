// SPDX-License-Identifier: Apache-2.0
// trace_blocks: the blocks of a trace, numbered, with the block before each: the trie of all prompts.
//
// A block is an id after a prefix. In a sound trace every id stands for one prefix, so there are as many blocks as ids. An
// id that comes after another prefix than at its first use is a violation: what is cached for one prompt would be wrong
// for the other. Such a use is counted and makes a block of its own, so that all figures are those of a prefix cache
// whatever the trace is.
//
// Where a trace is cut to smaller blocks (trace_cut.hpp), an entry below is a piece: so many consecutive blocks that each request
// uses all or none of, so that they need not be told apart. Without cutting a piece is a block.
// Thread safety: plain values; const members from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "tools/trace.hpp"

namespace catena::tools {

inline constexpr std::uint32_t no_block = std::numeric_limits<std::uint32_t>::max();

/// More block accesses than that are not analysed: numbers of blocks have 32 bits.
inline constexpr std::uint64_t most_accesses = no_block;

/// Does an id always stand for the same prefix?
struct chain_validity {
    struct use {
        std::uint64_t line = 0;     ///< of the trace, from 1
        std::uint64_t position = 0; ///< in hash_ids, from 0
        std::uint64_t id = 0;
    };
    std::uint64_t unique_ids = 0;
    std::uint64_t violations = 0;       ///< uses of an id after another prefix than at its first use
    std::uint64_t ids_violated = 0;     ///< how many ids that concerns
    std::optional<use> first;           ///< the first violation
    bool numbered_by_first_use = false; ///< every id that is new is the largest so far plus 1
};

struct trace_blocks {
    std::vector<std::uint32_t> accesses; ///< pieces of all requests, one after the other; numbered by first use, from 0
    std::vector<std::uint64_t> begins;   ///< request i has accesses begins[i] to begins[i + 1]
    std::vector<std::uint64_t> times;    ///< of each request, in milliseconds
    std::vector<std::uint32_t> parents;  ///< of each piece: the one before it, or no_block; always a smaller number
    std::vector<std::uint32_t> depths;   ///< of each piece: the place of its first block in a prompt, from 1
    std::vector<std::uint32_t> sizes;    ///< of each piece: how many blocks it is; empty if each is one
    chain_validity validity;

    [[nodiscard]] std::size_t requests() const { return times.size(); }
    [[nodiscard]] std::size_t pieces() const { return parents.size(); } ///< different ones
    [[nodiscard]] std::uint32_t size(std::uint32_t piece) const { return sizes.empty() ? 1 : sizes[piece]; }
    [[nodiscard]] std::uint64_t unique_blocks() const {
        return sizes.empty() ? pieces() : std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
    }
    [[nodiscard]] std::span<std::uint32_t const> chain(std::size_t request) const {
        auto const begin = static_cast<std::size_t>(begins[request]);
        return std::span{accesses}.subspan(begin, static_cast<std::size_t>(begins[request + 1]) - begin);
    }
};

/// The blocks as they are in the trace. Requires at least one request, and at most most_accesses ids.
[[nodiscard]] trace_blocks number_blocks(trace const& t);

} // namespace catena::tools
