// SPDX-License-Identifier: Apache-2.0
#include "index/contract.hpp"
#include "index/indexes.hpp"

using namespace catena::test;

TEMPLATE_TEST_CASE("the contract of an index holds with keys of 16 and 32 bytes and values of several words",
                   "[index][contract]", sherman_blocks, sherman_blocks_24, sherman_wide) {
    index_contract<TestType>();
}
