// SPDX-License-Identifier: Apache-2.0
// A failing scenario is made as small as it goes, and its words bring it back.
#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include <support/catch.hpp>

#include <torture/scenario_text.hpp>
#include <torture/shrink.hpp>

using namespace catena;
using namespace catena::torture;

namespace {

/// Fails if there are at least 2 clients, 3 operations, a death, and switches to actor 1 and then to actor 2.
[[nodiscard]] outcome fails_rarely(scenario const& s) {
    outcome o;
    if (s.switches) {
        o.switches = *s.switches;
    } else {
        for (std::uint64_t i = 0; i < 300; ++i)
            o.switches.push_back({.step = i, .actor = static_cast<std::uint32_t>(i % 3)});
    }
    bool const dies =
        std::any_of(s.faults.begin(), s.faults.end(), [](auto const& f) { return f.what == sim_fault::kind::die; });
    auto const one = std::find_if(o.switches.begin(), o.switches.end(), [](auto const& w) { return w.actor == 1; });
    bool const then_two = std::any_of(one, o.switches.end(), [](auto const& w) { return w.actor == 2; });
    if (s.clients >= 2 && s.operations >= 3 && dies && then_two) o.violation = "it fails";
    return o;
}

} // namespace

TEST_CASE("a failing scenario shrinks to what it needs", "[sim]") {
    scenario big;
    big.clients = 4;
    big.sessions = 2;
    big.operations = 30;
    big.keys = 40;
    big.preload = 20;
    big.faults = {{.what = sim_fault::kind::stall, .who = 1, .at = 3, .how_long = std::chrono::microseconds(5)},
                  {.what = sim_fault::kind::die, .who = 2, .at = 9, .how_long = {}},
                  {.what = sim_fault::kind::die, .who = 1, .at = 4, .how_long = {}}};
    auto const first = fails_rarely(big);
    REQUIRE(first.violation);
    shrinker smaller(fails_rarely, 5000);
    auto const small = smaller(big, first);
    REQUIRE(small.result.violation);
    REQUIRE((small.what.clients == 2 && small.what.operations == 3 && small.what.sessions == 1));
    REQUIRE((small.what.keys == 1 && small.what.preload == 0));
    REQUIRE(small.what.faults.size() == 1);
    REQUIRE(small.what.switches);
    REQUIRE(small.what.switches->size() == 2);
    REQUIRE(small.runs <= 5000);
}

TEST_CASE("faults and switches survive the way over a command line", "[sim]") {
    for (std::uint64_t seed = 1; seed < 300; ++seed) {
        auto const s = draw(seed);
        auto const back = faults_from(to_text(s.faults));
        REQUIRE(back.size() == s.faults.size());
        for (std::size_t i = 0; i < back.size(); ++i) {
            REQUIRE(
                (back[i].what == s.faults[i].what && back[i].who == s.faults[i].who && back[i].at == s.faults[i].at));
            REQUIRE(back[i].how_long == s.faults[i].how_long);
        }
    }
    std::vector<sim_switch> const switches{{.step = 3, .actor = 1}, {.step = 70, .actor = 0}};
    REQUIRE(switches_from(to_text(switches)) == switches);
    REQUIRE(switches_from("").empty());
    for (auto const* const wrong : {"die", "die:1", "die:@3", "live:1@2", "stall:1@2+", "die:1@2x"})
        REQUIRE_THROWS_AS(faults_from(wrong), std::invalid_argument);
    REQUIRE_THROWS_AS(switches_from("3"), std::invalid_argument);
}
