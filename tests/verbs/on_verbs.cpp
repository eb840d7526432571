// SPDX-License-Identifier: Apache-2.0
// The tests that hold on any fabric (support/any_memory.hpp) run on verbs in this program.
#include <memory>
#include <vector>

#include <support/any_memory.hpp>
#include <support/catch.hpp>
#include <support/scale.hpp>

#include "verbs/rdma.hpp"

using namespace catena;
using namespace catena::test;

namespace {

setup_result<any_memory> make_on_verbs(std::uint64_t node_bytes, std::uint16_t nodes) {
    auto const all = std::make_shared<cluster_here>(node_bytes, nodes);
    auto fabric = all->try_open();
    if (!fabric) return fabric.error();
    return any_memory(any_fabric(std::move(*fabric)), [all](std::uint16_t n) { return all->node(n).raw(); });
}

[[maybe_unused]] bool const chosen = [] {
    any_memory::maker = make_on_verbs;
    slowness = 40;
    return true;
}();

} // namespace

TEST_CASE("tests that hold on any fabric run on verbs here", "[verbs]") {
    auto memory = ok(any_memory::create(4U << 20U, 2));
    REQUIRE_FALSE(memory.is_local());
    auto c = ok(memory.connect());
    word w = 42;
    op write = op::write({1, 8192}, &w, sizeof w);
    ok(run(c, write));
    REQUIRE(static_cast<int>(*(memory.raw(1) + 8192)) == 42);
}
