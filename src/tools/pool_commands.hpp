// SPDX-License-Identifier: Apache-2.0
// pool_commands: the commands of catena-pool. Each does what was asked for and tells it; returns what the program ends with.
// Thread safety: none needed; call from one thread.
#pragma once

#include "tools/exit_code.hpp"
#include "tools/output.hpp"
#include "tools/pool_settings.hpp"

namespace catena::tools {

[[nodiscard]] exit_code create_pool(pool_settings const& s, complainer complain);
[[nodiscard]] exit_code show_pool(pool_settings const& s, complainer complain); ///< info
[[nodiscard]] exit_code list_pool(pool_settings const& s, complainer complain);
[[nodiscard]] exit_code check_pool(pool_settings const& s, complainer complain);
[[nodiscard]] exit_code drop_one_index(pool_settings const& s, complainer complain);  ///< drop --index
[[nodiscard]] exit_code drop_whole_pool(pool_settings const& s, complainer complain); ///< drop --all

} // namespace catena::tools
