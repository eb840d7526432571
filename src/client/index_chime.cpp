// SPDX-License-Identifier: Apache-2.0
// One type of index behind catena::client (open_index.hpp).
#include <catena/index/chime_tree.hpp>

#include "client/open_index.hpp"

namespace catena {

index_type const chime_index =
    detail::index_type_of<chime_tree<block_hash, location>, chime_tree<block_hash, extent_ref, chime_heads>>();

} // namespace catena
