// SPDX-License-Identifier: Apache-2.0
// bench_options: the command line of catena-bench compare.
// Thread safety: none needed; call from one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catena/core/result.hpp>

#include "bench/scale.hpp"
#include "bench/systems.hpp"
#include "tools/common_settings.hpp"

namespace catena::bench {

inline constexpr std::string_view program = "catena-bench";

struct bench_settings : tools::common_settings {
    std::vector<system> systems; ///< may be empty, then nothing is measured in real time
    std::string against;         ///< one of them, or empty
    unsigned rounds = 5;
    std::optional<std::uint64_t> warm_up; ///< requests; nothing: half of the trace
    std::string redis_server;             ///< the program

    std::vector<simulated_way> simulate; ///< may be empty, then nothing is simulated
    std::vector<unsigned> clients;       ///< simulated ones
    std::vector<unsigned> nodes;         ///< simulated memory nodes
    std::string report;                  ///< file for the page, or empty
};

/// The settings; or, when the program is to end here (help, version, a mistake), the exit code: all is said by then.
[[nodiscard]] result<bench_settings, tools::exit_code> parse_bench_arguments(int argc, char const* const* argv);

} // namespace catena::bench
