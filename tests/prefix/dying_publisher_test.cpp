// SPDX-License-Identifier: Apache-2.0
// A client dies at every single operation of a publish and of a forget: what is listed is closed under prefixes, but for
// the one window that it was at.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <support/catch.hpp>
#include <support/chains.hpp>
#include <support/every_death.hpp>
#include <support/mortal_scene.hpp>

#include <catena/index/sherman_tree.hpp>
#include <catena/prefix/prefix_index.hpp>

using namespace catena;
using namespace catena::test;

namespace {

constexpr std::size_t window = 8;
struct short_windows : tree_options {
    static constexpr std::size_t node_bytes = 512;
    static constexpr std::size_t batch_nodes = window;
};
using tree_type = sherman_tree<block_hash, location, short_windows>;
constexpr std::size_t length = 5 * window + 3;

struct scene : mortal_scene<tree_type> {
    prefix_index<tree_type> victims{victims_tree};
    std::vector<block_hash> chain = chain_of(1, length);
    std::vector<location> where = places(1, length);

    [[nodiscard]] auto publish() { return sync_wait(victim.s, victims.publish(victim.s, chain, where)); }
    [[nodiscard]] auto forget() { return sync_wait(victim.s, victims.forget(victim.s, chain, 0, {})); }
};

/// windows: those of a publish begin at the root, those of a forget end at the leaf.
void require_prefix(scene& t, std::size_t first_window_end) {
    auto const found = t.survivor.find_many(t.chain);
    auto const window_of = [&](std::size_t i) {
        return i < first_window_end ? 0 : 1 + (i - first_window_end) / window;
    };
    std::size_t first_gap = length; // in a window after that of the first gap nothing is listed
    for (std::size_t i = 0; i < length; ++i) {
        if (!found[i]) first_gap = std::min(first_gap, i);
        if (found[i] && first_gap < i) {
            CAPTURE(i, first_gap);
            REQUIRE(window_of(i) == window_of(first_gap));
        }
    }
}

template <typename Deed>
void require_a_prefix_after_every_death(bool published_before, std::size_t first_window_end, Deed act) {
    auto const deaths = die_at_every_operation<scene>(
        [&](scene& t) {
            if (published_before) (void)ok(t.publish());
        },
        act, [&](scene& t, std::uint64_t) { require_prefix(t, first_window_end); });
    REQUIRE(deaths > length);
}

} // namespace

TEST_CASE("a publisher that dies leaves a prefix, to the window") {
    require_a_prefix_after_every_death(false, window, [](scene& t) { return t.publish(); });
}

TEST_CASE("one who dies in a forget leaves a prefix, to the window") {
    require_a_prefix_after_every_death(true, length % window, [](scene& t) { return t.forget(); });
}
