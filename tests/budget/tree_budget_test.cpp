// SPDX-License-Identifier: Apache-2.0
// What each call of the tree costs, in round trips, verbs and bytes: exact counts wherever they can be known.
// Uniform 8-byte keys with 8-byte values, internal nodes cached, one client.
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <support/catch.hpp>
#include <support/costs.hpp>
#include <support/random.hpp>
#include <support/world.hpp>

#include <catena/core/hash.hpp>
#include <catena/index/sherman_tree.hpp>

using namespace catena;
using namespace catena::test;

namespace {

using tree_type = sherman_tree<std::uint64_t, std::uint64_t>;
using change = mutation<std::uint64_t, std::uint64_t>;
constexpr std::uint64_t population = 200'000;
constexpr std::uint64_t node_bytes = tree_options::node_bytes;
[[nodiscard]] constexpr std::uint64_t key(std::uint64_t i) { return mix64(i + 1); }

/// 200,000 keys inserted one by one in random order; what the second half of them cost.
struct loaded_tree {
    loaded_tree() {
        for (std::uint64_t i = 0; i < population / 2; ++i) t.insert(key(i), i);
        auto const before = w.first.s.stats();
        for (std::uint64_t i = population / 2; i < population; ++i) t.insert(key(i), i);
        second_half = w.first.s.stats() - before;
    }

    /// What `call` asks of the fabric.
    template <typename Call>
    [[nodiscard]] fabric_stats cost(Call call) {
        auto const before = w.first.s.stats();
        call();
        return w.first.s.stats() - before;
    }

    world w{64U << 20U};
    tree_type tree = ok(tree_type::create(w.first.s, "t", 8U << 20U));
    calls<tree_type, local_session> t{tree, w.first.s};
    fabric_stats second_half;
};

[[nodiscard]] loaded_tree& loaded() {
    static loaded_tree tree;
    return tree;
}

} // namespace

TEST_CASE("find reads one leaf in one round trip, whether the key is there or not", "[budget]") {
    auto& f = loaded();
    constexpr std::uint64_t n = 20'000;
    REQUIRE(f.cost([&] {
        for (std::uint64_t i = 0; i < n; ++i) REQUIRE(f.t.find(key(i * 7 % population)));
    }) == exactly(n, n, n * node_bytes, 0, 0, 0));
    REQUIRE(f.cost([&] {
        for (std::uint64_t i = 0; i < n; ++i) REQUIRE_FALSE(f.t.find(key(population + i)));
    }) == exactly(n, n, n * node_bytes, 0, 0, 0));
}

TEST_CASE("upsert of an existing key takes 3 round trips and 4 verbs, and writes 24 bytes", "[budget]") {
    auto& f = loaded();
    constexpr std::uint64_t n = 10'000;
    auto const spent = f.cost([&] {
        for (std::uint64_t i = 0; i < n; ++i) REQUIRE_FALSE(f.t.upsert(key(i), i + 1'000'000));
    });
    REQUIRE(spent == exactly(3 * n, n, n * node_bytes, 2 * n, n * 16, n)); // the value, the lock word
    REQUIRE(each(spent.bytes_written, n) == 24);                           // with the CAS; the budget is 36
    REQUIRE(f.cost([&] {
        for (std::uint64_t i = 0; i < n; ++i) REQUIRE_FALSE(f.t.upsert(key(i), i + 1'000'000));
    }) == exactly(n, n, n * node_bytes, 0, 0, 0)); // the same value again
    for (std::uint64_t i = 0; i < n; ++i) f.t.upsert(key(i), i);
}

TEST_CASE("insert of a key that is there, and erase of one that is not, take one round trip", "[budget]") {
    auto& f = loaded();
    constexpr std::uint64_t n = 5'000;
    REQUIRE(f.cost([&] {
        for (std::uint64_t i = 0; i < n; ++i) {
            REQUIRE_FALSE(f.t.insert(key(i), 1));
            REQUIRE_FALSE(f.t.erase(key(population + i)));
            REQUIRE_FALSE(f.t.erase_if(key(i), i + 1));
        }
    }) == exactly(3 * n, 3 * n, 3 * n * node_bytes, 0, 0, 0));
}

TEST_CASE("inserts into a growing tree stay within the budget on average", "[budget]") {
    auto const& spent = loaded().second_half;
    constexpr auto n = population / 2;
    auto const trips = each(spent.round_trips, n);
    auto const verbs = each(spent.verbs(), n);
    auto const read = each(spent.bytes_read, n);
    auto const written = each(spent.bytes_written, n);
    std::cout << "insert: " << trips << " round trips, " << verbs << " verbs, " << read << " bytes read, " << written
              << " bytes written\n";
    REQUIRE(spent.retries == 0);
    REQUIRE(trips <= 3.25);
    REQUIRE(verbs <= 4.3);
    REQUIRE(read <= 1200);
    REQUIRE(written <= 120);
    REQUIRE(trips >= 3); // a count that is too good is a count that is wrong
}

TEST_CASE("erase takes 3 round trips and 3 verbs, and inserting the key again 4 verbs", "[budget]") {
    auto& f = loaded();
    constexpr std::uint64_t n = 2'000; // one in a hundred: no leaf becomes nearly empty, none splits
    REQUIRE(f.cost([&] {
        for (std::uint64_t i = 0; i < n; ++i) REQUIRE(f.t.erase(key(i * 100)));
    }) == exactly(3 * n, n, n * node_bytes, n, n * 16, n)); // lock word and occupancy, side by side
    REQUIRE(f.cost([&] {
        for (std::uint64_t i = 0; i < n; ++i) REQUIRE(f.t.insert(key(i * 100), i * 100));
    }) == exactly(3 * n, n, n * node_bytes, 2 * n, n * 32, n)); // the entry; lock word and occupancy
}

TEST_CASE("find_many reads each leaf once, all in one round trip", "[budget]") {
    auto& f = loaded();
    std::vector<std::uint64_t> keys;
    for (std::uint64_t i = 0; i < 64; ++i) keys.push_back(key(i * 1000));
    auto const spent = f.cost([&] {
        for (auto const& found : f.t.find_many(keys)) REQUIRE(found);
    });
    REQUIRE(spent.round_trips == 1);
    REQUIRE(spent.verbs() == spent.reads);
    REQUIRE(spent.reads <= 64);
    REQUIRE(spent.bytes_read == spent.reads * node_bytes);
    std::vector<std::uint64_t> const same(64, key(1));
    REQUIRE(f.cost([&] { (void)f.t.find_many(same); }) == exactly(1, 1, node_bytes, 0, 0, 0));
    std::vector<std::uint64_t> many;
    for (std::uint64_t i = 0; i < 2 * tree_options::batch_nodes + 1; ++i) many.push_back(key(i));
    REQUIRE(f.cost([&] { (void)f.t.find_many(many); }).round_trips == 3); // one for every batch_nodes keys
    REQUIRE(f.cost([&] { (void)f.t.find_many({}); }) == fabric_stats{});
}

TEST_CASE("a batch of changes takes 3 round trips if no leaf splits", "[budget]") {
    auto& f = loaded();
    std::vector<change> erases;
    std::vector<change> inserts;
    for (std::uint64_t i = 0; i < 64; ++i) {
        erases.push_back({.key = key(i * 1000 + 1), .value = 0, .kind = mutation_kind::erase});
        inserts.push_back({.key = key(i * 1000 + 1), .value = i * 1000 + 1, .kind = mutation_kind::insert});
    }
    REQUIRE(f.cost([&] { f.t.apply(erases); }).round_trips == 3);
    auto const spent = f.cost([&] { f.t.apply(inserts); });
    REQUIRE(spent.round_trips == 3);
    REQUIRE(spent.reads == spent.cas); // one of each for every leaf
    REQUIRE(spent.reads <= 64);
    REQUIRE(spent.bytes_written <= 64 * 16 + spent.reads * (8 + 16));
    for (auto const& m : inserts) REQUIRE(m.outcome == mutation_outcome::inserted);
    REQUIRE(f.cost([&] { f.t.apply(inserts); }).round_trips == 1); // nothing to change
}

TEST_CASE("a scan of 64 entries takes hardly more than one round trip", "[budget]") {
    auto& f = loaded();
    constexpr std::uint64_t n = 2'000;
    auto const spent = f.cost([&] {
        for (std::uint64_t i = 0; i < n; ++i) REQUIRE(f.t.scan({.from = mix64(~i), .to = {}}, 64).size() >= 1);
    });
    std::cout << "scan of 64: " << each(spent.round_trips, n) << " round trips, " << each(spent.reads, n) << " reads, "
              << each(spent.bytes_read, n) << " bytes\n";
    REQUIRE(each(spent.round_trips, n) <= 1.25);
    REQUIRE(each(spent.reads, n) <= 4);
    REQUIRE(spent.writes + spent.cas == 0);
}

TEST_CASE("memory: remote bytes a key and client cache bytes a key", "[budget]") {
    auto& f = loaded();
    auto const check = f.t.sound();
    REQUIRE(check.entries == population);
    auto const remote = each(check.remote_bytes, population);
    auto const cache = each(f.tree.cache_bytes(), population);
    auto const nodes_cached = check.nodes;
    std::cout << "remote bytes a key: " << remote << "; cache bytes a key: " << cache << " (" << f.tree.cache_bytes()
              << " bytes of a capacity of " << f.tree.cache_capacity_bytes() << ", " << nodes_cached << " nodes)\n";
    REQUIRE(remote <= 28.5);
}

TEST_CASE("the internal nodes of ten million keys take at most 0.72 bytes a key of the client", "[budget][.][slow]") {
    world w(1ULL << 30U);
    auto tree = ok(tree_type::create(w.first.s, "t", 16U << 20U));
    calls<tree_type, local_session> t(tree, w.first.s);
    constexpr std::uint64_t n = 10'000'000;
    auto const before = w.first.s.stats();
    for (std::uint64_t i = 0; i < n; ++i) t.insert(key(i), i);
    auto const spent = w.first.s.stats() - before;
    auto const check = t.sound();
    std::cout << "10 million inserts: " << each(spent.round_trips, n) << " round trips, " << each(spent.verbs(), n)
              << " verbs, " << each(spent.bytes_read, n) << " bytes read, " << each(spent.bytes_written, n)
              << " bytes written; remote bytes a key " << each(check.remote_bytes, n) << ", cache bytes a key "
              << each(tree.cache_bytes(), n) << ", height " << check.height << '\n';
    REQUIRE(each(check.remote_bytes, n) <= 28.5);
    REQUIRE(each(tree.cache_bytes(), n) <= 0.72);
}
