// SPDX-License-Identifier: Apache-2.0
// A hopscotch leaf under every cut and every mix: words of a READ are of different moments, a writer dies between any two
// words. What a reader concludes is right, what is mended is whole.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include <support/catch.hpp>
#include <support/random.hpp>

#include <catena/core/hash.hpp>
#include <catena/layout/hopscotch_edit.hpp>
#include <catena/layout/hopscotch_mend.hpp>

using namespace catena;
using namespace catena::test;

namespace {

using layout = hopscotch_layout<std::uint64_t, std::uint64_t>;
using view = hopscotch_view<layout>;
using words = std::array<word, layout::words>;
using model = std::map<std::uint64_t, std::uint64_t>;

/// A leaf, everything that ever was in remote memory, word by word, and what was true meanwhile.
struct leaf_world {
    words image{};
    std::vector<words> past;  ///< remote memory after each word that landed
    std::vector<model> truth; ///< at that time; during a change: before it, and the key is in `open`
    std::vector<std::set<std::uint64_t>> open;
    model now;

    leaf_world() {
        leaf().format(0, 7, 3);
        leaf().seal(1, false);
        past.push_back(image);
        truth.push_back(now);
        open.emplace_back();
    }
    [[nodiscard]] view leaf() { return view(image.data()); }

    /// Lands the words of a step in an order of the seed's choice.
    void land(word_range r, random_source& random, std::set<std::uint64_t> const& touched) {
        std::vector<std::size_t> order;
        for (std::size_t i = 0; i < r.count; ++i) order.push_back(r.first + i);
        for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
        for (auto const at : order) {
            auto memory = past.back();
            memory[at] = image[at];
            past.push_back(memory);
            truth.push_back(now);
            open.push_back(touched);
        }
    }
    void settle() {
        truth.back() = now;
        open.back().clear();
    }

    /// False: no room.
    bool insert(std::uint64_t key, std::uint64_t value, random_source& random, std::size_t moves = layout::quads) {
        auto const room = make_room(leaf(), layout::home_of(key), moves);
        if (room.slot == layout::no_slot) return false;
        hopscotch_insert(leaf(), room, key, value, [&](word_range r) { land(r, random, {key}); });
        now[key] = value;
        settle();
        return true;
    }
    [[nodiscard]] std::size_t slot_of(std::uint64_t key) {
        auto const slot = leaf().find(layout::home_of(key), key);
        REQUIRE(slot < layout::slots);
        return slot;
    }
    void erase(std::uint64_t key, random_source& random) {
        hopscotch_erase(leaf(), slot_of(key), [&](word_range r) { land(r, random, {key}); });
        now.erase(key);
        settle();
    }
    void replace(std::uint64_t key, std::uint64_t value, random_source& random) {
        hopscotch_replace(leaf(), slot_of(key), value, [&](word_range r) { land(r, random, {key}); });
        now[key] = value;
        settle();
    }
    /// Something happens.
    void act(random_source& random, std::uint64_t keys) {
        auto const key = 1 + random.below(keys);
        if (!now.contains(key))
            (void)insert(key, random.next(), random);
        else if (random.one_in(2))
            erase(key, random);
        else
            replace(key, random.next(), random);
    }
    /// Keys do not fit for ever: this many fill the leaf.
    std::size_t fill(random_source& random) {
        while (insert(1 + random.next() / 2, 1, random, 2)) {}
        return now.size();
    }
    void forget_past() {
        past.erase(past.begin(), past.end() - 1);
        truth.erase(truth.begin(), truth.end() - 1);
        open.erase(open.begin(), open.end() - 1);
    }
};

[[nodiscard]] model contents(view const& leaf) {
    model m;
    for (std::size_t slot = 0; slot < layout::slots; ++slot)
        if (leaf.occupied(slot)) {
            auto const home = layout::home_of(leaf.key(slot)), q = slot / quad_word::slots;
            REQUIRE((q == home || q == layout::next(home)));
            REQUIRE(m.emplace(leaf.key(slot), leaf.payload(slot)).second); // H4
        }
    return m;
}

void require_whole(view const& leaf) {
    for (std::size_t q = 0; q < layout::quads; ++q) {
        CAPTURE(q);
        REQUIRE(leaf.sealed(q, layout::fence_of(q)));
        REQUIRE(leaf.quad(q).right_epoch() == leaf.quad(layout::next(q)).left_epoch());
    }
    REQUIRE(leaf.sealed());
}

/// Mends an image as recovery does. high: what the leaf that `link` names says.
void mend(view const& leaf, std::optional<std::uint64_t> high = {}) {
    hopscotch_mend(leaf, high);
    leaf.seal(2, false);
}

} // namespace

TEST_CASE("a leaf of 40 slots of two words has 832 bytes, a neighbourhood 152, in one range but for the last") {
    static_assert(layout::bytes == 832 && layout::slots == 40);
    std::set<std::size_t> covered;
    for (std::size_t home = 0; home < layout::quads; ++home) {
        auto const ranges = layout::neighbourhood(home);
        REQUIRE((ranges[0].count + ranges[1].count) * word_bytes == 152);
        REQUIRE((ranges[1].count != 0) == (home + 1 == layout::quads));
        std::set<std::size_t> here;
        for (auto const& r : ranges)
            for (std::size_t i = 0; i < r.count; ++i) REQUIRE(here.insert(r.first + i).second);
        auto const needs = [&](std::size_t first, std::size_t n) {
            for (std::size_t i = 0; i < n; ++i) REQUIRE(here.contains(first + i));
        };
        needs(layout::fence_at(layout::fence_of(home)), layout::key_words);
        needs(layout::quad_at(home), layout::quad_words);
        needs(layout::quad_at(layout::next(home)), layout::quad_words);
        covered.insert(here.begin(), here.end());
    }
    REQUIRE(covered.size() == layout::ring().count); // no word of the ring is without a use
}

TEST_CASE("leaves of other shapes: neighbourhoods have both quads and a fence") {
    auto const check = []<typename L>(L) {
        for (std::size_t home = 0; home < L::homes; ++home) {
            std::set<std::size_t> here;
            for (auto const& r : L::neighbourhood(home))
                for (std::size_t i = 0; i < r.count; ++i) REQUIRE(here.insert(r.first + i).second);
            REQUIRE(here.size() == L::key_words + 2 * L::quad_words);
            REQUIRE(here.contains(L::fence_at(L::fence_of(home))));
            REQUIRE(here.contains(L::quad_at(home)));
            REQUIRE(here.contains(L::quad_at(L::next(home))));
        }
    };
    struct wide {
        std::uint64_t a, b;
        auto operator<=>(wide const&) const = default;
    };
    constexpr auto shape = [](std::size_t quads, bool replicated, std::size_t last_home) {
        return hopscotch_shape{.quads = quads, .replicated_fences = replicated, .last_home = last_home};
    };
    check(hopscotch_layout<wide, std::uint64_t, shape(16, true, 10)>{});
    check(hopscotch_layout<wide, std::array<std::uint64_t, 8>, shape(3, true, 10)>{});
    check(hopscotch_layout<std::uint64_t, std::uint64_t, shape(4, true, 0)>{});
    check(hopscotch_layout<std::uint64_t, std::uint64_t, shape(13, false, 10)>{});
    check(hopscotch_layout<wide, std::uint64_t, shape(6, false, 0)>{});
}

TEST_CASE(
    "any bit that changes in an occupied slot, the fence or a control word breaks the seal, in a free slot none") {
    random_source random(test_seed(1));
    leaf_world w;
    for (int i = 0; i < 30; ++i) w.insert(1 + random.next() / 2, random.next(), random);
    w.leaf().set_high(~std::uint64_t{0});
    auto meta = w.leaf().meta();
    meta.unbounded = false;
    w.leaf().set_meta(meta);
    w.leaf().seal(1, false);
    for (std::size_t home = 0; home < layout::quads; ++home) {
        auto const copy = layout::fence_of(home);
        auto const ranges = layout::neighbourhood(home);
        for (auto const& r : ranges)
            for (auto at = r.first; at < r.first + r.count; ++at)
                for (unsigned bit = 0; bit < 64; bit += 3) {
                    auto damaged = w.image;
                    damaged[at] ^= word{1} << bit;
                    view const leaf(damaged.data());
                    bool in_free_slot = false;
                    for (auto const q : {home, layout::next(home)})
                        for (auto slot = q * quad_word::slots; slot < (q + 1) * quad_word::slots; ++slot)
                            in_free_slot |= at >= layout::slot_at(slot) &&
                                            at < layout::slot_at(slot) + layout::entry_words &&
                                            !w.leaf().occupied(slot);
                    bool const whole = leaf.sealed(home, copy) && leaf.sealed(layout::next(home), copy);
                    CAPTURE(home, at, bit);
                    REQUIRE(whole == in_free_slot);
                }
    }
    w.leaf().expect(node_ref({0, 64}, 0, 3), 7);
    REQUIRE(w.leaf().sealed(0, 0));
    w.leaf().expect(node_ref({0, 64}, 0, 4), 7); // another life
    REQUIRE_FALSE(w.leaf().sealed(0, 0));
    w.leaf().expect(node_ref({0, 64}, 0, 3), 8); // another index
    REQUIRE_FALSE(w.leaf().sealed(0, 0));
}

TEST_CASE("a leaf takes keys until no two moves make room: 0.89 of its slots on average") {
    random_source random(test_seed(2));
    std::size_t sum = 0;
    constexpr std::size_t leaves = 400;
    for (std::size_t i = 0; i < leaves; ++i) {
        leaf_world w;
        sum += w.fill(random);
        REQUIRE(contents(w.leaf()) == w.now);
        require_whole(w.leaf());
    }
    auto const load = static_cast<double>(sum) / (leaves * layout::slots);
    CAPTURE(load);
    REQUIRE(load > 0.88);
    REQUIRE(load < 0.91);
}

TEST_CASE("whatever moments the words of a READ are of, an absent key was absent, and a value was there") {
    auto const seed = test_seed(3);
    random_source random(seed);
    std::size_t absent = 0, present = 0, torn = 0;
    for (int round = 0; round < 60; ++round) {
        leaf_world w;
        constexpr std::uint64_t keys = 44; // more than fit: the leaf is nearly full, and keys cross all the time
        for (int i = 0; i < 80; ++i) w.act(random, keys);
        w.forget_past();
        for (int i = 0; i < 12; ++i) w.act(random, keys);
        for (int read = 0; read < 4000; ++read) {
            // Each word from one of a few moments, so that mixes agree now and then.
            auto const last = w.past.size() - 1;
            std::array<std::size_t, 3> moments{random.below(last + 1), random.below(last + 1), random.below(last + 1)};
            auto const key = 1 + random.below(keys);
            auto const home = layout::home_of(key);
            words seen{};
            bool const by_quad = random.one_in(2); // quads that are whole by themselves, of different moments
            std::array<std::size_t, 2> const of_quad{moments[random.below(3)], moments[random.below(3)]};
            for (auto const& r : layout::neighbourhood(home))
                for (auto at = r.first; at < r.first + r.count; ++at) {
                    bool const in_home = at >= layout::quad_at(home) && at < layout::quad_at(home) + layout::quad_words;
                    seen[at] = w.past[by_quad ? of_quad[in_home ? 0 : 1] : moments[random.below(3)]][at];
                }
            view const leaf(seen.data());
            leaf.expect(node_ref({0, 64}, 0, 3), 7);
            auto const [state, slot] = leaf.look_for(home, key);
            if (state == neighbourhood_state::torn) {
                ++torn;
                continue;
            }
            REQUIRE(state == neighbourhood_state::whole);
            auto const [from, to] = std::minmax_element(moments.begin(), moments.end());
            bool possible = false; // at some moment between the first and the last
            for (auto t = *from; t <= *to && !possible; ++t) {
                auto const there = w.truth[t].find(key);
                bool const is_there = there != w.truth[t].end();
                if (slot == layout::no_slot)
                    possible = !is_there;
                else
                    possible = is_there && there->second == leaf.payload(slot);
                possible = possible || w.open[t].contains(key); // it is being changed: before or after
            }
            CAPTURE(seed, round, read, key, home, slot);
            REQUIRE(possible);
            ++(slot == layout::no_slot ? absent : present);
        }
    }
    REQUIRE(absent > 1000);
    REQUIRE(present > 10'000);
    REQUIRE(torn > 10'000);
}

TEST_CASE("wherever a writer dies, the leaf is mended, and has all keys but the one that was on its way") {
    auto const seed = test_seed(4);
    random_source random(seed);
    std::size_t cuts = 0, mended = 0;
    for (int round = 0; round < 40; ++round) {
        leaf_world w;
        constexpr std::uint64_t keys = 44;
        for (int i = 0; i < 100; ++i) w.act(random, keys);
        for (int i = 0; i < 40; ++i) {
            w.forget_past();
            auto const before = w.now;
            w.act(random, keys);
            for (std::size_t t = 0; t < w.past.size(); ++t) {
                auto left_behind = w.past[t];
                view const leaf(left_behind.data());
                mended += !leaf.sealed();
                mend(leaf);
                ++cuts;
                CAPTURE(seed, round, i, t);
                require_whole(leaf);
                auto found = contents(leaf);
                for (auto const& [key, value] : before) {
                    bool const changes = w.now.find(key) == w.now.end() || w.now.at(key) != value;
                    if (!changes) REQUIRE(found.at(key) == value);
                    if (w.now.contains(key)) REQUIRE(found.contains(key)); // replaced: one value or the other
                }
                for (auto const& [key, value] : found) {
                    bool const old = before.contains(key) && before.at(key) == value;
                    bool const fresh = w.now.contains(key) && w.now.at(key) == value;
                    REQUIRE((old || fresh));
                }
            }
        }
    }
    REQUIRE(cuts > 5000);
    REQUIRE(mended > 1000);
}

namespace {

/// What is left when the words of `to` land over `from` in any order, and the writer dies.
[[nodiscard]] words cut(words const& from, words const& to, word_range range, random_source& random) {
    auto left = from;
    for (auto at = range.first; at < range.first + range.count; ++at)
        if (random.one_in(2)) left[at] = to[at];
    return left;
}

} // namespace

TEST_CASE("wherever a split dies its keys are all in the left leaf, or below the separator there and above it in the "
          "right one") {
    auto const seed = test_seed(5);
    random_source random(seed);
    std::size_t undone = 0, done = 0;
    for (int round = 0; round < 3000; ++round) {
        leaf_world w;
        if (random.one_in(2)) { // a leaf with a right neighbour
            auto meta = w.leaf().meta();
            meta.unbounded = false;
            w.leaf().set_meta(meta);
            w.leaf().set_link(node_ref({1, 128}, 0, 5));
            w.leaf().set_high(1000);
            w.leaf().seal(1, false);
        }
        for (int i = 0; i < 60; ++i) w.act(random, 44);
        auto const whole = w.image;
        auto const old_link = w.leaf().link();
        words right_image{};
        view const right(right_image.data());
        node_ref const right_ref({1, 640}, 0, 9);
        auto const separator = 2 + random.below(42);
        hopscotch_split(w.leaf(), right, right_ref, 9, separator);
        w.leaf().seal(1, true);
        right.seal(1, false);
        require_whole(right);
        require_whole(w.leaf());
        auto image = cut(whole, w.image, layout::contents(), random);
        view const leaf(image.data());
        for (bool again : {false, true}) { // the mender dies as well
            bool const linked = leaf.link() == right_ref;
            auto const high = linked     ? std::optional(right.low())
                              : old_link ? std::optional<std::uint64_t>(1000)
                                         : std::nullopt;
            auto const before = image;
            mend(leaf, high);
            CAPTURE(seed, round, separator, linked, again);
            require_whole(leaf);
            auto all = contents(leaf);
            for (auto const& [key, value] : all) REQUIRE((!linked || key < separator));
            if (linked) all.merge(contents(right));
            REQUIRE(all == w.now);
            ++(linked ? done : undone);
            if (!again) image = cut(before, image, layout::contents(), random);
        }
    }
    REQUIRE(undone > 1000);
    REQUIRE(done > 1000);
}

TEST_CASE("a merge takes all keys of the right neighbour, or the right neighbour has them still, wherever it dies") {
    auto const seed = test_seed(6);
    random_source random(seed);
    std::size_t undone = 0, done = 0;
    for (int round = 0; round < 3000; ++round) {
        leaf_world left, right;
        auto meta = left.leaf().meta();
        meta.unbounded = false;
        left.leaf().set_meta(meta);
        node_ref const right_ref({1, 128}, 0, 5);
        left.leaf().set_link(right_ref);
        left.leaf().set_high(100);
        left.leaf().seal(1, false);
        left.past.back() = left.image;
        right.leaf().set_low(100);
        right.leaf().seal(1, false);
        for (std::uint64_t i = 0; i < 18; ++i) {
            left.insert(1 + 5 * i + random.below(5), random.next(), random);
            right.insert(100 + 5 * i + random.below(5), random.next(), random);
        }
        left.forget_past();
        bool const fits = hopscotch_absorb(left.leaf(), right.leaf(), [&](word_range r) { left.land(r, random, {}); });
        if (!fits) continue;
        left.leaf().seal(1, true);
        require_whole(left.leaf());
        auto memory = left.past[random.below(left.past.size())];
        if (random.one_in(2)) memory = cut(left.past.back(), left.image, layout::contents(), random);
        view const leaf(memory.data());
        bool const linked = leaf.link() != right_ref;
        mend(leaf, linked ? std::nullopt : std::optional<std::uint64_t>(100));
        CAPTURE(seed, round, linked);
        require_whole(leaf);
        auto expected = left.now;
        if (linked) expected.insert(right.now.begin(), right.now.end());
        REQUIRE(contents(leaf) == expected);
        ++(linked ? done : undone);
    }
    REQUIRE(undone > 1000);
    REQUIRE(done > 500);
}
