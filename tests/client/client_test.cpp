// SPDX-License-Identifier: Apache-2.0
// The front door: what open refuses and how it says so, what the calls answer, how they behave under threads and when
// memory runs out.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
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
#include <catena/pool/rest.hpp>

using namespace catena;
using namespace catena::test;

namespace {

[[nodiscard]] setup_error refusal(std::string const& uri, client_options const& options = {}) {
    auto const opened = client::open(uri, options);
    REQUIRE_FALSE(opened);
    return opened.error();
}
/// Every index type under both layouts: extents, and one entry a block.
[[nodiscard]] std::vector<client_options> all_kinds() {
    std::vector<client_options> kinds;
    for (auto const layout : {match_strategy::extents, match_strategy::batched})
        for (auto const type : client::index_types()) {
            client_options o;
            o.index = std::string(type);
            o.strategy = layout;
            kinds.push_back(o);
        }
    return kinds;
}
[[nodiscard]] client_options of_layout(match_strategy strategy) {
    client_options o;
    o.strategy = strategy;
    return o;
}

/// Lists it all in one segment; the places that are in force afterwards are of no interest.
auto list(client const& c, std::span<block_hash const> chain, std::uint16_t segment = 1) {
    auto where = places(segment, chain.size());
    return ok(c.publish(chain, where));
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
                 wrong{"local:?size=1MiB&colour=red", "'colour'"}, wrong{"local:?size=1MiB&&", "key=value"},
                 wrong{"local:?access=read", "local"}, wrong{"shm:x?access=all", "access=all"},
                 wrong{"shm:x?secret=file", "verbs"}, wrong{"verbs:host", "verbs://"}, wrong{"verbs://", "HOST"},
                 wrong{"verbs://a,,b", "HOST"}, wrong{"verbs://a/b", "'a/b'"}, wrong{"verbs://a?keep=yes", "keep"},
                 wrong{"verbs://a?secret=", "secret="}, wrong{"verbs://a,b?nodes=3", "nodes=3"});
    CAPTURE(w.uri);
    auto const e = refusal(w.uri);
    REQUIRE(e.code == errc::invalid_argument);
    REQUIRE_THAT(e.message, has_text(w.says));
    REQUIRE_THAT(e.message, has_text("'" + w.uri + "'"));
}

TEST_CASE("RDMA that is not there is unsupported, by this build or by this machine", "[client][uri]") {
    auto const code = refusal("verbs://127.0.0.1").code;
    REQUIRE((code == errc::unsupported || code == errc::unreachable)); // the latter where there are RDMA devices
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
    for (auto const& kind : all_kinds()) {
        CAPTURE(kind.index, name(kind.strategy));
        auto const c = ok(client::open("local:?size=16MiB&nodes=2", kind));
        auto const chain = chain_of(1, 40);
        auto where = places(3, 40);
        auto const published = ok(c.publish(std::span(chain).first(30), std::span(where).first(30)));
        REQUIRE(published.inserted == 30);
        REQUIRE(published.already_present == 0);
        REQUIRE(published.behind_a_gap == 0);
        REQUIRE(published.cost.round_trips >= 2);
        std::vector<location> found(40);
        auto const match = ok(c.match(chain, found));
        REQUIRE(match.blocks == 30);
        REQUIRE(match.complete);
        REQUIRE(match.cost.round_trips == 1);
        for (std::size_t i = 0; i < 30; ++i) REQUIRE(found[i] == where[i]);
        REQUIRE(ok(c.match(chain)).blocks == 30);
        std::vector<location> too_short(39);
        auto const refused = c.match(chain, too_short);
        REQUIRE_FALSE(refused);
        REQUIRE(refused.error().code == errc::invalid_argument);
        REQUIRE_FALSE(ok(c.contains(chain)));
        REQUIRE(ok(c.contains(std::span(chain).first(30))));

        auto theirs = places(4, 40);
        auto const second = ok(c.publish(chain, theirs));
        REQUIRE(second.inserted == 10);
        REQUIRE(second.already_present == 30);
        REQUIRE(theirs[0] == where[0]);
        REQUIRE(theirs[39] == location(std::uint16_t{4}, 39));
        REQUIRE(ok(c.contains(chain)));

        std::vector<std::span<block_hash const>> const chains{chain, std::span(chain).first(5), {}};
        std::vector<std::size_t> matched(3);
        REQUIRE(ok(c.match_many(chains, matched)).round_trips == 1);
        REQUIRE(matched == std::vector<std::size_t>{40, 5, 0});
        std::vector<std::size_t> too_few(2);
        REQUIRE(c.match_many(chains, too_few).error().code == errc::invalid_argument);

        auto const forgotten = ok(c.forget(chain, 10));
        REQUIRE(forgotten.erased == 30);
        REQUIRE(forgotten.cost.round_trips >= 2);
        REQUIRE_FALSE(ok(c.contains(chain)));
        REQUIRE(ok(c.match(chain)).blocks == 10);
        REQUIRE(ok(c.inspect()).violations.empty());
    }
}

TEST_CASE("what a match found is not published again, and not looked for again", "[client]") {
    for (auto const& kind : all_kinds()) {
        CAPTURE(kind.index, name(kind.strategy));
        auto const c = ok(client::open("local:?size=16MiB", kind));
        auto const chain = chain_of(1, 200);
        (void)list(c, std::span(chain).first(100), 3);
        auto const match = ok(c.match(chain));
        REQUIRE(match.blocks == 100);
        auto theirs = places(4, 200);
        auto const rest = ok(c.publish(chain, theirs, match.blocks, match.end));
        REQUIRE(rest.inserted == 100);
        REQUIRE(rest.already_present == 0);
        REQUIRE(ok(c.match(chain)).blocks == 200);

        // The same on another chain without saying where the match ended.
        auto const other = chain_of(2, 200);
        (void)list(c, std::span(other).first(100), 5);
        REQUIRE(ok(c.match(other)).blocks == 100);
        auto there = places(5, 200);
        auto const unsaid = ok(c.publish(other, there, 100));
        REQUIRE(unsaid.inserted == 100);
        if (kind.strategy == match_strategy::extents) REQUIRE(rest.cost.round_trips < unsaid.cost.round_trips);
        REQUIRE(ok(c.match(other)).blocks == 200);

        // An end that is out of date, or another chain's, does no harm.
        (void)ok(c.forget(chain, 50));
        auto again = places(6, 200);
        auto const old = ok(c.publish(chain, again, match.blocks, match.end));
        auto const gap = kind.strategy == match_strategy::extents ? 100U : 0U;
        REQUIRE(old.behind_a_gap == gap);
        REQUIRE(ok(c.match(chain)).blocks == 50);
        REQUIRE(ok(c.publish(chain_of(3, 40), std::span(again).first(40), 0, match.end)).inserted == 40);
        REQUIRE(ok(c.match(chain_of(3, 40))).blocks == 40);

        REQUIRE(c.publish(chain, again, 201).error().code == errc::invalid_argument);
        REQUIRE(c.publish(chain, std::span(again).first(199)).error().code == errc::invalid_argument);
        REQUIRE(ok(c.publish(chain, again, 200)).inserted == 0);
        REQUIRE(ok(c.inspect()).violations.empty());
    }
}

TEST_CASE("extents are not listed behind a gap; single blocks are, but not matched", "[client]") {
    for (auto const& kind : all_kinds()) {
        CAPTURE(kind.index, name(kind.strategy));
        bool const extents = kind.strategy == match_strategy::extents;
        auto const c = ok(client::open("local:?size=16MiB", kind));
        auto const chain = chain_of(1, 100);
        for (std::size_t const from : {1U, 40U, 99U}) {
            auto where = places(1, 100);
            auto const r = ok(c.publish(chain, where, from));
            REQUIRE(r.inserted + r.already_present == (extents ? 0 : 100 - from));
            REQUIRE(r.behind_a_gap == (extents ? 100 - from : 0));
            REQUIRE(ok(c.match(chain)).blocks == 0);
        }
        REQUIRE(ok(c.inspect()).entries == (extents ? 0U : 99U));
        REQUIRE(list(c, chain, 2).inserted == (extents ? 100U : 1U)); // what closes the gap
        REQUIRE(ok(c.match(chain)).blocks == 100);
        REQUIRE(ok(c.inspect()).violations.empty());
    }
}

TEST_CASE("a match whose time is up says at least how much there is", "[client][shm]") {
    using namespace std::chrono_literals;
    for (auto kind : all_kinds()) {
        CAPTURE(kind.index, name(kind.strategy));
        auto const uri = "shm:" + shm_name("late") + "?size=16MiB";
        auto const first = ok(client::open(uri, kind));
        auto const chain = chain_of(1, 200);
        auto where = places(1, 200);
        (void)ok(first.publish(chain, where));
        kind.warm_up = false;
        auto const second = ok(client::open(uri, kind));
        std::vector<location> found(200);
        auto const hurried = ok(second.match(chain, found, 1ns)); // over before the first round trip is
        if (kind.strategy == match_strategy::extents) {
            REQUIRE_FALSE(hurried.complete);
            REQUIRE(hurried.blocks < 200);
            auto theirs = places(2, 200); // its end is of no use, and does no harm
            REQUIRE(ok(second.publish(chain, theirs, hurried.blocks, hurried.end)).inserted == 0);
            REQUIRE(theirs[199] == where[199]);
        } else {
            REQUIRE(hurried.complete);
            REQUIRE(hurried.blocks == 200);
        }
        auto const patient = ok(second.match(chain, found, 1h));
        REQUIRE(patient.complete);
        REQUIRE(patient.blocks == 200);
        REQUIRE(found == where);
    }
}

TEST_CASE("report and inspect tell where things stand", "[client]") {
    auto const c = ok(client::open("local:?size=16MiB&nodes=2"));
    auto const before = c.report();
    REQUIRE(before.fabric_name == "local");
    REQUIRE(before.index == "chime");
    REQUIRE(before.strategy == match_strategy::extents);
    REQUIRE(before.index_name == "prefix");
    REQUIRE(before.memory_nodes == 2);
    REQUIRE(before.pool_bytes == 2 * (16U << 20U));
    REQUIRE(before.cache_bytes <= before.cache_capacity_bytes);
    auto const chain = chain_of(1, 1000);
    auto const cost = list(c, chain).cost;
    auto const after = c.report();
    REQUIRE(after.fabric.round_trips >= before.fabric.round_trips + cost.round_trips);
    REQUIRE(after.fabric.bytes_written >= before.fabric.bytes_written + cost.bytes_written);
    REQUIRE(after.pool_bytes_taken > before.pool_bytes_taken);
    REQUIRE(after.pool_bytes_taken <= after.pool_bytes);
    REQUIRE(after.cache_bytes > 0);
    auto const index = ok(c.inspect());
    REQUIRE(index.entries == 1000);
    REQUIRE(index.index_entries == 32); // 1000 / 32, rounded up
    REQUIRE(index.nodes > index.index_entries);
    REQUIRE(index.remote_bytes < 1000U * 24 + 16384); // and the ring of news
    REQUIRE(index.violations.empty());
}

TEST_CASE("with one entry a block the index has as many entries as there are blocks", "[client]") {
    client_options o = of_layout(match_strategy::batched);
    o.index = "sherman";
    auto const c = ok(client::open("local:?size=16MiB&nodes=2", o));
    (void)list(c, chain_of(1, 1000));
    REQUIRE(c.report().index == "sherman");
    REQUIRE(c.report().strategy == match_strategy::batched);
    auto const index = ok(c.inspect());
    REQUIRE(index.entries == 1000);
    REQUIRE(index.index_entries == 1000);
    REQUIRE(index.violations.empty());
    REQUIRE(index.height == 2);
    REQUIRE(index.remote_bytes == index.nodes * 1024);
}

TEST_CASE("every strategy that a client is opened with gives the same answer", "[client]") {
    auto const chain = chain_of(1, 100);
    for (auto const how : {match_strategy::sequential, match_strategy::batched, match_strategy::galloping,
                           match_strategy::binary, match_strategy::extents}) {
        auto const c = ok(client::open("local:?size=16MiB", of_layout(how)));
        (void)list(c, std::span(chain).first(70));
        REQUIRE(ok(c.match(chain)).blocks == 70);
    }
}

TEST_CASE("every index type gives the same answers, and its name in the report", "[client]") {
    for (auto const& kind : all_kinds()) {
        CAPTURE(kind.index, name(kind.strategy));
        auto const c = ok(client::open("local:?size=64MiB&nodes=2", kind));
        for (std::uint64_t i = 0; i < 100; ++i) REQUIRE(list(c, chain_of(i, 100)).inserted == 100);
        for (std::uint64_t i = 0; i < 100; i += 2) REQUIRE(ok(c.forget(chain_of(i, 100), 30)).erased == 70);
        for (std::uint64_t i = 0; i < 100; ++i)
            REQUIRE(ok(c.match(chain_of(i, 100))).blocks == (i % 2 == 0 ? 30U : 100U));
        auto const index = ok(c.inspect());
        REQUIRE(index.entries == 50 * 30 + 50 * 100);
        REQUIRE(index.violations.empty());
        auto const now = c.report();
        REQUIRE(now.index == kind.index);
        REQUIRE(now.strategy == kind.strategy);
        REQUIRE(now.cache_bytes > 0);
        REQUIRE(now.cache_bytes <= now.cache_capacity_bytes);
    }
}

TEST_CASE("a full pool is an error, with nothing lost, and forgetting makes room again", "[client]") {
    auto const layout = GENERATE(match_strategy::extents, match_strategy::batched);
    CAPTURE(name(layout));
    auto const c = ok(client::open("local:?size=256KiB", of_layout(layout)));
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
    for (std::uint64_t i = 0; i < published * 9 / 10; ++i) REQUIRE(list(c, chain_of(1000 + i, 50)).inserted == 50);
    REQUIRE(ok(c.inspect()).violations.empty());
}

TEST_CASE("more threads than sessions share a client", "[client][threads]") {
    auto o = of_layout(GENERATE(match_strategy::extents, match_strategy::batched));
    CAPTURE(name(o.strategy));
    o.max_sessions = 2;
    auto const c = ok(client::open("local:?size=64MiB", o));
    auto const seed = test_seed(12);
    CAPTURE(seed);
    constexpr std::size_t threads = 8;
    run_threads(threads, [&](std::size_t thread) {
        random_source random(seed, thread);
        for (std::size_t n = 0; n < scaled(400); ++n) {
            auto const own = chain_of(1000 + thread, 10 + random.below(30));
            auto const segment = static_cast<std::uint16_t>(thread);
            expect(list(c, own, segment).inserted <= own.size(), "more were inserted than asked for");
            expect(ok(c.match(own)).blocks == own.size(), "what was published is not matched");
            auto const shared = chain_of(random.below(3), 40);
            (void)list(c, shared, segment);
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
        (void)list(first, chain);
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

TEST_CASE("a pool that was made with one layout or index type is refused with another, by field", "[client][shm]") {
    for (auto const& made : all_kinds()) {
        auto const uri = "shm:" + shm_name("kind") + "?size=16MiB";
        auto const first = ok(client::open(uri, made));
        auto const chain = chain_of(1, 20);
        (void)list(first, chain);
        for (auto const& other : all_kinds()) {
            CAPTURE(made.index, name(made.strategy), other.index, name(other.strategy));
            if (other.index == made.index && other.strategy == made.strategy) {
                REQUIRE(ok(ok(client::open(uri, other)).match(chain)).blocks == 20);
                continue;
            }
            auto const e = refusal(uri, other);
            REQUIRE(e.code == errc::bad_format);
            REQUIRE_THAT(e.message, has_text("type"));
        }
        REQUIRE(ok(first.match(chain)).blocks == 20);
        REQUIRE(ok(first.inspect()).violations.empty());
    }
    // What differs only in how blocks are looked up may differ.
    auto const uri = "shm:" + shm_name("lookup") + "?size=16MiB";
    auto const batched = ok(client::open(uri, of_layout(match_strategy::batched)));
    (void)list(batched, chain_of(1, 20));
    REQUIRE(ok(ok(client::open(uri, of_layout(match_strategy::binary))).match(chain_of(1, 20))).blocks == 20);
}

TEST_CASE("a lease that is not that of the pool is refused; who joins may leave it out", "[client][shm]") {
    auto const uri = "shm:" + shm_name("lease");
    auto const first = ok(client::open(uri + "?size=4MiB&lease=700"));
    REQUIRE(client::open(uri));
    REQUIRE(client::open(uri + "?lease=700"));
    auto const other = refusal(uri + "?lease=1000");
    REQUIRE(other.code == errc::bad_format);
    REQUIRE_THAT(other.message, has_text("lease is 700, expected 1000"));
}

TEST_CASE("a client that warms up when it opens matches in one round trip at once", "[client][shm]") {
    auto const uri = "shm:" + shm_name("warm") + "?size=16MiB";
    auto const first = ok(client::open(uri));
    auto const chain = chain_of(1, 300);
    (void)list(first, chain);
    client_options cold;
    cold.warm_up = false;
    for (bool const warm : {true, false}) {
        auto const late = ok(client::open(uri, warm ? client_options{} : cold));
        auto const met = ok(late.match(chain));
        REQUIRE(met.blocks == 300);
        REQUIRE((met.cost.round_trips == 1) == warm);
        REQUIRE(ok(late.match(chain)).cost.round_trips == 1);
    }
}

TEST_CASE("who opens a pool for reading matches, and writes nothing", "[client][shm]") {
    auto const uri = "shm:" + shm_name("read-only");
    REQUIRE(refusal(uri + "?size=16MiB&access=read").code ==
            errc::read_only); // and it is gone again: nobody could format it
    for (auto const& options : all_kinds()) {
        CAPTURE(options.index, name(options.strategy));
        auto const writer = ok(client::open(uri + "?size=16MiB", options));
        auto const chain = chain_of(1, 100);
        list(writer, std::span(chain).first(80));
        auto const reader = ok(client::open(uri + "?access=read", options));
        std::vector<location> where(chain.size());
        auto const m = ok(reader.match(chain, where));
        REQUIRE(m.blocks == 80);
        REQUIRE(where[79] == location(1, 79));
        REQUIRE(ok(reader.contains(std::span(chain).first(80))));
        REQUIRE(ok(reader.inspect()).entries == 80);
        auto mine = places(2, chain.size());
        auto const published = reader.publish(chain, mine);
        REQUIRE((!published && published.error().code == errc::read_only));
        auto const forgotten = reader.forget(chain);
        REQUIRE((!forgotten && forgotten.error().code == errc::read_only));
        REQUIRE(ok(writer.match(chain)).blocks == 80);
    }
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
    auto const o = of_layout(GENERATE(match_strategy::extents, match_strategy::batched));
    CAPTURE(catena::name(o.strategy));
    auto const keeper = ok(client::open("shm:" + name + "?size=4MiB", o));
    std::uint64_t taken = 0;
    for (std::uint64_t i = 0; i < 40; ++i) {
        auto const c = ok(client::open("shm:" + name, o));
        auto const chain = chain_of(i % 2, 200);
        (void)list(c, chain);
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
