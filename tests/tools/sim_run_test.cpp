// SPDX-License-Identifier: Apache-2.0
// The simulated replay: exact times where they can be computed, the answers of catena-replay, curves that bend.
#include "support/catch.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <catena/client.hpp>

#include "tools/chains.hpp"
#include "tools/replay.hpp"
#include "tools/sim_report.hpp"
#include "tools/sim_run.hpp"
#include "tools/synthetic_trace.hpp"

using namespace catena;
using namespace catena::tools;

namespace {

// Requests of one block each, with these ids.
trace of_single_blocks(std::vector<std::uint64_t> const& ids) {
    trace t{.name = "by hand", .block_tokens = 512, .requests = {}, .ids = ids};
    for (std::uint64_t i = 0; i < ids.size(); ++i)
        t.requests.push_back({.line = i + 1, .first_id = i, .id_count = 1, .input_length = 512});
    return t;
}

sim_setup setup_of(unsigned clients, unsigned nodes, std::uint64_t warm_up = 0) {
    return {.network = sim_parameters::connectx6_100g(),
            .clients = clients,
            .nodes = nodes,
            .strategy = match_strategy::batched,
            .client_cache_bytes = std::size_t{1} << 20U,
            .warm_up = warm_up};
}

sim_result run(trace const& t, sim_setup const& setup, sim_run_options const& options = {}) {
    chain_maker const chains(t, {.block_tokens = t.block_tokens});
    auto done = simulate(t, chains, setup, options);
    if (!done) FAIL(done.error().message);
    CHECK_FALSE(done->failure.has_value());
    CHECK(done->wrong_locations == 0);
    return std::move(*done);
}

std::vector<std::uint32_t> hits_on_local_memory(trace const& t) {
    auto pool = client::open("local:?size=256MiB");
    if (!pool) FAIL(pool.error().message);
    chain_maker const chains(t, {.block_tokens = t.block_tokens});
    return replay(*pool, t, chains).hits;
}

// As timed_network: each queue serves, then the time is rounded to a nanosecond.
std::int64_t nanoseconds_of_one_read(sim_parameters const& p) {
    auto const service = [](sim_nic const& nic, double bytes) {
        return std::llround(1e9 * std::max(1 / nic.operations_per_second, bytes / nic.bytes_per_second));
    };
    double const header = p.header_bytes;
    double const answer = header + sim_sherman::index::options::node_bytes;
    return p.batch_overhead.count() + service(p.client, header) + p.propagation.count() +
           service(p.memory_node, header) + service(p.memory_node, answer) + p.propagation.count() +
           service(p.client, answer);
}

} // namespace

TEST_CASE("one client's match of one block takes exactly one READ of a leaf", "[tools][sim]") {
    for (auto const& network : {sim_parameters::connectx6_100g(), sim_parameters::ethernet_25g()}) {
        CAPTURE(network.name);
        auto setup = setup_of(1, 1, 1);
        setup.network = network;
        auto const done = run(of_single_blocks({7, 7}), setup);
        REQUIRE(done.match.latency_us.size() == 1);
        CHECK(std::llround(1000 * done.match.latency_us.front()) == nanoseconds_of_one_read(network));
        CHECK(done.match.round_trips == 1);
        CHECK(done.hit_blocks == 1);
        CHECK(done.publish.latency_us.empty());
        CHECK(std::llround(1e9 * done.window_seconds) == nanoseconds_of_one_read(network));
    }
    CHECK(nanoseconds_of_one_read(sim_parameters::connectx6_100g()) == 2102);
}

TEST_CASE("a publish of one block takes three round trips, and one that hits takes none", "[tools][sim]") {
    auto const done = run(of_single_blocks({7, 8, 8}), setup_of(1, 1, 1));
    CHECK(done.hits == std::vector<std::uint32_t>{replay_result::not_done, 0, 1});
    REQUIRE(done.publish.latency_us.size() == 1);
    CHECK(done.publish.round_trips == 3);
    CHECK(done.inserted == 1);
    auto const read_us = 1e-3 * static_cast<double>(nanoseconds_of_one_read(sim_parameters::connectx6_100g()));
    CHECK(done.publish.latency_us.front() > 2.9 * read_us);
    CHECK(done.publish.latency_us.front() < 3.3 * read_us); // the CAS is slower, the WRITEs are shorter
    CHECK(done.match.latency_us.size() == 2);
    CHECK(done.match.round_trips == 2);
}

TEST_CASE("one client hits what catena-replay hits, request by request", "[tools][sim]") {
    auto const t = synthetic_trace({.seed = 5, .requests = 400});
    auto const expected = hits_on_local_memory(t);
    for (auto const strategy : {match_strategy::batched, match_strategy::galloping, match_strategy::extents}) {
        auto setup = setup_of(1, 3);
        setup.strategy = strategy;
        CHECK(run(t, setup).hits == expected);
    }
    auto const warm = run(t, setup_of(1, 3, 150));
    CHECK(std::equal(warm.hits.begin() + 150, warm.hits.end(), expected.begin() + 150));
    CHECK(std::all_of(warm.hits.begin(), warm.hits.begin() + 150, [](auto h) { return h == replay_result::not_done; }));
    CHECK(warm.requests == 250);
}

TEST_CASE("with extents a match is one read of the network, long chain or short", "[tools][sim]") {
    auto setup = setup_of(1, 1, 1);
    setup.strategy = match_strategy::extents;
    auto const done = run(of_single_blocks({7, 7}), setup);
    CHECK(done.match.round_trips == 1);
    CHECK(done.hit_blocks == 1);
    auto const t = synthetic_trace({.seed = 5, .requests = 400});
    setup.warm_up = 200;
    auto const long_ones = run(t, setup);
    CHECK(long_ones.match.round_trips <= long_ones.match.latency_us.size() * 21 / 20);
}

TEST_CASE("every block is published once, however many clients there are", "[tools][sim]") {
    auto const t = synthetic_trace({.seed = 6, .requests = 300});
    chain_maker const chains(t, {.block_tokens = t.block_tokens});
    for (auto const& [depth, strategy] :
         {std::pair(1U, match_strategy::batched), std::pair(4U, match_strategy::batched),
          std::pair(1U, match_strategy::extents), std::pair(4U, match_strategy::extents)}) {
        CAPTURE(depth, name(strategy));
        auto setup = setup_of(24, 2);
        setup.depth = depth;
        setup.strategy = strategy;
        auto const done = run(t, setup);
        CHECK(done.requests == t.requests.size());
        CHECK(done.inserted == chains.unique_blocks(t.requests));
        CHECK(done.hit_blocks + done.inserted + done.already_present == done.blocks);
    }
}

TEST_CASE("throughput grows with the clients until something saturates; nothing is busier than always",
          "[tools][sim]") {
    auto const t = synthetic_trace({.seed = 1, .requests = 1500});
    bool saturated = false;
    double best = 0;
    for (unsigned const clients : {1U, 2U, 4U, 8U, 16U, 32U}) {
        CAPTURE(clients);
        auto const setup = setup_of(clients, 1, 500);
        auto const row = make_row(setup, run(t, setup));
        CHECK(row.requests_per_second > (saturated ? 0.5 : 1) * best);
        for (auto const share : row.utilisation) {
            CHECK(share >= 0);
            CHECK(share <= 1);
        }
        best = std::max(best, row.requests_per_second);
        saturated = saturated || row.saturated().has_value();
        // Little's law: what is in flight is what arrives by how long it stays. The window is not a steady state.
        auto const in_flight = row.requests_per_second * 1e-6 *
                               (row.match_us.mean + row.publish_us.mean * static_cast<double>(row.publishes) /
                                                        static_cast<double>(row.requests));
        CHECK(in_flight > 0.8 * clients);
        CHECK(in_flight < 1.2 * clients);
    }
    CHECK(saturated);
    auto const four = setup_of(32, 4, 500);
    CHECK(make_row(four, run(t, four)).requests_per_second > 2 * best); // what saturated was the memory node
}

TEST_CASE("the same set-up gives the same run", "[tools][sim]") {
    auto const t = synthetic_trace({.seed = 2, .requests = 300});
    auto setup = setup_of(12, 4, 100);
    for (unsigned const depth : {1U, 3U}) {
        setup.depth = depth;
        auto const first = run(t, setup);
        auto const second = run(t, setup);
        CHECK(first.match.latency_us == second.match.latency_us);
        CHECK(first.publish.latency_us == second.publish.latency_us);
        CHECK(first.utilisation == second.utilisation);
        CHECK(first.hits == second.hits);
    }
}

TEST_CASE("who stops a run gets what was begun", "[tools][sim]") {
    auto const t = synthetic_trace({.seed = 2, .requests = 300});
    std::atomic<bool> stop{false};
    std::uint64_t seen = 0;
    sim_run_options options{.stop = &stop, .progress = {}};
    options.progress = [&](std::uint64_t requests) {
        seen = requests;
        stop = true;
    };
    auto const done = run(t, setup_of(5, 1), options);
    CHECK(done.stopped);
    CHECK(seen > 0);
    CHECK(done.requests >= seen);
    CHECK(done.requests <= seen + 5);
}
