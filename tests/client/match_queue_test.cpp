// SPDX-License-Identifier: Apache-2.0
// Matches that run while their caller does something else: answers, limits, times that are up, threads.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include <poll.h>

#include <support/catch.hpp>
#include <support/chains.hpp>
#include <support/threads.hpp>
#include <support/world.hpp>

#include <catena/client.hpp>
#include <catena/match_queue.hpp>

using namespace catena;
using namespace catena::test;
using namespace std::chrono_literals;

namespace {

[[nodiscard]] bool is_readable(match_queue const& q, int milliseconds) {
    pollfd look{.fd = q.event_fd(), .events = POLLIN, .revents = 0};
    return ::poll(&look, 1, milliseconds) == 1;
}

/// All answers, by ticket, as an engine's event loop collects them.
[[nodiscard]] std::map<std::uint64_t, match_done> collect(match_queue& q, std::size_t wanted) {
    std::map<std::uint64_t, match_done> all;
    std::array<match_done, 3> some;
    while (all.size() < wanted) {
        REQUIRE(is_readable(q, 10'000));
        for (auto const& d : std::span(some).first(q.poll(some))) {
            REQUIRE_FALSE(all.contains(d.ticket));
            all.emplace(d.ticket, d);
        }
    }
    return all;
}

} // namespace

TEST_CASE("what was submitted is answered, each by its ticket, with its locations", "[match_queue]") {
    auto const strategy = GENERATE(match_strategy::extents, match_strategy::batched);
    client_options options;
    options.strategy = strategy;
    auto const c = ok(client::open("local:?size=32MiB", options));
    match_queue q(c, {.most_pending = 100, .most_together = 8});
    std::vector<std::vector<block_hash>> chains;
    std::vector<std::vector<location>> found;
    for (std::size_t i = 0; i < 50; ++i) {
        chains.push_back(chain_of(i, 80));
        auto where = places(static_cast<std::uint16_t>(i), 80);
        found.emplace_back(80);
        if (i != 0) REQUIRE(ok(c.publish(std::span(chains[i]).first(i), std::span(where).first(i))).inserted == i);
    }
    std::map<std::uint64_t, std::size_t> number_of;
    for (std::size_t i = 0; i < 50; ++i) number_of[ok(q.submit(chains[i], found[i]))] = i;
    REQUIRE(number_of.size() == 50);
    for (auto const& [ticket, done] : collect(q, 50)) {
        auto const i = number_of.at(ticket);
        CAPTURE(i);
        REQUIRE(done.complete);
        REQUIRE_FALSE(done.failed);
        REQUIRE(done.blocks == i);
        for (std::size_t b = 0; b < i; ++b) REQUIRE(found[i][b] == location(static_cast<std::uint16_t>(i), b));
    }
    REQUIRE(q.pending() == 0);
    REQUIRE_FALSE(is_readable(q, 0));
}

TEST_CASE("the end of a match that was submitted saves the publish a round trip", "[match_queue]") {
    auto const c = ok(client::open("local:?size=32MiB"));
    auto const chain = chain_of(1, 64);
    auto where = places(1, 64);
    (void)ok(c.publish(std::span(chain).first(20), std::span(where).first(20)));
    match_queue q(c);
    (void)ok(q.submit(chain));
    auto const done = collect(q, 1).begin()->second;
    REQUIRE(done.blocks == 20);
    auto const published = ok(c.publish(chain, where, done.blocks, done.end));
    REQUIRE(published.inserted == 44);
    auto const again = ok(client::open("local:?size=32MiB"));
    (void)ok(again.publish(std::span(chain).first(20), std::span(where).first(20)));
    REQUIRE(ok(again.publish(chain, where, 20)).cost.round_trips == published.cost.round_trips + 1);
}

TEST_CASE("submits beyond the bound, and spans that are too short, are refused", "[match_queue]") {
    auto const c = ok(client::open("local:?size=32MiB"));
    match_queue q(c, {.most_pending = 2, .most_together = 64});
    auto const chain = chain_of(1, 4);
    std::vector<location> few(3);
    auto const refused = q.submit(chain, few);
    REQUIRE_FALSE(refused);
    REQUIRE(refused.error().code == errc::invalid_argument);
    (void)ok(q.submit(chain));
    (void)ok(q.submit(chain));
    auto const full = q.submit(chain);
    REQUIRE_FALSE(full);
    REQUIRE(full.error().code == errc::full);
    REQUIRE(q.pending() == 2);
    REQUIRE(collect(q, 2).size() == 2);
    REQUIRE(ok(q.submit(chain)) == 3);
}

TEST_CASE("a time that is up is answered with what is known, and only once", "[match_queue]") {
    auto const c = ok(client::open("local:?size=32MiB"));
    auto const chain = chain_of(1, 100);
    auto where = places(1, 100);
    (void)ok(c.publish(chain, where));
    match_queue q(c);
    std::vector<location> found(100);
    std::size_t incomplete = 0;
    for (int round = 0; round < 50; ++round) {
        auto const ticket = ok(q.submit(chain, found, 1ns));
        std::optional<match_done> done;
        std::array<match_done, 4> some;
        while (!done)
            for (auto const& d : std::span(some).first(q.poll(some))) {
                REQUIRE(d.ticket == ticket);
                REQUIRE_FALSE(done);
                done = d;
            }
        REQUIRE(done->blocks <= 100);
        REQUIRE((done->complete || done->blocks < 100));
        incomplete += done->complete ? 0 : 1;
    }
    REQUIRE(incomplete > 0);
    REQUIRE(q.pending() == 0);
    auto const at_leisure = ok(q.submit(chain, found, 10s));
    auto const last = collect(q, 1);
    REQUIRE(last.begin()->first == at_leisure);
    REQUIRE(last.begin()->second.blocks == 100);
}

TEST_CASE("a queue keeps the pool open, and ends with answers that nobody collected", "[match_queue]") {
    std::optional<match_queue> q;
    auto const chain = chain_of(1, 100);
    {
        auto const c = ok(client::open("local:?size=32MiB"));
        auto where = places(1, 100);
        (void)ok(c.publish(chain, where));
        q.emplace(c);
    }
    (void)ok(q->submit(chain));
    REQUIRE(collect(*q, 1).begin()->second.blocks == 100);
    for (int i = 0; i < 20; ++i) (void)ok(q->submit(chain));
    q.reset();
}

TEST_CASE("threads submit and collect at the same time", "[match_queue][threads]") {
    auto const c = ok(client::open("local:?size=32MiB"));
    auto const chain = chain_of(1, 40);
    auto where = places(1, 40);
    (void)ok(c.publish(chain, where));
    match_queue q(c, {.most_pending = 4096, .most_together = 16});
    constexpr std::size_t each = 300;
    std::atomic<std::size_t> answered{0};
    run_threads(4, [&](std::size_t) {
        std::array<match_done, 8> some;
        for (std::size_t i = 0; i < each; ++i) {
            (void)ok(q.submit(std::span(chain).first(1 + i % 40)));
            for (auto const& d : std::span(some).first(q.poll(some))) {
                expect(d.complete && d.blocks >= 1 && d.blocks <= 40, "a wrong answer");
                ++answered;
            }
        }
    });
    answered += collect(q, 4 * each - answered).size();
    REQUIRE(answered == 4 * each);
    REQUIRE(q.pending() == 0);
}
