// SPDX-License-Identifier: Apache-2.0
// What each call of the chime tree costs, in round trips, verbs and bytes: exact counts wherever they can be known.
// Uniform 8-byte keys with 8-byte values, internal nodes cached, one client; no hot keys unless the test is about them.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include <support/catch.hpp>
#include <support/costs.hpp>
#include <support/random.hpp>
#include <support/world.hpp>
#include <support/zipf.hpp>

#include <catena/core/hash.hpp>
#include <catena/index/chime_tree.hpp>

using namespace catena;
using namespace catena::test;

namespace {

using tree_type = chime_tree<std::uint64_t, std::uint64_t>;
using leaf = tree_type::leaf;
using change = mutation<std::uint64_t, std::uint64_t>;
constexpr std::uint64_t population = 200'000;
constexpr std::uint64_t neighbourhood_bytes = 152;
constexpr std::uint64_t ring_bytes = leaf::ring().count * word_bytes;
constexpr std::uint64_t whole_bytes = leaf::used_words * word_bytes;
static_assert((2 * leaf::quad_words + leaf::key_words) * word_bytes == neighbourhood_bytes);

[[nodiscard]] constexpr std::uint64_t key(std::uint64_t i) { return mix64(i + 1); }
/// The neighbour of the last quad is the first one: such a neighbourhood is two READs, a writer reads the whole leaf.
[[nodiscard]] bool wraps(std::uint64_t k) { return leaf::home_of(k) + 1 == leaf::quads; }

struct fixture {
    explicit fixture(std::uint64_t node_bytes = 64U << 20U) : w(node_bytes) { tree.keep_hotspots(0); }

    /// What `call` asks of the fabric.
    template <typename Call>
    [[nodiscard]] fabric_stats cost(Call call) {
        auto const before = w.first.s.stats();
        call();
        return w.first.s.stats() - before;
    }

    world w;
    tree_type tree = ok(tree_type::create(w.first.s, "t", 8U << 20U));
    calls<tree_type, local_session> t{tree, w.first.s};
};

/// 200,000 keys inserted one by one in random order; what the second half of them cost.
struct loaded_tree : fixture {
    loaded_tree() {
        for (std::uint64_t i = 0; i < population / 2; ++i) t.insert(key(i), i);
        second_half = cost([&] {
            for (std::uint64_t i = population / 2; i < population; ++i) t.insert(key(i), i);
        });
    }
    fabric_stats second_half;
};

[[nodiscard]] loaded_tree& loaded() {
    static loaded_tree tree;
    return tree;
}

/// The same entries in a tree object that knows no leaf as crowded, all internal nodes cached.
struct fresh_view {
    fresh_view() {
        tree.keep_hotspots(0);
        for (std::uint64_t i = 0; i < population; ++i) (void)t.find(key(i));
    }
    tree_type tree = ok(tree_type::open(loaded().w.first.s, "t", 8U << 20U));
    calls<tree_type, local_session> t{tree, loaded().w.first.s};
};

/// `n` keys of the population, of which `wrapped` say whether they are to have the last quad as their home.
[[nodiscard]] std::vector<std::uint64_t> some(std::uint64_t n, bool wrapped) {
    std::vector<std::uint64_t> chosen;
    for (std::uint64_t i = 0; chosen.size() < n; ++i)
        if (wraps(key(i)) == wrapped) chosen.push_back(i);
    return chosen;
}

} // namespace

TEST_CASE("find reads one neighbourhood in one round trip, whether the key is there or not", "[budget]") {
    auto& f = loaded();
    constexpr std::uint64_t n = 20'000;
    std::uint64_t reads = 0;
    for (std::uint64_t i = 0; i < n; ++i) reads += wraps(key(i * 7 % population)) ? 2 : 1;
    REQUIRE(f.cost([&] {
        for (std::uint64_t i = 0; i < n; ++i) REQUIRE(f.t.find(key(i * 7 % population)) == i * 7 % population);
    }) == exactly(n, reads, n * neighbourhood_bytes, 0, 0, 0));
    REQUIRE(each(reads, n) <= 1.09);
    reads = 0;
    for (std::uint64_t i = 0; i < n; ++i) reads += wraps(key(population + i)) ? 2 : 1;
    REQUIRE(f.cost([&] {
        for (std::uint64_t i = 0; i < n; ++i) REQUIRE_FALSE(f.t.find(key(population + i)));
    }) == exactly(n, reads, n * neighbourhood_bytes, 0, 0, 0));
    REQUIRE(each(reads, n) <= 1.09);
}

TEST_CASE("find of a hot key reads one word, until somebody else changes its quad", "[budget]") {
    fixture f(16U << 20U);
    f.tree.keep_hotspots(64U << 10U);
    constexpr std::uint64_t n = 500;
    for (std::uint64_t i = 0; i < n; ++i) f.t.insert(key(i), i);
    auto other = f.w.join();
    auto others_tree = ok(tree_type::open(other.s, "t", 1U << 20U));
    calls<tree_type, local_session> others(others_tree, other.s);
    auto const cold = [](std::uint64_t k) { return exactly(1, wraps(k) ? 2 : 1, neighbourhood_bytes, 0, 0, 0); };
    auto const hot = exactly(1, 1, 8, 0, 0, 0);
    for (std::uint64_t i = 0; i < n; i += 10) {
        auto const k = key(i);
        CAPTURE(i);
        auto const find = [&](std::uint64_t value) { return f.cost([&] { REQUIRE(f.t.find(k) == value); }); };
        REQUIRE(find(i) == cold(k));
        REQUIRE(find(i) == hot);
        REQUIRE_FALSE(f.t.upsert(k, i + 1)); // our own changes are known
        REQUIRE(find(i + 1) == hot);
        REQUIRE_FALSE(others.upsert(k, i + 2));
        auto changed = cold(k);
        changed += hot;
        changed.retries = 1;
        REQUIRE(find(i + 2) == changed); // 2 round trips, once
        REQUIRE(find(i + 2) == hot);
        REQUIRE(others.erase(k));
        REQUIRE_FALSE(f.t.find(k));
        REQUIRE(others.insert(k, i));
        REQUIRE(f.t.find(k) == i);
        REQUIRE(find(i) == hot);
    }
}

TEST_CASE("keys that are asked for by Zipf's law cost half the bytes where a fiftieth of them is kept", "[budget]") {
    auto& f = loaded();
    auto const seed = test_seed(17);
    CAPTURE(seed);
    constexpr std::uint64_t n = 100'000;
    f.tree.keep_hotspots(4'000 * 24);
    zipf which(population, seed);
    for (std::uint64_t i = 0; i < n; ++i) (void)f.t.find(key(which.next()));
    auto const spent = f.cost([&] {
        for (std::uint64_t i = 0; i < n; ++i) {
            auto const k = which.next();
            REQUIRE(f.t.find(key(k)) == k);
        }
    });
    f.tree.keep_hotspots(0);
    std::cout << "find, Zipf 0.99, 4,000 of 200,000 keys kept: " << each(spent.bytes_read, n) << " bytes read\n";
    REQUIRE(spent.round_trips == n); // nobody changes anything: what is kept holds
    REQUIRE(spent.retries == 0);
    REQUIRE(each(spent.bytes_read, n) <= neighbourhood_bytes / 2.0);
}

TEST_CASE("upsert of an existing key takes 2 round trips and 5 verbs, and writes 24 bytes", "[budget]") {
    auto& f = loaded();
    fresh_view fresh;
    constexpr std::uint64_t n = 5'000, added = 1'000'000;
    for (bool const wrapped : {false, true}) {
        CAPTURE(wrapped);
        auto const which = some(n, wrapped);
        auto const read = n * (wrapped ? whole_bytes : neighbourhood_bytes);
        REQUIRE(f.cost([&] {
            for (auto const i : which) REQUIRE_FALSE(fresh.t.upsert(key(i), i + added));
        }) == exactly(2 * n, n, read, 3 * n, n * 24, n)); // control word, payload, lock word
        for (auto const i : which) REQUIRE(fresh.t.find(key(i)) == i + added);
    }
    // The same value again: nothing but the lock. How crowded the leaf is does not matter.
    for (bool const wrapped : {false, true}) {
        auto const which = some(n, wrapped);
        auto const read = n * (wrapped ? whole_bytes : neighbourhood_bytes);
        REQUIRE(f.cost([&] {
            for (auto const i : which) REQUIRE_FALSE(fresh.t.upsert(key(i), i + added));
        }) == exactly(2 * n, n, read, n, n * 8, n));
        for (auto const i : which) REQUIRE_FALSE(fresh.t.upsert(key(i), i));
    }
}

TEST_CASE("insert of a key that is there, and erase of one that is not, take the lock and give it back", "[budget]") {
    auto& f = loaded();
    fresh_view fresh;
    constexpr std::uint64_t n = 3'000;
    auto const which = some(n, false);
    std::vector<std::uint64_t> absent;
    for (std::uint64_t i = population; absent.size() < n; ++i)
        if (!wraps(key(i))) absent.push_back(i);
    REQUIRE(f.cost([&] {
        for (auto const i : which) {
            REQUIRE_FALSE(fresh.t.insert(key(i), 1));
            REQUIRE_FALSE(fresh.t.erase_if(key(i), i + 1));
        }
        for (auto const i : absent) REQUIRE_FALSE(fresh.t.erase(key(i)));
    }) == exactly(6 * n, 3 * n, 3 * n * neighbourhood_bytes, 3 * n, 3 * n * 8, 3 * n));
    auto const last = some(n, true);
    REQUIRE(f.cost([&] {
        for (auto const i : last) REQUIRE_FALSE(fresh.t.insert(key(i), 1));
    }) == exactly(2 * n, n, n * whole_bytes, n, n * 8, n));
    // These told how crowded their leaves are: an insert there reads more at once, still in one READ.
    auto const spent = f.cost([&] {
        for (auto const i : which) REQUIRE_FALSE(fresh.t.insert(key(i), 1));
    });
    REQUIRE(spent == exactly(2 * n, n, spent.bytes_read - 8 * n, n, n * 8, n));
    REQUIRE(spent.bytes_read > n * (neighbourhood_bytes + 8));
    REQUIRE(spent.bytes_read < n * (whole_bytes + 8));
}

TEST_CASE("inserts into a growing tree of hopscotch leaves stay within the budget on average", "[budget]") {
    auto const& spent = loaded().second_half;
    constexpr auto n = population / 2;
    auto const trips = each(spent.round_trips, n);
    auto const verbs = each(spent.verbs(), n);
    auto const read = each(spent.bytes_read, n);
    auto const written = each(spent.bytes_written, n);
    std::cout << "insert: " << trips << " round trips, " << verbs << " verbs, " << read << " bytes read, " << written
              << " bytes written\n";
    REQUIRE(spent.retries == 0);
    REQUIRE(trips <= 2.6); // the budget is 3.30
    REQUIRE(verbs <= 4.7);
    REQUIRE(read <= 420);
    REQUIRE(written <= 206);
    REQUIRE(trips >= 2); // a count that is too good is a count that is wrong
}

TEST_CASE("erase takes 2 round trips and 4 verbs, and inserting the key again 4 verbs", "[budget]") {
    auto& f = loaded();
    fresh_view fresh;
    constexpr std::uint64_t n = 2'000;
    std::vector<std::uint64_t> which; // far from each other
    for (std::uint64_t i = 0; which.size() < n; i += 89)
        if (!wraps(key(i))) which.push_back(i);
    auto const usual = exactly(2, 1, neighbourhood_bytes, 2, 16, 1); // control word, lock word
    std::uint64_t looked = 0, merged = 0;
    for (auto const i : which) {
        auto const spent = f.cost([&] { REQUIRE(fresh.t.erase(key(i))); });
        if (spent == usual) continue;
        ++looked; // at a neighbour: this neighbourhood is nearly empty
        if (spent.cas > 1) ++merged;
        CAPTURE(spent.round_trips, spent.cas);
        REQUIRE(spent.round_trips <= 7);
    }
    std::cout << "erase: of " << n << ", one after the other, " << looked << " looked for a neighbour, " << merged
              << " took more than one lock\n";
    REQUIRE(looked <= n / 20);
    // There is room where they were. From its fence or control word to the slot; the lock word.
    std::uint64_t exact = 0;
    for (auto const i : which) {
        auto const spent = f.cost([&] { REQUIRE(fresh.t.insert(key(i), i)); });
        auto const expected = exactly(2, 1, neighbourhood_bytes, 2, spent.bytes_written - 8, 1);
        if (spent == expected) ++exact;
        if (spent.round_trips == 2) REQUIRE(spent.bytes_written <= 8 + 72 + 8); // CAS, a quad, the lock word
    }
    REQUIRE(exact >= n - n / 20);
    for (auto const i : which) REQUIRE(fresh.t.find(key(i)) == i);
}

TEST_CASE("find_many reads a neighbourhood for each key, all in one round trip", "[budget]") {
    auto& f = loaded();
    std::vector<std::uint64_t> keys;
    for (std::uint64_t i = 0; i < 64; ++i) keys.push_back(key(i * 1000));
    auto const reads_for = [](std::vector<std::uint64_t> const& all) {
        auto const wrapped = static_cast<std::uint64_t>(std::count_if(all.begin(), all.end(), wraps));
        return all.size() + wrapped;
    };
    REQUIRE(f.cost([&] {
        for (auto const& found : f.t.find_many(keys)) REQUIRE(found);
    }) == exactly(1, reads_for(keys), 64 * neighbourhood_bytes, 0, 0, 0));
    std::vector<std::uint64_t> const same(64, key(1));
    REQUIRE(f.cost([&] { (void)f.t.find_many(same); }) ==
            exactly(1, reads_for(same), 64 * neighbourhood_bytes, 0, 0, 0));
    std::vector<std::uint64_t> many;
    for (std::uint64_t i = 0; i < 2 * chime_options::batch_nodes + 1; ++i) many.push_back(key(i));
    REQUIRE(f.cost([&] { (void)f.t.find_many(many); }) ==
            exactly(3, reads_for(many), many.size() * neighbourhood_bytes, 0, 0, 0)); // one for every batch_nodes keys
    REQUIRE(f.cost([&] { (void)f.t.find_many({}); }) == fabric_stats{});
}

TEST_CASE("a batch of changes takes 2 round trips if no leaf needs more", "[budget]") {
    auto& f = loaded();
    fresh_view fresh;
    constexpr std::uint64_t n = 64;
    std::vector<change> upserts, erases, inserts;
    for (std::uint64_t i = 0; upserts.size() < n; i += 1009) {
        if (wraps(key(i))) continue;
        upserts.push_back({.key = key(i), .value = i + 1, .kind = mutation_kind::upsert});
        erases.push_back({.key = key(i), .value = 0, .kind = mutation_kind::erase});
        inserts.push_back({.key = key(i), .value = i, .kind = mutation_kind::insert});
    }
    auto const replaced = f.cost([&] { fresh.t.apply(upserts); });
    auto const leaves = replaced.cas; // of 64 keys in 6,500 leaves hardly two are in one
    REQUIRE(leaves >= 60);
    auto const read = (n - 2 * (n - leaves)) * neighbourhood_bytes; // two keys of a leaf: read as a whole
    REQUIRE(replaced ==
            exactly(2, leaves, read + (n - leaves) * whole_bytes, 2 * n + leaves, n * 16 + leaves * 8, leaves));
    for (auto const& m : upserts) REQUIRE(m.outcome == mutation_outcome::replaced);
    auto const present = f.cost([&] { fresh.t.apply(inserts); });
    REQUIRE(present.round_trips == 2);
    REQUIRE(present.writes == leaves); // locks
    REQUIRE(present.retries == 0);
    auto const erased = f.cost([&] { fresh.t.apply(erases); });
    REQUIRE(erased.writes >= n + leaves);
    for (auto const& m : erases) REQUIRE(m.outcome == mutation_outcome::erased);
    auto const back = f.cost([&] { fresh.t.apply(inserts); });
    for (auto const& m : inserts) REQUIRE(m.outcome == mutation_outcome::inserted);
    std::cout << "batch of 64: erase " << erased.round_trips << ", insert " << back.round_trips << " round trips\n";
    REQUIRE(back.round_trips <= 3);
}

TEST_CASE("a scan of 64 adjacent keys takes hardly more than one round trip and reads no headers", "[budget]") {
    fixture f;
    auto const seed = test_seed(23);
    CAPTURE(seed);
    random_source random(seed);
    std::vector<std::uint64_t> order(population);
    for (std::uint64_t i = 0; i < population; ++i) order[i] = i;
    for (std::uint64_t i = population; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    for (auto const k : order) f.t.insert(k, k);
    constexpr std::uint64_t n = 2'000;
    auto const spent = f.cost([&] {
        for (std::uint64_t i = 0; i < n; ++i) {
            auto const from = random.below(population - 64);
            auto const found = f.t.scan({.from = from, .to = from + 64}, 64);
            REQUIRE(found.size() == 64);
            REQUIRE(found.front().key == from);
            REQUIRE(found.back().value == from + 63);
        }
    });
    std::cout << "scan of 64: " << each(spent.round_trips, n) << " round trips, " << each(spent.reads, n) << " reads, "
              << each(spent.bytes_read, n) << " bytes\n";
    REQUIRE(each(spent.round_trips, n) < 1.1);
    REQUIRE(each(spent.bytes_read, n) <= 3069);
    REQUIRE(spent.bytes_read == spent.reads * ring_bytes);
    REQUIRE(spent.writes + spent.cas == 0);
}

TEST_CASE("memory of hopscotch leaves: remote bytes a key and client cache bytes a key", "[budget]") {
    auto& f = loaded();
    auto const check = f.t.sound();
    REQUIRE(check.entries == population);
    auto const remote = each(check.remote_bytes, population);
    auto const cache = each(f.tree.cache_bytes(), population);
    std::cout << "remote bytes a key: " << remote << "; cache bytes a key: " << cache << " (" << f.tree.cache_bytes()
              << " bytes of a capacity of " << f.tree.cache_capacity_bytes() << ", " << check.nodes << " nodes)\n";
    REQUIRE(remote <= 36.2);
}

TEST_CASE("a leaf is full to nearly nine tenths or more when it splits", "[budget]") {
    world w;
    auto const seed = test_seed(29);
    CAPTURE(seed);
    random_source random(seed);
    constexpr std::uint64_t leaves = 1'000;
    std::uint64_t entries = 0;
    for (std::uint64_t i = 0; i < leaves; ++i) {
        auto tree = ok(tree_type::create(w.first.s, "t", 1U << 12U));
        calls<tree_type, local_session> t(tree, w.first.s);
        std::uint64_t n = 0;
        for (std::uint64_t nodes = 1; nodes == 1; ++n) {
            t.insert(random.next(), n);
            if (n >= leaf::slots / 2) nodes = t.sound().nodes;
        }
        entries += n - 1; // the last one did not fit
        t.drop();
    }
    auto const load = each(entries, leaves * leaf::slots);
    std::cout << "load of a leaf that splits: " << load << '\n';
    REQUIRE(load >= 0.88);
}

TEST_CASE("the internal nodes of ten million keys take at most 0.49 bytes a key of the client", "[budget][.][slow]") {
    fixture f(1ULL << 30U);
    constexpr std::uint64_t n = 10'000'000;
    auto const spent = f.cost([&] {
        for (std::uint64_t i = 0; i < n; ++i) f.t.insert(key(i), i);
    });
    auto const check = f.t.sound();
    std::cout << "10 million inserts: " << each(spent.round_trips, n) << " round trips, " << each(spent.verbs(), n)
              << " verbs, " << each(spent.bytes_read, n) << " bytes read, " << each(spent.bytes_written, n)
              << " bytes written; remote bytes a key " << each(check.remote_bytes, n) << ", cache bytes a key "
              << each(f.tree.cache_bytes(), n) << ", height " << check.height << '\n';
    REQUIRE(each(check.remote_bytes, n) <= 36.2);
    REQUIRE(each(f.tree.cache_bytes(), n) <= 0.49);
}
