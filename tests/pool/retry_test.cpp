// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstdint>

#include <catena/pool/retry.hpp>

#include <pool/clock_fabric.hpp>
#include <support/catch.hpp>

using namespace catena;
using namespace std::chrono_literals;
using test::clock_client;
using test::clock_fabric;

TEST_CASE("the first tries follow at once, later ones after pauses that double up to a millisecond") {
    clock_fabric f;
    auto c = clock_client::create(f, {.lease = 1s, .chunk_bytes = 0, .patience = 10s});
    retry again;
    std::chrono::nanoseconds last{0};
    for (unsigned i = 1; i < 40; ++i) {
        CAPTURE(i);
        auto const before = f.clock.now;
        REQUIRE(sync_wait(c.s, again.wait(c.s)));
        auto const pause = f.clock.now - before;
        REQUIRE(again.attempts() == i);
        if (i <= 4) {
            REQUIRE(pause == 0ns);
        } else {
            REQUIRE(pause <= 1ms);
            REQUIRE(pause == std::min<std::chrono::nanoseconds>(last == 0ns ? 2us : 2 * last, 1ms));
            last = pause;
        }
    }
    REQUIRE(last == 1ms);
}

TEST_CASE("a wait ends with contended once the patience is over, and not much later") {
    clock_fabric f;
    auto const patience =
        GENERATE(std::chrono::milliseconds(0), std::chrono::milliseconds(3), std::chrono::milliseconds(100));
    auto c = clock_client::create(f, {.lease = 1s, .chunk_bytes = 0, .patience = patience});
    auto const begin = f.clock.now;
    retry again;
    for (;;) {
        auto const r = sync_wait(c.s, again.wait(c.s));
        if (r) {
            REQUIRE(again.attempts() < 1000);
            continue;
        }
        REQUIRE(r.error().code == errc::contended);
        break;
    }
    REQUIRE(f.clock.now - begin >= patience);
    REQUIRE(f.clock.now - begin <= patience + 1ms);
    REQUIRE(sync_wait(c.s, again.wait(c.s)).error().code == errc::contended); // it stays so
}

TEST_CASE("every wait is counted as a retry of its session") {
    clock_fabric f;
    auto c = clock_client::create(f, {.lease = 1s, .chunk_bytes = 0, .patience = 1s});
    auto const before = c.s.stats();
    retry again;
    for (int i = 0; i < 7; ++i) REQUIRE(sync_wait(c.s, again.wait(c.s)));
    REQUIRE((c.s.stats() - before).retries == 7);
    REQUIRE((c.s.stats() - before).verbs() == 0);
}
