// SPDX-License-Identifier: Apache-2.0
// The front door: what open refuses and how it says so, what the calls answer, how they behave under threads and when
// memory runs out.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <support/catch.hpp>
#include <support/chains.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>
#include <support/threads.hpp>
#include <support/world.hpp>

#include <catena/client.hpp>
#include <catena/core/hash.hpp>
#include <catena/fabric/shm_fabric.hpp>
#include <catena/pool/memory_pool.hpp>

using namespace catena;
using namespace catena::test;

namespace {

[[nodiscard]] setup_error refusal(std::string const& uri, client_options const& options = {}) {
    auto const opened = client::open(uri, options);
    REQUIRE_FALSE(opened);
    return opened.error();
}
/// A name of a shared-memory pool that no other run of this test uses.
[[nodiscard]] std::string shm_name(std::string const& purpose) {
    return "test-" + purpose + "-" + std::to_string(::getpid());
}

} // namespace

TEST_CASE("a URI that is wrong is refused by the part that is wrong", "[client][uri]") {
    struct wrong {
        std::string uri;
        std::string says;
    };
    auto const w =
        GENERATE(wrong{"", "no scheme"}, wrong{"nothing", "no scheme"}, wrong{"tcp:host", "'tcp'"},
                 wrong{"local:name", "has no name"}, wrong{"shm:", "needs a name"},
                 wrong{"shm:?size=1MiB", "needs a name"}, wrong{"local:?size", "'size'"},
                 wrong{"local:?size=", "size="}, wrong{"local:?size=0", "size=0"}, wrong{"local:?size=-1", "size=-1"},
                 wrong{"local:?size=1.3B", "size=1.3B"}, wrong{"local:?size=9999999TiB", "size=9999999TiB"},
                 wrong{"local:?size=nan", "size=nan"}, wrong{"local:?size=1MiBs", "size=1MiBs"},
                 wrong{"local:?nodes=0", "nodes=0"}, wrong{"local:?nodes=65", "nodes=65"},
                 wrong{"local:?nodes=two", "nodes=two"}, wrong{"local:?lease=0", "lease=0"},
                 wrong{"local:?lease=3600001", "lease=3600001"}, wrong{"local:?keep=yes", "keep"},
                 wrong{"shm:x?keep=maybe", "keep=maybe"}, wrong{"local:?colour=red", "'colour'"},
                 wrong{"local:?size=1MiB&colour=red", "'colour'"}, wrong{"local:?size=1MiB&&", "key=value"});
    CAPTURE(w.uri);
    auto const e = refusal(w.uri);
    REQUIRE(e.code == errc::invalid_argument);
    REQUIRE_THAT(e.message, has_text(w.says));
    REQUIRE_THAT(e.message, has_text("'" + w.uri + "'"));
}

TEST_CASE("what this build has not is unsupported", "[client][uri]") {
    REQUIRE(refusal("verbs:host").code == errc::unsupported);
}

TEST_CASE("sizes are read in all their spellings", "[client][uri]") {
    for (auto const* const size : {"4194304", "4194304B", "4096K", "4096KiB", "4M", "4MiB", "0.00390625GiB"}) {
        CAPTURE(size);
        auto const c = ok(client::open(std::string("local:?size=") + size));
        REQUIRE(c.report().pool_bytes == 4194304);
    }
}

TEST_CASE("options that cannot be are refused by name", "[client]") {
    client_options o;
    o.index = "btree";
    auto const type = refusal("local:?size=4MiB", o);
    REQUIRE(type.code == errc::invalid_argument);
    REQUIRE_THAT(type.message, has_text("'btree'"));
    o = {};
    o.index_name = std::string(48, 'n');
    auto const name = refusal("local:?size=4MiB", o);
    REQUIRE(name.code == errc::invalid_argument);
    REQUIRE_THAT(name.message, has_text("47"));
    o.index_name = "";
    REQUIRE(refusal("local:?size=4MiB", o).code == errc::invalid_argument);
    REQUIRE(refusal("local:?size=1KiB").code == errc::invalid_argument);
    for (auto const type_name : client::index_types()) {
        o = {};
        o.index = std::string(type_name);
        REQUIRE(client::open("local:?size=4MiB", o));
    }
}

TEST_CASE("a shm pool that is not there, and no size given, is not found", "[client][shm]") {
    auto const e = refusal("shm:" + shm_name("absent"));
    REQUIRE(e.code == errc::not_found);
    REQUIRE_THAT(e.message, has_text("size"));
}

TEST_CASE("publish, match, contains and forget answer and say what they cost", "[client]") {
    auto const c = ok(client::open("local:?size=16MiB&nodes=2"));
    auto const chain = chain_of(1, 40);
    auto where = places(3, 40);
    auto const published = ok(c.publish(std::span(chain).first(30), std::span(where).first(30)));
    REQUIRE(published.inserted == 30);
    REQUIRE(published.already_present == 0);
    REQUIRE(published.cost.round_trips >= 3);
    std::vector<location> found(40);
    auto const match = ok(c.match(chain, found));
    REQUIRE(match.blocks == 30);
    REQUIRE(match.cost.round_trips == 1);
    for (std::size_t i = 0; i < 30; ++i) REQUIRE(found[i] == where[i]);
    REQUIRE(ok(c.match(chain)).blocks == 30);
    std::vector<location> too_short(39);
    auto const refused = c.match(chain, too_short);
    REQUIRE_FALSE(refused);
    REQUIRE(refused.error().code == errc::invalid_argument);

    auto theirs = places(4, 40);
    auto const second = ok(c.publish(chain, theirs));
    REQUIRE(second.inserted == 10);
    REQUIRE(second.already_present == 30);
    REQUIRE(theirs[0] == where[0]);
    REQUIRE(ok(c.contains(chain[39])));

    std::vector<std::span<block_hash const>> const chains{chain, std::span(chain).first(5), {}};
    std::vector<std::size_t> matched(3);
    REQUIRE(ok(c.match_many(chains, matched)).round_trips == 1);
    REQUIRE(matched == std::vector<std::size_t>{40, 5, 0});

    auto const forgotten = ok(c.forget(chain, 10));
    REQUIRE(forgotten.erased == 30);
    REQUIRE(forgotten.cost.round_trips >= 3);
    REQUIRE_FALSE(ok(c.contains(chain[39])));
    REQUIRE(ok(c.match(chain)).blocks == 10);
}

TEST_CASE("report and inspect tell where things stand", "[client]") {
    auto const c = ok(client::open("local:?size=16MiB&nodes=2"));
    auto const before = c.report();
    REQUIRE(before.fabric_name == "local");
    REQUIRE(before.index == "sherman");
    REQUIRE(before.index_name == "prefix");
    REQUIRE(before.memory_nodes == 2);
    REQUIRE(before.pool_bytes == 2 * (16U << 20U));
    REQUIRE(before.cache_bytes <= before.cache_capacity_bytes);
    auto const chain = chain_of(1, 1000);
    auto where = places(1, 1000);
    auto const cost = ok(c.publish(chain, where)).cost;
    auto const after = c.report();
    REQUIRE(after.fabric.round_trips >= before.fabric.round_trips + cost.round_trips);
    REQUIRE(after.fabric.bytes_written >= before.fabric.bytes_written + cost.bytes_written);
    REQUIRE(after.pool_bytes_taken > before.pool_bytes_taken);
    REQUIRE(after.pool_bytes_taken <= after.pool_bytes);
    REQUIRE(after.cache_bytes > 0);
    auto const index = ok(c.inspect());
    REQUIRE(index.entries == 1000);
    REQUIRE(index.violations.empty());
    REQUIRE(index.height == 2);
    REQUIRE(index.remote_bytes == index.nodes * 1024);
}

TEST_CASE("every strategy that a client is opened with gives the same answer", "[client]") {
    auto const chain = chain_of(1, 100);
    for (auto const how :
         {match_strategy::sequential, match_strategy::batched, match_strategy::galloping, match_strategy::binary}) {
        client_options o;
        o.strategy = how;
        auto const c = ok(client::open("local:?size=16MiB", o));
        auto where = places(1, 70);
        (void)ok(c.publish(std::span(chain).first(70), where));
        REQUIRE(ok(c.match(chain)).blocks == 70);
    }
}

TEST_CASE("every index type gives the same answers, and its name in the report", "[client]") {
    for (auto const type : client::index_types()) {
        CAPTURE(type);
        client_options o;
        o.index = std::string(type);
        auto const c = ok(client::open("local:?size=64MiB&nodes=2", o));
        for (std::uint64_t i = 0; i < 100; ++i) {
            auto where = places(1, 100);
            REQUIRE(ok(c.publish(chain_of(i, 100), where)).inserted == 100);
        }
        for (std::uint64_t i = 0; i < 100; i += 2) REQUIRE(ok(c.forget(chain_of(i, 100), 30)).erased == 70);
        for (std::uint64_t i = 0; i < 100; ++i)
            REQUIRE(ok(c.match(chain_of(i, 100))).blocks == (i % 2 == 0 ? 30U : 100U));
        auto const index = ok(c.inspect());
        REQUIRE(index.entries == 50 * 30 + 50 * 100);
        REQUIRE(index.violations.empty());
        auto const now = c.report();
        REQUIRE(now.index == type);
        REQUIRE(now.cache_bytes > 0);
        REQUIRE(now.cache_bytes <= now.cache_capacity_bytes);
    }
}

TEST_CASE("a full pool is an error, with nothing lost, and forgetting makes room again", "[client]") {
    auto const c = ok(client::open("local:?size=256KiB"));
    std::uint64_t published = 0;
    std::uint64_t at_most = 0;
    for (std::uint64_t i = 0;; ++i) {
        auto where = places(1, 50);
        auto const r = c.publish(chain_of(i, 50), where);
        if (!r) {
            REQUIRE(r.error().code == errc::out_of_memory);
            at_most = i + 1;
            break;
        }
        published = i + 1;
    }
    REQUIRE(published > 10);
    for (std::uint64_t i = 0; i < published; ++i) REQUIRE(ok(c.match(chain_of(i, 50))).blocks == 50);
    auto const full = ok(c.inspect());
    REQUIRE(full.violations.empty());
    REQUIRE(full.entries >= published * 50);
    for (std::uint64_t i = 0; i < at_most; ++i) (void)ok(c.forget(chain_of(i, 50)));
    REQUIRE(ok(c.inspect()).entries == 0);
    for (std::uint64_t i = 0; i < published * 9 / 10; ++i) {
        auto where = places(1, 50);
        REQUIRE(ok(c.publish(chain_of(1000 + i, 50), where)).inserted == 50);
    }
    REQUIRE(ok(c.inspect()).violations.empty());
}

TEST_CASE("more threads than sessions share a client", "[client][threads]") {
    client_options o;
    o.max_sessions = 2;
    auto const c = ok(client::open("local:?size=64MiB", o));
    auto const seed = test_seed(12);
    CAPTURE(seed);
    constexpr std::size_t threads = 8;
    run_threads(threads, [&](std::size_t thread) {
        random_source random(seed, thread);
        for (std::size_t n = 0; n < scaled(400); ++n) {
            auto const own = chain_of(1000 + thread, 10 + random.below(30));
            auto where = places(static_cast<std::uint16_t>(thread), own.size());
            expect(ok(c.publish(own, where)).inserted <= own.size(), "more were inserted than asked for");
            expect(ok(c.match(own)).blocks == own.size(), "what was published is not matched");
            auto const shared = chain_of(random.below(3), 40);
            auto shared_where = places(static_cast<std::uint16_t>(thread), 40);
            (void)ok(c.publish(shared, shared_where));
            if (random.one_in(3)) (void)ok(c.forget(shared, random.below(40)));
            if (random.one_in(20)) (void)c.report();
            (void)ok(c.forget(own, 5));
            expect(ok(c.match(own)).blocks == 5, "what was forgotten is matched");
        }
    });
    REQUIRE(ok(c.inspect()).violations.empty());
}

TEST_CASE("a shm pool is shared by the clients that open it, and gone with the last", "[client][shm]") {
    auto const name = shm_name("shared");
    auto const chain = chain_of(1, 20);
    {
        auto const first = ok(client::open("shm:" + name + "?size=8MiB"));
        auto const second = ok(client::open("shm:" + name));
        REQUIRE(second.report().fabric_name == "shm");
        auto where = places(1, 20);
        (void)ok(first.publish(chain, where));
        REQUIRE(ok(second.match(chain)).blocks == 20);
        auto const other_size = refusal("shm:" + name + "?size=16MiB");
        REQUIRE(other_size.code == errc::bad_format);
        REQUIRE_THAT(other_size.message, has_text("size"));
        auto const other_nodes = refusal("shm:" + name + "?nodes=2");
        REQUIRE(other_nodes.code == errc::bad_format);
        REQUIRE_THAT(other_nodes.message, has_text("nodes"));
    }
    REQUIRE(refusal("shm:" + name).code == errc::not_found);
}

TEST_CASE("a shm pool that is to be kept is there when it is opened again", "[client][shm]") {
    auto const name = shm_name("kept");
    auto const chain = chain_of(1, 500);
    auto where = places(1, 500);
    (void)ok(ok(client::open("shm:" + name + "?size=8MiB&nodes=2&keep=yes")).publish(chain, where));
    {
        auto const again = ok(client::open("shm:" + name));
        std::vector<location> found(500);
        REQUIRE(ok(again.match(chain, found)).blocks == 500);
        REQUIRE(found == where);
        auto const index = ok(again.inspect());
        REQUIRE(index.entries == 500);
        REQUIRE(index.violations.empty());
        REQUIRE(again.report().memory_nodes == 2);
    }
    std::string const path = "/dev/shm/catena." + name;
    REQUIRE(::unlink(path.c_str()) == 0);
}

TEST_CASE("opening and closing again and again uses up nothing", "[client][shm]") {
    auto const name = shm_name("again");
    client_options o;
    auto const keeper = ok(client::open("shm:" + name + "?size=4MiB", o));
    std::uint64_t taken = 0;
    for (std::uint64_t i = 0; i < 40; ++i) {
        auto const c = ok(client::open("shm:" + name));
        auto const chain = chain_of(i % 2, 200);
        auto where = places(1, 200);
        (void)ok(c.publish(chain, where));
        REQUIRE(ok(c.match(chain)).blocks == 200);
        (void)ok(c.forget(chain));
        auto const now = c.report().pool_bytes_taken;
        if (i == 5) taken = now;
        if (i > 5) REQUIRE(now == taken);
    }
}

TEST_CASE("a client that does nothing renews its lease", "[client][shm]") {
    auto const name = shm_name("idle");
    auto const idle = ok(client::open("shm:" + name + "?size=16MiB&lease=100"));
    auto fabric = ok(shm_fabric::open(name, {}));
    auto pool = ok(memory_pool<shm_fabric>::open(fabric));
    auto session = ok(pool.open_session());
    std::vector<member_record> members(member_slots);
    auto const beats = [&] { // of all members but this one
        op read = op::read(member_at(0), members.data(), members.size() * sizeof(member_record));
        ok(session.submit(read).await_resume());
        word sum = 0;
        for (std::uint32_t i = 0; i < member_slots; ++i)
            if (members[i].joined() && i != pool.self().slot) sum += members[i].heartbeat;
        return sum;
    };
    auto const before = beats();
    auto const begin = std::chrono::steady_clock::now();
    while (beats() < before + 3) {
        expect(std::chrono::steady_clock::now() - begin < std::chrono::seconds(60), "no renewal in a minute");
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}
