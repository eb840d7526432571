// SPDX-License-Identifier: Apache-2.0
// chain_query: one match of several, and its answer.
// Thread safety: plain values.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <span>

#include <catena/prefix/block_hash.hpp>
#include <catena/prefix/location.hpp>
#include <catena/prefix/match_end.hpp>

namespace catena {

/// One match of several.
struct chain_query {
    std::span<block_hash const> chain;
    std::span<location> out{};                    ///< empty, or at least as long as the chain: for the locations
    std::chrono::nanoseconds deadline{};          ///< of the session's channel's clock; 0: none
    std::atomic<std::size_t>* progress = nullptr; ///< is told after each round trip how many blocks matched so far
};

/// What a match found.
struct match_answer {
    std::size_t blocks = 0; ///< leading blocks that are listed
    bool complete = true;   ///< false: the deadline passed; there may be more
    match_end end{};
};

} // namespace catena
