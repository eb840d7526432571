// SPDX-License-Identifier: Apache-2.0
// The cache of internal nodes, and the records that it packs them into.
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iostream>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <support/catch.hpp>
#include <support/keys.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>
#include <support/threads.hpp>

#include <catena/index/node_cache.hpp>
#include <catena/prefix/block_hash.hpp>

using namespace catena;
using namespace catena::test;

namespace {

/// What a node says, sorted.
template <typename Key>
struct picture {
    node_ref node;
    node_ref link;
    Key low;
    std::optional<Key> high;
    std::vector<std::pair<Key, node_ref>> children;

    [[nodiscard]] route find(Key const& key) const {
        if (high && !(key < *high)) return {.where = route::to::right, .node = link};
        if (key < low) return {.where = route::to::stale, .node = {}};
        auto const after = std::upper_bound(children.begin(), children.end(), key,
                                            [](auto const& k, auto const& child) { return k < child.first; });
        return {.where = route::to::child,
                .node = after == children.begin() ? after->second : std::prev(after)->second};
    }
};

/// An image of it, entries in any slots.
template <typename Layout>
struct image {
    image(picture<typename Layout::key_type> const& p, random_source& random) {
        view.format(1, 7, 1);
        auto meta = view.meta();
        meta.unbounded = !p.high;
        view.set_meta(meta);
        view.set_low(p.low);
        if (p.high) view.set_high(*p.high);
        view.set_link(p.link);
        auto const turn = random.below(Layout::slots);
        word occupied = 0;
        for (std::size_t i = 0; i < p.children.size(); ++i) {
            auto const slot = (i * 7 + turn) % Layout::slots; // no layout below has a multiple of 7 slots
            view.set_entry(slot, p.children[i].first, p.children[i].second);
            occupied |= word{1} << slot;
        }
        view.set_occupancy(occupied);
        view.seal(1, false);
    }
    image(image const&) = delete;
    image& operator=(image const&) = delete;

    alignas(64) std::array<word, Layout::words> words{};
    node_view<Layout> view{words.data()};
};

template <typename Key, std::size_t Bytes = 1024>
using layout_of = node_layout<Key, node_ref, Bytes>;
using layout = layout_of<std::uint64_t>;
using cache_type = node_cache<layout>;
static_assert(layout::slots % 7 != 0 && layout_of<block_hash>::slots % 7 != 0);

[[nodiscard]] node_ref inner_ref(std::uint64_t i) { return {remote_ptr(0, i * 1024), 1, 1}; }
[[nodiscard]] node_ref leaf_ref(std::uint64_t i) { return {remote_ptr(0, i * 1024), 0, 1}; }

template <typename Layout>
void put(node_cache<Layout>& cache, picture<typename Layout::key_type> const& p, random_source& random) {
    cache.put(p.node, image<Layout>(p, random).view);
}

template <typename Key>
[[nodiscard]] Key any_key(random_source& random, word mask = ~word{0}) {
    std::array<word, words_of<Key>> raw;
    for (auto& w : raw) w = random.next() & mask;
    return load_words<Key>(raw.data());
}

/// A node of keys and references that vary in the bits of the masks.
template <typename Key>
[[nodiscard]] picture<Key> any_node(random_source& random, std::size_t children, bool bounded, word key_mask,
                                    word ref_mask) {
    std::vector<Key> keys;
    while (keys.size() < children) {
        auto const k = any_key<Key>(random, key_mask);
        if (std::find(keys.begin(), keys.end(), k) == keys.end()) keys.push_back(k);
    }
    std::sort(keys.begin(), keys.end());
    picture<Key> p{.node = inner_ref(random.below(1U << 20U) + 1),
                   .link = node_ref::from_word(random.next()),
                   .low = random.one_in(2) ? keys.front() : lowest<Key>(),
                   .high = {},
                   .children = {}};
    word const common = random.next();
    for (auto const& k : keys) p.children.emplace_back(k, node_ref::from_word(common ^ (random.next() & ref_mask)));
    if (bounded) p.high = keys.back() == highest<Key>() || random.one_in(4) ? highest<Key>() : successor(keys.back());
    return p;
}

/// 41 of 61 slots, uniform separators that share 12 bits, children within 512 MiB: as they usually are.
[[nodiscard]] picture<std::uint64_t> usual_node(std::uint64_t i, random_source& random, std::size_t children = 41) {
    picture<std::uint64_t> p{.node = inner_ref(i + 1),
                             .link = inner_ref(i + 2),
                             .low = (i + 1) << 52U,
                             .high = (i + 2) << 52U,
                             .children = {{(i + 1) << 52U, leaf_ref(random.below(1U << 19U))}}};
    while (p.children.size() < children)
        p.children.emplace_back(p.low | random.next() >> 12U,
                                node_ref(remote_ptr(0, random.below(1U << 23U) * 64), 0, 1));
    std::sort(p.children.begin(), p.children.end());
    return p;
}

template <typename Key>
[[nodiscard]] bool same(route const& a, route const& b, Key const&) {
    return a.where == b.where && a.node == b.node;
}

template <typename Layout>
void check_record(picture<typename Layout::key_type> const& p, random_source& random) {
    using record = packed_layout<Layout>;
    std::array<word, record::max_words> words;
    words.fill(0xdeadbeefdeadbeefU);
    auto const n = pack_node(p.node, image<Layout>(p, random).view, words);
    auto const get = [&](std::size_t i) { return words.at(i); };
    packed_node<Layout, decltype(get)> const packed(get);
    REQUIRE(n < record::max_words);
    REQUIRE(packed.words() == n);
    REQUIRE(words[record::node_at] == p.node.bits());
    REQUIRE(packed.link() == p.link);
    REQUIRE(packed.low() == p.low);
    REQUIRE(packed.unbounded() == !p.high);
    if (p.high) REQUIRE(packed.high() == *p.high);
    REQUIRE(packed.count() == p.children.size());
    for (std::size_t i = 0; i < p.children.size(); ++i) {
        REQUIRE(packed.key(i) == p.children[i].first);
        REQUIRE(packed.child(i) == p.children[i].second);
    }
}

} // namespace

TEMPLATE_TEST_CASE("a packed node says what the node said", "[index][cache]", std::uint64_t, std::int64_t, block_hash,
                   wide_key) {
    using key = TestType;
    using nodes = layout_of<key>;
    auto const seed = test_seed(1);
    CAPTURE(seed);
    random_source random(seed);
    constexpr std::array<word, 7> masks{~word{0},        1,         word{1} << 63U,        word{1} << 63U | 1,
                                        ~word{0} >> 12U, 0xff0000U, 0x0fff'ffff'ffff'fff0U};
    for (std::size_t i = 0; i < scaled(4000); ++i) {
        auto const key_mask = masks[random.below(masks.size())];
        auto const most = std::popcount(key_mask) < 6 ? 2 : nodes::capacity;
        auto const children = random.one_in(4) ? 1 : random.one_in(4) ? most : 1 + random.below(most);
        auto p = any_node<key>(random, children, random.one_in(2), key_mask,
                               random.one_in(4) ? 0 : masks[random.below(masks.size())]);
        if (random.one_in(8)) p.children.front() = {lowest<key>(), node_ref{}};
        if (random.one_in(8)) p.children.back() = {highest<key>(), node_ref::from_word(~word{0})};
        check_record<nodes>(p, random);
    }
    check_record<nodes>({.node = inner_ref(1), .link = {}, .low = highest<key>(), .high = {}, .children = {}}, random);
}

TEST_CASE("nothing outside a record is read, whatever its words are", "[index][cache]") {
    auto const seed = test_seed(2);
    CAPTURE(seed);
    random_source random(seed);
    using nodes = layout_of<block_hash, 256>;
    std::array<word, packed_layout<nodes>::max_words> words{};
    bool outside = false;
    auto const get = [&](std::size_t i) { return i < words.size() ? words[i] : (outside = true, word{0}); };
    for (std::size_t i = 0; i < scaled(20'000); ++i) {
        for (auto& w : words) w = random.one_in(4) ? ~word{0} : random.next();
        packed_node<nodes, decltype(get)> const packed(get);
        (void)packed.high();
        (void)packed.child_for(any_key<block_hash>(random));
        for (std::size_t c = 0; c < packed.count(); ++c) (void)packed.key(c), (void)packed.child(c);
        REQUIRE(packed.words() <= words.size());
        REQUIRE_FALSE(outside);
    }
}

TEMPLATE_TEST_CASE("find leads where the node leads", "[index][cache]", std::uint64_t, std::int64_t, block_hash,
                   wide_key) {
    using key = TestType;
    auto const seed = test_seed(3);
    CAPTURE(seed);
    random_source random(seed);
    node_cache<layout_of<key>> cache(1U << 20U);
    for (std::size_t i = 0; i < scaled(800); ++i) {
        auto const mask = random.one_in(2) ? ~word{0} : 0xffffU;
        auto p = any_node<key>(random, 1 + random.below(layout_of<key>::capacity), random.one_in(2), mask, ~word{0});
        REQUIRE(cache.find(p.node, p.low).where == route::to::miss);
        for (int version = 0; version < 2; ++version) { // the second one replaces the first
            put(cache, p, random);
            std::vector<key> asked{lowest<key>(), highest<key>(), p.low, p.high.value_or(p.low)};
            for (auto const& child : p.children) asked.push_back(child.first);
            for (int n = 0; n < 50; ++n) asked.push_back(any_key<key>(random, mask));
            for (auto const& k : asked) REQUIRE(same(cache.find(p.node, k), p.find(k), k));
            auto next = any_node<key>(random, 1 + random.below(layout_of<key>::capacity), random.one_in(2), mask, 0xff);
            next.node = p.node;
            std::swap(p, next);
        }
        cache.drop(p.node);
        cache.drop(p.node);
        REQUIRE(cache.find(p.node, p.low).where == route::to::miss);
    }
    cache.drop({});
}

TEST_CASE("the capacity bounds the bytes, and nodes in use stay while others pass through", "[index][cache]") {
    auto const seed = test_seed(4);
    CAPTURE(seed);
    random_source random(seed);
    for (std::size_t const capacity :
         {std::size_t{0}, std::size_t{50'000}, std::size_t{100'000}, std::size_t{333'333}}) {
        cache_type cache(capacity);
        if (capacity >= 100'000) REQUIRE(cache.capacity_bytes() <= capacity);
        REQUIRE(cache.capacity_bytes() + 2000 > capacity);
        REQUIRE(cache.bytes_used() < 1000);
        constexpr std::uint64_t hot = 20;
        std::vector<picture<std::uint64_t>> nodes;
        for (std::uint64_t i = 0; i < hot; ++i) nodes.push_back(usual_node(i, random));
        for (auto const& p : nodes) put(cache, p, random);
        std::size_t most = 0;
        for (std::uint64_t i = 0; i < scaled(10'000); ++i) {
            put(cache, usual_node(hot + i % 3000, random, 1 + random.below(layout::capacity)), random);
            most = std::max(most, cache.bytes_used());
            auto const& p = nodes[i % hot];
            auto const key = p.low + random.below(*p.high - p.low);
            REQUIRE(same(cache.find(p.node, key), p.find(key), key));
        }
        REQUIRE(most <= cache.capacity_bytes());
        REQUIRE(most > cache.capacity_bytes() / 2);
    }
}

TEST_CASE("a cache that is not full forgets nothing, however often its nodes change", "[index][cache]") {
    auto const seed = test_seed(5);
    CAPTURE(seed);
    random_source random(seed);
    cache_type cache(1U << 20U);
    constexpr std::uint64_t n = 1500; // about two thirds of the capacity
    std::vector<picture<std::uint64_t>> nodes;
    for (std::uint64_t i = 0; i < n; ++i) {
        nodes.push_back(usual_node(i, random));
        put(cache, nodes.back(), random);
    }
    for (std::size_t i = 0; i < scaled(30'000); ++i) {
        auto const which = i % 2 == 0 ? random.below(n) : random.below(10); // some of them more than others
        nodes[which] = usual_node(which, random);
        put(cache, nodes[which], random);
    }
    auto const before = cache.bytes_used();
    for (auto const& p : nodes) {
        put(cache, p, random); // as it is already: no change
        auto const key = p.low + random.below(*p.high - p.low);
        REQUIRE(same(cache.find(p.node, key), p.find(key), key));
    }
    REQUIRE(cache.bytes_used() == before);
    for (auto const& p : nodes) cache.drop(p.node);
    auto const table = cache.bytes_used();
    REQUIRE(table < 20 * n);
    put(cache, nodes[0], random);
    REQUIRE(cache.bytes_used() - table < 12 * 41);
}

TEST_CASE("a child takes at most 12 bytes of the cache, the table included", "[index][cache]") {
    random_source random(6);
    for (std::uint64_t const n : {100U, 300U, 1000U, 3000U}) {
        cache_type cache(64U << 20U);
        for (std::uint64_t i = 0; i < n; ++i) put(cache, usual_node(i, random), random);
        auto const each = static_cast<double>(cache.bytes_used()) / static_cast<double>(n * 41);
        std::cout << n << " nodes of 41 children: " << each << " bytes a child\n";
        REQUIRE(each <= 12);
        REQUIRE(each > 9.3); // there is no room for less: 52 and 23 bits
    }
}

TEST_CASE("children_after lists separators and children, across siblings as far as they are known", "[index][cache]") {
    random_source random(test_seed(7));
    cache_type cache(1U << 20U);
    std::vector<picture<std::uint64_t>> nodes;
    for (std::uint64_t i = 0; i < 4; ++i) nodes.push_back(usual_node(i, random, 10));
    nodes.back().high.reset();
    for (auto const& p : nodes) put(cache, p, random);
    std::vector<std::pair<std::uint64_t, node_ref>> all;
    for (auto const& p : nodes) all.insert(all.end(), p.children.begin(), p.children.end());

    std::array<cache_type::listed_child, 64> out;
    auto const check = [&](std::uint64_t key, std::optional<std::uint64_t> to, std::size_t room,
                           std::size_t known = 40) {
        auto const n = cache.children_after(inner_ref(key >> 52U), key, to, std::span(out).first(room));
        std::size_t expected = 0;
        for (std::size_t i = 0; i < known && expected < room; ++i) {
            if (all[i].first <= key || (to && all[i].first >= *to)) continue;
            REQUIRE(expected < n);
            REQUIRE(out[expected].low == all[i].first);
            REQUIRE(out[expected].node == all[i].second);
            ++expected;
        }
        REQUIRE(n == expected);
    };
    for (std::size_t i = 0; i < 40; ++i)
        for (std::uint64_t const shift : {0U, 1U}) {
            auto const key = all[i].first + shift;
            for (std::size_t const room : {0U, 1U, 5U, 9U, 10U, 11U, 30U, 64U}) {
                check(key, std::nullopt, room);
                for (std::size_t t = 0; t < 40; t += 3) {
                    check(key, all[t].first, room);
                    check(key, all[t].first + 1, room);
                }
            }
        }
    auto const first = nodes[0].low;
    REQUIRE(cache.children_after(nodes[0].node, first - 1, {}, out) == 0); // the node does not cover the key
    REQUIRE(cache.children_after(nodes[0].node, *nodes[0].high, {}, out) == 0);
    REQUIRE(cache.children_after(inner_ref(99), first, {}, out) == 0);
    cache.drop(nodes[2].node); // not cached: the list ends there
    check(first, std::nullopt, 64, 20);
    auto gap = nodes[2];
    gap.low += 1; // does not fit
    put(cache, gap, random);
    check(first, std::nullopt, 64, 20);
    put(cache, nodes[2], random);
    check(first, std::nullopt, 64, 40);
    auto circle = nodes[1]; // no children, and the sibling is the node itself
    circle.high = circle.low;
    circle.link = circle.node;
    circle.children.clear();
    put(cache, circle, random);
    check(first, std::nullopt, 64, 10);
}

namespace {

/// A key whose comparison lets something happen: in the middle of a search.
struct eventful_key {
    std::uint64_t n;

    friend bool operator==(eventful_key const&, eventful_key const&) = default;
    friend std::strong_ordering operator<=>(eventful_key const& a, eventful_key const& b) {
        if (event && --countdown == 0) std::exchange(event, nullptr)();
        return a.n <=> b.n;
    }
    static inline std::function<void()> event;
    static inline int countdown = 0;
};

} // namespace

TEST_CASE("a node that is replaced or evicted in the middle of a search is a miss", "[index][cache]") {
    using nodes = layout_of<eventful_key>;
    random_source random(test_seed(8));
    auto const make = [&](std::uint64_t i) {
        auto const p = usual_node(i, random);
        picture<eventful_key> q{
            .node = p.node, .link = p.link, .low = {p.low}, .high = eventful_key{*p.high}, .children = {}};
        for (auto const& [k, c] : p.children) q.children.emplace_back(eventful_key{k}, c);
        return q;
    };
    node_cache<nodes> cache(0);
    auto const node = make(0);
    std::array<node_cache<nodes>::listed_child, 64> out;
    // A reader may come upon the new copy in the node's other set; what it must not do is to trust the old one.
    auto const searches = [&](std::function<void()> const& meanwhile, bool stays) {
        std::size_t misses = 0;
        for (int comparison = 1; comparison < 8; ++comparison) {
            CAPTURE(comparison);
            cache.drop(node.node);
            put(cache, node, random); // not used yet
            auto const key = node.children[20].first;
            eventful_key::countdown = comparison;
            eventful_key::event = meanwhile;
            auto const r = cache.find(node.node, key);
            REQUIRE_FALSE(eventful_key::event);
            if (r.where == route::to::miss) ++misses;
            if (stays || r.where != route::to::miss) REQUIRE(same(r, cache.find(node.node, key), key));
            put(cache, node, random);
            eventful_key::countdown = comparison;
            eventful_key::event = meanwhile;
            auto const n = cache.children_after(node.node, key, {}, out);
            REQUIRE_FALSE(eventful_key::event);
            if (stays) REQUIRE(n == 20);
            if (n == 0) continue;
            auto const first = out[0].node;
            REQUIRE(cache.children_after(node.node, key, {}, out) == n);
            REQUIRE(out[0].node == first);
        }
        REQUIRE((misses == 0) == stays);
    };
    searches([] {}, true);
    searches([&] { (void)cache.find(node.node, node.low); }, true); // sets the used bit
    searches([&] { cache.drop(node.node); }, false);
    searches([&] { put(cache, make(0), random); }, false);
    auto const others = [&] {
        for (std::uint64_t i = 1; i < 300; ++i) put(cache, make(i), random);
    };
    searches(others, false);
    searches([&] { others(), put(cache, make(0), random); }, false);
}

TEST_CASE("every hit is what some version of the node said, while nodes are replaced, dropped and evicted",
          "[index][cache][threads]") {
    using nodes = layout_of<std::uint64_t, 256>;
    auto const seed = test_seed(9);
    CAPTURE(seed);
    constexpr std::uint64_t n = 120; // twice as many as fit
    constexpr std::uint64_t children = 8;
    // A version tells all: separators, children and fences are functions of node, version and place.
    auto const separator = [](std::uint64_t node, std::uint64_t version, std::uint64_t i) {
        return (node << 40U) + (i << 32U) + (i == 0 ? 0 : mix64(node * children + i + (version << 20U)) >> 33U);
    };
    auto const reference = [](std::uint64_t node, std::uint64_t version, std::uint64_t i) {
        return node_ref(remote_ptr(0, (mix64(~(node * children + i + (version << 20U))) >> 40U) * 64),
                        i == children ? 1 : 0, static_cast<std::uint32_t>(version));
    };
    node_cache<nodes> cache(0);
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> hits{0};
    std::atomic<std::uint64_t> misses{0};
    run_threads(4, [&](std::size_t thread) {
        random_source random(seed, thread);
        if (thread == 0) {
            raise_at_end const at_end(stop);
            for (std::uint64_t round = 0; round < scaled(400'000); ++round) {
                auto const node = random.below(random.one_in(2) ? n : 10);
                if (random.one_in(16)) {
                    cache.drop(inner_ref(node + 1));
                    continue;
                }
                auto const version = 1 + round % node_ref::incarnation_mask;
                picture<std::uint64_t> p{.node = inner_ref(node + 1),
                                         .link = reference(node, version, children),
                                         .low = node << 40U,
                                         .high = separator(node, version, children),
                                         .children = {}};
                auto const kept = 1 + version % children; // versions differ in length, too
                for (std::uint64_t i = 0; i < kept; ++i)
                    p.children.emplace_back(separator(node, version, i), reference(node, version, i));
                put(cache, p, random);
            }
            return;
        }
        while (!stop) {
            auto const node = random.below(random.one_in(2) ? n : 10);
            auto const key = (node << 40U) + random.below((children + 1) << 32U);
            auto const r = cache.find(inner_ref(node + 1), key);
            if (r.where == route::to::miss) {
                misses.fetch_add(1, std::memory_order_relaxed);
                continue;
            }
            hits.fetch_add(1, std::memory_order_relaxed);
            auto const version = r.node.incarnation();
            auto const kept = 1 + version % children;
            std::uint64_t i = children;
            if (key < separator(node, version, children))
                for (i = kept - 1; key < separator(node, version, i);) --i;
            expect(r.where == (i == children ? route::to::right : route::to::child) &&
                       r.node == reference(node, version, i),
                   "node " + std::to_string(node) + " never said that of key " + std::to_string(key));
        }
    });
    std::cout << hits << " hits, " << misses << " misses\n";
    REQUIRE(hits > 1000);
    for (std::uint64_t node = 0; node < n; ++node) cache.drop(inner_ref(node + 1));
    REQUIRE(cache.bytes_used() <= 16 * 64); // the books are right: the table alone is left
}
