// SPDX-License-Identifier: Apache-2.0
// Keys are whole words.
// expect: (template constraint failure|constraints not satisfied)
#include <cstdint>

#include <catena/index/sherman_tree.hpp>

int main() { return static_cast<int>(sizeof(catena::sherman_tree<std::uint32_t, std::uint64_t>)); }
