// SPDX-License-Identifier: Apache-2.0
#include <catena/fabric/guarantees.hpp>
#include <catena/fabric/local_fabric.hpp>
#include <catena/fabric/shm_fabric.hpp>

#include <support/catch.hpp>

using namespace catena;

namespace {

constexpr fabric_guarantees from_bits(unsigned b) {
    return {.atomic_words = (b & 1U) != 0, .ordered_batch = (b & 2U) != 0, .atomic_lines = (b & 4U) != 0};
}

} // namespace

TEST_CASE("a fabric covers a protocol exactly when it gives all that is needed") {
    for (unsigned given = 0; given < 8; ++given)
        for (unsigned needed = 0; needed < 8; ++needed) {
            CAPTURE(given, needed);
            REQUIRE(from_bits(given).cover(from_bits(needed)) == ((needed & ~given) == 0));
        }
}

TEST_CASE("local and shm give what the protocols need, and promise no whole lines") {
    constexpr fabric_guarantees needed{.atomic_words = true, .ordered_batch = true};
    STATIC_REQUIRE(local_fabric::channel_type::guarantees.cover(needed));
    STATIC_REQUIRE(shm_fabric::channel_type::guarantees.cover(needed));
    STATIC_REQUIRE_FALSE(local_fabric::channel_type::guarantees.atomic_lines);
    STATIC_REQUIRE_FALSE(shm_fabric::channel_type::guarantees.atomic_lines);
}
