// SPDX-License-Identifier: Apache-2.0
// scenario: everything that decides how one simulated run goes. Drawn from a seed; each part can be given instead, which is
// how a failure is made smaller and then repeated.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <catena/fabric/sim/adversarial_network.hpp>
#include <catena/fabric/sim/random.hpp>
#include <catena/fabric/sim/schedule.hpp>

namespace catena::torture {

struct scenario {
    std::uint64_t seed = 1;
    unsigned clients = 3;
    unsigned sessions = 1;   ///< of each client, sharing one index object
    unsigned operations = 8; ///< of each session
    unsigned keys = 16;
    unsigned preload = 0; ///< keys that are there before
    unsigned erases = 1;  ///< how often an operation erases: of 4
    std::uint16_t nodes = 1;
    unsigned dropper = 0;        ///< this client drops the index halfway through its operations; 0: nobody does
    unsigned depth = 0;          ///< 0: uniform schedule, 100: lopsided, else the change points of a priority schedule
    std::uint64_t length = 2000; ///< steps among which the change points lie
    std::vector<sim_fault> faults;
    std::optional<std::vector<sim_switch>> switches; ///< given: this schedule
    bool may_lose_nodes() const noexcept {
        for (auto const& f : faults)
            if (f.what == sim_fault::kind::vanish || f.what == sim_fault::kind::return_empty) return true;
        return false;
    }
    bool may_lose_clients() const noexcept {
        for (auto const& f : faults)
            if (f.what != sim_fault::kind::vanish && f.what != sim_fault::kind::return_empty) return true;
        return false;
    }
};

/// What one run came to.
struct outcome {
    std::optional<std::string> violation;
    std::uint64_t steps = 0;
    std::uint64_t operations = 0; ///< calls that came back
    std::vector<sim_switch> switches;
};

inline constexpr unsigned lopsided = 100;
inline constexpr std::chrono::milliseconds lease{1};
inline constexpr std::chrono::milliseconds patience{100};
inline constexpr std::uint64_t most_steps = 3'000'000; ///< a run that takes more does not end

/// The scenario that a seed stands for. Small ones more often: most bugs need little, and small ones run fast.
[[nodiscard]] inline scenario draw(std::uint64_t seed) {
    sim_random random(seed, 7);
    scenario s;
    s.seed = seed;
    s.clients = 2 + static_cast<unsigned>(random.below(3));
    s.sessions = random.one_in(4) ? 2 : 1;
    s.operations = 2 + static_cast<unsigned>(random.below(random.one_in(4) ? 24 : 8));
    s.keys = 3 + static_cast<unsigned>(random.below(random.one_in(2) ? 8 : 40));
    s.preload = static_cast<unsigned>(random.below(s.keys + 1));
    s.erases = static_cast<unsigned>(random.below(4));
    s.nodes = static_cast<std::uint16_t>(1 + random.below(2));
    if (random.one_in(3)) { // a crowd at one leaf, where keys come and go: states that look alike
        s.clients = 3 + static_cast<unsigned>(random.below(3));
        s.operations = 6 + static_cast<unsigned>(random.below(12));
        s.keys = 1 + static_cast<unsigned>(random.below(4));
        s.preload = static_cast<unsigned>(random.below(s.keys + 1));
        s.erases = 2;
    }
    auto const scheduler = random.below(5);
    s.depth = scheduler < 2 ? lopsided : scheduler == 2 ? 0 : 1 + static_cast<unsigned>(random.below(4));
    s.length = std::uint64_t{s.clients} * s.sessions * s.operations * 80;
    auto const moment = [&] { return 1 + random.below(std::uint64_t{1} << (3 + random.below(8))); };
    auto const fault = [&](sim_fault::kind kind) {
        s.faults.push_back({.what = kind,
                            .who = 1 + static_cast<std::uint32_t>(random.below(s.clients)), // host 0 sets up
                            .at = moment(),
                            .how_long = std::chrono::microseconds(10 + random.below(5000))});
    };
    if (s.nodes > 1 && random.one_in(10)) { // node 0 has the catalog: without it there is no pool
        auto const at = moment() * s.clients;
        s.faults.push_back({.what = sim_fault::kind::vanish, .who = 1, .at = at, .how_long = {}});
        if (random.one_in(2))
            s.faults.push_back({.what = sim_fault::kind::return_empty, .who = 1, .at = at + moment(), .how_long = {}});
    }
    switch (random.below(8)) {
    case 0:
    case 1: break;
    case 2:
    case 3: fault(sim_fault::kind::die); break;
    case 4:
        fault(sim_fault::kind::die);
        fault(sim_fault::kind::die);
        break;
    case 5: fault(sim_fault::kind::stall); break;
    case 6: fault(sim_fault::kind::stall_thread); break;
    case 7:
        fault(sim_fault::kind::stall);
        fault(random.one_in(2) ? sim_fault::kind::die : sim_fault::kind::stall_thread);
        break;
    }
    if (!s.may_lose_nodes() && random.one_in(12)) s.dropper = 1 + static_cast<unsigned>(random.below(s.clients));
    return s;
}

[[nodiscard]] inline std::unique_ptr<sim_schedule> schedule_of(scenario const& s) {
    if (s.switches) return std::make_unique<recorded_schedule>(*s.switches);
    if (s.depth == 0) return std::make_unique<uniform_schedule>(s.seed);
    if (s.depth == lopsided) return std::make_unique<lopsided_schedule>(s.seed);
    return std::make_unique<priority_schedule>(s.seed, s.depth, s.length);
}

} // namespace catena::torture
