// SPDX-License-Identifier: Apache-2.0
// open_fabric: the run-time choice of fabric: from a pool's URI to its memory nodes.
// Thread safety: pure functions.
#pragma once

#include <chrono>
#include <utility>

#include <catena/core/result.hpp>
#include <catena/fabric/any_fabric.hpp>

#include "client/pool_uri.hpp"

namespace catena {

/// Memory nodes, and whether there is a pool on them.
struct opened_fabric {
    any_fabric fabric;
    bool fresh = false;    ///< this process just made the memory nodes: the pool on them is still to be formatted
    bool formatted = true; ///< as far as the fabric can tell, there is a pool on all of them
};

/// Opens the memory nodes that the URI names (local and shm: makes them where there are none and a size is given).
/// patience: bound of every wait. Errors: as the open() of local_fabric, shm_fabric and verbs_fabric; unsupported (this build has no
/// verbs).
[[nodiscard]] setup_result<opened_fabric> open_fabric(pool_uri const& uri, std::chrono::milliseconds patience);

} // namespace catena
