// SPDX-License-Identifier: Apache-2.0
// The values of hot keys that a client keeps: what is found was noted for that very key, within the bound, and what is
// asked for most stays.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <optional>
#include <vector>

#include <support/catch.hpp>
#include <support/keys.hpp>
#include <support/random.hpp>
#include <support/zipf.hpp>
#include <support/scale.hpp>
#include <support/threads.hpp>

#include <catena/core/hash.hpp>
#include <catena/index/hotspot_buffer.hpp>

using namespace catena;
using namespace catena::test;

namespace {

using buffer = hotspot_buffer<std::uint64_t, std::uint64_t>;
/// Bits that no control word has.
constexpr word spare_bits = word{1} << 57U;

/// What some version of a key says: value and control word belong together.
template <typename Value>
[[nodiscard]] typename hotspot_buffer<std::uint64_t, Value>::entry entry_of(std::uint64_t key, std::uint64_t version) {
    auto const h = mix64(key * 1000 + version);
    return {.value = make_value<Value>(h), .control = (mix64(h) | 1U) & ~spare_bits, .behind = (h & 1U) != 0};
}
template <typename Entry>
[[nodiscard]] bool same(std::optional<Entry> const& found, Entry const& expected) {
    return found && found->value == expected.value && found->control == expected.control &&
           found->behind == expected.behind;
}

/// The share of lookups that hit once the buffer is warm; what misses is noted, as a tree does.
template <typename Next>
[[nodiscard]] double hit_rate(buffer& b, std::size_t lookups, Next next) {
    std::size_t hits = 0;
    for (std::size_t i = 0; i < 2 * lookups; ++i) {
        auto const key = next();
        auto const found = b.find(key);
        if (found) {
            REQUIRE(same(found, entry_of<std::uint64_t>(key, 0)));
            if (i >= lookups) ++hits;
        } else {
            b.note(key, entry_of<std::uint64_t>(key, 0));
        }
    }
    return static_cast<double>(hits) / static_cast<double>(lookups);
}

} // namespace

TEST_CASE("a hotspot buffer finds what was noted, and nothing else", "[index][hotspot]") {
    buffer b(1U << 16U);
    REQUIRE_FALSE(b.find(1));
    for (std::uint64_t version = 0; version < 40; ++version) { // both quads, again and again
        auto const e = entry_of<std::uint64_t>(1, version);
        b.note(1, e);
        REQUIRE(same(b.find(1), e));
        REQUIRE_FALSE(b.find(2));
    }
    b.note(2, entry_of<std::uint64_t>(2, 0));
    REQUIRE(same(b.find(2), entry_of<std::uint64_t>(2, 0)));
    REQUIRE(same(b.find(1), entry_of<std::uint64_t>(1, 39)));
    for (auto const k : {std::uint64_t{0}, ~std::uint64_t{0}}) { // an empty place has the words of key 0
        REQUIRE_FALSE(b.find(k));
        b.note(k, {.value = 0, .control = 5, .behind = false});
        REQUIRE(same(b.find(k), {.value = 0, .control = 5, .behind = false}));
    }
}

TEST_CASE("refresh changes a key that is kept, and does not let one in", "[index][hotspot]") {
    buffer b(1U << 12U);
    b.refresh(1, entry_of<std::uint64_t>(1, 0));
    REQUIRE_FALSE(b.find(1));
    b.note(1, entry_of<std::uint64_t>(1, 0));
    b.refresh(1, entry_of<std::uint64_t>(1, 1));
    REQUIRE(same(b.find(1), entry_of<std::uint64_t>(1, 1)));
    for (std::uint64_t k = 2; k < 5'000; ++k) b.refresh(k, entry_of<std::uint64_t>(k, 0));
    for (std::uint64_t k = 2; k < 5'000; ++k) REQUIRE_FALSE(b.find(k));
    REQUIRE(same(b.find(1), entry_of<std::uint64_t>(1, 1)));
}

TEST_CASE("a hotspot buffer stays within its capacity and uses most of it", "[index][hotspot]") {
    for (std::size_t const capacity : {0U, 1U, 100U, 1000U, 4096U, 100'000U}) {
        CAPTURE(capacity);
        buffer b(capacity);
        REQUIRE(b.capacity_bytes() <= capacity);
        constexpr std::uint64_t keys = 20'000;
        for (int round = 0; round < 3; ++round)
            for (std::uint64_t k = 0; k < keys; ++k) b.note(mix64(k), entry_of<std::uint64_t>(mix64(k), 0));
        std::size_t kept = 0;
        for (std::uint64_t k = 0; k < keys; ++k) {
            auto const found = b.find(mix64(k));
            if (!found) continue;
            REQUIRE(same(found, entry_of<std::uint64_t>(mix64(k), 0)));
            ++kept;
        }
        REQUIRE(kept * 24 <= capacity); // key, value and control word each
        if (capacity >= 1000) REQUIRE(kept * 24 >= capacity * 3 / 4);
    }
}

TEST_CASE("a hotspot buffer of no capacity keeps nothing and costs nothing", "[index][hotspot]") {
    buffer b(0);
    b.note(1, entry_of<std::uint64_t>(1, 0));
    b.refresh(1, entry_of<std::uint64_t>(1, 0));
    REQUIRE_FALSE(b.find(1));
    REQUIRE(b.capacity_bytes() == 0);
}

TEST_CASE("what is asked for stays while others pass through once", "[index][hotspot]") {
    buffer b(1U << 14U); // some 600 keys
    std::vector<std::uint64_t> hot;
    for (std::uint64_t i = 0; i < 100; ++i) hot.push_back(mix64(i));
    std::uint64_t passing = 1000;
    std::size_t misses = 0;
    for (std::size_t round = 0; round < 200; ++round) {
        for (auto const k : hot) {
            if (!b.find(k)) {
                if (round >= 20) ++misses;
                b.note(k, entry_of<std::uint64_t>(k, 0));
            }
        }
        for (std::size_t i = 0; i < 200; ++i, ++passing) b.note(mix64(passing), entry_of<std::uint64_t>(passing, 0));
    }
    CAPTURE(misses);
    REQUIRE(misses <= 180 * hot.size() / 50); // with no regard to use most would be gone each time
    // Those that nobody asks for any more do not stay for ever.
    std::size_t lookups = 0;
    auto const now = hit_rate(b, 20'000, [&] { return mix64(1'000'000 + lookups++ % 300); });
    REQUIRE(now >= 0.9);
}

TEST_CASE("the hit rate under Zipf's law is far above the one of uniform keys", "[index][hotspot]") {
    auto const seed = test_seed(31);
    CAPTURE(seed);
    constexpr std::size_t keys = 100'000;
    auto const lookups = scaled(200'000);
    constexpr std::size_t capacity = keys / 50 * 24; // room for one key in fifty
    zipf skewed(keys, seed);
    random_source random(seed, 1);
    buffer first(capacity), second(capacity);
    auto const zipf_rate = hit_rate(first, lookups, [&] { return mix64(skewed.next()); });
    auto const uniform_rate = hit_rate(second, lookups, [&] { return mix64(random.below(keys)); });
    std::cout << "hit rate, one key in fifty kept: Zipf " << zipf_rate << ", uniform " << uniform_rate << '\n';
    // The 2,000 most frequent of 100,000 keys have 0.67 of all lookups.
    REQUIRE(zipf_rate >= 0.55);
    REQUIRE(uniform_rate <= 0.03);
}

TEMPLATE_TEST_CASE("keys and values of all sizes come back as they were noted", "[index][hotspot]", std::uint64_t,
                   std::int64_t, block_hash, wide_key) {
    auto const check = [](auto value) {
        using value_type = decltype(value);
        hotspot_buffer<TestType, value_type> b(1U << 16U);
        for (std::uint64_t i = 0; i < 20; ++i)
            b.note(make_key<TestType>(i), {.value = make_value<value_type>(i), .control = i + 1, .behind = i % 2 == 0});
        for (std::uint64_t i = 0; i < 20; ++i) {
            auto const found = b.find(make_key<TestType>(i));
            REQUIRE(found);
            REQUIRE(found->value == make_value<value_type>(i));
            REQUIRE(found->control == i + 1);
            REQUIRE(found->behind == (i % 2 == 0));
        }
        REQUIRE_FALSE(b.find(make_key<TestType>(20)));
    };
    check(std::uint64_t{});
    check(blob<1>{});
    check(blob<24>{});
    check(blob<64>{});
    check(location{});
}

TEST_CASE("what threads find while others write are pairs that were noted for that key", "[index][hotspot]") {
    // A buffer of few buckets: keys drive each other out all the time. Values of 64 bytes can be seen half written.
    using wide_buffer = hotspot_buffer<std::uint64_t, blob<64>>;
    constexpr std::uint64_t keys = 64, versions = 32;
    constexpr std::size_t threads = 4;
    auto const seed = test_seed(37);
    CAPTURE(seed);
    wide_buffer b(3'000);
    REQUIRE(b.capacity_bytes() > 0);
    std::vector<wide_buffer::entry> known;
    for (std::uint64_t k = 0; k < keys; ++k)
        for (std::uint64_t v = 0; v < versions; ++v) known.push_back(entry_of<blob<64>>(k, v));
    std::atomic<std::uint64_t> hits{0};
    run_threads(threads, [&](std::size_t thread) {
        random_source random(seed, thread);
        std::uint64_t mine = 0;
        for (std::size_t n = 0; n < scaled(400'000); ++n) {
            auto const k = random.below(8) < 6 ? random.below(4) : random.below(keys);
            auto const& e = known[k * versions + random.below(versions)];
            switch (random.below(4)) {
            case 0: b.note(k, e); break;
            case 1: b.refresh(k, e); break;
            default:
                auto const found = b.find(k);
                if (!found) break;
                ++mine;
                bool noted = false;
                for (std::uint64_t v = 0; v < versions && !noted; ++v) noted = same(found, known[k * versions + v]);
                expect(noted, "a value and a control word that never belonged together");
            }
        }
        hits += mine;
    });
    REQUIRE(hits > threads * 1000);
}
