// SPDX-License-Identifier: Apache-2.0
// Round trips of a match, strategy by strategy, and of publish and forget: exact, with a warm cache.
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <span>
#include <vector>

#include <support/catch.hpp>
#include <support/world.hpp>

#include <catena/core/hash.hpp>
#include <catena/index/sherman_tree.hpp>
#include <catena/prefix/prefix_index.hpp>

using namespace catena;
using namespace catena::test;

namespace {

using tree_type = sherman_tree<block_hash, location>;
constexpr std::size_t window = tree_options::batch_nodes;

[[nodiscard]] block_hash block(std::uint64_t chain, std::uint64_t i) {
    return {.high = mix64(chain * 1'000'000 + i), .low = mix64(~(chain * 1'000'000 + i))};
}
[[nodiscard]] std::vector<block_hash> chain_of(std::uint64_t chain, std::size_t n) {
    std::vector<block_hash> c;
    for (std::uint64_t i = 0; i < n; ++i) c.push_back(block(chain, i));
    return c;
}
[[nodiscard]] std::vector<location> places(std::size_t n, std::uint16_t segment = 1) {
    std::vector<location> l;
    for (std::uint64_t i = 0; i < n; ++i) l.emplace_back(segment, i);
    return l;
}

struct prefix_world {
    prefix_world() {
        for (std::uint64_t c = 1; c < 200; ++c) publish(chain_of(c, 100)); // other people's blocks
    }
    publish_counts publish(std::vector<block_hash> const& c) {
        auto l = places(c.size());
        return ok(sync_wait(s, prefixes.publish(s, c, l)));
    }
    std::size_t match(std::span<block_hash const> c, match_strategy how) {
        return ok(sync_wait(s, prefixes.match(s, c, {}, how)));
    }
    template <typename Call>
    [[nodiscard]] std::uint64_t round_trips(Call call) {
        auto const before = s.stats().round_trips;
        call();
        return s.stats().round_trips - before;
    }

    world w{64U << 20U};
    local_session& s = w.first.s;
    tree_type tree = ok(tree_type::create(s, "t", 8U << 20U));
    prefix_index<tree_type> prefixes{tree};
};

} // namespace

TEST_CASE("a match of m of n blocks takes the round trips that its strategy promises", "[budget][prefix]") {
    prefix_world f;
    auto const n = GENERATE(std::size_t{1}, std::size_t{7}, std::size_t{100}, std::size_t{500});
    auto const chain = chain_of(1000, n);
    for (auto const m : {std::size_t{0}, std::size_t{1}, n / 3, n - 1, n}) {
        if (m > n) continue;
        CAPTURE(n, m);
        (void)ok(sync_wait(f.s, f.prefixes.forget(f.s, chain, 0, {})));
        f.publish(chain_of(1000, m));
        auto const cost = [&](match_strategy how) {
            (void)f.match(chain, how); // warm
            return f.round_trips([&] { REQUIRE(f.match(chain, how) == m); });
        };
        REQUIRE(cost(match_strategy::sequential) == std::min(m + 1, n));
        REQUIRE(cost(match_strategy::batched) == 1);
        std::size_t windows = 0; // 8, 16, 32, ...
        for (std::size_t at = 0, size = 8; at < n && at <= m; at += size, size *= 2) ++windows;
        REQUIRE(cost(match_strategy::galloping) == windows);
        auto const binary = cost(match_strategy::binary);
        REQUIRE(binary <= static_cast<std::size_t>(std::bit_width(n)) + 1); // log2(n) + 1 and the last reading
    }
}

TEST_CASE("a batched match takes one round trip for every batch_nodes blocks, until the gap", "[budget][prefix]") {
    prefix_world f;
    auto const chain = chain_of(1000, 3 * window + 1);
    f.publish(chain);
    (void)f.match(chain, match_strategy::batched);
    REQUIRE(f.round_trips([&] { REQUIRE(f.match(chain, match_strategy::batched) == chain.size()); }) == 4);
    REQUIRE(f.round_trips([&] { REQUIRE(f.match({}, match_strategy::batched) == 0); }) == 0);
}

TEST_CASE("chains that are matched together share their round trips", "[budget][prefix]") {
    prefix_world f;
    std::vector<std::vector<block_hash>> chains;
    for (std::uint64_t c = 1; c <= 5; ++c) chains.push_back(chain_of(c, 80));
    std::vector<std::span<block_hash const>> const spans(chains.begin(), chains.end());
    std::vector<std::size_t> matched(spans.size());
    REQUIRE(f.round_trips([&] { ok(sync_wait(f.s, f.prefixes.match_many(f.s, spans, matched))); }) == 1);
    for (auto const m : matched) REQUIRE(m == 80);
}

TEST_CASE("a publish of 100 new blocks takes 3 round trips, and 3 more if leaves split", "[budget][prefix]") {
    prefix_world f;
    std::uint64_t total = 0;
    for (std::uint64_t c = 1000; c < 1050; ++c) {
        auto const chain = chain_of(c, 100);
        auto const spent = f.round_trips([&] { REQUIRE(f.publish(chain).inserted == 100); });
        REQUIRE(spent >= 3);
        REQUIRE(spent <= 20); // leaves that fill up and split, their separators; rarely parents split, or a chunk ends
        total += spent;
        REQUIRE(f.round_trips([&] { REQUIRE(f.publish(chain).already_present == 100); }) <=
                2); // a new parent is read once
    }
    std::cout << "publish of 100 new blocks: " << static_cast<double>(total) / 50 << " round trips\n";
    REQUIRE(total <= 50 * 9);
}

TEST_CASE("a forget of 100 blocks takes 3 round trips if no leaf becomes nearly empty", "[budget][prefix]") {
    prefix_world f;
    auto const chain = chain_of(1, 100);
    REQUIRE(f.round_trips([&] { REQUIRE(ok(sync_wait(f.s, f.prefixes.forget(f.s, chain, 0, {}))) == 100); }) == 3);
    REQUIRE(f.round_trips([&] { REQUIRE(ok(sync_wait(f.s, f.prefixes.forget(f.s, chain, 0, {}))) == 0); }) == 1);
}
