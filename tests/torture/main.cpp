// SPDX-License-Identifier: Apache-2.0
// catena-torture: runs the protocols on a simulated network under every interleaving, torn access and death that seeds
// and schedulers come upon, and checks all answers. What fails is made small and printed with the command that repeats it.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <torture/event_log.hpp>
#include <torture/scenario_text.hpp>
#include <torture/shrink.hpp>
#include <torture/suite.hpp>

namespace {

using namespace catena;
using namespace catena::torture;
using clock_type = std::chrono::steady_clock;

struct options {
    std::vector<std::string> suites;
    std::uint64_t schedules = 20'000;
    double minutes = 0;
    std::uint64_t first_seed = 1;
    bool list = false;
    bool progress = false;
    bool shrink = true;
    // One run instead of many.
    std::uint64_t seed = 0;
    bool log = false;
    std::string faults;
    std::string switches;
};

constexpr char const* explanation = R"(
Runs clients of a pool on a simulated network, one schedule a seed: words of READs and WRITEs move one by one in any
order that the guarantees of a fabric allow, clients die or stall for longer than their lease, and the order of events is
chosen at random or by priorities that change at few points. Every answer is checked: linearizable for each key, nobody
gives up while what is in his way can be had, and after recovery the index is sound.

  catena-torture                          every suite, 20,000 schedules each
  catena-torture sherman --minutes 30     one suite for half an hour
  catena-torture sherman --seed 4711      one schedule; with --log: who did what to which word

Exit code: 0 no violation, 1 a violation (the smallest schedule that was found is printed, and how to repeat it),
2 wrong arguments.
)";

[[nodiscard]] std::string command(std::string const& program, suite const& s, scenario const& c) {
    auto text =
        fmt::format("{} {} --seed {} --clients {} --sessions {} --operations {} --keys {} --preload {} --erases {} "
                    "--nodes {} --dropper {} --depth {} --length {}",
                    program, s.name, c.seed, c.clients, c.sessions, c.operations, c.keys, c.preload, c.erases, c.nodes,
                    c.dropper, c.depth, c.length);
    text += " --faults '" + to_text(c.faults) + "'";
    if (c.switches) text += " --switches '" + to_text(*c.switches) + "'";
    return text + " --log";
}

/// Runs it again with a log. The same scenario gives the same run.
int report(std::string const& program, suite const& s, scenario const& c, bool with_log,
           std::size_t most_events = ~std::size_t{0}) {
    std::vector<sim_event> events;
    auto const result = s.run(c, with_log ? &events : nullptr);
    if (with_log) {
        auto const skipped = events.size() > most_events ? events.size() - most_events : 0;
        if (skipped > 0) fmt::print("({} earlier events; --log prints all)\n", skipped);
        events.erase(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(skipped));
        fmt::print("{}", event_log(s.shape).print(events));
    }
    for (auto const& f : c.faults) fmt::print("fault: {} at {}\n", event_log::fault(f), f.at);
    if (!result.violation) {
        fmt::print("{}: no violation ({} operations, {} steps)\n", s.name, result.operations, result.steps);
        return 0;
    }
    fmt::print(
        "{}: {}\n\n{} clients, {} faults, {} steps, {} switches. To repeat it, with a log of every word:\n  {}\n",
        s.name, *result.violation, c.clients, c.faults.size(), result.steps, result.switches.size(),
        command(program, s, c));
    return 1;
}

struct tally {
    std::uint64_t schedules = 0;
    std::uint64_t operations = 0;
    std::uint64_t steps = 0;
    std::uint64_t with_faults = 0;
    double seconds = 0;
};

void print(suite const& s, tally const& t) {
    fmt::print("{:<14} {:>9} schedules ({:>8} with faults) {:>11} operations {:>12} steps {:>7.1f} s\n", s.name,
               t.schedules, t.with_faults, t.operations, t.steps, t.seconds);
}

int many(std::string const& program, suite const& s, options const& o) {
    tally t;
    auto const begin = clock_type::now();
    auto last_word = begin;
    for (auto seed = o.first_seed;; ++seed) {
        auto const now = clock_type::now();
        t.seconds = std::chrono::duration<double>(now - begin).count();
        if (o.minutes > 0 ? t.seconds >= 60 * o.minutes : t.schedules >= o.schedules) break;
        if (o.progress && now - last_word > std::chrono::seconds(10)) {
            last_word = now;
            fmt::print(stderr, "{}: {} schedules, {:.0f} s\n", s.name, t.schedules, t.seconds);
        }
        auto const c = draw(seed);
        auto const result = s.run(c, nullptr);
        ++t.schedules;
        t.operations += result.operations;
        t.steps += result.steps;
        t.with_faults += c.faults.empty() ? 0 : 1;
        if (!result.violation) continue;
        fmt::print("{}: seed {} fails: {}\n", s.name, seed, *result.violation);
        if (!o.shrink) return 1;
        shrinker smaller([&](scenario const& candidate) { return s.run(candidate, nullptr); }, 20'000);
        auto const small = smaller(c, result);
        fmt::print("\nmade smaller in {} runs:\n", small.runs);
        return report(program, s, small.what, true, 400);
    }
    print(s, t);
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    options o;
    CLI::App app{explanation, "catena-torture"};
    app.add_option("suite", o.suites, "suites to run, all if none is named (--list)");
    app.add_flag("--list", o.list, "print the suites and end");
    app.add_option("--schedules", o.schedules, "how many schedules of each suite")->capture_default_str();
    app.add_option("--minutes", o.minutes, "run each suite for so long instead");
    app.add_option("--first-seed", o.first_seed, "of the schedules")->capture_default_str();
    app.add_flag("--progress", o.progress, "a line every ten seconds");
    app.add_flag("!--no-shrink", o.shrink, "do not make a failing schedule smaller");
    auto* const seed =
        app.add_option("--seed", o.seed, "run the one schedule of this seed; the rest changes parts of it");
    app.add_flag("--log", o.log, "print who did what to which word");
    scenario given;
    std::vector<CLI::Option*> parts{
        app.add_option("--clients", given.clients),
        app.add_option("--sessions", given.sessions),
        app.add_option("--operations", given.operations),
        app.add_option("--keys", given.keys),
        app.add_option("--preload", given.preload),
        app.add_option("--erases", given.erases),
        app.add_option("--nodes", given.nodes),
        app.add_option("--dropper", given.dropper),
        app.add_option("--depth", given.depth),
        app.add_option("--length", given.length),
        app.add_option("--faults", o.faults,
                       "die:1@20,stall:2@31+500,stall-thread:...,vanish:NODE@STEP,return-empty:..."),
        app.add_option("--switches", o.switches, "STEP:ACTOR,...")};
    for (auto* const p : parts) p->needs(seed)->group("One schedule");
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        return app.exit(e) == 0 ? 0 : 2;
    }
    if (o.list) {
        for (auto const& s : suites()) fmt::print("{:<14} {}\n", s.name, s.what);
        return 0;
    }
    for (auto const& name : o.suites)
        if (std::none_of(suites().begin(), suites().end(), [&](auto const& s) { return s.name == name; })) {
            fmt::print(stderr, "catena-torture: there is no suite '{}' (--list names them)\n", name);
            return 2;
        }
    int worst = 0;
    for (auto const& s : suites()) {
        bool const wanted = o.suites.empty() || std::find(o.suites.begin(), o.suites.end(), s.name) != o.suites.end();
        if (!wanted) continue;
        if (seed->count() == 0) {
            worst = std::max(worst, many(argv[0], s, o));
            continue;
        }
        auto c = draw(o.seed);
        auto const take = [&](std::size_t part, auto member) {
            if (parts[part]->count() > 0) c.*member = given.*member;
        };
        take(0, &scenario::clients);
        take(1, &scenario::sessions);
        take(2, &scenario::operations);
        take(3, &scenario::keys);
        take(4, &scenario::preload);
        take(5, &scenario::erases);
        take(6, &scenario::nodes);
        take(7, &scenario::dropper);
        take(8, &scenario::depth);
        take(9, &scenario::length);
        try {
            if (parts[10]->count() > 0) c.faults = faults_from(o.faults);
            if (parts[11]->count() > 0) c.switches = switches_from(o.switches);
        } catch (std::invalid_argument const& e) {
            fmt::print(stderr, "catena-torture: {}\n", e.what());
            return 2;
        }
        worst = std::max(worst, report(argv[0], s, c, o.log));
    }
    return worst;
}
