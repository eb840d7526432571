// SPDX-License-Identifier: Apache-2.0
// What each call of the learned index costs, in round trips, verbs and bytes: exact counts wherever they can be known.
// Uniform 8-byte keys with 8-byte values, the model known, one client.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <vector>

#include <support/catch.hpp>
#include <support/costs.hpp>
#include <support/random.hpp>
#include <support/world.hpp>

#include <catena/core/hash.hpp>
#include <catena/index/learned_hopscotch.hpp>

using namespace catena;
using namespace catena::test;

namespace {

using index_type = learned_hopscotch<std::uint64_t, std::uint64_t>;
using leaf = index_type::leaf;
using change = mutation<std::uint64_t, std::uint64_t>;
constexpr std::uint64_t population = 200'000;
constexpr std::uint64_t neighbourhood_bytes = 152;
constexpr std::uint64_t header_bytes = leaf::header_words * word_bytes;
constexpr std::uint64_t whole_bytes = leaf::used_words * word_bytes;
static_assert((2 * leaf::quad_words + leaf::key_words) * word_bytes == neighbourhood_bytes);

[[nodiscard]] constexpr std::uint64_t key(std::uint64_t i) { return mix64(i + 1); }
/// The neighbour of the last quad is the first one: such a neighbourhood is two READs, a writer reads the whole leaf.
[[nodiscard]] bool wraps(std::uint64_t k) { return leaf::home_of(k) + 1 == leaf::quads; }
[[nodiscard]] std::uint64_t reads_for(std::uint64_t k) { return wraps(k) ? 2 : 1; }

struct fixture {
    /// What `call` asks of the fabric.
    template <typename Call>
    [[nodiscard]] fabric_stats cost(Call call) {
        auto const before = w.first.s.stats();
        call();
        return w.first.s.stats() - before;
    }

    world w{64U << 20U};
    index_type index = ok(index_type::create(w.first.s, "t", 0));
    calls<index_type, local_session> t{index, w.first.s};
};

/// 200,000 keys inserted one by one; what the second half of them cost, trainings and all; and which of them are in the
/// leaves that the model says.
struct loaded_index : fixture {
    loaded_index() {
        for (std::uint64_t i = 0; i < population / 2; ++i) t.insert(key(i), i);
        auto const before = index.cost_of_training();
        second_half = cost([&] {
            for (std::uint64_t i = population / 2; i < population; ++i) t.insert(key(i), i);
        });
        auto const after = index.cost_of_training();
        trainings = after.trainings - before.trainings;
        training_trips = after.round_trips - before.round_trips;
        training_bytes = after.bytes_read - before.bytes_read + after.bytes_written - before.bytes_written;
        for (std::uint64_t i = 0; i < population; ++i) {
            auto const spent = cost([&] { REQUIRE(t.find(key(i)) == i); });
            (spent.round_trips == 1 ? placed : overflowed).push_back(i);
        }
    }
    /// `n` keys in leaves of the model, of which `wrapped` says whether they are to have the last quad as their home.
    [[nodiscard]] std::vector<std::uint64_t> some(std::size_t n, bool wrapped) const {
        std::vector<std::uint64_t> chosen;
        for (auto const i : placed)
            if (chosen.size() < n && wraps(key(i)) == wrapped) chosen.push_back(i);
        return chosen;
    }

    fabric_stats second_half;
    std::uint64_t trainings = 0, training_trips = 0, training_bytes = 0;
    std::vector<std::uint64_t> placed, overflowed;
};

[[nodiscard]] loaded_index& loaded() {
    static loaded_index index;
    return index;
}

} // namespace

TEST_CASE("find reads one neighbourhood in one round trip, and for few keys in three", "[budget]") {
    auto& f = loaded();
    std::uint64_t reads = 0;
    for (auto const i : f.placed) reads += reads_for(key(i));
    REQUIRE(f.cost([&] {
        for (auto const i : f.placed) REQUIRE(f.t.find(key(i)) == i);
    }) == exactly(f.placed.size(), reads, f.placed.size() * neighbourhood_bytes, 0, 0, 0));
    std::cout << "find: " << each(reads, f.placed.size())
              << " reads; in overflow leaves: " << each(f.overflowed.size(), population) << " of all keys\n";
    REQUIRE(each(reads, f.placed.size()) <= 1.06);
    REQUIRE(each(f.overflowed.size(), population) <= 0.034);

    // The leaf of the model says that it ends below the key, then, read with its header, which leaf is next; that one is
    // read with its header, too, since nobody told where it begins.
    std::size_t farther = 0;
    for (auto const i : f.overflowed) {
        auto const spent = f.cost([&] { REQUIRE(f.t.find(key(i)) == i); });
        auto const n = reads_for(key(i));
        auto expected = exactly(3, n + 2 * (1 + n), 3 * neighbourhood_bytes + 2 * header_bytes, 0, 0, 0);
        expected.retries = 2;
        if (spent == expected) continue;
        ++farther; // an overflow leaf that split
        REQUIRE(spent.round_trips > 3);
        REQUIRE(spent.round_trips <= 5);
    }
    REQUIRE(farther <= f.overflowed.size() / 10);
}

TEST_CASE("find of a key that is not there costs what one costs that is", "[budget]") {
    auto& f = loaded();
    constexpr std::uint64_t n = 20'000;
    std::uint64_t usual = 0;
    for (std::uint64_t i = 0; i < n; ++i) {
        auto const k = key(population + i);
        auto const spent = f.cost([&] { REQUIRE_FALSE(f.t.find(k)); });
        if (spent == exactly(1, reads_for(k), neighbourhood_bytes, 0, 0, 0)) ++usual;
    }
    REQUIRE(usual >= n * 966 / 1000);
}

TEST_CASE("find_many under a model reads a neighbourhood for each key, all in one round trip", "[budget]") {
    auto& f = loaded();
    auto const reads_of = [](std::vector<std::uint64_t> const& keys) {
        std::uint64_t reads = 0;
        for (auto const k : keys) reads += reads_for(k);
        return reads;
    };
    std::vector<std::uint64_t> keys;
    for (std::size_t i = 0; i < 64; ++i) keys.push_back(key(f.placed[i * 1000]));
    REQUIRE(f.cost([&] {
        for (auto const& found : f.t.find_many(keys)) REQUIRE(found);
    }) == exactly(1, reads_of(keys), 64 * neighbourhood_bytes, 0, 0, 0));
    std::vector<std::uint64_t> many;
    for (std::size_t i = 0; i < 2 * learned_options::batch_nodes + 1; ++i) many.push_back(key(f.placed[i]));
    REQUIRE(f.cost([&] { (void)f.t.find_many(many); }) ==
            exactly(3, reads_of(many), many.size() * neighbourhood_bytes, 0, 0, 0)); // one for every batch_nodes keys
    keys.back() = key(f.overflowed.front());
    auto const spent = f.cost([&] {
        for (auto const& found : f.t.find_many(keys)) REQUIRE(found);
    });
    REQUIRE(spent.round_trips == 3); // all but one of them were there after the first
    REQUIRE(spent.bytes_read == 66 * neighbourhood_bytes + 2 * header_bytes);
    REQUIRE(f.cost([&] { (void)f.t.find_many({}); }) == fabric_stats{});
}

TEST_CASE("under a model: upsert of an existing key takes 2 round trips and 5 verbs, and writes 24 bytes", "[budget]") {
    auto& f = loaded();
    constexpr std::uint64_t added = 1'000'000;
    for (bool const wrapped : {false, true}) {
        CAPTURE(wrapped);
        auto const which = f.some(3'000, wrapped);
        auto const n = which.size();
        auto const read = n * (wrapped ? whole_bytes : neighbourhood_bytes);
        REQUIRE(f.cost([&] {
            for (auto const i : which) REQUIRE_FALSE(f.t.upsert(key(i), i + added));
        }) == exactly(2 * n, n, read, 3 * n, n * 24, n)); // control word, payload, lock word
        REQUIRE(f.cost([&] {                              // the same value again: nothing but the lock
            for (auto const i : which) REQUIRE_FALSE(f.t.upsert(key(i), i + added));
        }) == exactly(2 * n, n, read, n, n * 8, n));
        for (auto const i : which) REQUIRE_FALSE(f.t.upsert(key(i), i));
    }
}

TEST_CASE("under a model: insert of a key that is there, and erase of one that is not, take the lock and give it back",
          "[budget]") {
    auto& f = loaded();
    for (bool const wrapped : {false, true}) {
        CAPTURE(wrapped);
        auto const which = f.some(3'000, wrapped);
        auto const n = which.size();
        std::uint64_t window_bytes = 0; // inserts read four quads at once: there may be no room in two
        for (auto const i : which)
            window_bytes += wrapped ? whole_bytes : leaf::window(leaf::home_of(key(i))).count * word_bytes;
        REQUIRE(f.cost([&] {
            for (auto const i : which) REQUIRE_FALSE(f.t.insert(key(i), 1));
        }) == exactly(2 * n, n, window_bytes, n, n * 8, n));
        REQUIRE(f.cost([&] {
            for (auto const i : which) REQUIRE_FALSE(f.t.erase_if(key(i), i + 1));
        }) == exactly(2 * n, n, n * (wrapped ? whole_bytes : neighbourhood_bytes), n, n * 8, n));
    }
}

TEST_CASE("erase takes 2 round trips and 4 verbs, and inserting the key again as a rule as many", "[budget]") {
    auto& f = loaded();
    auto const which = f.some(2'000, false);
    std::size_t lonely = 0;
    for (auto const i : which) {
        auto const spent = f.cost([&] { REQUIRE(f.t.erase(key(i))); });
        auto expected = exactly(2, 1, neighbourhood_bytes, 2, 16, 1); // control word, lock word
        if (spent == expected) continue;
        ++lonely; // a neighbourhood that is nearly empty now is counted in the extent
        REQUIRE(spent.faa == 1);
        REQUIRE(spent.round_trips == 2);
    }
    std::size_t exact = 0;
    for (auto const i : which) {
        auto const spent = f.cost([&] { REQUIRE(f.t.insert(key(i), i)); });
        auto const read = leaf::window(leaf::home_of(key(i))).count * word_bytes;
        // There is room where they were. From its control word to the slot; the lock word.
        if (spent == exactly(2, 1, read, 2, spent.bytes_written - 8, 1)) ++exact;
    }
    std::cout << "erase: " << lonely << " of " << which.size()
              << " left a nearly empty neighbourhood; insert again: " << exact << " in 2 round trips and 4 verbs\n";
    REQUIRE(lonely <= which.size() / 20);
    REQUIRE(exact >= which.size() * 9 / 10);
    for (auto const i : which) REQUIRE(f.t.find(key(i)) == i);
}

TEST_CASE("under a model: a batch of changes takes 2 round trips if no leaf needs more", "[budget]") {
    auto& f = loaded();
    std::vector<change> upserts;
    for (std::size_t n = 0; upserts.size() < 64; n += 1009) {
        auto const i = f.placed[n];
        if (!wraps(key(i))) upserts.push_back({.key = key(i), .value = i, .kind = mutation_kind::upsert});
    }
    auto const spent = f.cost([&] { f.t.apply(upserts); });
    REQUIRE(spent.cas >= 60); // hardly two of them are in one leaf
    auto const twice = 64 - spent.cas;
    auto const read = (64 - 2 * twice) * neighbourhood_bytes + twice * whole_bytes;
    REQUIRE(spent == exactly(2, spent.cas, read, spent.cas, spent.cas * 8, spent.cas)); // the values that were there
}

TEST_CASE("inserts into a growing learned index stay within the budget on average, trainings included", "[budget]") {
    auto const& f = loaded();
    auto const& spent = f.second_half;
    constexpr auto n = population / 2;
    auto const trips = each(spent.round_trips, n);
    auto const verbs = each(spent.verbs(), n);
    auto const read = each(spent.bytes_read, n);
    auto const written = each(spent.bytes_written, n);
    std::cout << "insert: " << trips << " round trips, " << verbs << " verbs, " << read << " bytes read, " << written
              << " bytes written; of these for " << f.trainings << " trainings " << each(f.training_trips, n)
              << " round trips and " << each(f.training_bytes, n) << " bytes\n";
    REQUIRE(trips <= 2.1);
    REQUIRE(verbs <= 4.9);
    REQUIRE(read <= 640);
    REQUIRE(written <= 580); // two thirds of it by trainings
    REQUIRE(trips >= 2);     // a count that is too good is a count that is wrong
    REQUIRE(f.trainings > 0);
    REQUIRE(each(n, f.trainings) >= 1'000);
}

TEST_CASE("a leaf splits in one or two round trips more, and a training follows now and then", "[budget]") {
    fixture f;
    std::uint64_t splits = 0, trained = 0;
    for (std::uint64_t i = 0; i < 30'000; ++i) {
        auto const before = f.index.cost_of_training();
        auto const spent = f.cost([&] { REQUIRE(f.t.insert(key(i), i)); });
        auto const after = f.index.cost_of_training();
        auto const training = after.trainings - before.trainings;
        auto const overflows = spent.faa; // the count of the extent; new chunks of the pool as well
        if (training == 0 && overflows == 1) {
            ++splits;
            CAPTURE(i, spent.round_trips, spent.verbs(), spent.retries);
            if (spent.retries == 0) { // not in an overflow leaf
                REQUIRE(spent.round_trips >= 3);
                REQUIRE(spent.round_trips <= 4);
                REQUIRE(spent.cas == 1);
                REQUIRE(spent.reads <= 2);
                REQUIRE(spent.writes <= 2 + 4); // right leaf, lock word, the left one and what still went into it
                REQUIRE(spent.bytes_written <= 3 * whole_bytes);
            }
        }
        if (training == 0) continue;
        ++trained;
        REQUIRE(training == 1);
        CAPTURE(i, spent.round_trips);
        REQUIRE(after.round_trips - before.round_trips <= 200);
        REQUIRE(after.round_trips - before.round_trips < spent.round_trips);
    }
    std::cout << splits << " splits, " << trained << " trainings\n";
    REQUIRE(splits > 100);
    REQUIRE(trained > 5);
}

TEST_CASE("a training takes some dozen round trips and a few times the bytes of the leaves", "[budget]") {
    auto& f = loaded();
    auto const nodes = f.t.sound().nodes;
    auto const before = f.index.cost_of_training();
    ok(sync_wait(f.w.first.s, f.index.train(f.w.first.s, key(0))));
    auto const after = f.index.cost_of_training();
    auto const trips = after.round_trips - before.round_trips;
    auto const read = after.bytes_read - before.bytes_read;
    auto const written = after.bytes_written - before.bytes_written;
    // A group is trained_together of the largest extents, and as many leaves again at most, with their overflow leaves.
    constexpr auto largest = learned_options::extent_bytes;
    std::cout << "training of a part of " << nodes << " leaves: " << trips << " round trips, "
              << after.verbs - before.verbs << " verbs, " << read << " bytes read, " << written << " bytes written\n";
    REQUIRE(trips <= 70);
    REQUIRE(trips >= 12);
    REQUIRE(read >= learned_options::trained_together * largest / 2);
    REQUIRE(read <= 3 * learned_options::trained_together * largest);
    REQUIRE(written <= 3 * learned_options::trained_together * largest);
    REQUIRE(f.t.sound().entries == population);
}

TEST_CASE("a scan of 64 adjacent keys takes hardly more than one round trip", "[budget]") {
    auto& f = loaded();
    std::vector<std::uint64_t> sorted;
    for (std::uint64_t i = 0; i < population; ++i) sorted.push_back(key(i));
    std::sort(sorted.begin(), sorted.end());
    auto const seed = test_seed(23);
    CAPTURE(seed);
    random_source random(seed);
    constexpr std::uint64_t n = 2'000;
    auto const spent = f.cost([&] {
        for (std::uint64_t i = 0; i < n; ++i) {
            auto const from = random.below(population - 64);
            auto const found = f.t.scan({.from = sorted[from], .to = sorted[from + 64]}, 64);
            REQUIRE(found.size() == 64);
            REQUIRE(found.front().key == sorted[from]);
            REQUIRE(found.back().key == sorted[from + 63]);
        }
    });
    std::cout << "scan of 64: " << each(spent.round_trips, n) << " round trips, " << each(spent.reads, n) << " reads, "
              << each(spent.bytes_read, n) << " bytes\n";
    REQUIRE(each(spent.round_trips, n) <= 1.2);
    REQUIRE(each(spent.bytes_read, n) <= 4'000);
    REQUIRE(spent.writes + spent.cas == 0);
}

TEST_CASE("memory of leaves under a model: remote bytes a key and client cache bytes a key", "[budget]") {
    fixture f;
    for (std::uint64_t i = 0; i < population; ++i) f.t.insert(key(i), i);
    auto const check = f.t.sound();
    REQUIRE(check.entries == population);
    auto const remote = each(check.remote_bytes, population);
    std::cout << "remote bytes a key: " << remote << "; cache " << f.index.cache_bytes() << " bytes, " << check.nodes
              << " leaves\n";
    REQUIRE(remote <= 40);
    REQUIRE(each(f.index.cache_bytes(), population) <= 0.03);
}
