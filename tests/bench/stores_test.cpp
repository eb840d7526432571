// SPDX-License-Identifier: Apache-2.0
// Every store that is compared gives the answers of a set, at what it must cost.
#include "bench_scene.hpp"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "bench/pass.hpp"
#include "support/chains.hpp"
#include "tools/made_trace.hpp"

using namespace catena;
using namespace catena::bench;
using namespace catena::test;

namespace {

struct expected_cost {
    std::uint64_t match_round_trips = 0;
    std::uint64_t publish_round_trips = 0;
};

// What Redis and the map need, which have no caches.
void expect(expected_cost& cost, bench::system const& what, std::size_t chain, std::size_t hit) {
    if (what.kind == system_kind::map) return;
    bool const one_by_one = what.method == redis_method::get;
    cost.match_round_trips += one_by_one ? std::min(hit + 1, chain) : 1;
    if (hit < chain) cost.publish_round_trips += one_by_one ? chain - hit : 1;
}

// Serves random chains, and compares each answer with a set of all that was published.
void check(bench::system const& what, surroundings const& where) {
    CAPTURE(what.name());
    auto const seed = test_seed(11);
    CAPTURE(seed);
    auto const trace = random_trace(seed, 250);
    tools::chain_maker const chains(trace, {.block_tokens = 16});
    auto made = make_store(what, where);
    INFO((made ? std::string() : made.error()));
    REQUIRE(made);
    auto& store = **made;

    std::set<block_hash> published;
    expected_cost cost;
    for (auto const& request : trace.requests) {
        std::vector<block_hash> chain;
        chains.hash(request, chain);
        auto const end =
            std::find_if_not(chain.begin(), chain.end(), [&](auto const& block) { return published.contains(block); });
        auto const hit = static_cast<std::size_t>(end - chain.begin());
        std::vector<location> places(chain.size());
        auto const found = store.match(chain, places);
        REQUIRE(found);
        REQUIRE(*found == hit);
        if (store.tells_places()) REQUIRE(tools::count_wrong(std::span(chain).first(hit), places) == 0);
        expect(cost, what, chain.size(), hit);
        if (hit == chain.size()) continue;
        std::transform(chain.begin(), chain.end(), places.begin(), tools::made_up_location);
        REQUIRE(store.publish(chain, places, hit));
        published.insert(chain.begin(), chain.end());
    }

    auto const size = store.size();
    REQUIRE(size);
    CHECK(size->blocks == published.size());
    CHECK(size->bytes >= published.size() * 8);
    auto const sent = store.sent();
    REQUIRE(sent);
    if (what.kind == system_kind::pool) {
        CHECK(sent->match_round_trips > 0);
        CHECK(sent->publish_round_trips > 0);
    } else {
        CHECK(sent->match_round_trips == cost.match_round_trips);
        CHECK(sent->publish_round_trips == cost.publish_round_trips);
    }
    CHECK((sent->bytes > 0) == (what.kind != system_kind::map));
}

surroundings in(scratch_folder const& folder, redis_server const* redis = nullptr) {
    return {.blocks = 2000,
            .hot_cache_bytes = 1U << 20U,
            .directory = folder / "",
            .redis = redis,
            .holder = bench_program()};
}

std::vector<bench::system> systems_of(system_kind kind) {
    auto all = all_systems();
    std::erase_if(all, [kind](bench::system const& each) { return each.kind != kind; });
    return all;
}

} // namespace

TEST_CASE("the map answers as a set does", "[bench]") {
    scratch_folder const folder;
    check(system_named("map"), in(folder));
}

TEST_CASE("pools answer as a set does, of this process and of another one", "[bench]") {
    scratch_folder const folder;
    for (auto const& each : systems_of(system_kind::pool)) check(each, in(folder));
    CHECK(names_with("/dev/shm", "catena-bench-" + std::to_string(getpid()) + "-").empty());
}

TEST_CASE("redis answers as a set does, asked in each way, over each transport", "[bench][redis]") {
    if (!has_redis()) return;
    scratch_folder const folder;
    auto const redis = started_redis(folder);
    for (auto const& each : systems_of(system_kind::redis)) check(each, in(folder, redis.get())); // each finds it empty
    CHECK(redis->processor_seconds() > 0);
}

TEST_CASE("blocks behind one that is missing are not counted", "[bench][redis]") {
    scratch_folder const folder;
    auto const redis = has_redis() ? started_redis(folder) : nullptr;
    auto systems = redis ? systems_of(system_kind::redis) : std::vector<bench::system>{};
    systems.push_back(system_named("map"));
    for (auto const& each : systems) {
        CAPTURE(each.name());
        auto made = make_store(each, in(folder, redis.get()));
        REQUIRE(made);
        auto const chain = chain_of(1, 9);
        auto places = test::places(3, 9);
        REQUIRE((*made)->publish(std::span(chain).first(5), places, 3)); // the fourth and the fifth
        REQUIRE((*made)->publish(std::span(chain).first(1), places, 0));
        std::vector<location> found(9);
        CHECK((*made)->match(chain, found).value() == 1);
        if ((*made)->tells_places()) CHECK(found[0] == places[0]);
        CHECK((*made)->size().value().blocks == 3);
        REQUIRE((*made)->publish(std::span(chain).first(3), places, 1)); // closes the gap
        CHECK((*made)->match(chain, found).value() == 5);
    }
}

TEST_CASE("a pass counts what comes after the warm-up, and keeps the hits of all", "[bench]") {
    scratch_folder const folder;
    auto const trace = made_trace({{1, 2, 3}, {1, 2, 4}, {1, 2, 3}, {5}, {5, 6}});
    tools::chain_maker const chains(trace, {.block_tokens = 16});
    auto made = make_store(system_named("map"), in(folder));
    REQUIRE(made);
    auto const done = serve(**made, trace, chains, {.warm_up = 2});
    REQUIRE(done);
    CHECK(done->hits == std::vector<std::uint32_t>{0, 2, 3, 0, 1});
    CHECK(done->requests == 3);
    CHECK(done->blocks == 6);
    CHECK(done->hit_blocks == 4);
    CHECK(done->publishes == 2);
    CHECK(done->match_us.size() == 3);
    CHECK(done->publish_us.size() == 2);
    CHECK(done->size.blocks == 6);
}
