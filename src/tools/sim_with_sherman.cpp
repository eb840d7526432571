// SPDX-License-Identifier: Apache-2.0
#include "tools/sim_engine.hpp"

namespace catena::tools {

template setup_result<sim_result> simulate_with<sim_sherman>(trace const&, chain_maker const&, sim_setup const&,
                                                             sim_run_options const&);

} // namespace catena::tools
