// SPDX-License-Identifier: Apache-2.0
// A tree needs ordered keys.
// expect: (template constraint failure|constraints not satisfied)
#include <cstdint>

#include <catena/index/sherman_tree.hpp>

namespace {

struct unordered {
    std::uint64_t high;
    std::uint64_t low;
    friend bool operator==(unordered const&, unordered const&) = default;
};

} // namespace

int main() { return static_cast<int>(sizeof(catena::sherman_tree<unordered, std::uint64_t>)); }
