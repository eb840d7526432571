// SPDX-License-Identifier: Apache-2.0
// bench_figures [KEYS]: what the Sherman-style tree costs, beside what Sherman's own code costs on the same work.
//
// One client loads KEYS distinct, uniformly spread 8-byte keys with 8-byte values by single inserts. Then come, a tenth
// as many of each: finds that warm the cache, finds, finds of absent keys, upserts of existing keys with new values,
// inserts of new keys. Round trips, verbs and bytes are exact counts. Figures need 10 million keys (a quarter of a GiB,
// a quarter of a minute); the default is a smoke run.
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string_view>
#include <vector>

#include <catena/index/sherman_tree.hpp>

#include "support/draws.hpp"
#include "support/world.hpp"

namespace catena::bench {
namespace {

using index_type = sherman_tree<std::uint64_t, std::uint64_t>;

/// What Sherman's code (commit 9bca431) costs at 10 million keys with all internal nodes cached, counted at an emulated
/// verbs library; and what ours may cost.
struct row {
    char const* what;
    double ours;
    double budget;
    double sherman;
};

struct cost {
    fabric_stats used;
    double operations;
    double seconds;

    [[nodiscard]] double each(std::uint64_t n) const { return static_cast<double>(n) / operations; }
    [[nodiscard]] double millions_a_second() const { return operations / seconds / 1e6; }
};

template <typename One>
[[nodiscard]] cost run_many(session_type& s, std::uint64_t times, One one) {
    auto const before = s.stats();
    auto const begin = std::chrono::steady_clock::now();
    for (std::uint64_t i = 0; i < times; ++i) one(i);
    std::chrono::duration<double> const took = std::chrono::steady_clock::now() - begin;
    return {.used = s.stats() - before, .operations = static_cast<double>(times), .seconds = took.count()};
}

void print(std::span<row const> rows) {
    std::printf("| | ours | at most | Sherman |\n|---|---|---|---|\n");
    for (auto const& r : rows) std::printf("| %s | %.2f | %.2f | %.2f |\n", r.what, r.ours, r.budget, r.sherman);
}

int run(std::uint64_t keys) {
    world<index_type> w;
    auto& s = w.own_session();
    auto& tree = w.index();
    auto const times = keys / 10;
    auto const insert = [&](std::uint64_t i) {
        if (!need(sync_wait(s, tree.insert(s, key_of(i), i)))) fail("a new key was there already");
    };
    auto const load = run_many(s, keys, insert);
    auto const check = need(sync_wait(s, tree.verify(s)));
    if (!check.violations.empty()) fail("the index is not sound: " + check.violations.front());
    auto const n = static_cast<double>(keys);
    auto const remote = static_cast<double>(check.remote_bytes) / n;

    draws pick(spread::uniform, keys, 1);
    auto const find_one = [&](std::uint64_t) {
        if (!need(sync_wait(s, tree.find(s, key_of(pick.next()))))) fail("a key is lost");
    };
    (void)run_many(s, times, find_one); // warms the cache: the right half of a split is cached when it is first read
    auto const cache = static_cast<double>(tree.cache_bytes()) / n;
    auto const find = run_many(s, times, find_one);
    auto const absent = run_many(s, times, [&](std::uint64_t) {
        if (need(sync_wait(s, tree.find(s, key_of(~pick.next()))))) fail("a key that was never inserted is there");
    });
    auto const upsert = run_many(s, times, [&](std::uint64_t i) {
        if (need(sync_wait(s, tree.upsert(s, key_of(pick.next()), keys + i)))) fail("a key is lost");
    });
    auto const added = run_many(s, times, [&](std::uint64_t i) { insert(keys + i); });

    std::printf("%llu keys of 8 bytes, values of 8 bytes, one client, one memory node, %u levels, %llu nodes\n\n",
                static_cast<unsigned long long>(keys), check.height, static_cast<unsigned long long>(check.nodes));
    print(std::vector<row>{
        {"find: round trips", find.each(find.used.round_trips), 1.0, 1.0},
        {"find: bytes read", find.each(find.used.bytes_read), 1024, 1024},
        {"find of an absent key: round trips", absent.each(absent.used.round_trips), 1.0, 1.0},
        {"upsert of an existing key: round trips", upsert.each(upsert.used.round_trips), 3.0, 3.0},
        {"upsert: verbs", upsert.each(upsert.used.verbs()), 4.0, 4.0},
        {"upsert: bytes written", upsert.each(upsert.used.bytes_written), 36, 34},
        {"insert of a new key: round trips", added.each(added.used.round_trips), 3.25, 3.23},
        {"insert: verbs", added.each(added.used.verbs()), 4.3, 4.29},
        {"insert: bytes read", added.each(added.used.bytes_read), 1200, 1196},
        {"insert: bytes written", added.each(added.used.bytes_written), 120, 120},
        {"remote memory: bytes a key", remote, 28.5, 28.46},
        {"client cache: bytes a key", cache, 0.72, 0.71},
    });
    std::printf(
        "\nmillion operations a second on this machine, one thread: find %.2f, absent %.2f, upsert %.2f, insert "
        "%.2f, load %.2f\n",
        find.millions_a_second(), absent.millions_a_second(), upsert.millions_a_second(), added.millions_a_second(),
        load.millions_a_second());
    return 0;
}

} // namespace
} // namespace catena::bench

int main(int argc, char** argv) {
    std::uint64_t keys = 50'000;
    if (argc == 2) {
        std::string_view const text = argv[1];
        auto const [end, failure] = std::from_chars(text.data(), text.data() + text.size(), keys);
        if (failure != std::errc{} || end != text.data() + text.size() || keys < 1000)
            catena::bench::fail("usage: bench_figures [KEYS], KEYS at least 1000");
    } else if (argc > 2) {
        catena::bench::fail("usage: bench_figures [KEYS]");
    }
    return catena::bench::run(keys);
}
