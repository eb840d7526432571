// SPDX-License-Identifier: Apache-2.0
#include "tools/sim_run.hpp"

#include "tools/sim_engine.hpp"

namespace catena::tools {

setup_result<sim_result> simulate(trace const& trace, chain_maker const& chains, sim_setup const& setup,
                                  sim_run_options const& options) {
    auto const index = index_of(setup);
    if (setup.strategy == match_strategy::extents) return simulate_with<sim_extents>(trace, chains, setup, options);
    if (index == sim_chime::index::type_name) return simulate_with<sim_chime>(trace, chains, setup, options);
    if (index == sim_learned::index::type_name) return simulate_with<sim_learned>(trace, chains, setup, options);
    return simulate_with<sim_sherman>(trace, chains, setup, options);
}

} // namespace catena::tools
