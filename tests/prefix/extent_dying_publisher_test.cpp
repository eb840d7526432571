// SPDX-License-Identifier: Apache-2.0
// A client dies at every single operation of a publish and of a forget of extents, its last WRITE torn: those who live on find
// a prefix with the right places, list what is missing, and take everything off again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <support/catch.hpp>
#include <support/chains.hpp>
#include <support/every_death.hpp>
#include <support/joined.hpp>
#include <support/mortal_scene.hpp>
#include <support/sound.hpp>

#include <catena/index/sherman_tree.hpp>
#include <catena/prefix/extent_index.hpp>

using namespace catena;
using namespace catena::test;

namespace {

constexpr std::size_t window = 8;
struct short_windows : extent_options {
    static constexpr std::size_t window = ::window;
};
struct four_entries : tree_options {
    static constexpr std::size_t node_bytes = 192;
};
using index_type = extent_index<sherman_tree<block_hash, extent_ref, four_entries>, short_windows>;
using chain = std::vector<block_hash>;

struct scene : bare_mortal_scene<index_type> {
    scene() : bare_mortal_scene(1U << 20U, 4096, 1U << 16U) {}

    /// Lists c[from..] in segment 1 as the one who will die; in segment 2 as the one who lives on.
    [[nodiscard]] result<publish_counts> publish(chain const& c, std::size_t from = 0, match_end const& after = {}) {
        auto l = places(1, c.size());
        return sync_wait(victim.s, victims_tree.publish(victim.s, c, l, from, after));
    }
    [[nodiscard]] result<std::size_t> forget(chain const& c, std::size_t keep = 0) {
        return sync_wait(victim.s, victims_tree.forget(victim.s, c, keep, {}));
    }
    /// A prefix, in the places where it was listed.
    std::size_t require_match(chain const& c) {
        std::vector<location> out(c.size());
        auto const n = ok(sync_wait(s, tree.match(s, c, out))).blocks;
        for (std::size_t i = 0; i < n; ++i) {
            REQUIRE((out[i] == location(1, i) || out[i] == location(2, i)));
        }
        return n;
    }
    void require_all_works(std::span<chain const> chains) {
        for (auto const& c : chains) (void)require_match(c);
        for (auto const& c : chains) {
            auto l = places(2, c.size());
            auto const counts = ok(sync_wait(s, tree.publish(s, c, l)));
            REQUIRE(counts.behind_a_gap == 0);
            REQUIRE(require_match(c) == c.size());
            std::vector<location> out(c.size());
            (void)ok(sync_wait(s, tree.match(s, c, out)));
            REQUIRE(out == l);
        }
        (void)sound();
        for (auto const& c : chains) (void)ok(sync_wait(s, tree.forget(s, c, 0, {})));
        for (auto const& c : chains) REQUIRE(require_match(c) == 0);
        REQUIRE(sound().entries == 0);
    }
    index_check sound() { return must_be_sound(ok(sync_wait(s, tree.verify(s)))); }

    local_session& s = w.first.s;
};

/// chains: all that there are.
template <typename Prepare, typename Act>
void require_all_works_after_every_death(std::span<chain const> chains, Prepare prepare, Act act) {
    std::uint64_t found_again = 0;
    auto const deaths = die_at_every_operation<scene>(prepare, act, [&](scene& t, std::uint64_t last) {
        t.require_all_works(chains);
        if (last % 4 != 0) return;
        found_again += ok(sync_wait(t.s, t.tree.reclaim(t.s))).bytes; // waits for a lease
        t.require_all_works(chains);
    });
    REQUIRE(deaths > 4);
    REQUIRE(found_again > 0);
}

chain const trunk = chain_of(1, 3 * window + 3);
std::vector<chain> const trunk_and_branch{trunk, joined(std::span(trunk).first(window + 4), chain_of(2, window + 3))};

} // namespace

TEST_CASE("extents: who dies in a publish of a new chain leaves a prefix", "[extents]") {
    std::vector<chain> const all{trunk};
    require_all_works_after_every_death(
        all, [](scene&) {}, [](scene& t) { return t.publish(trunk); });
}

TEST_CASE("extents: who dies in a publish that goes on from a match leaves a prefix", "[extents]") {
    std::vector<chain> const all{joined(trunk, chain_of(2, 2 * window + 3))}; // fills slots, then new extents
    auto const prepare = [](scene& t) { (void)ok(t.publish(trunk)); };
    auto const go_on = [&](scene& t) -> result<publish_counts> {
        auto const a = sync_wait(t.victim.s, t.victims_tree.match(t.victim.s, all.front(), {}));
        if (!a) return a.error();
        return t.publish(all.front(), a->blocks, a->end);
    };
    require_all_works_after_every_death(all, prepare, go_on);
}

TEST_CASE("extents: who dies in a publish of a branch leaves the trunk as it was", "[extents]") {
    auto const prepare = [](scene& t) { (void)ok(t.publish(trunk)); };
    require_all_works_after_every_death(trunk_and_branch, prepare, [](scene& t) {
        auto const done = t.publish(trunk_and_branch[1]);
        REQUIRE(t.require_match(trunk) == trunk.size());
        return done;
    });
}

TEST_CASE("extents: who dies where somebody else has listed a part of the chain does no harm", "[extents]") {
    auto const prepare = [](scene& t) {
        for (auto const& c : trunk_and_branch) (void)ok(t.publish(c));
        // A gap in the first window: what lies behind is there already.
        (void)ok(sync_wait(t.s, t.tree.forget(t.s, std::span(trunk).first(5), 3, {})));
    };
    require_all_works_after_every_death(trunk_and_branch, prepare,
                                        [](scene& t) { return t.publish(trunk_and_branch[1]); });
}

TEST_CASE("extents: who dies in a forget leaves a prefix", "[extents]") {
    auto const prepare = [](scene& t) { (void)ok(t.publish(trunk)); };
    require_all_works_after_every_death(trunk_and_branch, prepare, [](scene& t) { return t.forget(trunk); });
}

TEST_CASE("extents: who dies in a forget of a branch leaves the trunk as it was", "[extents]") {
    auto const prepare = [](scene& t) {
        for (auto const& c : trunk_and_branch) (void)ok(t.publish(c));
    };
    require_all_works_after_every_death(trunk_and_branch, prepare, [](scene& t) {
        auto const done = t.forget(trunk_and_branch[1], window + 4);
        REQUIRE(t.require_match(trunk) == trunk.size());
        return done;
    });
}
