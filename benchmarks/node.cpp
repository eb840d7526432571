// SPDX-License-Identifier: Apache-2.0
// bench_node: what a client computes on a node image that it has read: the seal, and the search in a leaf.
#include <array>
#include <cstdint>

#include <benchmark/benchmark.h>

#include <catena/layout/node.hpp>

namespace {

using leaf = catena::node_layout<std::uint64_t, std::uint64_t, 1024>;

struct full_leaf {
    alignas(catena::cache_line) std::array<catena::word, leaf::words> image{};
    catena::node_view<leaf> view{image.data()};

    full_leaf() {
        view.format(0, 1, 1);
        for (std::size_t slot = 0; slot < leaf::capacity; ++slot) view.set_entry(slot, catena::mix64(slot), slot);
        view.set_occupancy((catena::word{1} << leaf::capacity) - 1);
        view.seal(1, false);
    }
};

void check_seal(benchmark::State& state) {
    full_leaf l;
    for (auto _ : state) {
        benchmark::DoNotOptimize(l.image.data());
        benchmark::ClobberMemory();
        benchmark::DoNotOptimize(l.view.sealed());
    }
}
BENCHMARK(check_seal);

void search_leaf(benchmark::State& state) {
    full_leaf l;
    std::uint64_t i = 0;
    for (auto _ : state) benchmark::DoNotOptimize(l.view.find(catena::mix64(i++ % leaf::capacity)));
}
BENCHMARK(search_leaf);

} // namespace

BENCHMARK_MAIN();
