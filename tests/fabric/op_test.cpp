// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include <catena/fabric/op.hpp>

#include <support/catch.hpp>

using namespace catena;

TEST_CASE("each kind of operation is made with its fields and nothing else") {
    word buffer = 0;
    auto const r = op::read({3, 64}, &buffer, 8);
    REQUIRE(
        (r.kind == op_kind::read && r.target == remote_ptr(3, 64) && r.local == &buffer && r.length == 8 && !r.fenced));
    word const source = 1;
    auto const w = op::write({2, 16}, &source, 5);
    REQUIRE((w.kind == op_kind::write && w.target == remote_ptr(2, 16) && w.local == &source && w.length == 5));
    auto const c = op::cas({1, 8}, 10, 20);
    REQUIRE((c.kind == op_kind::cas && c.compare == 10 && c.operand == 20 && c.length == 8 && c.local == nullptr));
    auto const f = op::faa({1, 8}, 30);
    REQUIRE((f.kind == op_kind::faa && f.operand == 30 && f.length == 8 && f.local == nullptr));
}

TEST_CASE("a CAS swapped exactly when it found what it expected") {
    auto c = op::cas({0, 8}, 10, 20);
    c.fetched = 10;
    REQUIRE(c.swapped());
    c.fetched = 20; // already the new word: somebody else's swap, not this one
    REQUIRE_FALSE(c.swapped());
}
