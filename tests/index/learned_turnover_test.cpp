// SPDX-License-Identifier: Apache-2.0
#include <support/catch.hpp>

#include "index/indexes.hpp"
#include "index/turnover.hpp"

using namespace catena::test;

TEST_CASE("forty turnovers of a constant population do not make a learned index larger", "[index][turnover]") {
    turn_over<learned_8_8>("learned, usual leaves", 1.3);
}
