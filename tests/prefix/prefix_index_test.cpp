// SPDX-License-Identifier: Apache-2.0
// match, publish and forget against a model: a set of blocks with their locations.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include <support/any_memory.hpp>
#include <support/catch.hpp>
#include <support/chains.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>
#include <support/world.hpp>

#include <catena/core/hash.hpp>
#include <catena/index/sherman_tree.hpp>
#include <catena/prefix/prefix_index.hpp>

using namespace catena;
using namespace catena::test;

namespace {

struct short_batches : tree_options {
    static constexpr std::size_t batch_nodes = 16;
};
constexpr std::array strategies{match_strategy::sequential, match_strategy::batched, match_strategy::galloping,
                                match_strategy::binary};

template <typename Index>
struct prefix_world {
    std::size_t match(std::span<block_hash const> c, std::span<location> out, match_strategy how) {
        return ok(sync_wait(s, prefixes.match(s, c, out, how)));
    }
    publish_counts publish(std::span<block_hash const> c, std::span<location> l) {
        return ok(sync_wait(s, prefixes.publish(s, c, l)));
    }
    std::size_t forget(std::span<block_hash const> c, std::size_t keep = 0, std::span<location const> expected = {}) {
        return ok(sync_wait(s, prefixes.forget(s, c, keep, expected)));
    }
    /// Every strategy's answer, which must be the same, with the right locations.
    std::size_t match_all_ways(std::span<block_hash const> c, std::map<block_hash, location> const& model) {
        std::size_t expected = 0;
        while (expected < c.size() && model.contains(c[expected])) ++expected;
        for (auto const how : strategies) {
            CAPTURE(name(how), c.size());
            std::vector<location> out(c.size(), location(9, 9));
            REQUIRE(match(c, out, how) == expected);
            REQUIRE(match(c, {}, how) == expected);
            for (std::size_t i = 0; i < expected; ++i) REQUIRE(out[i] == model.at(c[i]));
        }
        return expected;
    }

    any_world w{16U << 20U};
    any_session& s = w.first.s;
    Index tree = ok(Index::create(s, "t", 1U << 20U));
    prefix_index<Index> prefixes{tree};
};

using plain = sherman_tree<block_hash, location>;
using short_windows = sherman_tree<block_hash, location, short_batches>;

} // namespace

TEMPLATE_TEST_CASE("a match is the longest prefix whose every block is listed, whatever the strategy", "[prefix]",
                   plain, short_windows) {
    prefix_world<TestType> f;
    std::map<block_hash, location> model;
    for (std::size_t const n : {0U, 1U, 7U, 8U, 9U, 15U, 16U, 17U, 40U, 600U}) {
        auto const chain = chain_of(n, n);
        auto l = places(static_cast<std::uint16_t>(n), n);
        REQUIRE(f.match_all_ways(chain, model) == 0);
        REQUIRE(f.publish(chain, l).inserted == n);
        for (std::size_t i = 0; i < n; ++i) model[chain[i]] = l[i];
        REQUIRE(f.match_all_ways(chain, model) == n);
        auto longer = chain;
        auto const more = chain_of(100'000 + n, 50);
        longer.insert(longer.end(), more.begin(), more.end());
        REQUIRE(f.match_all_ways(longer, model) == n);
    }
}

TEMPLATE_TEST_CASE("a match ends at a gap, wherever it is", "[prefix]", plain, short_windows) {
    prefix_world<TestType> f;
    constexpr std::size_t n = 70;
    auto const chain = chain_of(1, n);
    auto l = places(1, n);
    f.publish(chain, l);
    std::map<block_hash, location> model;
    for (std::size_t i = 0; i < n; ++i) model[chain[i]] = l[i];
    for (std::size_t gap = 0; gap < n; ++gap) {
        REQUIRE(f.forget(std::span(chain).subspan(gap, 1)) == 1);
        model.erase(chain[gap]);
        REQUIRE(f.match_all_ways(chain, model) == gap);
        auto again = location(1, gap);
        f.publish(std::span(chain).subspan(gap, 1), std::span(&again, 1));
        model[chain[gap]] = again;
    }
    REQUIRE(f.match_all_ways(chain, model) == n);
}

TEST_CASE("the first publisher of a block wins, later ones learn its location", "[prefix]") {
    prefix_world<plain> f;
    auto const chain = chain_of(1, 20);
    auto mine = places(1, 20);
    auto theirs = places(2, 20);
    REQUIRE(f.publish(std::span(chain).first(12), std::span(mine).first(12)).inserted == 12);
    auto const counts = f.publish(chain, theirs);
    REQUIRE(counts.inserted == 8);
    REQUIRE(counts.already_present == 12);
    for (std::size_t i = 0; i < 20; ++i) REQUIRE(theirs[i] == location(i < 12 ? 1 : 2, i));
    std::vector<location> out(20);
    REQUIRE(f.match(chain, out, match_strategy::batched) == 20);
    REQUIRE(out == theirs);
}

TEMPLATE_TEST_CASE("forget keeps what it is told to keep and what is listed elsewhere", "[prefix]", plain,
                   short_windows) {
    prefix_world<TestType> f;
    auto const chain = chain_of(1, 50);
    auto mine = places(1, 50);
    f.publish(chain, mine);
    REQUIRE(f.forget(chain, 50) == 0);
    REQUIRE(f.forget(chain, 60) == 0);
    REQUIRE(f.forget(chain, 40) == 10);
    REQUIRE(f.match(chain, {}, match_strategy::batched) == 40);
    auto others = mine;
    others[30] = location(7, 7); // somebody else's copy is meant: it stays
    REQUIRE(f.forget(chain, 20, others) == 19);
    REQUIRE(f.match(chain, {}, match_strategy::batched) == 20);
    REQUIRE(ok(sync_wait(f.s, f.prefixes.contains(f.s, chain[30]))));
    REQUIRE_FALSE(ok(sync_wait(f.s, f.prefixes.contains(f.s, chain[29]))));
    REQUIRE(f.forget(chain) == 21);
    REQUIRE(f.match(chain, {}, match_strategy::batched) == 0);
    REQUIRE(f.forget(chain) == 0);
}

TEST_CASE("spans that do not fit are refused and nothing is done", "[prefix]") {
    prefix_world<plain> f;
    auto const chain = chain_of(1, 4);
    auto few = places(1, 3);
    auto const is_refused = [](auto const& r) { return !r && r.error().code == errc::invalid_argument; };
    REQUIRE(is_refused(sync_wait(f.s, f.prefixes.publish(f.s, chain, few))));
    REQUIRE(is_refused(sync_wait(f.s, f.prefixes.match(f.s, chain, few, match_strategy::batched))));
    REQUIRE(is_refused(sync_wait(f.s, f.prefixes.forget(f.s, chain, 0, few))));
    std::array<std::span<block_hash const>, 2> const chains{chain, chain};
    std::array<std::size_t, 1> matched{};
    REQUIRE(is_refused(sync_wait(f.s, f.prefixes.match_many(f.s, chains, matched))));
    REQUIRE(f.match(chain, {}, match_strategy::batched) == 0);
}

TEST_CASE("a chain that names a block twice matches and is forgotten once", "[prefix]") {
    prefix_world<plain> f;
    auto chain = chain_of(1, 6);
    chain[4] = chain[1];
    auto l = places(1, 6);
    auto const counts = f.publish(chain, l);
    REQUIRE(counts.inserted == 5);
    REQUIRE(counts.already_present == 1);
    REQUIRE(l[4] == l[1]);
    for (auto const how : strategies) REQUIRE(f.match(chain, {}, how) == 6);
    REQUIRE(f.forget(chain) == 5);
}

TEMPLATE_TEST_CASE("random publishes, forgets and matches agree with a model", "[prefix]", plain, short_windows) {
    auto const seed = test_seed(10);
    CAPTURE(seed);
    random_source random(seed);
    prefix_world<TestType> f;
    std::map<block_hash, location> model;
    // Conversations: chains that share a beginning and then part.
    auto const any_chain = [&] {
        auto const root = random.below(4);
        auto c = chain_of(root, random.below(60));
        auto const branch = chain_of(1000 + root * 8 + random.below(8), random.below(60));
        c.insert(c.end(), branch.begin(), branch.end());
        return c;
    };
    for (std::size_t step = 0; step < scaled(1500); ++step) {
        auto const c = any_chain();
        switch (random.below(4)) {
        case 0: {
            auto l = places(static_cast<std::uint16_t>(step), c.size());
            auto const asked = l;
            auto const counts = f.publish(c, l);
            std::size_t inserted = 0;
            for (std::size_t i = 0; i < c.size(); ++i) {
                auto const [at, fresh] = model.try_emplace(c[i], asked[i]);
                inserted += fresh ? 1 : 0;
                REQUIRE(l[i] == at->second);
            }
            REQUIRE(counts.inserted == inserted);
            REQUIRE(counts.already_present == c.size() - inserted);
            break;
        }
        case 1: {
            auto const keep = random.below(c.size() + 1);
            std::size_t erased = 0;
            for (std::size_t i = keep; i < c.size(); ++i) erased += model.erase(c[i]);
            REQUIRE(f.forget(c, keep) == erased);
            break;
        }
        case 2: {
            std::vector<std::vector<block_hash>> chains;
            for (auto n = random.below(5); chains.size() < n;) chains.push_back(any_chain());
            std::vector<std::span<block_hash const>> const spans(chains.begin(), chains.end());
            std::vector<std::size_t> matched(spans.size());
            ok(sync_wait(f.s, f.prefixes.match_many(f.s, spans, matched)));
            for (std::size_t i = 0; i < spans.size(); ++i) {
                std::size_t expected = 0;
                while (expected < spans[i].size() && model.contains(spans[i][expected])) ++expected;
                REQUIRE(matched[i] == expected);
            }
            break;
        }
        default: f.match_all_ways(c, model);
        }
    }
    calls<TestType, any_session> t(f.tree, f.s);
    REQUIRE(t.sound().entries == model.size());
}
