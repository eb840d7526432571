// SPDX-License-Identifier: Apache-2.0
#include "index/contract.hpp"
#include "index/indexes.hpp"

using namespace catena::test;

TEMPLATE_TEST_CASE("the contract of an index holds with leaves under a model", "[index][contract]", learned_8_8,
                   learned_8_8_small, learned_8_8_plain, learned_signed) {
    index_contract<TestType>();
}
