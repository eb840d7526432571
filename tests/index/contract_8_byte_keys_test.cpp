// SPDX-License-Identifier: Apache-2.0
#include "index/contract.hpp"
#include "index/indexes.hpp"

using namespace catena::test;

TEMPLATE_TEST_CASE("the contract of an index holds with 8-byte keys", "[index][contract]", sherman_8_8,
                   sherman_8_8_small, sherman_8_8_large) {
    index_contract<TestType>();
}
