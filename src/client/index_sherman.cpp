// SPDX-License-Identifier: Apache-2.0
// One type of index behind catena::client (open_index.hpp).
#include <catena/index/sherman_tree.hpp>

#include "client/open_index.hpp"

namespace catena {

index_type const sherman_index =
    detail::index_type_of<sherman_tree<block_hash, location>, sherman_tree<block_hash, extent_ref>>();

} // namespace catena
