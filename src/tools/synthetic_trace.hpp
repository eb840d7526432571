// SPDX-License-Identifier: Apache-2.0
// synthetic_trace: a trace that anyone can make anywhere, in the shape of Mooncake's conversation trace (FAST'25
// release: 12,031 requests of a chat service within an hour, 512 tokens a block).
//
// Sessions start, their turns come back after a while and extend what the turn before had. Each request is one shared
// block (the system prompt), then the session's own. Whole blocks of the turn before are kept, its partial last block
// is filled up by the next turn and so becomes another block with another id.
// Thread safety: a pure function; the same parameters give the same trace on every machine with IEEE doubles.
#pragma once

#include <cstdint>

#include "tools/trace.hpp"

namespace catena::tools {

/// Lengths are tokens. "Measured" means: in the conversation trace, with a session being the requests that share more
/// than the system prompt.
struct synthetic_parameters {
    std::uint64_t seed = 1;
    std::uint64_t requests = 12'000; ///< measured: 12,031

    std::uint32_t block_tokens = 512;
    std::uint32_t system_prompt_tokens = 512; ///< whole blocks; measured: block 0 is in every request, alone
    std::uint32_t shortest = 891;             ///< measured, system prompt included
    std::uint32_t longest = 126'195;          ///< measured; a session that grows beyond it ends

    // First turn: log-normal. Measured quantiles 25 / 50 / 90 / 99 %: 1,336 / 5,264 / 25,561 / 89,869; mean 10,765.
    double first_turn_median = 5'300;
    double first_turn_sigma = 1.24;

    // Turns in a session; measured: 31 % have a second one, mean 1.63, longest 43. The probabilities are a little
    // higher than that, because the end of the trace cuts sessions off.
    double second_turn = 0.34; ///< probability that there is one
    double next_turn = 0.54;   ///< the same from the second turn on

    // A turn adds the last answer and a question: measured quantiles 50 / 75 / 90 / 99 %: 471 / 831 / 4,605 / 17,031.
    double answer_mean = 343; ///< normal, not below 3; measured
    double answer_deviation = 210;
    double question_median = 60; ///< log-normal
    double question_sigma = 1.3;
    double document = 0.14; ///< probability that the question brings a text along
    double document_median = 4'300;
    double document_sigma = 0.8;

    // The client edits the history: only a share of the blocks that were there survives; measured: 15 % of later turns.
    double edited = 0.15;

    // Pause between two turns, in requests of others, as a share of the trace: exponential, at least 0.3 %.
    // Measured mean 736 of 12,031.
    double pause_mean = 0.06;
};

/// The defaults, seeds 1 to 4: 23 to 24 blocks a request, median 13, p99 165 to 188 (measured: 24, 14, 167); hit ratio
/// 0.358 to 0.374 (0.366); 29 to 31 % of the requests hit over one half (29.3 %); 63 to 65 % hit the system prompt
/// alone (61 %). Shorter traces keep the shape, as pauses are a share of the trace; below 2,000 requests chance shows.
[[nodiscard]] trace synthetic_trace(synthetic_parameters const& parameters);

} // namespace catena::tools
