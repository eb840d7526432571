// SPDX-License-Identifier: Apache-2.0
// bench_figures [INDEX] [KEYS]: what an index costs, beside what the original costs on the same work (support/measure.hpp).
//
// INDEX: sherman, chime, learned, or all (the default). Round trips, verbs and bytes are exact counts. Figures need 10 million keys (a
// GiB of memory, a minute an index); the default is a smoke run.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <catena/index/chime_tree.hpp>
#include <catena/index/learned_hopscotch.hpp>
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

/// A figure without a budget of its own, or without an original to compare with.
constexpr double none = -1;

void print_cell(double value) {
    if (value == none)
        std::printf(" - |");
    else
        std::printf(" %.2f |", value);
}

void print(char const* index, char const* original, measured const& m, std::span<row const> rows) {
    std::printf(
        "## %s\n\n%llu keys of 8 bytes, values of 8 bytes, one client, one memory node, %u levels, %llu nodes\n\n",
        index, static_cast<unsigned long long>(m.keys), m.check.height, static_cast<unsigned long long>(m.check.nodes));
    std::printf("| | ours | at most |");
    if (original != nullptr) std::printf(" %s |", original);
    std::printf("\n|---|---|---|%s\n", original != nullptr ? "---|" : "");
    for (auto const& r : rows) {
        std::printf("| %s | %.3f |", r.what, r.ours);
        print_cell(r.budget);
        if (original != nullptr) print_cell(r.original);
        std::printf("\n");
    }
    std::printf(
        "\nmillion operations a second on this machine, one thread: find %.2f, absent %.2f, upsert %.2f, insert "
        "%.2f, load %.2f\n\n",
        m.find.millions_a_second(), m.absent.millions_a_second(), m.upsert.millions_a_second(),
        m.insert.millions_a_second(), m.load.millions_a_second());
    std::fflush(stdout);
}

void sherman(std::uint64_t keys) {
    auto const m = measure<sherman_tree<std::uint64_t, std::uint64_t>>(keys);
    print("sherman_tree", "Sherman", m,
          std::vector<row>{
              {"find: round trips", m.find.trips(), 1.0, 1.0},
              {"find: bytes read", m.find.read(), 1024, 1024},
              {"find, beside as many inserts of another client: round trips", m.find_beside.trips(), none, none},
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
              {"find, beside as many inserts of another client: round trips", m.find_beside.trips(), none, none},
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

/// The original (ROLEX) has another client cache and another leaf; there is no run of it to compare with. The client cache is the
/// model, whole: there is nothing to limit. What a tenth of the trees' caches would be stands beside it.
void learned(std::uint64_t keys) {
    using index = learned_hopscotch<std::uint64_t, std::uint64_t>;
    auto const m = measure<index>(keys);
    auto const each = [&m](std::uint64_t bytes) { return static_cast<double>(bytes) / static_cast<double>(m.keys); };
    using options = index::options;
    print("learned_hopscotch", nullptr, m,
          std::vector<row>{
              {"find: round trips", m.find.trips(), 1.05, none},
              {"find: verbs", m.find.verbs(), none, none},
              {"find: bytes read", m.find.read(), 190, none},
              {"find, worst moment while it grows: round trips", m.grown.most_find_trips, 1.05, none},
              {"find, worst moment: bytes read", m.grown.most_find_read, 190, none},
              {"find, beside as many inserts of another client: round trips", m.find_beside.trips(), none, none},
              {"find of an absent key: round trips", m.absent.trips(), 1.05, none},
              {"find of an absent key: bytes read", m.absent.read(), 190, none},
              {"upsert of an existing key: round trips", m.upsert.trips(), none, none},
              {"upsert: bytes read", m.upsert.read(), none, none},
              {"upsert: bytes written", m.upsert.written(), none, none},
              {"insert of a new key, while it grows from nothing: round trips", m.load.trips(), 3.4, none},
              {"of them training", m.load.training_trips(), none, none},
              {"insert, worst twentieth: round trips", m.grown.most_insert_trips, 3.4, none},
              {"insert, a tenth more: round trips", m.insert.trips(), 3.4, none},
              {"of them training", m.insert.training_trips(), none, none},
              {"insert, from nothing: verbs", m.load.verbs(), none, none},
              {"of them training", m.load.training_verbs(), none, none},
              {"insert, from nothing: bytes read", m.load.read(), none, none},
              {"of them training", m.load.training_read(), none, none},
              {"insert, from nothing: bytes written", m.load.written(), none, none},
              {"of them training", m.load.training_written(), none, none},
              {"scan of 64: round trips", m.scan.trips(), none, none},
              {"scan of 64: bytes read", m.scan.read(), none, none},
              {"remote memory, largest while it grows: bytes a key", m.grown.most_remote_bytes, 40, none},
              {"remote memory, mean while it grows", m.grown.mean_remote_bytes, none, none},
              {"remote memory at the end", m.remote_bytes, 40, none},
              {"pool: chunks taken, bytes a key", each(m.space.taken), none, none},
              {"pool: of them on free lists", each(m.space.listed), none, none},
              {"pool: of them in the session's hands", each(m.space.in_hand), none, none},
              {"pool: of them in use", each(m.space.used()), none, none},
              {"client cache: bytes a key", m.cache_bytes, 0.02, none},
          });
    std::printf(
        "%llu trainings while loading, a training for %.0f inserts; looked at %zu times while it grew; a tenth of "
        "the trees' client caches: sherman 0.026, chime 0.048 bytes a key\nlearned_options: quads %zu, extent_bytes "
        "%zu, "
        "trained_fill %zu, trained_most %zu, error_bound %u, overflow_percent %zu, trained_together %zu\n\n",
        static_cast<unsigned long long>(m.load.trained.times),
        m.load.operations / static_cast<double>(m.load.trained.times), m.grown.moments, options::shape.quads,
        options::extent_bytes, options::trained_fill, options::trained_most, options::error_bound,
        options::overflow_percent, options::trained_together);
}

} // namespace
} // namespace catena::bench

int main(int argc, char** argv) {
    constexpr auto usage = "usage: bench_figures [sherman|chime|learned|all] [KEYS], KEYS at least 1000";
    constexpr std::array<std::pair<std::string_view, void (*)(std::uint64_t)>, 3> indexes{{
        {"sherman", catena::bench::sherman},
        {"chime", catena::bench::chime},
        {"learned", catena::bench::learned},
    }};
    std::uint64_t keys = 50'000;
    std::string_view wanted = "all";
    for (int i = 1; i < argc; ++i) {
        std::string_view const text = argv[i];
        auto const [end, failure] = std::from_chars(text.data(), text.data() + text.size(), keys);
        bool const number = failure == std::errc{} && end == text.data() + text.size();
        if (!number) wanted = text;
        bool const known =
            std::any_of(indexes.begin(), indexes.end(), [&](auto const& x) { return x.first == wanted; });
        if (keys < 1000 || (wanted != "all" && !known)) catena::bench::fail(usage);
    }
    for (auto const& [name, run] : indexes)
        if (wanted == "all" || wanted == name) run(keys);
    return 0;
}
