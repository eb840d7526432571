// SPDX-License-Identifier: Apache-2.0
// Rounds: everybody once in each, in another order; what fails is named.
#include "bench_scene.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bench/rounds.hpp"
#include "tools/made_trace.hpp"

using namespace catena;
using namespace catena::bench;
using namespace catena::test;

namespace {

struct scene {
    tools::trace trace = random_trace(5, 200);
    tools::chain_maker chains{trace, {.block_tokens = 16}};
    scratch_folder folder;
    rounds_setup setup;

    explicit scene(std::vector<std::string> const& names) {
        for (auto const& name : names) setup.systems.push_back(system_named(name));
        setup.rounds = 4;
        setup.warm_up = 50;
        setup.where = {
            .blocks = chains.unique_blocks(trace.requests), .directory = folder / "", .holder = bench_program()};
    }
    [[nodiscard]] auto run() const { return run_rounds(trace, chains, setup); }
};

} // namespace

TEST_CASE("each system serves once a round, and not always after the same one", "[bench]") {
    scene s({"map", "extents/chime@local", "batched/chime@local", "extents/chime@shm"});
    std::vector<std::pair<unsigned, std::string>> turns;
    double share = 0;
    bool forward = true;
    s.setup.progress = [&](double now, std::string const& name, unsigned round) {
        forward = forward && now >= share && now <= 1;
        share = now;
        if (turns.empty() || turns.back() != std::pair(round, name)) turns.emplace_back(round, name);
    };
    auto const done = s.run();
    INFO((done ? std::string() : done.error()));
    REQUIRE(done);
    CHECK(forward);
    REQUIRE(turns.size() == 16);
    std::set<std::string> first;
    std::map<std::string, std::set<std::string>> before;
    for (std::size_t i = 0; i < turns.size(); i += 4) {
        std::set<std::string> in_round;
        for (std::size_t k = 0; k < 4; ++k) {
            CHECK(turns[i + k].first == i / 4 + 1);
            in_round.insert(turns[i + k].second);
            if (k > 0) before[turns[i + k].second].insert(turns[i + k - 1].second);
        }
        CHECK(in_round.size() == 4);
        first.insert(turns[i].second);
    }
    CHECK(first.size() == 4);
    for (auto const& [name, others] : before) CHECK(others.size() > 1);

    CHECK(done->rounds == 4);
    CHECK(done->same_hits);
    CHECK_FALSE(done->stopped);
    for (auto const& each : done->systems) {
        CAPTURE(each.what.name());
        CHECK(each.rounds.size() == 4);
        CHECK(each.requests == 150);
        CHECK(each.blocks == done->systems[0].blocks);
        CHECK(each.hit_blocks == done->systems[0].hit_blocks);
        CHECK(each.match_us.size() == 4 * 150);
        CHECK(std::is_sorted(each.match_us.begin(), each.match_us.end()));
        CHECK(std::is_sorted(each.request_us.begin(), each.request_us.end()));
    }
}

TEST_CASE("what was finished before it was stopped counts, and nothing of the round that was not", "[bench]") {
    scene s({"map", "batched/chime@local"});
    std::atomic<bool> stop{false};
    s.setup.stop = &stop;
    s.setup.progress = [&](double, std::string const& name, unsigned round) {
        if (round == 3 && name != "map@process") stop.store(true);
    };
    auto const done = s.run();
    REQUIRE(done);
    CHECK(done->stopped);
    CHECK(done->rounds == 2);
    for (auto const& each : done->systems) {
        CHECK(each.rounds.size() == 2);
        CHECK(std::is_sorted(each.match_us.begin(), each.match_us.end()));
    }
}

TEST_CASE("a system that fails is named, with what it says", "[bench]") {
    scene small({"map", "batched/chime@local"});
    std::vector<prompt> prompts; // more blocks than the smallest pool has room for
    for (std::uint64_t number = 0; number < 64; ++number) {
        prompts.emplace_back(8192);
        std::iota(prompts.back().begin(), prompts.back().end(), number << 20U);
    }
    small.trace = made_trace(prompts);
    small.setup.warm_up = 0;
    small.setup.where.blocks = 1;
    auto const full = small.run();
    REQUIRE_FALSE(full);
    CHECK_THAT(full.error(), has_text("batched/chime@local: publish failed at the request of line "));

    scene lost({"extents/chime@shm"});
    lost.setup.where.holder = "/no/such/program";
    auto const unheld = lost.run();
    REQUIRE_FALSE(unheld);
    CHECK_THAT(unheld.error(), has_text("extents/chime@shm: cannot start /no/such/program: No such file"));

    lost.setup.where.holder = "/bin/false";
    auto const ended = lost.run();
    REQUIRE_FALSE(ended);
    CHECK_THAT(ended.error(), has_text("extents/chime@shm: the pool's holder ended"));
}
