// SPDX-License-Identifier: Apache-2.0
// bench_figures [INDEX] [KEYS]: what an index costs, beside what the original costs on the same work (support/measure.hpp).
//
// INDEX: sherman, chime, or all (the default). Round trips, verbs and bytes are exact counts. Figures need 10 million keys (a
// GiB of memory, a minute an index); the default is a smoke run.
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string_view>
#include <vector>

#include <catena/index/chime_tree.hpp>
#include <catena/index/sherman_tree.hpp>

#include "support/measure.hpp"

namespace catena::bench {
namespace {

/// What the original's code costs at 10 million keys with all internal nodes cached, counted at an emulated verbs library
/// (Sherman at commit 9bca431, CHIME at 31e44b7); and what ours may cost.
struct row {
    char const* what;
    double ours;
    double budget;
    double original;
};

void print(char const* index, char const* original, measured const& m, std::span<row const> rows) {
    std::printf(
        "## %s\n\n%llu keys of 8 bytes, values of 8 bytes, one client, one memory node, %u levels, %llu nodes\n\n",
        index, static_cast<unsigned long long>(m.keys), m.check.height, static_cast<unsigned long long>(m.check.nodes));
    std::printf("| | ours | at most | %s |\n|---|---|---|---|\n", original);
    for (auto const& r : rows) std::printf("| %s | %.3f | %.2f | %.2f |\n", r.what, r.ours, r.budget, r.original);
    std::printf(
        "\nmillion operations a second on this machine, one thread: find %.2f, absent %.2f, upsert %.2f, insert "
        "%.2f, load %.2f\n\n",
        m.find.millions_a_second(), m.absent.millions_a_second(), m.upsert.millions_a_second(),
        m.insert.millions_a_second(), m.load.millions_a_second());
}

void sherman(std::uint64_t keys) {
    auto const m = measure<sherman_tree<std::uint64_t, std::uint64_t>>(keys);
    print("sherman_tree", "Sherman", m,
          std::vector<row>{
              {"find: round trips", m.find.trips(), 1.0, 1.0},
              {"find: bytes read", m.find.read(), 1024, 1024},
              {"find of an absent key: round trips", m.absent.trips(), 1.0, 1.0},
              {"upsert of an existing key: round trips", m.upsert.trips(), 3.0, 3.0},
              {"upsert: verbs", m.upsert.verbs(), 4.0, 4.0},
              {"upsert: bytes written", m.upsert.written(), 36, 34},
              {"insert of a new key: round trips", m.insert.trips(), 3.25, 3.23},
              {"insert: verbs", m.insert.verbs(), 4.3, 4.29},
              {"insert: bytes read", m.insert.read(), 1200, 1196},
              {"insert: bytes written", m.insert.written(), 120, 120},
              {"scan of 64: round trips", m.scan.trips(), 1.25, 1.0},
              {"remote memory: bytes a key", m.remote_bytes, 28.5, 28.46},
              {"client cache: bytes a key", m.cache_bytes, 0.72, 0.71},
          });
}

void chime(std::uint64_t keys) {
    constexpr std::size_t hotspots = 30'000'000;
    auto const m = measure<chime_tree<std::uint64_t, std::uint64_t>>(keys, hotspots);
    print("chime_tree", "CHIME", m,
          std::vector<row>{
              {"find: round trips", m.find.trips(), 1.0, 1.0},
              {"find: verbs", m.find.verbs(), 1.09, 1.11},
              {"find: bytes read", m.find.read(), 165, 164.5},
              {"find, 30 MB of hot keys: round trips", m.hot_uniform.trips(), 1.0, 1.0},
              {"find, 30 MB of hot keys: bytes read", m.hot_uniform.read(), 136, 136},
              {"find, Zipf 0.99, 30 MB of hot keys: round trips", m.hot_zipf.trips(), 1.0, 1.0},
              {"find, Zipf 0.99, 30 MB of hot keys: bytes read", m.hot_zipf.read(), 65, 65},
              {"find of an absent key: round trips", m.absent.trips(), 1.0, 1.0},
              {"find of an absent key: bytes read", m.absent.read(), 165, 164.5},
              {"upsert of an existing key: round trips", m.upsert.trips(), 3.0, 3.0},
              {"upsert: bytes read", m.upsert.read(), 255, 255},
              {"upsert: bytes written", m.upsert.written(), 43, 43},
              {"insert of a new key: round trips", m.insert.trips(), 3.30, 3.30},
              {"insert: verbs", m.insert.verbs(), 4.39, 4.39},
              {"insert: bytes read", m.insert.read(), 420, 420},
              {"insert: bytes written", m.insert.written(), 206, 206},
              {"scan of 64: round trips", m.scan.trips(), 1.0, 1.0},
              {"scan of 64: bytes read", m.scan.read(), 3069, 3069},
              {"remote memory: bytes a key", m.remote_bytes, 36.2, 36.20},
              {"client cache: bytes a key", m.cache_bytes, 0.49, 0.49},
          });
}

} // namespace
} // namespace catena::bench

int main(int argc, char** argv) {
    constexpr auto usage = "usage: bench_figures [sherman|chime|all] [KEYS], KEYS at least 1000";
    std::uint64_t keys = 50'000;
    std::string_view index = "all";
    for (int i = 1; i < argc; ++i) {
        std::string_view const text = argv[i];
        auto const [end, failure] = std::from_chars(text.data(), text.data() + text.size(), keys);
        bool const number = failure == std::errc{} && end == text.data() + text.size();
        if (!number) index = text;
        if (keys < 1000 || (index != "all" && index != "sherman" && index != "chime")) catena::bench::fail(usage);
    }
    if (index != "chime") catena::bench::sherman(keys);
    if (index != "sherman") catena::bench::chime(keys);
    return 0;
}
