// SPDX-License-Identifier: Apache-2.0
// Values have at most 64 bytes; larger things are named by a location.
// expect: (template constraint failure|constraints not satisfied)
#include <array>
#include <cstdint>

#include <catena/index/sherman_tree.hpp>

int main() { return static_cast<int>(sizeof(catena::sherman_tree<std::uint64_t, std::array<std::uint8_t, 65>>)); }
