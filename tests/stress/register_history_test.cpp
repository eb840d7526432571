// SPDX-License-Identifier: Apache-2.0
// The history checker is worth what it finds: every kind of bad history, and none that is good.
#include <vector>

#include <support/catch.hpp>
#include <support/register_history.hpp>

using namespace catena::test;

namespace {

[[nodiscard]] register_event write(std::uint64_t value, std::uint64_t begin, std::uint64_t end,
                                   std::uint64_t which = 0) {
    return {.what = register_event::kind::write, .which = which, .value = value, .begin = begin, .end = end};
}
[[nodiscard]] register_event read(std::uint64_t value, std::uint64_t begin, std::uint64_t end,
                                  std::uint64_t which = 0) {
    return {.what = register_event::kind::read, .which = which, .value = value, .begin = begin, .end = end};
}

} // namespace

TEST_CASE("the history checker accepts what a register can do", "[stress][history]") {
    REQUIRE_FALSE(find_violation({}));
    REQUIRE_FALSE(find_violation({read(0, 1, 2), write(1, 3, 4), read(1, 5, 6)}));
    REQUIRE_FALSE(find_violation({write(1, 1, 4), read(0, 2, 3)}));                      // still the old one
    REQUIRE_FALSE(find_violation({write(1, 1, 4), read(1, 2, 3)}));                      // already the new one
    REQUIRE_FALSE(find_violation({write(1, 1, 8), read(1, 2, 5), read(0, 3, 6)}));       // reads overlap: any order
    REQUIRE_FALSE(find_violation({write(1, 1, 2), write(2, 3, 0), read(1, 5, 6)}));      // a writer died: not done
    REQUIRE_FALSE(find_violation({write(1, 1, 2), write(2, 3, 0), read(2, 5, 6)}));      // or done
    REQUIRE_FALSE(find_violation({write(5, 1, 2), read(5, 3, 4, 0), read(0, 3, 4, 1)})); // registers are apart
}

TEST_CASE("the history checker finds what a register cannot do", "[stress][history]") {
    REQUIRE(find_violation({write(1, 1, 2), read(0, 3, 4)}));                         // a write was lost
    REQUIRE(find_violation({read(1, 1, 2), write(1, 3, 4)}));                         // a value out of the future
    REQUIRE(find_violation({read(7, 1, 2)}));                                         // a value out of nowhere
    REQUIRE(find_violation({write(1, 1, 2), write(2, 3, 4), read(1, 5, 6)}));         // a stale read
    REQUIRE(find_violation({write(1, 1, 8), read(1, 2, 3), read(0, 4, 5)}));          // new, then old
    REQUIRE(find_violation({write(1, 1, 0), read(1, 2, 3), read(0, 4, 5)}));          // the same, the writer dead
    REQUIRE(find_violation({write(1, 1, 2, 3), read(0, 1, 2, 2), read(0, 3, 4, 3)})); // in one of several registers
}
