// SPDX-License-Identifier: Apache-2.0
// A bare number is no location: from_word says that it is meant.
// expect: (conversion from .* to non-scalar type .*location|no viable conversion from .* to .*location)
#include <cstdint>

#include <catena/prefix/location.hpp>

int main() {
    catena::location const l = std::uint64_t{7};
    return l.word() == 7 ? 0 : 1;
}
