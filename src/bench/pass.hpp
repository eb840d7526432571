// SPDX-License-Identifier: Apache-2.0
// pass: one store serves a trace once. Every request is what an inference engine does: match the chain, publish what was missing.
//
// The first requests fill the store and are not measured; what is measured of the others is the time in match and in publish.
// Hashing, and making up places, is the same for all stores and left out.
// Thread safety: one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <catena/core/result.hpp>

#include "bench/store.hpp"
#include "tools/chains.hpp"
#include "tools/trace.hpp"

namespace catena::bench {

struct pass_options {
    std::uint64_t warm_up = 0;                     ///< so many requests are served before it is measured
    std::atomic<bool> const* stop = nullptr;       ///< set it to end early
    std::function<void(std::uint64_t)> progress{}; ///< now and then: requests that were served
};

struct pass_result {
    std::uint64_t requests = 0; ///< measured, as all counts here but the last two
    std::uint64_t blocks = 0;
    std::uint64_t hit_blocks = 0;
    std::uint64_t publishes = 0;   ///< requests that missed something
    std::vector<float> match_us;   ///< one a request
    std::vector<float> publish_us; ///< one a publish
    std::vector<float> request_us; ///< match and publish, one a request
    double match_seconds = 0;      ///< sums of the times above
    double publish_seconds = 0;
    double server_seconds = 0;
    traffic sent;
    std::vector<std::uint32_t> hits; ///< hit blocks of all requests, those of the warm-up too
    footprint size;                  ///< at the end
    bool stopped = false;

    [[nodiscard]] double seconds() const noexcept { return match_seconds + publish_seconds; }
};

/// Errors: of the store, and a block at a place where nobody published it.
[[nodiscard]] result<pass_result, std::string> serve(store& store, tools::trace const& trace,
                                                     tools::chain_maker const& chains, pass_options const& options);

} // namespace catena::bench
