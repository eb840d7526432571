// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>

#include <catena/fabric/local_fabric.hpp>

#include <support/catch.hpp>
#include <support/world.hpp>

using namespace catena;
using test::has_text;
using test::ok;

namespace {

setup_error refusal(std::uint64_t node_bytes, std::uint16_t nodes) {
    auto const r = local_fabric::create(node_bytes, nodes);
    test::expect(!r, "should have been refused");
    return r.error();
}

} // namespace

TEST_CASE("a local fabric has the memory nodes that were asked for, all zero") {
    for (std::uint16_t const nodes : std::initializer_list<std::uint16_t>{1, 2, 64}) {
        CAPTURE(nodes);
        auto f = ok(local_fabric::create(10'000, nodes)); // no multiple of a page
        REQUIRE(f.node_count() == nodes);
        REQUIRE(f.node_bytes() == 10'000);
        for (std::uint16_t node = 0; node < nodes; ++node)
            REQUIRE(std::all_of(f.raw(node), f.raw(node) + 10'000, [](std::byte b) { return b == std::byte{0}; }));
    }
}

TEST_CASE("a local fabric of no or too many memory nodes, of no or too much memory, is refused in words") {
    REQUIRE(refusal(4096, 0).code == errc::invalid_argument);
    REQUIRE_THAT(refusal(4096, 0).message, has_text("nodes must be 1 to 64, not 0"));
    REQUIRE_THAT(refusal(4096, 65).message, has_text("not 65"));
    REQUIRE(refusal(0, 1).code == errc::invalid_argument);
    REQUIRE_THAT(refusal(0, 1).message, has_text("size"));
    REQUIRE(refusal(remote_ptr::max_offset + 1, 1).code == errc::invalid_argument);
}

TEST_CASE("memory that the system does not give is out_of_memory") {
    auto const e = refusal(remote_ptr::max_offset, 64); // more than an address space
    REQUIRE(e.code == errc::out_of_memory);
    REQUIRE_THAT(e.message, has_text("cannot map"));
}

TEST_CASE("a local fabric can be moved; its channels go on") {
    auto first = ok(local_fabric::create(4096));
    auto c = ok(first.connect());
    auto const second = std::move(first);
    op add = op::faa({0, 0}, 1);
    ok(c.submit(batch(&add, 1)).await_resume());
    REQUIRE(second.node_bytes() == 4096);
}
