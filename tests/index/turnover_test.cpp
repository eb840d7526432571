// SPDX-License-Identifier: Apache-2.0
#include <support/catch.hpp>

#include "index/indexes.hpp"
#include "index/turnover.hpp"

using namespace catena::test;

TEST_CASE("forty turnovers of a constant population do not make the tree larger", "[index][turnover]") {
    turn_over<sherman_8_8>("sherman, nodes of 1 KiB", 1.6);
}

TEST_CASE("forty turnovers of a constant population do not make a tree of small nodes larger", "[index][turnover]") {
    turn_over<sherman_8_8_small>("sherman, nodes of 256 bytes", 1.6);
}
