// SPDX-License-Identifier: Apache-2.0
// A location is no number: word() says that the bits are meant.
// expect: (cannot convert .*location.* to .* in initialization|no viable conversion from .*location)
#include <cstdint>

#include <catena/prefix/location.hpp>

int main() {
    std::uint64_t const word = catena::location(1, 2, 3);
    return word == 0 ? 1 : 0;
}
