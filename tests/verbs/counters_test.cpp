// SPDX-License-Identifier: Apache-2.0
// The same work asks the same of every fabric: round trips, operations, bytes, doorbells.
#include <cstdint>
#include <string>
#include <vector>

#include <unistd.h>

#include <support/catch.hpp>
#include <support/chains.hpp>

#include <catena/fabric/any_fabric.hpp>
#include <catena/fabric/shm_fabric.hpp>
#include <catena/fabric/sim/timed_network.hpp>
#include <catena/fabric/sim_fabric.hpp>
#include <catena/index/chime_tree.hpp>
#include <catena/prefix/extent_index.hpp>

#include "verbs/rdma.hpp"

using namespace catena;
using namespace catena::test;

namespace {

constexpr std::uint64_t node_bytes = 8U << 20U;
constexpr std::uint16_t nodes = 2;

struct costs_of_work {
    fabric_stats keys;
    fabric_stats chains;
};

/// One client with one session; ids, and so where memory comes from, are those of a seed.
template <typename Fabric>
costs_of_work work_on(Fabric& fabric) {
    pool_options options = basic_world<local_fabric>::long_lease;
    options.seed = 4711;
    auto client = basic_client<Fabric>::create(fabric, options);
    auto& s = client.s;
    costs_of_work costs;
    using tree = chime_tree<std::uint64_t, std::uint64_t>;
    auto keys = ok(tree::create(s, "keys", 1U << 20U));
    calls<tree, typename basic_client<Fabric>::session_type> t(keys, s);
    constexpr std::uint64_t n = 400; // leaves split
    for (std::uint64_t i = 0; i < n; ++i) expect(t.insert(mix64(i), i), "inserted");
    for (std::uint64_t i = 0; i < n; ++i) expect(t.find(mix64(i)) == i, "found");
    for (std::uint64_t i = 0; i < n; i += 3) expect(t.erase(mix64(i)), "erased");
    expect(t.scan({.from = 0, .to = {}}, n).size() == n - (n + 2) / 3, "scanned");
    costs.keys = s.stats();

    using extents = extent_index<chime_tree<block_hash, extent_ref, chime_heads>>;
    auto chains = ok(extents::create(s, "chains", 1U << 20U, 0));
    for (std::uint64_t i = 0; i < 12; ++i) {
        auto const c = chain_of(i, 10 + 20 * i);
        auto l = places(1, c.size());
        auto const before = ok(sync_wait(s, chains.match(s, c, {})));
        expect(ok(sync_wait(s, chains.publish(s, c, l, before.blocks, before.end))).inserted == c.size(), "published");
        expect(ok(sync_wait(s, chains.match(s, c, l))).blocks == c.size(), "matched");
    }
    // Last: where blocks go that are used again depends on how long they have rested.
    for (std::uint64_t i = 0; i < 12; i += 4) {
        auto const c = chain_of(i, 10 + 20 * i);
        expect(ok(sync_wait(s, chains.forget(s, c, 5, {}))) == c.size() - 5, "forgotten");
    }
    costs.chains = s.stats() - costs.keys;
    return costs;
}

/// For messages.
[[nodiscard]] std::string words(fabric_stats const& c) {
    std::string text;
    for (auto const n :
         {c.round_trips, c.reads, c.writes, c.cas, c.faa, c.bytes_read, c.bytes_written, c.doorbells, c.retries})
        text += std::to_string(n) + " ";
    return text;
}
void require_same(costs_of_work const& is, costs_of_work const& expected) {
    REQUIRE(words(is.keys) == words(expected.keys));
    REQUIRE(words(is.chains) == words(expected.chains));
}

} // namespace

TEST_CASE("local, shm, simulated and verbs memory nodes count the same for the same work", "[verbs]") {
    any_fabric local(ok(local_fabric::create(node_bytes, nodes)));
    auto const expected = work_on(local);
    REQUIRE(expected.keys.round_trips > 800);
    REQUIRE(expected.chains.verbs() > 50);

    any_fabric shm(ok(
        shm_fabric::open("test.counters." + std::to_string(::getpid()), {.node_bytes = node_bytes, .nodes = nodes})));
    require_same(work_on(shm), expected);

    timed_network network(nodes, node_bytes, sim_parameters::connectx6_100g());
    sim_fabric sim(network);
    require_same(work_on(sim), expected);

    // A READ that took more than 10 ms is done again (pool/rest.hpp): emulated processors manage that now and then.
    costs_of_work on_verbs;
    for (int attempt = 0; attempt < 10; ++attempt) {
        cluster_here const cluster(node_bytes, nodes);
        any_fabric verbs(cluster.open());
        on_verbs = work_on(verbs);
        if (on_verbs.keys.retries + on_verbs.chains.retries == 0) break;
    }
    require_same(on_verbs, expected);
}
