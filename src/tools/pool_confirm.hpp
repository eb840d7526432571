// SPDX-License-Identifier: Apache-2.0
// pool_confirm: asks before something is gone for good.
// Thread safety: none needed; call from one thread.
#pragma once

#include <optional>
#include <string_view>

#include "tools/exit_code.hpp"
#include "tools/output.hpp"
#include "tools/pool_settings.hpp"

namespace catena::tools {

/// Tells `what` will happen and asks for `answer` to be typed, on a terminal; says nothing if s.yes. An exit code: it is not to
/// happen, all is said.
[[nodiscard]] std::optional<exit_code> ask_before(pool_settings const& s, std::string_view what,
                                                  std::string_view answer, complainer complain);

} // namespace catena::tools
