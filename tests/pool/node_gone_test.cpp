// SPDX-License-Identifier: Apache-2.0
// What a session allocates while a memory node does not answer, and when it is back. The clock is the test's.
#include <chrono>
#include <cstdint>
#include <set>
#include <vector>

#include <catena/pool/node_allocator.hpp>

#include <pool/allocation.hpp>
#include <pool/clock_fabric.hpp>
#include <support/catch.hpp>

using namespace catena;
using namespace std::chrono_literals;
using test::chunk;
using test::ok;

namespace {

constexpr std::uint64_t bytes = 1024;
constexpr auto per_chunk = chunk / bytes;

struct scene {
    explicit scene(std::uint16_t nodes, std::uint64_t node_bytes = 4U << 20U)
        : memory(node_bytes, nodes), client(test::clock_client::create(memory, test::options())) {}
    [[nodiscard]] result<block> take() { return sync_wait(client.s, allocate(client.s, bytes)); }
    /// The memory nodes of the next n blocks.
    [[nodiscard]] std::multiset<std::uint16_t> nodes_of(std::size_t n) {
        std::multiset<std::uint16_t> nodes;
        while (n-- > 0) nodes.insert(ok(take()).at.node());
        return nodes;
    }
    [[nodiscard]] std::uint64_t trips() { return client.s.stats().round_trips; }

    test::clock_fabric memory;
    test::clock_client client;
};

} // namespace

TEST_CASE("a memory node that is gone is passed over, and asked again after a while") {
    scene t(3);
    t.memory.clock.gone = {1};
    REQUIRE(t.nodes_of(60).count(1) == 0);
    t.memory.clock.gone = {};
    REQUIRE(t.nodes_of(6).count(1) == 0); // it was found gone a moment ago
    t.memory.clock.now += allocation_state::avoided_for;
    auto const nodes = t.nodes_of(60);
    REQUIRE(nodes.count(0) == 20);
    REQUIRE(nodes.count(1) == 20);
}

TEST_CASE("what a session had taken from a memory node before it was gone is used when it is back") {
    scene t(2);
    std::vector<block> freed;
    std::set<std::uint64_t> places;
    for (int i = 0; i < 4; ++i) freed.push_back(ok(t.take()));
    for (auto const& b : freed) {
        places.insert(b.at.word());
        ok(sync_wait(t.client.s, free_block(t.client.s, b, bytes)));
    }
    t.client.s.allocation().avoid(1, t.memory.clock.now);
    auto const before = t.trips();
    REQUIRE(t.nodes_of(per_chunk).count(1) == 0); // freed ones and what is left of the chunk of node 0
    REQUIRE(t.trips() == before);
    t.memory.clock.now += allocation_state::avoided_for;
    for (int i = 0; i < 2; ++i) {
        auto const b = ok(t.take());
        REQUIRE(b.at.node() == 1);
        REQUIRE(places.contains(b.at.word()));
    }
    REQUIRE(t.nodes_of(2 * (per_chunk - 2)).count(1) == per_chunk - 2);
    REQUIRE(test::raw_read(t.memory.memory(), {1, cursor_offset}) == chunk); // no other chunk was taken for them
}

TEST_CASE("memory nodes that are all gone are asked each time, and the error names one of them") {
    scene t(2);
    t.memory.clock.gone = {0, 1};
    for (int i = 0; i < 3; ++i) {
        auto const r = t.take();
        REQUIRE_FALSE(r);
        REQUIRE(r.error().code == errc::unreachable);
    }
    t.memory.clock.gone = {0};
    REQUIRE(ok(t.take()).at.node() == 1); // at once
    t.memory.clock.gone = {0, 1};
    t.memory.clock.now += allocation_state::avoided_for;
    for (std::uint64_t i = 1; i < per_chunk; ++i) REQUIRE(ok(t.take()).at.node() == 1); // the chunk is there
    auto const r = t.take();
    REQUIRE((!r && r.error() == make_error(errc::unreachable, r.error().node)));
    t.memory.clock.gone = {};
    REQUIRE(t.take());
}

TEST_CASE("with one memory node, which is back, a session allocates at once") {
    scene t(1);
    t.memory.clock.gone = {0};
    REQUIRE(t.take().error() == make_error(errc::unreachable, 0));
    t.memory.clock.gone = {};
    REQUIRE(t.take());
}

TEST_CASE("a full memory node and one that is gone: out of memory, until that one is back") {
    scene t(2, test::room_for(2));
    t.memory.clock.gone = {0};
    for (std::uint64_t i = 0; i < 2 * per_chunk; ++i) REQUIRE(ok(t.take()).at.node() == 1);
    REQUIRE(t.take().error().code == errc::out_of_memory);
    t.memory.clock.gone = {};
    t.memory.clock.now += allocation_state::avoided_for;
    REQUIRE(ok(t.take()).at.node() == 0);
}

TEST_CASE("a session that closes while a memory node is gone gives back what the others gave") {
    scene t(2, test::room_for(1));
    auto& s = t.client.s;
    auto const first = ok(t.take());
    auto const second = ok(t.take());
    REQUIRE(first.at.node() != second.at.node());
    ok(sync_wait(s, free_block(s, first, bytes)));
    ok(sync_wait(s, free_block(s, second, bytes)));
    t.memory.clock.gone = {0};
    REQUIRE(sync_wait(s, release_all(s)).error() == make_error(errc::unreachable, 0));
    auto other = t.client.session();
    for (std::uint64_t i = 0; i < per_chunk; ++i) // all that node 1 has
        REQUIRE(ok(sync_wait(other, allocate(other, bytes))).at.node() == 1);
}
