// SPDX-License-Identifier: Apache-2.0
// replay: does for every request of a trace what an inference engine does: match the chain, then publish what was
// missing, as if the engine had computed those blocks. Nothing is ever forgotten: the cache is unbounded.
//
// Several clients are as many engines: request i goes to client i mod their number, whichever thread serves it.
// Threads take the requests in the trace's order from one counter. With several threads requests that are in flight at
// the same time cannot see each other's blocks, so hits can differ slightly from run to run; with one they cannot.
// Thread safety: one replay at a time on a trace; the clients may be shared.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <catena/client.hpp>

#include "tools/chains.hpp"
#include "tools/replay_state.hpp"
#include "tools/samples.hpp"
#include "tools/trace.hpp"

namespace catena::tools {

struct replay_options {
    unsigned threads = 1;
    std::atomic<bool> const* stop = nullptr;             ///< set it to end early; requests that were begun are finished
    std::function<void(replay_state const&)> progress{}; ///< called from the calling thread, ten times a second
};

/// The call that ended a replay.
struct replay_failure {
    error why;
    bool while_publishing = false;
    std::uint64_t line = 0; ///< of the request
};

struct replay_result {
    static constexpr std::uint32_t not_done = std::numeric_limits<std::uint32_t>::max();

    std::uint64_t requests = 0; ///< matched and published
    std::uint64_t blocks = 0;
    std::uint64_t hit_blocks = 0;
    std::uint64_t over_half = 0;       ///< requests with 2 * hit > blocks
    std::uint64_t inserted = 0;        ///< blocks that a publish listed
    std::uint64_t already_present = 0; ///< blocks that another thread or process listed between match and publish
    std::uint64_t wrong_locations = 0; ///< answers that are not where the block was published: 0, or the pool is broken
    double seconds = 0;                ///< of the whole loop, hashing included
    call_samples match;                ///< latency of the call alone, without hashing
    call_samples publish;              ///< only of requests that missed something
    std::vector<std::uint32_t> hits;   ///< hit blocks of each request of the trace, or not_done
    std::optional<replay_failure> failure; ///< the first one; what stands above was measured before it
    bool stopped = false;
};

/// `clients`: at least one, all of the same pool.
[[nodiscard]] replay_result replay(std::span<client const> clients, trace const& trace, chain_maker const& chains,
                                   replay_options const& options = {});
[[nodiscard]] inline replay_result replay(client const& pool, trace const& trace, chain_maker const& chains,
                                          replay_options const& options = {}) {
    return replay(std::span(&pool, 1), trace, chains, options);
}

/// Matches the chain of every request that was done once more: each must be listed whole, at the right places. Says
/// what is wrong, or nothing. Only on a pool from which nobody takes blocks away.
[[nodiscard]] std::vector<std::string> find_lost_blocks(client const& pool, trace const& trace,
                                                        chain_maker const& chains, replay_result const& done);

} // namespace catena::tools
