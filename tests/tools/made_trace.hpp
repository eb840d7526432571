// SPDX-License-Identifier: Apache-2.0
// Small traces written out in tests, and larger random ones, of blocks of 16 tokens.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "support/random.hpp"
#include "tools/trace.hpp"

namespace catena::test {

/// For numbers that are computed on two ways, or written down with few digits.
[[nodiscard]] inline bool near(double value, double expected, double tolerance = 1e-9) {
    return std::abs(value - expected) <= tolerance;
}

using prompt = std::vector<std::uint64_t>; // its ids

/// A request a second, unless `times_ms` says otherwise; all blocks are full.
[[nodiscard]] inline tools::trace made_trace(std::vector<prompt> const& prompts,
                                             std::vector<std::uint64_t> const& times_ms = {}) {
    tools::trace out{.name = "made.jsonl", .block_tokens = 16, .requests = {}, .ids = {}};
    for (auto const& ids : prompts) {
        auto const i = out.requests.size();
        out.requests.push_back({.line = i + 1,
                                .first_id = out.ids.size(),
                                .id_count = static_cast<std::uint32_t>(ids.size()),
                                .input_length = static_cast<std::uint32_t>(16 * ids.size()),
                                .timestamp = times_ms.empty() ? 1000 * i : times_ms[i]});
        out.ids.insert(out.ids.end(), ids.begin(), ids.end());
    }
    return out;
}

/// Prompts that share beginnings as those of conversations do; equal ids mean equal prefixes.
[[nodiscard]] inline tools::trace random_trace(std::uint64_t seed, std::size_t requests) {
    random_source random(seed);
    std::vector<prompt> prompts;
    std::uint64_t next = 0;
    while (prompts.size() < requests) {
        prompt ids;
        if (!prompts.empty() && !random.one_in(4)) { // goes on from somewhere in an earlier one
            ids = prompts[static_cast<std::size_t>(random.below(prompts.size()))];
            ids.resize(static_cast<std::size_t>(1 + random.below(ids.size())));
        }
        auto const more = random.below(5) + (ids.empty() ? 1 : 0);
        for (std::uint64_t i = 0; i < more; ++i) ids.push_back(next++);
        prompts.push_back(std::move(ids));
    }
    return made_trace(prompts);
}

} // namespace catena::test
