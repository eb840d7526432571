// SPDX-License-Identifier: Apache-2.0
// What every benchmark program shares: its one argument, counters from the fabric, main.
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

#include <benchmark/benchmark.h>

#include <catena/fabric/stats.hpp>

#include "world.hpp"

namespace catena::bench {

/// How large the index is if the command line does not say: small, so that a smoke run is short. Figures need more.
inline constexpr std::uint64_t default_keys = 50'000;

/// What the loop asked of the fabric, for each operation: exact, and the same on every machine.
inline void count(benchmark::State& state, fabric_stats const& used) {
    auto const each = [](std::uint64_t n) {
        return benchmark::Counter(static_cast<double>(n), benchmark::Counter::kAvgIterations);
    };
    state.counters["rtt/op"] = each(used.round_trips);
    state.counters["verbs/op"] = each(used.verbs());
    state.counters["B_read/op"] = each(used.bytes_read);
    state.counters["B_written/op"] = each(used.bytes_written);
}

/// A figure of the whole world, the same for every thread.
inline void note(benchmark::State& state, char const* name, double value) {
    state.counters[name] = benchmark::Counter(value, benchmark::Counter::kAvgThreads);
}

/// Takes --keys=N off the command line; what is left is Google Benchmark's. register_all(keys) adds the benchmarks.
template <typename RegisterAll>
int run(int argc, char** argv, RegisterAll register_all) {
    constexpr std::string_view flag = "--keys=";
    auto keys = default_keys;
    int kept = 1;
    for (int i = 1; i < argc; ++i) {
        std::string_view const argument = argv[i];
        if (!argument.starts_with(flag)) {
            argv[kept++] = argv[i];
            continue;
        }
        auto const digits = argument.substr(flag.size());
        auto const [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), keys);
        if (failure != std::errc{} || end != digits.data() + digits.size() || keys < 1000)
            fail("--keys=N needs a number of at least 1000");
    }
    benchmark::Initialize(&kept, argv);
    if (benchmark::ReportUnrecognizedArguments(kept, argv)) return 2;
    register_all(keys);
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}

} // namespace catena::bench
