// SPDX-License-Identifier: Apache-2.0
// pool_options: the command line of catena-pool.
// Thread safety: none needed; call from one thread.
#pragma once

#include <string_view>

#include <catena/core/result.hpp>

#include "tools/exit_code.hpp"
#include "tools/pool_settings.hpp"

namespace catena::tools {

inline constexpr std::string_view pool_program = "catena-pool";

/// The settings; or, when the program is to end here (help, version, a mistake), the exit code: all is said by then.
[[nodiscard]] result<pool_settings, exit_code> parse_pool_arguments(int argc, char const* const* argv);

} // namespace catena::tools
