// SPDX-License-Identifier: Apache-2.0
// machine: where a benchmark ran, and what was measured: without it figures mean nothing.
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace catena::bench {

struct machine {
    std::string processor; ///< as it names itself
    unsigned processors = 0;
    std::uint64_t memory_bytes = 0;
    std::string kernel;
    std::string compiler;
};
[[nodiscard]] machine this_machine();

/// What was compiled: "1a2b3c4d", with a "+" if files were changed since; "unknown" outside a checkout.
[[nodiscard]] std::string_view commit() noexcept;

} // namespace catena::bench
