// SPDX-License-Identifier: Apache-2.0
// replay_run: one replay, from the opening of its pool to its report. What goes wrong is told on standard error.
// Thread safety: none needed; call from one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <catena/core/result.hpp>

#include "tools/chains.hpp"
#include "tools/exit_code.hpp"
#include "tools/options.hpp"
#include "tools/output.hpp"
#include "tools/report.hpp"
#include "tools/trace_source.hpp"

namespace catena::tools {

/// A replay that came to its end, or was stopped by the user.
struct replay_run {
    run_report report;
    std::vector<std::uint32_t> hits;     ///< of each request, as replay_result::hits
    std::vector<std::string> violations; ///< broken invariants of the index, in words
    std::vector<std::string> lost;       ///< what --verify does not find, in words
    bool sound = true;                   ///< false: something else was wrong, it was told
};

/// Opens the pool s.pool with as many clients as are wanted, replays, looks at the index. label: for the progress bar.
[[nodiscard]] result<replay_run, exit_code> run_on_pool(settings const& s, prepared_trace const& prepared,
                                                        chain_maker const& chains, complainer complain,
                                                        std::string const& label = {});

/// Tells what was found in the index; false if it is to be held against the library.
[[nodiscard]] bool report_findings(settings const& s, replay_run const& run, complainer complain);

} // namespace catena::tools
