// SPDX-License-Identifier: Apache-2.0
// suite: something that can be run once under a scenario. The list of all is in suites.cpp.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include <torture/event_log.hpp>
#include <torture/scenario.hpp>

namespace catena::torture {

struct suite {
    std::string_view name;
    std::string_view what;
    outcome (*run)(scenario const&, std::vector<sim_event>* log);
    block_shape shape; ///< of its blocks, for logs
};

[[nodiscard]] std::span<suite const> suites();

} // namespace catena::torture
