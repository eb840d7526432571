// SPDX-License-Identifier: Apache-2.0
// The right way to write what the other files write wrongly.
// expect: nothing
#include <cstdint>

#include <catena/core/result.hpp>
#include <catena/prefix/location.hpp>

namespace {

catena::result<int> answer() { return 42; }
catena::result<void> act() { return {}; }

} // namespace

int main() {
    if (!act()) return 1;
    if (auto const r = answer(); !r || *r != 42) return 1;
    catena::location const l = catena::location::from_word(std::uint64_t{7});
    std::uint64_t const word = l.word();
    return word == 7 ? 0 : 1;
}
