// SPDX-License-Identifier: Apache-2.0
#include "index/contract.hpp"
#include "index/indexes.hpp"

using namespace catena::test;

TEMPLATE_TEST_CASE("the contract of an index holds with hopscotch leaves of other keys and values", "[index][contract]",
                   chime_byte, chime_blocks, chime_blocks_24, chime_wide) {
    index_contract<TestType>();
}
