// SPDX-License-Identifier: Apache-2.0
// N1 and N2 (layout/node.hpp) where they matter: while one state of a node is replaced by the next.
//   N1  of all mixes of the words of two consecutive states a reader takes only the two states themselves.
//   N2  wherever the writer dies in its last batch (a prefix of its WRITEs, of the next one any subset of words), every
//       occupied slot is an entry that the node had before or was to have after.
// All mixes where at most 12 words differ, 100,000 random ones else.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <catena/index/detail/node_edit.hpp>
#include <catena/prefix/block_hash.hpp>
#include <catena/protocol/node_io.hpp>

#include <support/catch.hpp>
#include <support/keys.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>

using namespace catena;
using test::blob;

namespace {

template <typename Layout>
struct image {
    alignas(64) std::array<word, Layout::words> words{};
    node_view<Layout> view{words.data()};
    image() = default;
    image(image const& o) : words(o.words) {}
    image& operator=(image const& o) {
        words = o.words;
        return *this;
    }
};

/// Two consecutive states and how the second one is published.
template <typename Layout>
struct transition {
    std::string what;
    image<Layout> before;
    image<Layout> after;
    node_changes changes;
};

constexpr std::size_t exhaustive_words = 12;
constexpr std::uint32_t writer = 0x2a3;
remote_ptr const at(2, 131072);

/// Calls visit(subset) for every subset of n things, or for `random_subsets` of them if there are too many.
template <typename Visit>
void for_subsets(std::size_t n, std::size_t random_subsets, test::random_source& random, Visit visit) {
    std::vector<bool> taken(n);
    if (n <= exhaustive_words) {
        for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << n); ++bits) {
            for (std::size_t i = 0; i < n; ++i) taken[i] = (bits >> i & 1U) != 0;
            visit(taken);
        }
        return;
    }
    for (std::size_t round = 0; round < random_subsets; ++round) {
        // all, none, all but one and only one come up as often as the rest together
        auto const style = random.below(4);
        for (std::size_t i = 0; i < n; ++i) taken[i] = style == 0 || (style >= 2 && random.one_in(2));
        if (style < 2 && !random.one_in(8)) taken[random.below(n)].flip();
        visit(taken);
    }
}

template <typename Layout>
void check_mixes(transition<Layout> const& t, test::random_source& random) {
    std::vector<std::size_t> changed; // beside the lock word
    for (std::size_t i = 1; i < Layout::words; ++i)
        if (t.before.words[i] != t.after.words[i]) changed.push_back(i);
    CAPTURE(t.what, changed.size());
    REQUIRE(t.before.view.sealed());
    REQUIRE(t.after.view.sealed());
    REQUIRE_FALSE(changed.empty());
    std::array const locks{t.before.view.lock(), t.before.view.lock().held_by(writer), t.after.view.lock()};
    std::size_t taken_for_whole = 0;
    image<Layout> mix;
    for_subsets(changed.size(), test::scaled(33'000), random, [&](std::vector<bool> const& is_new) {
        mix.words = t.before.words;
        std::size_t news = 0;
        for (std::size_t i = 0; i < changed.size(); ++i)
            if (is_new[i]) {
                mix.words[changed[i]] = t.after.words[changed[i]];
                ++news;
            }
        for (std::size_t lock = 0; lock < locks.size(); ++lock) {
            mix.view.set_lock(locks[lock]);
            bool const state = lock == 2 ? news == changed.size() : news == 0;
            bool const sealed = mix.view.sealed();
            taken_for_whole += sealed;
            if (sealed != state) FAIL("lock word " << lock << " with " << news << " new words: sealed is " << sealed);
        }
    });
    REQUIRE(taken_for_whole >= 3);
}

/// Is every occupied slot of `seen` the entry that it had before, or the one that it was to have after?
template <typename Layout>
std::string torn_slot(transition<Layout> const& t, image<Layout> const& seen) {
    auto const same = [&](image<Layout> const& a, std::size_t slot) {
        return std::memcmp(a.words.data() + Layout::slot_at(slot), seen.words.data() + Layout::slot_at(slot),
                           Layout::entry_words * word_bytes) == 0 &&
               (a.view.occupancy() >> slot & 1U) != 0;
    };
    std::string torn;
    seen.view.for_each_slot([&](std::size_t slot) {
        if (!same(t.before, slot) && !same(t.after, slot)) torn = "slot " + std::to_string(slot) + " is torn";
    });
    if (seen.view.occupancy() == t.after.view.occupancy() && seen.view.occupancy() != t.before.view.occupancy()) {
        // N3: who sees this occupancy sees the link and fence that go with it, and all that it names
        for (std::size_t i = 2; i < Layout::words; ++i) {
            bool const in_use = i < Layout::slots_at ||
                                (seen.view.occupancy() >> (i - Layout::slots_at) / Layout::entry_words % 64 & 1U) != 0;
            if (in_use && i < Layout::slot_at(Layout::slots) && seen.words[i] != t.after.words[i])
                torn = "word " + std::to_string(i) + " came after the occupancy";
        }
    }
    return torn;
}

template <typename Layout>
void check_crashes(transition<Layout> const& t, test::random_source& random) {
    CAPTURE(t.what);
    std::array<op, max_publish_ops> ops;
    auto const n = plan_publish(t.after.view, at, t.changes, ops);
    image<Layout> done(t.before);
    done.view.set_lock(t.before.view.lock().held_by(writer));
    for (std::size_t i = 0; i < n; ++i) {
        auto const first = (ops[i].target.offset() - at.offset()) / word_bytes;
        auto const words = ops[i].length / word_bytes;
        auto const* const source = static_cast<word const*>(ops[i].local);
        for_subsets(words, test::scaled(4'000), random, [&](std::vector<bool> const& landed) {
            image<Layout> seen(done);
            for (std::size_t w = 0; w < words; ++w)
                if (landed[w]) seen.words[first + w] = source[w];
            if (auto const torn = torn_slot(t, seen); !torn.empty())
                FAIL(torn << " when the writer dies in WRITE " << i);
        });
        for (std::size_t w = 0; w < words; ++w) done.words[first + w] = source[w];
    }
    REQUIRE(done.words == t.after.words);
}

/// Everything that a tree does to a node, each from a fresh random node.
template <typename Layout>
class maker {
public:
    using key_type = typename Layout::key_type;
    using value_type = typename Layout::payload_type;
    using mutation_type = mutation<key_type, value_type>;

    explicit maker(test::random_source& random) : random_(random) {}

    std::vector<transition<Layout>> all() {
        std::vector<transition<Layout>> made;
        made.push_back(edited("insert", {change(mutation_kind::insert, 1001)}));
        made.push_back(edited("upsert of a new key", {change(mutation_kind::upsert, 1001)}));
        made.push_back(edited("upsert of an existing key", {change(mutation_kind::upsert, 10)}));
        made.push_back(edited("erase", {change(mutation_kind::erase, 10)}));
        made.push_back(edited("erase and insert of the same key",
                              {change(mutation_kind::erase, 10), change(mutation_kind::insert, 10)}));
        made.push_back(edited("a batch", {change(mutation_kind::erase, 0), change(mutation_kind::upsert, 10),
                                          change(mutation_kind::insert, 1003), change(mutation_kind::upsert, 20),
                                          change(mutation_kind::erase, 1003), change(mutation_kind::insert, 1005),
                                          change(mutation_kind::upsert, 1005)}));
        made.push_back(halved("split", false));
        made.push_back(halved("split of the rightmost node", true));
        made.push_back(absorbed());
        made.push_back(died());
        made.push_back(edited("insert, handed over locked", {change(mutation_kind::insert, 1001)}, true));
        return made;
    }

private:
    mutation_type change(mutation_kind kind, std::uint64_t key) {
        return {.key = test::make_key<key_type>(key),
                .value = test::make_value<value_type>(random_.next()),
                .kind = kind,
                .outcome = mutation_outcome::pending};
    }

    /// Keys 0, 10, 20, ... in random slots; old garbage in the others.
    void fill(image<Layout>& node, std::size_t entries, std::uint64_t first_key = 0) {
        for (auto& w : node.words) w = random_.next();
        auto const garbage = node.words;
        node.view.format(0, 9, 77);
        std::copy(garbage.begin() + Layout::slots_at, garbage.end(), node.words.begin() + Layout::slots_at);
        node.view.set_lock(lock_word(false, 1, static_cast<std::uint32_t>(random_.below(4096)), 0));
        node.view.set_link(node_ref(remote_ptr(1, 65536), 0, 3));
        node.view.set_high(test::make_key<key_type>(5000));
        node.view.set_meta({.level = 0, .dead = false, .unbounded = false, .index_tag = 9, .incarnation = 77});
        for (std::size_t i = 0; i < entries; ++i) {
            std::size_t slot = random_.below(Layout::slots);
            while ((node.view.occupancy() >> slot & 1U) != 0) slot = (slot + 1) % Layout::slots;
            node.view.set_entry(slot, test::make_key<key_type>(first_key + 10 * i),
                                test::make_value<value_type>(random_.next()));
            node.view.set_occupancy(node.view.occupancy() | word{1} << slot);
        }
        node.view.seal(1, false);
    }

    transition<Layout> edited(std::string what, std::vector<mutation_type> mutations, bool handing = false) {
        transition<Layout> t{.what = std::move(what), .before = {}, .after = {}, .changes = {}};
        fill(t.before, Layout::capacity / 2);
        t.after = t.before;
        value_type in_force{};
        for (auto& m : mutations)
            REQUIRE(detail::edit(t.after.view, t.before.view.free_slots(), t.changes, m, in_force));
        t.after.view.seal(writer, handing);
        return t;
    }

    transition<Layout> halved(std::string what, bool rightmost) {
        transition<Layout> t{.what = std::move(what), .before = {}, .after = {}, .changes = {}};
        fill(t.before, Layout::capacity);
        if (rightmost) {
            auto meta = t.before.view.meta();
            meta.unbounded = true;
            t.before.view.set_meta(meta);
            t.before.view.set_link({});
            t.before.view.seal(1, false);
        }
        t.after = t.before;
        image<Layout> right;
        node_ref const right_ref(remote_ptr(3, 1U << 20U), 0, 12);
        auto arriving = change(mutation_kind::insert, 3); // goes left
        (void)detail::split(t.after.view, right.view, right_ref, 12, arriving.key);
        t.changes.fences = t.changes.occupancy = true;
        value_type in_force{};
        REQUIRE(detail::edit(t.after.view, t.before.view.free_slots(), t.changes, arriving, in_force));
        t.after.view.seal(writer, false);
        return t;
    }

    transition<Layout> absorbed() {
        transition<Layout> t{.what = "the left node of a merge", .before = {}, .after = {}, .changes = {}};
        fill(t.before, Layout::capacity / 3);
        image<Layout> right;
        fill(right, Layout::capacity / 3, 5000);
        t.after = t.before;
        detail::absorb(t.after.view, right.view, t.changes);
        t.after.view.seal(writer, false);
        return t;
    }

    transition<Layout> died() {
        transition<Layout> t{.what = "the right node of a merge", .before = {}, .after = {}, .changes = {}};
        fill(t.before, Layout::capacity / 3);
        t.after = t.before;
        auto meta = t.after.view.meta();
        meta.dead = true;
        t.after.view.set_meta(meta);
        t.after.view.set_link(node_ref(remote_ptr(5, 65536), 0, 1));
        t.changes.fences = true;
        t.after.view.seal(writer, true);
        return t;
    }

    test::random_source& random_;
};

using leaf_8_8 = node_layout<std::uint64_t, std::uint64_t, 1024>;
using leaf_16_8 = node_layout<block_hash, std::uint64_t, 1024>;
using leaf_8_24 = node_layout<std::uint64_t, blob<24>, 1024>;      // values are replaced out of place
using small_node = node_layout<std::uint64_t, std::uint64_t, 192>; // so small that more of it is exhaustive
using small_24 = node_layout<std::uint64_t, blob<24>, 256>;

} // namespace

TEMPLATE_TEST_CASE("of all mixes of two consecutive states only the states themselves are sealed", "", leaf_8_8,
                   leaf_16_8, leaf_8_24, small_node, small_24) {
    auto const seed = test::test_seed(51);
    CAPTURE(seed);
    test::random_source random(seed);
    for (auto const& t : maker<TestType>(random).all()) check_mixes(t, random);
}

TEMPLATE_TEST_CASE("wherever a writer dies while it publishes, every occupied slot is whole", "", leaf_8_8, leaf_16_8,
                   leaf_8_24, small_node, small_24) {
    auto const seed = test::test_seed(52);
    CAPTURE(seed);
    test::random_source random(seed);
    for (std::size_t round = 0; round < test::scaled(10); ++round)
        for (auto const& t : maker<TestType>(random).all()) check_crashes(t, random);
}

TEST_CASE("a value of one word is replaced in its slot, a larger one in another") {
    auto const seed = test::test_seed(53);
    CAPTURE(seed);
    test::random_source random(seed);
    auto const one_word = maker<leaf_8_8>(random).all();
    auto const larger = maker<leaf_8_24>(random).all();
    REQUIRE(one_word[2].what == "upsert of an existing key");
    REQUIRE(one_word[2].before.view.occupancy() == one_word[2].after.view.occupancy());
    REQUIRE(larger[2].before.view.occupancy() != larger[2].after.view.occupancy());
    REQUIRE(larger[2].before.view.count() == larger[2].after.view.count());
}
