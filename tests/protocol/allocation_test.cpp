// SPDX-License-Identifier: Apache-2.0
// The claim that the data path does not allocate: with a warm session, an operation calls operator new not once.
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include <catena/index/sherman_tree.hpp>

#include <core/count_allocations.hpp>
#include <support/catch.hpp>
#include <support/keys.hpp>
#include <support/random.hpp>
#include <support/world.hpp>

using namespace catena;
using test::ok;

namespace {

constexpr std::uint64_t population = 20'000;

template <typename Key, typename Value>
struct tree_world {
    using tree_type = sherman_tree<Key, Value>;
    test::world w{std::uint64_t{64} << 20U, 2};
    tree_type tree = ok(tree_type::create(w.first.s, "warm", std::size_t{8} << 20U));
    test::calls<tree_type, test::local_session> calls{tree, w.first.s};

    tree_world() {
        for (std::uint64_t i = 0; i < population; ++i)
            (void)calls.insert(test::make_key<Key>(i * 1000), test::make_value<Value>(i));
    }
    [[nodiscard]] Key key(std::uint64_t i) const { return test::make_key<Key>(i % population * 1000); }
};

} // namespace

TEMPLATE_TEST_CASE("a warm session finds, updates, inserts and erases without one call of operator new", "",
                   (std::pair<std::uint64_t, std::uint64_t>), (std::pair<block_hash, location>),
                   (std::pair<std::uint64_t, test::blob<24>>)) {
    if (address_sanitizer) return; // the frame pool stands aside for it
    using key_type = typename TestType::first_type;
    using value_type = typename TestType::second_type;
    tree_world<key_type, value_type> t;
    auto const seed = test::test_seed(61);
    CAPTURE(seed);
    test::random_source random(seed);
    auto const warm_up = [&] {
        (void)t.calls.find(t.key(1));
        (void)t.calls.upsert(t.key(1), test::make_value<value_type>(random.next()));
        (void)t.calls.insert(test::make_key<key_type>(1), test::make_value<value_type>(1));
        (void)t.calls.erase(test::make_key<key_type>(1));
    };
    warm_up();
    REQUIRE(test::allocations.load() > 0); // they are counted

    REQUIRE(test::allocations_of([&] {
                for (int i = 0; i < 1000; ++i) (void)t.calls.find(t.key(random.next()));
            }) == 0);
    REQUIRE(test::allocations_of([&] {
                for (int i = 0; i < 1000; ++i)
                    (void)t.calls.find(test::make_key<key_type>(random.below(population) * 1000 + 500)); // absent
            }) == 0);
    REQUIRE(test::allocations_of([&] {
                for (int i = 0; i < 1000; ++i)
                    (void)t.calls.upsert(t.key(random.next()), test::make_value<value_type>(random.next()));
            }) == 0);
    // Inserts: those without a split have 4 verbs (fewer if the key is there).
    int plain = 0;
    for (int i = 0; i < 2000; ++i) {
        auto const key = test::make_key<key_type>(random.below(population) * 1000 + 1 + random.below(998));
        auto const value = test::make_value<value_type>(random.next());
        auto const verbs = t.w.first.s.stats().verbs();
        bool inserted = false;
        auto const allocated = test::allocations_of([&] { inserted = t.calls.insert(key, value); });
        if (!inserted || t.w.first.s.stats().verbs() - verbs != 4) continue;
        ++plain;
        CAPTURE(i);
        REQUIRE(allocated == 0);
    }
    REQUIRE(plain > 1000);
    int erased = 0;
    for (int i = 0; i < 500; ++i) {
        auto const verbs = t.w.first.s.stats().verbs();
        bool was_there = false;
        auto const key = t.key(random.next());
        auto const allocated = test::allocations_of([&] { was_there = t.calls.erase(key); });
        if (!was_there || t.w.first.s.stats().verbs() - verbs > 4) continue; // merged
        ++erased;
        REQUIRE(allocated == 0);
    }
    REQUIRE(erased > 300);
}

TEST_CASE("a warm session looks up batches and scans without one call of operator new") {
    if (address_sanitizer) return;
    tree_world<std::uint64_t, std::uint64_t> t;
    auto const seed = test::test_seed(62);
    CAPTURE(seed);
    test::random_source random(seed);
    std::vector<std::uint64_t> keys(256);
    std::vector<std::optional<std::uint64_t>> found(keys.size());
    std::vector<entry<std::uint64_t, std::uint64_t>> out(300);
    auto& s = t.w.first.s;
    auto const look_up = [&] {
        for (auto& k : keys) k = t.key(random.next());
        ok(sync_wait(s, t.tree.find_many(s, keys, found)));
    };
    auto const scan = [&] { (void)ok(sync_wait(s, t.tree.scan(s, {.from = t.key(random.next()), .to = {}}, out))); };
    look_up();
    scan();
    REQUIRE(test::allocations_of([&] {
                for (int i = 0; i < 100; ++i) look_up();
            }) == 0);
    REQUIRE(test::allocations_of([&] {
                for (int i = 0; i < 100; ++i) scan();
            }) == 0);
}
