// SPDX-License-Identifier: Apache-2.0
// The replay against a model that anyone can check: a set of all blocks seen so far.
#include "support/catch.hpp"

#include <atomic>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <catena/client.hpp>
#include <unistd.h>

#include "published_traces.hpp"
#include "tools/replay.hpp"
#include "tools/synthetic_trace.hpp"
#include "tools/trace_file.hpp"

using namespace catena::tools;
using catena::block_hash;
using namespace catena::test;

namespace {

struct hash_of_block {
    std::size_t operator()(block_hash const& b) const { return static_cast<std::size_t>(b.high ^ b.low); }
};

struct model_answer {
    std::vector<std::uint32_t> hits;
    std::uint64_t blocks = 0;
    std::uint64_t hit_blocks = 0;
    std::uint64_t over_half = 0;
    std::uint64_t unique = 0;

    void add(std::size_t hit, std::size_t of) {
        hits.push_back(static_cast<std::uint32_t>(hit));
        blocks += of;
        hit_blocks += hit;
        if (2 * hit > of) ++over_half;
    }
};

model_answer ask_model(trace const& t, chain_maker const& chains) {
    model_answer out;
    std::unordered_set<block_hash, hash_of_block> seen;
    std::vector<block_hash> chain;
    for (auto const& r : t.requests) {
        chains.hash(r, chain);
        std::size_t hit = 0;
        while (hit < chain.size() && seen.contains(chain[hit])) ++hit;
        seen.insert(chain.begin(), chain.end());
        out.add(hit, chain.size());
    }
    out.unique = seen.size();
    return out;
}

// The same for uncut traces without any hashing: ids stand for prefixes as they are.
model_answer ask_model_of_ids(trace const& t) {
    model_answer out;
    std::unordered_set<std::uint64_t> seen;
    for (auto const& r : t.requests) {
        auto const ids = t.ids_of(r);
        std::size_t hit = 0;
        while (hit < ids.size() && seen.contains(ids[hit])) ++hit;
        seen.insert(ids.begin(), ids.end());
        out.add(hit, ids.size());
    }
    out.unique = seen.size();
    return out;
}

catena::client open_pool(std::string const& uri, catena::client_options const& options = {}) {
    auto opened = catena::client::open(uri, options);
    if (!opened) FAIL(opened.error().message);
    return std::move(*opened);
}

void check_against(model_answer const& model, replay_result const& done) {
    REQUIRE_FALSE(done.failure.has_value());
    REQUIRE(done.hits.size() == model.hits.size());
    for (std::size_t i = 0; i < model.hits.size(); ++i)
        if (done.hits[i] != model.hits[i]) {
            CAPTURE(i, done.hits[i], model.hits[i]);
            FAIL("another hit than the model's");
        }
    CHECK(done.requests == model.hits.size());
    CHECK(done.blocks == model.blocks);
    CHECK(done.hit_blocks == model.hit_blocks);
    CHECK(done.over_half == model.over_half);
    CHECK(done.inserted == model.unique);
    CHECK(done.already_present == 0);
    CHECK(done.wrong_locations == 0);
    CHECK_FALSE(done.stopped);
}

/// The budget of a match, on average, from an empty cache on: with extents, and with one entry a block in a tree or a
/// learned index. (A chain waits for its last block, so a learned index pays for each chain that has one block in an
/// overflow leaf.)
void replay_published(std::string const& name, std::uint64_t hit_blocks, std::uint64_t over_half, std::uint64_t unique,
                      double extent_trips, double trips, double learned_trips) {
    auto const path = published_trace(name);
    if (path.empty()) {
        WARN(why_skipped(name));
        return;
    }
    auto const loaded = load_trace(path);
    REQUIRE(loaded);
    CHECK(loaded->skipped == 0);
    auto const& t = loaded->requests;
    chain_maker const chains(t, {.block_tokens = t.block_tokens});
    auto const model = ask_model_of_ids(t);
    CHECK(model.hits == ask_model(t, chains).hits);
    CHECK(model.hit_blocks == hit_blocks);
    CHECK(model.over_half == over_half);
    CHECK(model.unique == unique);
    for (auto const strategy : {catena::match_strategy::extents, catena::match_strategy::batched})
        for (auto const index : catena::client::index_types()) {
            CAPTURE(index, catena::name(strategy));
            auto const pool = open_pool("local:?size=1GiB", {.index = std::string(index), .strategy = strategy});
            auto const done = replay(pool, t, chains);
            check_against(model, done);
            auto const budget = strategy == catena::match_strategy::extents ? extent_trips
                                : index == "learned"                        ? learned_trips
                                                                            : trips;
            CHECK(summarize(done.match.round_trips).mean <= budget);
        }
    CHECK(chains.unique_blocks(t.requests) == unique);
}

} // namespace

TEST_CASE("every index and strategy finds for each request what the model finds", "[tools][model]") {
    auto const t = synthetic_trace({.seed = 11, .requests = 400});
    for (auto const index : catena::client::index_types())
        for (auto const strategy :
             {catena::match_strategy::sequential, catena::match_strategy::batched, catena::match_strategy::galloping,
              catena::match_strategy::binary, catena::match_strategy::extents}) {
            CAPTURE(index, name(strategy));
            chain_maker const chains(t, {.block_tokens = 512});
            auto const pool = open_pool("local:?size=256MiB", {.index = std::string(index), .strategy = strategy});
            auto const done = replay(pool, t, chains);
            check_against(ask_model_of_ids(t), done);
            CHECK(find_lost_blocks(pool, t, chains, done).empty());
        }
}

TEST_CASE("cut into small blocks a trace is replayed as the model says", "[tools][model]") {
    auto const t = synthetic_trace({.seed = 12, .requests = 150});
    for (bool const full : {false, true}) {
        CAPTURE(full);
        chain_maker const chains(t, {.block_tokens = 16, .full_blocks_only = full});
        auto const pool = open_pool("local:?size=512MiB");
        auto const done = replay(pool, t, chains);
        check_against(ask_model(t, chains), done);
        CHECK(find_lost_blocks(pool, t, chains, done).empty());
    }
}

TEST_CASE("a second replay on the same pool finds everything", "[tools][model]") {
    auto const t = synthetic_trace({.seed = 13, .requests = 200});
    chain_maker const chains(t, {.block_tokens = 512});
    auto const pool = open_pool("local:?size=256MiB");
    REQUIRE_FALSE(replay(pool, t, chains).failure.has_value());
    auto const again = replay(pool, t, chains);
    CHECK(again.hit_blocks == again.blocks);
    CHECK(again.over_half == again.requests);
    CHECK(again.inserted == 0);
    CHECK(again.match.calls() == 200);
    CHECK(again.publish.calls() == 0);
}

TEST_CASE("several threads leave the same blocks behind", "[tools][model][threads]") {
    auto const t = synthetic_trace({.seed = 14, .requests = 1500});
    chain_maker const chains(t, {.block_tokens = 512});
    auto const model = ask_model(t, chains);
    auto const pool = open_pool("local:?size=256MiB");
    auto const done = replay(pool, t, chains, {.threads = 4});
    REQUIRE_FALSE(done.failure.has_value());
    CHECK(done.requests == t.requests.size());
    CHECK(done.blocks == model.blocks);
    CHECK(done.inserted == model.unique);
    CHECK(done.inserted + done.already_present == done.blocks - done.hit_blocks);
    CHECK(done.wrong_locations == 0);
    CHECK(done.match.calls() == t.requests.size());
    CHECK(find_lost_blocks(pool, t, chains, done).empty());
    auto const index = pool.inspect();
    REQUIRE(index);
    CHECK(index->entries == model.unique);
    CHECK(index->violations.empty());
}

TEST_CASE("clients of one pool take the requests in turn and find each other's blocks", "[tools][model][shm]") {
    auto const t = synthetic_trace({.seed = 17, .requests = 300});
    chain_maker const chains(t, {.block_tokens = 512});
    auto const model = ask_model(t, chains);
    for (auto const strategy : {catena::match_strategy::extents, catena::match_strategy::batched}) {
        CAPTURE(name(strategy));
        std::vector<catena::client> clients;
        for (int i = 0; i < 3; ++i)
            clients.push_back(
                open_pool("shm:test-turns-" + std::to_string(::getpid()) + "?size=64MiB", {.strategy = strategy}));
        auto const done = replay(clients, t, chains);
        check_against(model, done);
        CHECK(find_lost_blocks(clients.back(), t, chains, done).empty());
        for (auto const& each : clients) CHECK(each.report().fabric.round_trips > 200);
    }
    std::vector<catena::client> clients;
    for (int i = 0; i < 3; ++i)
        clients.push_back(open_pool("shm:test-turns-" + std::to_string(::getpid()) + "?size=64MiB"));
    auto const done = replay(clients, t, chains, {.threads = 3});
    REQUIRE_FALSE(done.failure.has_value());
    CHECK(done.inserted == model.unique);
    CHECK(done.wrong_locations == 0);
    CHECK(find_lost_blocks(clients.front(), t, chains, done).empty());
}

TEST_CASE("a request of less than one full block asks nothing", "[tools]") {
    trace t;
    t.block_tokens = 512;
    t.requests = {{.line = 1, .first_id = 0, .id_count = 1, .input_length = 100},
                  {.line = 2, .first_id = 1, .id_count = 2, .input_length = 700}};
    t.ids = {0, 1, 2};
    chain_maker const chains(t, {.block_tokens = 512, .full_blocks_only = true});
    auto const pool = open_pool("local:?size=64MiB");
    auto const done = replay(pool, t, chains);
    CHECK(done.requests == 2);
    CHECK(done.blocks == 1);
    CHECK(done.over_half == 0);
    CHECK(done.match.calls() == 1);
    CHECK(done.hits == std::vector<std::uint32_t>{0, 0});
}

TEST_CASE("a replay that is told to stop says what it did", "[tools]") {
    auto const t = synthetic_trace({.requests = 50});
    chain_maker const chains(t, {.block_tokens = 512});
    auto const pool = open_pool("local:?size=64MiB");
    std::atomic<bool> const stop{true};
    auto const done = replay(pool, t, chains, {.stop = &stop});
    CHECK(done.stopped);
    CHECK(done.requests == 0);
    CHECK(done.hits == std::vector<std::uint32_t>(50, replay_result::not_done));
    CHECK(find_lost_blocks(pool, t, chains, done).empty());
}

TEST_CASE("a pool that is too small ends the replay, and what was published stays", "[tools]") {
    auto const t = synthetic_trace({.seed = 15, .requests = 12'000});
    chain_maker const chains(t, {.block_tokens = 512});
    auto const pool = open_pool("local:?size=4MiB");
    auto const done = replay(pool, t, chains);
    REQUIRE(done.failure.has_value());
    CHECK(done.failure->why.code == catena::errc::out_of_memory);
    CHECK(done.failure->while_publishing);
    CHECK(done.failure->line == done.requests + 1);
    CHECK(done.requests > 0);
    CHECK_FALSE(done.stopped);
    CHECK(find_lost_blocks(pool, t, chains, done).empty());
}

TEST_CASE("blocks that went away are found missing", "[tools]") {
    auto const t = synthetic_trace({.seed = 16, .requests = 20});
    chain_maker const chains(t, {.block_tokens = 512});
    auto const pool = open_pool("local:?size=64MiB");
    auto const done = replay(pool, t, chains);
    REQUIRE_FALSE(done.failure.has_value());
    std::vector<block_hash> chain;
    chains.hash(t.requests.back(), chain);
    REQUIRE(pool.forget(chain, chain.size() - 1));
    CHECK(find_lost_blocks(pool, t, chains, done).size() == 1);
}

TEST_CASE("Mooncake's conversation trace gives the published figures", "[tools][model][published]") {
    replay_published("mooncake_conversation.jsonl", 105'710, 3'527, 182'790, 1.1, 1.1, 1.5);
}

TEST_CASE("Mooncake's synthetic trace gives the published figures", "[tools][model][published]") {
    replay_published("mooncake_synthetic.jsonl", 77'953, 1'768, 43'924, 1.1, 1.1, 1.5);
}

TEST_CASE("LMCache's agent trace gives the published figures", "[tools][model][published]") {
    replay_published("lmcache_miniswe_blk16.jsonl", 144'191, 380, 10'346, 1.1, 1.3, 2.7);
}
