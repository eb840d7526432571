// SPDX-License-Identifier: Apache-2.0
// Keys are compared byte by byte in remote memory: equal keys have equal bytes, so no padding.
// expect: (template constraint failure|constraints not satisfied)
#include <compare>
#include <cstdint>

#include <catena/index/sherman_tree.hpp>

namespace {

struct padded {
    std::uint64_t high;
    std::uint32_t low; // four bytes of padding follow
    friend auto operator<=>(padded const&, padded const&) = default;
};

} // namespace

int main() { return static_cast<int>(sizeof(catena::sherman_tree<padded, std::uint64_t>)); }
