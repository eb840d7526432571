// SPDX-License-Identifier: Apache-2.0
// trace_source: the trace that a command line asks for, from a file or generated, and how its prompts are cut.
// Thread safety: none needed; call from one thread.
#pragma once

#include <string_view>

#include <catena/core/result.hpp>

#include "tools/chains.hpp"
#include "tools/common_settings.hpp"
#include "tools/trace_file.hpp"

namespace catena::tools {

struct prepared_trace {
    loaded_trace loaded;
    chain_shape shape; ///< fits the trace
};

/// Before the work, not after it: also asks whether the result can be written. Tells on standard error, as `program`, which
/// lines were skipped, and what is wrong with the settings or the trace.
[[nodiscard]] result<prepared_trace, exit_code> prepare(common_settings const& s, std::string_view program);

} // namespace catena::tools
