// SPDX-License-Identifier: Apache-2.0
#include "index/contract.hpp"
#include "index/indexes.hpp"

using namespace catena::test;

TEMPLATE_TEST_CASE("the contract of an index holds with hopscotch leaves", "[index][contract]", chime_8_8,
                   chime_8_8_small, chime_8_8_plain, chime_signed) {
    index_contract<TestType>();
}
