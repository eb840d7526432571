// SPDX-License-Identifier: Apache-2.0
#include "index/contract.hpp"
#include "index/indexes.hpp"

using namespace catena::test;

TEMPLATE_TEST_CASE("the contract of an index holds with signed keys, one-byte values and short batches",
                   "[index][contract]", sherman_8_8_narrow, sherman_signed, sherman_byte) {
    index_contract<TestType>();
}
