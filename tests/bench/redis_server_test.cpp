// SPDX-License-Identifier: Apache-2.0
// The Redis of a benchmark: it answers on both ways, and leaves nothing.
#include "bench_scene.hpp"

#include <array>
#include <filesystem>
#include <string>
#include <string_view>

#include "bench/redis_connection.hpp"
#include "bench/redis_server.hpp"

using namespace catena::bench;
using namespace catena::test;

TEST_CASE("a server answers on its socket and its port, and is gone with its object", "[bench][redis]") {
    if (!has_redis()) return;
    scratch_folder const folder;
    std::uint16_t port = 0;
    {
        auto const server = started_redis(folder);
        port = server->port();
        CHECK(server->version().find('.') != std::string::npos);
        CHECK(processes_of(folder / "") == 1);
        auto tcp = redis_connection::open_tcp("127.0.0.1", port);
        REQUIRE(tcp);
        REQUIRE(tcp->ask(std::array<std::string_view, 3>{"SET", "a", "1"}));
        auto local = redis_connection::open_unix(server->socket());
        REQUIRE(local);
        auto const answer = local->ask(std::array<std::string_view, 2>{"GET", "a"}); // the same server
        REQUIRE(answer);
        CHECK(std::string_view((*answer)->str, (*answer)->len) == "1");
        CHECK(local->info("server", "redis_version") == server->version());
        CHECK_FALSE(local->info("server", "no_such_field"));

        auto const refused = local->ask(std::array<std::string_view, 1>{"NONSENSE"});
        REQUIRE_FALSE(refused);
        CHECK_THAT(refused.error(), has_text("redis refused a command: ERR unknown command"));
    }
    CHECK(processes_of(folder / "") == 0);
    CHECK_FALSE(std::filesystem::exists(folder / "redis.sock"));
    CHECK_FALSE(std::filesystem::exists(folder / "dump.rdb"));
    auto const nobody = redis_connection::open_tcp("127.0.0.1", port);
    REQUIRE_FALSE(nobody);
    CHECK_THAT(nobody.error(), has_text("no connection to redis"));
}

TEST_CASE("two servers live side by side", "[bench][redis]") {
    if (!has_redis()) return;
    scratch_folder const one;
    scratch_folder const two;
    auto const first = started_redis(one);
    auto const second = started_redis(two);
    CHECK(first->port() != second->port());
    CHECK(processes_of(one / "") == 1);
    CHECK(processes_of(two / "") == 1);
}

TEST_CASE("a server that is none is told", "[bench]") {
    scratch_folder const folder;
    auto const missing = redis_server::start("/no/such/redis-server", folder / "");
    REQUIRE_FALSE(missing);
    CHECK_THAT(missing.error(), has_text("cannot start /no/such/redis-server: No such file or directory"));
    auto const other = redis_server::start("false", folder / "");
    REQUIRE_FALSE(other);
    CHECK_THAT(other.error(), has_text("false does not answer"));
}
