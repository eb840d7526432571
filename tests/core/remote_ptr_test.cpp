// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>

#include <catena/core/remote_ptr.hpp>

#include <support/catch.hpp>

using namespace catena;

TEST_CASE("node and offset come back out of a remote_ptr, at their limits and in between") {
    for (std::uint16_t const node : std::array<std::uint16_t, 6>{0, 1, 63, 255, 0x8000, 0xffff})
        for (std::uint64_t const offset :
             {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{64}, std::uint64_t{1} << 32U, remote_ptr::max_offset}) {
            CAPTURE(node, offset);
            remote_ptr const p(node, offset);
            REQUIRE(p.node() == node);
            REQUIRE(p.offset() == offset);
            REQUIRE(remote_ptr::from_word(p.word()) == p);
            REQUIRE(static_cast<bool>(p) == (node != 0 || offset != 0));
        }
}

TEST_CASE("every bit of the word belongs to exactly one of node and offset") {
    for (unsigned bit = 0; bit < 64; ++bit) {
        CAPTURE(bit);
        auto const p = remote_ptr::from_word(std::uint64_t{1} << bit);
        REQUIRE((p.node() != 0) == (bit >= 48));
        REQUIRE((p.offset() != 0) == (bit < 48));
        REQUIRE(remote_ptr(p.node(), p.offset()).word() == std::uint64_t{1} << bit);
    }
}

TEST_CASE("the default remote_ptr is null") {
    STATIC_REQUIRE_FALSE(static_cast<bool>(remote_ptr{}));
    STATIC_REQUIRE(remote_ptr{} == remote_ptr(0, 0));
    STATIC_REQUIRE(sizeof(remote_ptr) == 8);
}

TEST_CASE("adding bytes moves the offset and keeps the node; pointers are ordered by node, then offset") {
    STATIC_REQUIRE(remote_ptr(3, 100) + 28 == remote_ptr(3, 128));
    STATIC_REQUIRE((remote_ptr(3, remote_ptr::max_offset - 1) + 1).node() == 3);
    STATIC_REQUIRE(remote_ptr(1, 500) < remote_ptr(2, 0));
    STATIC_REQUIRE(remote_ptr(2, 7) < remote_ptr(2, 8));
}
