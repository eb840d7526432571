// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>

#include <catena/layout/node_ref.hpp>

#include <support/catch.hpp>

using namespace catena;

TEST_CASE("every field of a node_ref comes back, at its limits and in between") {
    constexpr std::uint64_t max_offset = ((std::uint64_t{1} << 40U) - 1) * 64;
    for (std::uint16_t const node : std::array<std::uint16_t, 4>{0, 1, 42, 63})
        for (std::uint64_t const offset : {std::uint64_t{0}, std::uint64_t{64}, std::uint64_t{1} << 40U, max_offset})
            for (std::uint32_t const level : {0U, 1U, 10U, node_ref::max_level})
                for (std::uint32_t const incarnation : {0U, 1U, 0x2aaaU, node_ref::incarnation_mask}) {
                    CAPTURE(node, offset, level, incarnation);
                    node_ref const r(remote_ptr(node, offset), level, incarnation);
                    REQUIRE(r.at() == remote_ptr(node, offset));
                    REQUIRE(r.level() == level);
                    REQUIRE(r.incarnation() == incarnation);
                    REQUIRE(node_ref::from_word(r.bits()) == r);
                }
}

TEST_CASE("every bit of a node_ref belongs to exactly one field") {
    for (unsigned bit = 0; bit < 64; ++bit) {
        CAPTURE(bit);
        auto const r = node_ref::from_word(word{1} << bit);
        REQUIRE((r.at().offset() != 0) == (bit < 40));
        REQUIRE((r.at().node() != 0) == (bit >= 40 && bit < 46));
        REQUIRE((r.level() != 0) == (bit >= 46 && bit < 50));
        REQUIRE((r.incarnation() != 0) == (bit >= 50));
        REQUIRE(node_ref(r.at(), r.level(), r.incarnation()) == r);
        REQUIRE(static_cast<bool>(r));
    }
    REQUIRE_FALSE(static_cast<bool>(node_ref{}));
}

TEST_CASE("an incarnation is kept modulo 16384, and spills into nothing") {
    remote_ptr const at(5, 4096);
    REQUIRE(node_ref(at, 2, node_ref::incarnation_mask + 1) == node_ref(at, 2, 0));
    REQUIRE(node_ref(at, 2, ~0U).incarnation() == node_ref::incarnation_mask);
    REQUIRE(node_ref(at, 2, ~0U).at() == at);
    REQUIRE(node_ref(at, 2, ~0U).level() == 2);
}

TEST_CASE("two lives of one block have different names") {
    remote_ptr const at(1, 65536);
    REQUIRE(node_ref(at, 0, 1) != node_ref(at, 0, 2));
    REQUIRE(node_ref(at, 0, 1) != node_ref(at, 1, 1));
}
