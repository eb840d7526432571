// SPDX-License-Identifier: Apache-2.0
// options: the command line of catena-replay.
// Thread safety: none needed; call from one thread.
#pragma once

#include <cstdint>
#include <string>

#include <catena/core/result.hpp>

#include "tools/common_settings.hpp"

namespace catena::tools {

struct settings : common_settings {
    std::string pool;
    std::string index;
    std::uint64_t hot_cache_bytes = 0;
    unsigned threads = 1;
    unsigned clients = 1;
    bool compare = false;
    bool verify = false;
};

/// The settings; or, when the program is to end here (help, version, a mistake), the exit code: all is said by then.
[[nodiscard]] result<settings, exit_code> parse_arguments(int argc, char const* const* argv);

} // namespace catena::tools
