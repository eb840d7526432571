// SPDX-License-Identifier: Apache-2.0
// Compile-time options of the trees. A policy type, so that the layout is part of the type: derive from it and override.
#pragma once

#include <cstddef>

namespace catena {

struct tree_options {
    static constexpr std::size_t node_bytes = 1024; ///< of every node; a multiple of 64, at most 4096
    static constexpr std::size_t batch_nodes = 512; ///< most nodes read or written in one batch (bounds the scratch)
    static constexpr std::size_t merge_below = 40;  ///< a node filled less than so many percent after an erase ...
    static constexpr std::size_t merge_up_to = 80;  ///< ... is merged with a neighbour if both fill at most so many
};

} // namespace catena
