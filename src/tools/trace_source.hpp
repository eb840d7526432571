// SPDX-License-Identifier: Apache-2.0
// trace_source: the trace that a command line asks for: from a file, or generated.
// Thread safety: none needed; call from one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <catena/core/result.hpp>

#include "tools/exit_code.hpp"
#include "tools/trace_file.hpp"

namespace catena::tools {

struct trace_source {
    std::string file;                            ///< empty: generate one
    std::optional<std::uint64_t> limit{};        ///< only the first so many requests
    std::optional<std::uint32_t> block_tokens{}; ///< of a file; nothing: deduce it
    std::uint64_t requests = 0;                  ///< of a generated trace
    std::uint64_t seed = 0;                      ///< of a generated trace
};

/// Tells on standard error, as `program`, which lines were skipped, and why if there is no trace.
[[nodiscard]] result<loaded_trace, exit_code> obtain(trace_source const& from, std::string_view program);

} // namespace catena::tools
