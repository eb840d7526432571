// SPDX-License-Identifier: Apache-2.0
// One type of index behind catena::client (open_index.hpp).
#include <catena/index/learned_hopscotch.hpp>

#include "client/open_index.hpp"

namespace catena {

index_type const learned_index =
    detail::index_type_of<learned_hopscotch<block_hash, location>, learned_hopscotch<block_hash, extent_ref>>();

} // namespace catena
