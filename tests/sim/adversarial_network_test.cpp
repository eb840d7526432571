// SPDX-License-Identifier: Apache-2.0
// The adversarial network does everything that a fabric's guarantees allow, and nothing that they exclude.
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <support/catch.hpp>
#include <support/world.hpp>

#include <catena/core/task.hpp>
#include <catena/fabric/sim/adversarial_network.hpp>
#include <catena/fabric/sim_fabric.hpp>

using namespace catena;
using namespace catena::test;

namespace {

constexpr std::uint64_t node_bytes = 4096;
constexpr std::uint64_t many = 2000; // seeds: what may happen happens in some of them

/// Two clients of a little network, outside calm.
struct scene {
    explicit scene(std::uint64_t seed, std::uint16_t nodes = 1, std::vector<sim_fault> faults = {},
                   std::unique_ptr<sim_schedule> schedule = nullptr)
        : network(nodes, node_bytes, seed, schedule ? std::move(schedule) : std::make_unique<uniform_schedule>(seed)),
          first(network), second(network), a(ok(first.connect(client_id{1}))), b(ok(second.connect(client_id{2}))) {
        network.set_calm(false);
        network.set_faults(std::move(faults));
    }
    void run(std::vector<task<result<void>>> lives) {
        for (auto& l : lives) l.start();
        while (network.step()) {}
        for (auto& l : lives) REQUIRE(l.done());
        outcomes.clear();
        for (auto& l : lives) outcomes.push_back(l.take());
    }
    [[nodiscard]] word at(std::uint64_t offset, std::uint16_t node = 0) {
        word w = 0;
        std::memcpy(&w, network.node(node).raw() + offset, sizeof w);
        return w;
    }

    adversarial_network network;
    sim_fabric first;
    sim_fabric second;
    sim_channel a;
    sim_channel b;
    std::vector<result<void>> outcomes;
};

[[nodiscard, gnu::noinline]] task<result<void>> post(sim_channel& c, batch ops) { co_return co_await c.submit(ops); }
[[nodiscard, gnu::noinline]] task<result<void>> post_twice(sim_channel& c, batch first, batch second) {
    if (auto const r = co_await c.submit(first); !r) co_return r.error();
    co_return co_await c.submit(second);
}
[[nodiscard, gnu::noinline]] task<result<void>> fence(sim_channel& c, client_id whom) {
    co_return co_await c.fence(whom);
}

template <typename... Tasks>
[[nodiscard]] std::vector<task<result<void>>> lives(Tasks... tasks) {
    std::vector<task<result<void>>> all;
    (all.push_back(std::move(tasks)), ...);
    return all;
}

} // namespace

TEST_CASE("a READ beside a WRITE sees every mix of old and new words", "[sim]") {
    std::set<unsigned> seen; // bit i: word i was new
    for (std::uint64_t seed = 0; seed < many; ++seed) {
        scene s(seed);
        std::array<word, 3> const fresh{1, 1, 1};
        std::array<word, 3> found{};
        op write = op::write({0, 64}, fresh.data(), sizeof fresh);
        op read = op::read({0, 64}, found.data(), sizeof found);
        s.run(lives(post(s.a, batch(&write, 1)), post(s.b, batch(&read, 1))));
        seen.insert(static_cast<unsigned>(found[0] | found[1] << 1U | found[2] << 2U));
        REQUIRE(s.at(64 + 16) == 1);
    }
    REQUIRE(seen.size() == 8);
}

TEST_CASE("operations of a batch to one memory node take effect in order, but for an overtaken READ", "[sim]") {
    SECTION("WRITE after WRITE: never the second without the first") {
        std::set<std::pair<word, word>> seen;
        for (std::uint64_t seed = 0; seed < many; ++seed) {
            scene s(seed);
            word const one = 1;
            std::array writes{op::write({0, 64}, &one, 8), op::write({0, 128}, &one, 8)};
            word first = 0, second = 0;
            std::array reads{op::read({0, 128}, &second, 8), op::read({0, 64}, &first, 8)}; // second is read first
            s.run(lives(post(s.a, writes), post(s.b, reads)));
            seen.insert({first, second});
        }
        REQUIRE(seen == std::set<std::pair<word, word>>{{0, 0}, {1, 0}, {1, 1}});
    }
    SECTION("a WRITE may overtake the READ before it, unless it is fenced") {
        for (bool const fenced : {false, true}) {
            bool overtaken = false;
            for (std::uint64_t seed = 0; seed < many; ++seed) {
                scene s(seed);
                word const one = 1;
                word found = 0;
                std::array ops{op::read({0, 64}, &found, 8), op::write({0, 64}, &one, 8)};
                ops[1].fenced = fenced;
                s.run(lives(post(s.a, ops)));
                overtaken |= found == 1;
            }
            REQUIRE(overtaken == !fenced);
        }
    }
    SECTION("a READ does not overtake the WRITE before it") {
        for (std::uint64_t seed = 0; seed < many; ++seed) {
            scene s(seed);
            word const one = 1;
            word found = 0;
            std::array ops{op::write({0, 64}, &one, 8), op::read({0, 64}, &found, 8)};
            s.run(lives(post(s.a, ops)));
            REQUIRE(found == 1);
        }
    }
    SECTION("different memory nodes are not ordered") {
        bool later_first = false;
        for (std::uint64_t seed = 0; seed < many; ++seed) {
            scene s(seed, 2);
            word const one = 1;
            std::array writes{op::write({0, 64}, &one, 8), op::write({1, 64}, &one, 8)};
            word first = 0, second = 0;
            std::array read_second{op::read({1, 64}, &second, 8)};
            std::array read_first{op::read({0, 64}, &first, 8)};
            s.run(lives(post(s.a, writes), post_twice(s.b, read_second, read_first)));
            later_first |= second == 1 && first == 0;
        }
        REQUIRE(later_first);
    }
    SECTION("a batch that was awaited is over before the next one begins") {
        for (std::uint64_t seed = 0; seed < many; ++seed) {
            scene s(seed, 2);
            word const one = 1, two = 2;
            std::array before{op::write({0, 64}, &one, 8), op::write({1, 64}, &one, 8)};
            std::array after{op::write({1, 64}, &two, 8), op::write({0, 64}, &two, 8)};
            s.run(lives(post_twice(s.a, before, after)));
            REQUIRE((s.at(64, 0) == 2 && s.at(64, 1) == 2));
        }
    }
}

TEST_CASE("atomics are atomic: every FAA counts, one CAS of many wins", "[sim]") {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        scene s(seed);
        std::array adds{op::faa({0, 64}, 1), op::faa({0, 64}, 1)};
        auto others = adds;
        op mine = op::cas({0, 128}, 0, 7);
        op yours = op::cas({0, 128}, 0, 9);
        s.run(lives(post_twice(s.a, adds, batch(&mine, 1)), post_twice(s.b, others, batch(&yours, 1))));
        REQUIRE(s.at(64) == 4);
        REQUIRE(mine.swapped() != yours.swapped());
        REQUIRE(s.at(128) == (mine.swapped() ? 7 : 9));
    }
}

TEST_CASE("of the last batch of a client that dies a prefix took effect, of the next WRITE any words", "[sim]") {
    std::set<std::uint64_t> left; // words that were written, as digits
    for (std::uint64_t seed = 0; seed < many; ++seed) {
        scene s(seed, 1, {{.what = sim_fault::kind::die, .who = 0, .at = 1 + seed % 6, .how_long = {}}});
        std::array<word, 2> const ones{1, 1};
        std::array ops{op::write({0, 64}, ones.data(), 16), op::write({0, 128}, ones.data(), 16)};
        s.run(lives(post(s.a, ops)));
        auto const digits = s.at(64) * 1000 + s.at(72) * 100 + s.at(128) * 10 + s.at(136);
        if (!s.outcomes[0]) {
            REQUIRE(s.outcomes[0].error().code == errc::unreachable);
            left.insert(digits);
        } else {
            REQUIRE(digits == 1111);
        }
    }
    REQUIRE(left == std::set<std::uint64_t>{1000, 100, 1100, 1110, 1101, 1111});
}

TEST_CASE("a client that stalls comes back; only its thread, or with all that it posted", "[sim]") {
    for (bool const thread_only : {false, true}) {
        bool landed_meanwhile = false;
        for (std::uint64_t seed = 0; seed < 500; ++seed) {
            auto const kind = thread_only ? sim_fault::kind::stall_thread : sim_fault::kind::stall;
            scene s(seed, 1, {{.what = kind, .who = 0, .at = 1, .how_long = std::chrono::milliseconds(1)}});
            std::array<word, 8> const ones{1, 1, 1, 1, 1, 1, 1, 1};
            op write = op::write({0, 64}, ones.data(), sizeof ones);
            auto const life = post(s.a, batch(&write, 1));
            auto const begin = s.network.now();
            auto const written = [&s] {
                word sum = 0;
                for (std::uint64_t i = 0; i < 8; ++i) sum += s.at(64 + 8 * i);
                return sum;
            };
            life.start();
            (void)s.network.step(); // the stall strikes here
            bool const unfinished = written() < 8;
            while (s.network.step())
                if (s.network.now() - begin < std::chrono::milliseconds(1))
                    landed_meanwhile |= unfinished && written() == 8;
            REQUIRE(s.network.now() - begin >= std::chrono::milliseconds(1));
            REQUIRE(life.done());
            REQUIRE(life.take());
        }
        REQUIRE(landed_meanwhile == thread_only);
    }
}

TEST_CASE("nothing of a fenced client takes effect after the fence completed", "[sim]") {
    bool cut_off = false, got_through = false;
    for (std::uint64_t seed = 0; seed < many; ++seed) {
        scene s(seed);
        std::array<word, 4> const ones{1, 1, 1, 1};
        op write = op::write({0, 64}, ones.data(), sizeof ones);
        auto writer = post(s.a, batch(&write, 1));
        auto fencer = fence(s.b, client_id{1});
        writer.start();
        fencer.start();
        std::optional<std::array<word, 4>> after_fence;
        while (s.network.step())
            if (fencer.done() && !after_fence)
                after_fence = std::array<word, 4>{s.at(64), s.at(72), s.at(80), s.at(88)};
        REQUIRE((writer.done() && fencer.done() && fencer.take()));
        REQUIRE(after_fence == std::array<word, 4>{s.at(64), s.at(72), s.at(80), s.at(88)});
        auto const wrote = writer.take();
        cut_off |= !wrote && wrote.error().code == errc::fenced;
        got_through |= wrote.has_value();
        // For ever, and on later channels; READs are no harm.
        word found = 0;
        op late = op::write({0, 256}, ones.data(), 8);
        op read = op::read({0, 256}, &found, 8);
        auto again = ok(s.first.connect(client_id{1}));
        s.run(lives(post(again, batch(&late, 1)), post(s.a, batch(&read, 1))));
        REQUIRE((!s.outcomes[0] && s.outcomes[0].error().code == errc::fenced && s.outcomes[1]));
        REQUIRE(s.at(256) == 0);
    }
    REQUIRE((cut_off && got_through));
}

TEST_CASE("a memory node that vanished does not answer, and is another one when it returns", "[sim]") {
    scene s(1, 2);
    word const one = 1;
    word found = 7;
    op write = op::write({1, 64}, &one, 8);
    op read = op::read({1, 64}, &found, 8);
    s.run(lives(post(s.a, batch(&write, 1))));
    s.network.node(1).vanish();
    s.run(lives(post(s.a, batch(&read, 1))));
    REQUIRE(s.outcomes[0].error() == make_error(errc::unreachable, 1));
    s.network.node(1).return_empty();
    s.run(lives(post(s.a, batch(&read, 1)))); // a connection from before
    REQUIRE(s.outcomes[0].error() == make_error(errc::unreachable, 1));
    REQUIRE(found == 7);
    auto fresh = ok(s.first.connect());
    s.run(lives(post(fresh, batch(&read, 1))));
    REQUIRE((s.outcomes[0] && found == 0));
}

TEST_CASE("the same seed is the same run, and so is its recorded schedule", "[sim]") {
    auto const run = [](std::uint64_t seed, std::unique_ptr<sim_schedule> schedule, std::vector<sim_event>& log) {
        scene s(seed, 1, {}, std::move(schedule));
        s.network.set_log(&log);
        std::array<word, 8> const ones{1, 1, 1, 1, 1, 1, 1, 1};
        std::array<word, 8> found{};
        std::array writes{op::write({0, 64}, ones.data(), 64), op::faa({0, 64}, 1)};
        std::array reads{op::read({0, 64}, found.data(), 64), op::faa({0, 64}, 1)};
        s.run(lives(post_twice(s.a, writes, writes), post_twice(s.b, reads, reads)));
        return s.network.switches();
    };
    auto const same = [](sim_event const& x, sim_event const& y) {
        return x.what == y.what && x.actor == y.actor && x.step == y.step && x.at == y.at && x.after == y.after;
    };
    for (std::uint64_t seed = 1; seed < 100; ++seed) {
        std::vector<sim_event> one, two, replayed;
        auto const switches = run(seed, std::make_unique<uniform_schedule>(seed), one);
        REQUIRE(run(seed, std::make_unique<uniform_schedule>(seed), two) == switches);
        REQUIRE(run(seed, std::make_unique<recorded_schedule>(switches), replayed) == switches);
        REQUIRE(std::equal(one.begin(), one.end(), two.begin(), two.end(), same));
        REQUIRE(std::equal(one.begin(), one.end(), replayed.begin(), replayed.end(), same));
    }
}

TEST_CASE("a priority schedule switches at its change points and where the one in front has to wait", "[sim]") {
    std::vector<std::uint32_t> const ready{0, 1, 2};
    for (std::uint64_t seed = 1; seed < 50; ++seed) {
        priority_schedule schedule(seed, 2, 100);
        std::set<std::uint32_t> leaders;
        unsigned changes = 0;
        auto last = schedule.choose(ready, 0, 0);
        for (std::uint64_t step = 1; step <= 101; ++step) {
            auto const now = schedule.choose(ready, last, step);
            changes += now != last ? 1 : 0;
            leaders.insert(now);
            last = now;
        }
        REQUIRE(changes <= 2);
    }
}
