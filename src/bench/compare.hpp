// SPDX-License-Identifier: Apache-2.0
// compare: one comparison, from the trace to the page. What goes wrong is told on standard error.
// Thread safety: none needed; call from one thread.
#pragma once

#include "bench/bench_options.hpp"

namespace catena::bench {

[[nodiscard]] tools::exit_code compare(bench_settings const& s);

} // namespace catena::bench
