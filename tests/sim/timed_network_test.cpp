// SPDX-License-Identifier: Apache-2.0
// timed_network: exact times, computed by hand from the parameters, and what keeps its order.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <catena/core/task.hpp>
#include <catena/fabric/sim/random.hpp>
#include <catena/fabric/sim/timed_network.hpp>
#include <catena/fabric/sim_fabric.hpp>

#include <support/catch.hpp>

using namespace catena;
using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

// Round figures: a byte takes 1 ns at a client and 0.5 ns at a memory node, a message at least 10 and 20 ns, an atomic
// 1,000 ns. With headers of 50 bytes an empty message takes 50 ns at a client and 25 ns at a memory node.
constexpr sim_parameters figures{.name = "test",
                                 .propagation = 1000ns,
                                 .batch_overhead = 100ns,
                                 .client = {.operations_per_second = 1e8, .bytes_per_second = 1e9},
                                 .memory_node = {.operations_per_second = 5e7, .bytes_per_second = 2e9},
                                 .atomics_per_second = 1e6,
                                 .header_bytes = 50};
constexpr std::uint64_t node_bytes = 65536;

// One coroutine on one channel, and when it ended.
class job {
public:
    job(sim_network& network, sim_channel& channel, std::vector<op> ops)
        : network_(&network), ops_(std::move(ops)), work_(run(channel)) {}
    job(job const&) = delete;
    job& operator=(job const&) = delete;

    void start() {
        begun_ = true;
        work_.start();
    }
    [[nodiscard]] bool begun() const { return begun_; }
    [[nodiscard]] bool done() const { return work_.done(); }
    [[nodiscard]] result<void> outcome() const { return work_.take(); }
    [[nodiscard]] nanoseconds took() const { return took_; }
    [[nodiscard]] op const& operator[](std::size_t i) const { return ops_[i]; }

private:
    [[nodiscard, gnu::noinline]] task<result<void>> run(sim_channel& channel) {
        auto const start = network_->now();
        auto const r = co_await channel.submit(ops_);
        took_ = network_->now() - start;
        co_return r;
    }

    sim_network* network_;
    std::vector<op> ops_;
    nanoseconds took_{-1};
    bool begun_ = false;
    task<result<void>> work_;
};

// A network and clients with one channel each; all jobs start together.
struct bench {
    explicit bench(std::uint16_t nodes = 1, std::size_t clients = 1, sim_parameters const& p = figures)
        : network(nodes, node_bytes, p) {
        for (std::size_t i = 0; i < clients; ++i) {
            fabrics.push_back(std::make_unique<sim_fabric>(network));
            channels.push_back(std::make_unique<sim_channel>(*fabrics.back()->connect(client_id{i + 1})));
        }
        network.set_calm(false);
    }
    job& add(std::size_t client, std::vector<op> ops) {
        jobs.push_back(std::make_unique<job>(network, *channels[client], std::move(ops)));
        return *jobs.back();
    }
    void run() {
        for (auto const& j : jobs)
            if (!j->begun()) j->start();
        while (network.step()) continue;
    }

    timed_network network;
    std::vector<std::unique_ptr<sim_fabric>> fabrics;
    std::vector<std::unique_ptr<sim_channel>> channels;
    std::vector<std::unique_ptr<job>> jobs;
    std::array<std::byte, 4096> local{}; // where READs go to and WRITEs come from
};

nanoseconds time_of(std::vector<op> ops, std::uint16_t nodes = 1, sim_parameters const& p = figures) {
    bench b(nodes, 1, p);
    auto& j = b.add(0, std::move(ops));
    b.run();
    REQUIRE(j.done());
    REQUIRE(j.outcome().has_value());
    return j.took();
}

std::array<std::byte, 65536> anywhere{}; // for operations whose data nobody looks at

// Sums of services, but for the last bits of a double.
bool about(double value, double expected) { return std::abs(value - expected) < 1e-6; }

op read_of(std::size_t bytes, std::uint16_t node = 0) { return op::read({node, 0}, anywhere.data(), bytes); }
op write_of(std::size_t bytes, std::uint16_t node = 0) { return op::write({node, 8192}, anywhere.data(), bytes); }
op faa_of(std::uint16_t node = 0, std::uint64_t at = 4096) { return op::faa({node, at}, 1); }

} // namespace

TEST_CASE("one operation takes the sum of its way's parts", "[sim][timed]") {
    // overhead + client sends + wire + node takes + (atomic) + node sends + wire + client takes
    CHECK(time_of({read_of(200)}) == 100ns + 50ns + 1000ns + 25ns + 125ns + 1000ns + 250ns);
    CHECK(time_of({write_of(100)}) == 100ns + 150ns + 1000ns + 75ns + 25ns + 1000ns + 50ns);
    CHECK(time_of({faa_of()}) == 100ns + 66ns + 1000ns + 33ns + 1000ns + 29ns + 1000ns + 58ns);
    CHECK(time_of({op::cas({0, 4096}, 5, 6)}) == time_of({faa_of()})); // one that fails takes as long

    auto short_messages = figures; // below 10 and 20 bytes the message rate decides
    short_messages.header_bytes = 0;
    CHECK(time_of({read_of(8)}, 1, short_messages) == 100ns + 10ns + 1000ns + 20ns + 20ns + 1000ns + 10ns);
}

TEST_CASE("a batch takes its first operation's way and then as long as the slowest queue needs for the others",
          "[sim][timed]") {
    constexpr std::size_t more = 9;
    auto const batch_of = [](op const& o) { return std::vector<op>(more + 1, o); };
    auto const added = [&](op const& o, sim_parameters const& p = figures) {
        return (time_of(batch_of(o), 1, p) - time_of({o}, 1, p)) / more;
    };
    // Slowest at: the client's receiver; its sender; the atomic unit.
    CHECK(added(read_of(200)) == 250ns);
    CHECK(added(write_of(100)) == 150ns);
    CHECK(added(faa_of()) == 1000ns);
    // The memory node, by messages and by bytes, with a client that is fast.
    auto quick_client = figures;
    quick_client.client = {.operations_per_second = 1e9, .bytes_per_second = 1e11};
    quick_client.header_bytes = 0;
    CHECK(added(read_of(8), quick_client) == 20ns);
    CHECK(added(read_of(1000), quick_client) == 500ns);
    CHECK(added(write_of(1000), quick_client) == 500ns);
    // The client, by messages.
    auto quick_node = figures;
    quick_node.memory_node = {.operations_per_second = 1e9, .bytes_per_second = 1e11};
    quick_node.header_bytes = 0;
    CHECK(added(read_of(8), quick_node) == 10ns);
    CHECK(added(write_of(8), quick_node) == 10ns);
}

TEST_CASE("fractions of a nanosecond add up", "[sim][timed]") {
    auto p = figures;
    p.header_bytes = 0;
    p.client = {.operations_per_second = 75e6, .bytes_per_second = 1e12}; // 13.33 ns a message
    p.memory_node = {.operations_per_second = 1e9, .bytes_per_second = 1e12};
    auto const one = time_of({read_of(8)}, 1, p);
    auto const many = time_of(std::vector<op>(3001, read_of(8)), 1, p);
    CHECK(many - one >= 40'000ns - 1ns);
    CHECK(many - one <= 40'000ns + 1ns);
}

TEST_CASE("clients share a memory node's NIC, not each other's", "[sim][timed]") {
    // Each alone: READs of 1,950 bytes take 2,000 ns at the client's receiver, 1,000 ns at the node's sender.
    auto const alone = time_of({read_of(1950)});
    bench one_node(1, 3);
    bench three_nodes(3, 3);
    for (std::uint16_t c = 0; c < 3; ++c) {
        one_node.add(c, {read_of(1950)});
        three_nodes.add(c, {read_of(1950, c)});
    }
    one_node.run();
    three_nodes.run();
    for (int c = 0; c < 3; ++c) {
        CHECK(one_node.jobs[static_cast<std::size_t>(c)]->took() == alone + c * 1000ns);
        CHECK(three_nodes.jobs[static_cast<std::size_t>(c)]->took() == alone);
    }

    bench one_client(3, 1); // three nodes answer at once, the client's own NIC takes one after the other
    auto& j = one_client.add(0, {read_of(1950, 0), read_of(1950, 1), read_of(1950, 2)});
    one_client.run();
    CHECK(j.took() == alone + 2 * 2000ns);
}

TEST_CASE("atomics of a memory node wait for each other, whatever their words and clients", "[sim][timed]") {
    auto const alone = time_of({faa_of()});
    bench b(2, 5);
    for (std::size_t c = 0; c < 4; ++c) b.add(c, {faa_of(0, 4096 + 64 * c)});
    b.add(4, {faa_of(1)}); // the other node's unit is free
    b.run();
    for (std::size_t c = 0; c < 4; ++c) {
        auto const waited = b.jobs[c]->took() - alone;
        CHECK(waited >= static_cast<int>(c) * (1000ns - 33ns)); // requests came 33 ns apart, or earlier
        CHECK(waited <= static_cast<int>(c) * 1000ns);
    }
    CHECK(b.jobs[3]->took() == alone + 3 * 1000ns);
    CHECK(b.jobs[4]->took() == alone);

    bench others(1, 2); // what is no atomic goes past them
    auto& slow = others.add(0, std::vector<op>(8, faa_of()));
    auto& quick = others.add(1, {read_of(200)});
    slow.start();
    auto const begin = others.network.now();
    while (others.network.now() - begin < 3000ns) REQUIRE(others.network.step());
    others.run();
    CHECK(slow.took() == alone + 7 * 1000ns);
    CHECK(quick.took() <= time_of({read_of(200)}) + 29ns); // at most one answer of an atomic is before its own
}

TEST_CASE("operations of one endpoint to one memory node take effect in posted order", "[sim][timed]") {
    bench b(1, 2);
    word const seven = 7;
    word before = 99;
    word between = 99;
    word after = 99;
    // The second READ waits behind the slow atomic, and the WRITE behind both.
    auto& j = b.add(0, {op::read({0, 4096}, &before, 8), op::cas({0, 4096}, 0, 5), op::read({0, 4096}, &between, 8),
                        op::write({0, 4096}, &seven, 8), op::read({0, 4096}, &after, 8)});
    // Another endpoint does not: its READ comes later than the first's atomic and is answered before it takes effect.
    word other = 99;
    auto& o = b.add(1, {read_of(8), read_of(8), read_of(8), read_of(8), op::read({0, 4096}, &other, 8)});
    b.run();
    CHECK((j.outcome().has_value() && o.outcome().has_value()));
    CHECK(j[1].fetched == 0);
    CHECK(before == 0);
    CHECK(between == 5);
    CHECK(after == 7);
    CHECK(other == 0);
    CHECK(o.took() < j.took());
}

TEST_CASE("operations to different memory nodes do not wait for each other", "[sim][timed]") {
    auto const atomic = time_of({faa_of(0)});
    CHECK(time_of({faa_of(0), read_of(8, 1)}, 2) == atomic);
    CHECK(time_of({faa_of(0), read_of(8, 0)}, 1) > atomic); // the READ takes effect after the atomic
}

TEST_CASE("a pause takes its time, calm operations take none", "[sim][timed]") {
    bench b;
    auto const pause = [](sim_channel& c, nanoseconds d) -> task<result<void>> { co_return co_await c.pause(d); };
    auto const begin = b.network.now();
    auto const work = pause(*b.channels[0], 12345ns);
    work.start();
    CHECK_FALSE(work.done());
    while (b.network.step()) continue;
    REQUIRE(work.done());
    CHECK(b.network.now() - begin == 12345ns);

    b.network.set_calm(true);
    auto& j = b.add(0, {faa_of(), read_of(100)});
    j.start();
    REQUIRE(j.done()); // without a step
    CHECK(b.network.now() - begin == 12345ns);
    CHECK(b.network.load().client_send == 0);

    b.network.set_calm(false);
    auto& empty = b.add(0, {});
    empty.start();
    CHECK(empty.done()); // there is nothing to wait for
}

TEST_CASE("a fence takes one round trip and shuts a client's changes out, not its reads", "[sim][timed]") {
    bench b(2, 2);
    auto const fence = [](sim_channel& c, client_id whom) -> task<result<void>> { co_return co_await c.fence(whom); };
    auto const begin = b.network.now();
    auto const work = fence(*b.channels[1], client_id{1});
    work.start();
    while (b.network.step()) continue;
    REQUIRE((work.done() && work.take().has_value()));
    CHECK(b.network.now() - begin == 2000ns);

    for (std::uint16_t n = 0; n < 2; ++n) {
        auto& late = b.add(0, {faa_of(n)});
        auto& reading = b.add(0, {read_of(8, n)});
        auto& fine = b.add(1, {faa_of(n)});
        b.run();
        CHECK(late.outcome().error().code == errc::fenced);
        CHECK(reading.outcome().has_value());
        CHECK(fine.outcome().has_value());
        CHECK(fine[0].fetched == 0); // the late one had no effect
    }
    auto const nobody = fence(*b.channels[1], client_id{});
    nobody.start();
    REQUIRE(nobody.done());
    CHECK(nobody.take().error().code == errc::invalid_argument);
}

TEST_CASE("who is dead, or asks a node that is gone, gets unreachable", "[sim][timed]") {
    bench b(2, 2);
    b.network.node(1).vanish();
    auto& gone = b.add(0, {read_of(8, 1), faa_of(0)});
    auto& in_flight = b.add(1, {faa_of(0)});
    gone.start();
    in_flight.start();
    b.network.kill(b.fabrics[1]->host());
    while (b.network.step()) continue;
    CHECK(gone.outcome().error().code == errc::unreachable);
    CHECK(in_flight.outcome().error().code == errc::unreachable);
    auto& later = b.add(1, {faa_of(0)});
    later.start();
    REQUIRE(later.done());
    CHECK(later.outcome().error().code == errc::unreachable);
    auto& count = b.add(0, {faa_of(0)});
    b.run();
    CHECK(count[0].fetched == 2); // what was posted arrived, what came after death did not
}

TEST_CASE("load is what each part did, and never more than the time that went by", "[sim][timed]") {
    bench b(2, 2);
    b.add(0, {read_of(200, 0), read_of(200, 0), write_of(100, 1), faa_of(1)});
    b.add(1, {read_of(200, 0)});
    auto const begin = b.network.now();
    for (auto const& j : b.jobs) j->start();
    sim_load before;
    do {
        auto const now = b.network.load();
        auto const elapsed = static_cast<double>((b.network.now() - begin).count()) + 0.5; // times are rounded
        for (auto const part : {&sim_load::client_send, &sim_load::client_receive, &sim_load::node_receive,
                                &sim_load::node_send, &sim_load::node_atomics}) {
            CHECK(now.*part <= elapsed);
            CHECK(now.*part >= before.*part - 0.5);
        }
        before = now;
    } while (b.network.step());
    auto const all = b.network.load();
    CHECK(about(all.client_send, 50 + 50 + 150 + 66));
    CHECK(about(all.client_receive, 250 + 250 + 50 + 58));
    CHECK(about(all.node_receive, 75 + 33)); // node 1; node 0 took three READs: 75
    CHECK(about(all.node_send, 3 * 125));
    CHECK(about(all.node_atomics, 1000));
}

TEST_CASE("a queue that never runs empty is busy for all of the time", "[sim][timed]") {
    bench b(1, 16);
    for (std::size_t c = 0; c < 16; ++c) b.add(c, std::vector<op>(20, faa_of()));
    auto const begin = b.network.now();
    for (auto const& j : b.jobs) j->start();
    while (b.network.step() && b.network.now() - begin < 200'000ns) continue;
    auto const elapsed = static_cast<double>((b.network.now() - begin).count());
    auto const share = b.network.load().node_atomics / elapsed;
    CHECK(share <= 1.0);
    CHECK(share > 0.99); // all but the first operation's way
    while (b.network.step()) continue;
}

TEST_CASE("the same calls take the same times", "[sim][timed]") {
    auto const run = [](std::uint64_t seed) {
        bench b(3, 8);
        sim_random random(seed);
        for (unsigned i = 0; i < 200; ++i) {
            std::vector<op> ops;
            for (auto n = 1 + random.below(12); n-- > 0;) {
                auto const node = static_cast<std::uint16_t>(random.below(3));
                switch (random.below(3)) {
                case 0: ops.push_back(read_of(8 + random.below(2000), node)); break;
                case 1: ops.push_back(write_of(8 + random.below(200), node)); break;
                default: ops.push_back(faa_of(node, 4096 + 8 * random.below(4))); break;
                }
            }
            b.add(random.below(8), std::move(ops));
        }
        b.run();
        std::vector<std::uint64_t> seen;
        for (auto const& j : b.jobs) {
            seen.push_back(static_cast<std::uint64_t>(j->took().count()));
            seen.push_back((*j)[0].fetched);
        }
        return seen;
    };
    CHECK(run(1) == run(1));
    CHECK(run(1) != run(2));
}

TEST_CASE("the presets have round trips as such networks do", "[sim][timed]") {
    // 200 + 13.3 + 850 + 13.3 + 88.2 + 850 + 88.2, each part rounded: a READ of 1 KiB that waits for nothing.
    CHECK(time_of({read_of(1024)}, 1, sim_parameters::connectx6_100g()) == 2102ns);
    CHECK(time_of({faa_of()}, 1, sim_parameters::connectx6_100g()) == 2322ns); // 370 in the atomic unit
    auto const slow = time_of({read_of(1024)}, 1, sim_parameters::ethernet_25g());
    CHECK(slow > 4400ns);
    CHECK(slow < 4900ns);
}
