// SPDX-License-Identifier: Apache-2.0
// die_at_every_operation: one client dies at its first operation, the next at its second, until one lives to the end.
//
// Nobody counts the operations beforehand: how often a lease is renewed depends on the clock.
#pragma once

#include <cstdint>

#include <support/catch.hpp>
#include <support/random.hpp>

namespace catena::test {

/// Each time in a Scene of its own: prepare(scene), then act(scene), whose operations are counted and which returns a result,
/// then look(scene, operations that took effect). Returns how many died.
template <typename Scene, typename Prepare, typename Act, typename Look>
std::uint64_t die_at_every_operation(Prepare prepare, Act act, Look look) {
    auto const seed = test_seed(16);
    for (std::uint64_t last = 1;; ++last) {
        CAPTURE(seed, last);
        Scene t;
        prepare(t);
        t.mortal.life().tear = seed + last;
        t.mortal.life().operations_left = last;
        auto const done = act(t);
        bool const died = t.mortal.life().dead();
        REQUIRE(static_cast<bool>(done) == !died);
        look(t, last);
        if (!died) return last - 1;
    }
}

} // namespace catena::test
