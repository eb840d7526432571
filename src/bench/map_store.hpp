// SPDX-License-Identifier: Apache-2.0
// map_store: a hash map in this process with an entry a block. Nobody else can look into it; what it costs is what looking up
// blocks one by one costs at the least.
// Thread safety: one thread.
#pragma once

#include "bench/store.hpp"

namespace catena::bench {

[[nodiscard]] made_store make_map_store();

} // namespace catena::bench
