// SPDX-License-Identifier: Apache-2.0
// pool_settings: what catena-pool was asked for.
// Thread safety: a plain value.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "client/pool_uri.hpp"

namespace catena::tools {

enum class pool_command : std::uint8_t { create, info, list, check, drop };

struct pool_settings {
    pool_command command = pool_command::info;
    std::string uri; ///< as it was typed
    pool_uri pool;   ///< what it says

    std::string index;                                  ///< check, drop: this one; empty: all
    bool all = false;                                   ///< drop: the pool itself
    bool yes = false;                                   ///< drop: do not ask
    std::optional<std::chrono::milliseconds> watch_for; ///< info; nothing: the pool's lease

    std::string json; ///< file, "-" for standard output, empty for none
    bool progress = true;
};

} // namespace catena::tools
