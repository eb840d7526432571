// SPDX-License-Identifier: Apache-2.0
#include "index/contract.hpp"
#include "index/indexes.hpp"

using namespace catena::test;

TEMPLATE_TEST_CASE("the contract of an index holds with leaves under a model for other keys and values",
                   "[index][contract]", learned_byte, learned_blocks, learned_blocks_24, learned_wide) {
    index_contract<TestType>();
}
