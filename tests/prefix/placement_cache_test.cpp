// SPDX-License-Identifier: Apache-2.0
// placement_cache: what it keeps, what it lets go, and that threads never see a mix of two entries.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <support/catch.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>
#include <support/threads.hpp>

#include <catena/prefix/placement_cache.hpp>

using namespace catena;
using namespace catena::test;

namespace {

constexpr std::size_t one_set = 8 * placement_cache::entry_bytes;

[[nodiscard]] block_hash key(std::uint64_t n) { return {.high = mix64(n), .low = mix64(~n)}; }
/// All of it follows from both numbers.
[[nodiscard]] placement made_of(std::uint64_t n, std::uint64_t version) {
    auto const h = mix64(n * 1000 + version);
    placement p;
    p.extent =
        extent_ref(remote_ptr(static_cast<std::uint16_t>(h & 3U), (1 + (h >> 8U & 0xfffU)) * block_granule),
                   static_cast<std::uint32_t>(h >> 20U & 1U), static_cast<std::uint32_t>(1 + (h >> 24U & 0xffU)));
    p.slots = static_cast<std::uint8_t>(h >> 32U & 31U);
    p.branched = (h >> 37U & 1U) != 0;
    p.uses = static_cast<std::uint8_t>(h >> 38U & 3U);
    p.removals = static_cast<std::uint16_t>(h >> 40U);
    p.children = static_cast<std::uint32_t>(h);
    return p;
}
[[nodiscard]] bool same(placement const& a, placement const& b) {
    return a.extent == b.extent && a.slots == b.slots && a.branched == b.branched && a.uses == b.uses &&
           a.removals == b.removals && a.children == b.children;
}

} // namespace

TEST_CASE("placements: what was put is found, all of it, until it is replaced or dropped", "[extents]") {
    placement_cache cache(1U << 16U);
    REQUIRE_FALSE(cache.find(key(1)));
    for (std::uint64_t n = 0; n < 100; ++n) cache.put(key(n), made_of(n, 0));
    for (std::uint64_t n = 0; n < 100; ++n) {
        REQUIRE(cache.find(key(n)));
        REQUIRE(same(*cache.find(key(n)), made_of(n, 0)));
    }
    REQUIRE(cache.bytes_used() == 100 * placement_cache::entry_bytes);
    cache.put(key(7), made_of(7, 1));
    cache.put(key(7), made_of(7, 1));
    REQUIRE(same(*cache.find(key(7)), made_of(7, 1)));
    REQUIRE(cache.bytes_used() == 100 * placement_cache::entry_bytes);
    cache.drop(key(7), made_of(7, 0).extent); // somebody learned meanwhile that it is elsewhere
    REQUIRE(same(*cache.find(key(7)), made_of(7, 1)));
    cache.drop(key(8), made_of(7, 1).extent);
    REQUIRE(cache.find(key(7)));
    REQUIRE(cache.find(key(8)));
    cache.drop(key(7), made_of(7, 1).extent);
    REQUIRE_FALSE(cache.find(key(7)));
    REQUIRE(cache.bytes_used() == 99 * placement_cache::entry_bytes);
    cache.drop(key(7), made_of(7, 1).extent);
    REQUIRE(cache.bytes_used() == 99 * placement_cache::entry_bytes);
    cache.put(key(7), made_of(7, 2));
    REQUIRE(same(*cache.find(key(7)), made_of(7, 2)));
    REQUIRE(cache.bytes_used() == 100 * placement_cache::entry_bytes);
}

TEST_CASE("placements: only what changed is another entry", "[extents]") {
    placement_cache cache(one_set);
    auto p = made_of(1, 0);
    cache.put(key(1), p);
    auto const change = [&](auto what) {
        what(p);
        cache.put(key(1), p);
        REQUIRE(same(*cache.find(key(1)), p));
    };
    change([](placement& q) { ++q.slots; });
    change([](placement& q) { q.branched = !q.branched; });
    change([](placement& q) { q.uses = static_cast<std::uint8_t>(q.uses ^ 1U); });
    change([](placement& q) { ++q.removals; });
    change([](placement& q) { ++q.children; });
    change([](placement& q) { q.extent = made_of(2, 0).extent; });
    REQUIRE(cache.bytes_used() == placement_cache::entry_bytes);
    extent_children const c = extent_children::none(5).with(key(9), true);
    auto const of = placement::of(p.extent, 12, c);
    REQUIRE((of.slots == 12 && of.branched && of.uses == 0 && of.removals == 0 && of.children == c.filter()));
    REQUIRE(same(placement::of(of.extent.bits(), of.hint()), of));
}

TEST_CASE("placements: the cache stays within its bounds, and a full set lets one go", "[extents]") {
    REQUIRE(placement_cache(0).capacity_bytes() == one_set);
    REQUIRE(placement_cache(3 * one_set).capacity_bytes() == 2 * one_set);
    placement_cache cache(one_set);
    for (std::uint64_t n = 0; n < 1000; ++n) {
        cache.put(key(n), made_of(n, 0));
        REQUIRE(same(*cache.find(key(n)), made_of(n, 0))); // the newest
        std::size_t kept = 0;
        for (std::uint64_t k = 0; k <= n; ++k) {
            auto const p = cache.find(key(k));
            if (p) REQUIRE(same(*p, made_of(k, 0)));
            kept += p ? 1 : 0;
        }
        REQUIRE(kept == std::min<std::uint64_t>(n + 1, 8));
        REQUIRE(cache.bytes_used() == kept * placement_cache::entry_bytes);
    }
    placement_cache large(64 * one_set);
    for (std::uint64_t n = 0; n < 10'000; ++n) large.put(key(n), made_of(n, 0));
    REQUIRE(large.bytes_used() <= large.capacity_bytes());
    REQUIRE(large.bytes_used() > large.capacity_bytes() / 2);
}

TEST_CASE("placements: threads never see a mix of two entries", "[extents]") {
    placement_cache cache(one_set); // all in one set
    constexpr std::uint64_t keys = 12;
    constexpr std::uint64_t versions = 50;
    std::vector<std::vector<placement>> all(keys);
    for (std::uint64_t n = 0; n < keys; ++n)
        for (std::uint64_t v = 0; v < versions; ++v) all[n].push_back(made_of(n, v));
    std::atomic<std::size_t> found{0};
    run_threads(4, [&](std::size_t thread) {
        random_source random(17 + thread);
        for (std::size_t i = 0; i < scaled(200'000); ++i) {
            auto const n = random.below(keys);
            auto const& p = all[n][random.below(versions)];
            switch (random.below(8)) {
            case 0: cache.drop(key(n), p.extent); break;
            case 1:
            case 2: cache.put(key(n), p); break;
            default: {
                auto const seen = cache.find(key(n));
                if (!seen) break;
                found.fetch_add(1, std::memory_order_relaxed);
                bool known = false;
                for (auto const& one : all[n]) known |= same(one, *seen);
                expect(known, "an entry that nobody put for key " + std::to_string(n));
            }
            }
        }
    });
    REQUIRE(found > 0);
}

TEST_CASE("placements: the cache grows with its entries and loses none on the way", "[extents]") {
    placement_cache cache(64U << 20U);
    auto const begin = cache.bytes_in_use();
    constexpr std::uint64_t entries = 20'000;
    for (std::uint64_t n = 0; n < entries; ++n) {
        cache.put(key(n), made_of(n, 0));
        if (n % 997 != 0) continue;
        for (std::uint64_t k = 0; k <= n; ++k)
            REQUIRE((cache.find(key(k)) && same(*cache.find(key(k)), made_of(k, 0))));
    }
    REQUIRE(cache.bytes_used() == entries * placement_cache::entry_bytes);
    REQUIRE(cache.bytes_in_use() > begin);
    REQUIRE(cache.bytes_in_use() <= 16 * cache.bytes_used() + 16 * one_set);
    REQUIRE(cache.bytes_in_use() < cache.capacity_bytes() / 4);
    for (std::uint64_t n = 0; n < entries; n += 2) cache.drop(key(n), made_of(n, 0).extent);
    for (std::uint64_t n = 0; n < entries; ++n) REQUIRE(cache.find(key(n)).has_value() == (n % 2 == 1));
}

TEST_CASE("placements: while the cache grows threads find their entries whole, or not", "[extents]") {
    placement_cache cache(1U << 20U);
    constexpr std::uint64_t entries = 3'000;
    constexpr std::uint64_t versions = 4;
    constexpr std::size_t threads = 3;
    run_threads(threads, [&](std::size_t thread) {
        for (std::uint64_t version = 0; version < versions; ++version)
            for (std::uint64_t n = thread; n < entries; n += threads) {
                cache.put(key(n), made_of(n, version));
                auto const other = mix64(n + version) % entries;
                auto const seen = cache.find(key(other));
                bool known = !seen;
                for (std::uint64_t v = 0; v < versions && !known; ++v) known = same(*seen, made_of(other, v));
                expect(known, "an entry that nobody put for key " + std::to_string(other));
            }
    });
    std::uint64_t kept = 0;
    for (std::uint64_t n = 0; n < entries; ++n) kept += cache.find(key(n)) ? 1 : 0;
    REQUIRE(kept >
            entries /
                2); // nothing grows while a thread is stopped in the middle of a split, and full sets let entries go
}
