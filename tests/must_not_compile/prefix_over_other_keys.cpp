// SPDX-License-Identifier: Apache-2.0
// A prefix index needs an index from block_hash to location.
// expect: (template constraint failure|constraints not satisfied|static assertion failed|static_assert failed)
#include <cstdint>

#include <catena/index/sherman_tree.hpp>
#include <catena/prefix/location.hpp>
#include <catena/prefix/prefix_index.hpp>

int main() {
    return static_cast<int>(sizeof(catena::prefix_index<catena::sherman_tree<std::uint64_t, catena::location>>));
}
