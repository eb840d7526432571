// SPDX-License-Identifier: Apache-2.0
#include <support/catch.hpp>

#include "index/indexes.hpp"
#include "index/turnover.hpp"

using namespace catena::test;

TEST_CASE("forty turnovers of a constant population do not make a chime tree larger", "[index][turnover]") {
    turn_over<chime_8_8>("chime, usual leaves", 1.3);
}

TEST_CASE("forty turnovers of a constant population do not make a chime tree of small leaves larger",
          "[index][turnover]") {
    turn_over<chime_8_8_small>("chime, 16 slots", 1.3);
}
