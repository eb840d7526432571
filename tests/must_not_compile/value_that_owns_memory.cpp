// SPDX-License-Identifier: Apache-2.0
// What owns memory of this process cannot lie in remote memory.
// expect: (template constraint failure|constraints not satisfied)
#include <cstdint>
#include <string>

#include <catena/index/sherman_tree.hpp>

int main() { return static_cast<int>(sizeof(catena::sherman_tree<std::uint64_t, std::string>)); }
