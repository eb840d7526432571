// SPDX-License-Identifier: Apache-2.0
// The operations of the leaf protocol: which words they touch, in which order, and what a reader makes of what it got.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include <catena/index/chime_tree.hpp>
#include <catena/prefix/block_hash.hpp>
#include <catena/protocol/hopscotch_io.hpp>

#include <pool/clock_fabric.hpp>
#include <support/catch.hpp>
#include <support/keys.hpp>
#include <support/world.hpp>

using namespace catena;
using namespace catena::test;
using namespace std::chrono_literals;

namespace {

using leaf_8_8 = hopscotch_layout<std::uint64_t, std::uint64_t>;
using leaf_16_8 = hopscotch_layout<block_hash, std::uint64_t, hopscotch_shape{.quads = 7}>;
using leaf_8_24 = hopscotch_layout<std::uint64_t, blob<24>, hopscotch_shape{.quads = 4}>;
using leaf_one_fence = hopscotch_layout<std::uint64_t, std::uint64_t, hopscotch_shape{.replicated_fences = false}>;

constexpr std::uint16_t tag = 7;
constexpr std::uint32_t life = 5;
node_ref const ref(remote_ptr(1, 65536), 0, life);

template <typename Layout>
struct image {
    alignas(64) std::array<word, Layout::words> words{};
    hopscotch_view<Layout> view{words.data()};
    image() = default;
    image(image const& o) : words(o.words) {}
    image& operator=(image const&) = delete;
};

/// A leaf of [100, 200), unless told otherwise, with key 150.
struct hand_made : image<leaf_8_8> {
    explicit hand_made(std::uint32_t incarnation = life, std::uint16_t index_tag = tag, bool dead = false,
                       bool unbounded = false) {
        view.format(0, index_tag, incarnation);
        auto meta = view.meta();
        meta.dead = dead;
        meta.unbounded = unbounded;
        view.set_meta(meta);
        view.set_low(100);
        view.set_high(200);
        hopscotch_insert(view, make_room(view, leaf_8_8::home_of(150), 0), std::uint64_t{150}, std::uint64_t{1500},
                         [](word_range) {});
        view.seal(3, false);
    }
};

/// What a reader sees that reads what `plan` says, one range after the other, of a leaf that stands still.
[[nodiscard]] hopscotch_sighting read(image<leaf_8_8> const& leaf, std::uint64_t key, bool wary) {
    image<leaf_8_8> got;
    got.words.fill(0x5555555555555555ULL); // what was not read is not looked at
    std::array<op, max_neighbourhood_reads> ops;
    auto const n = plan_read(got.view, ref, tag, leaf_8_8::home_of(key), wary, ops);
    for (auto const& o : std::span(ops).first(n)) {
        auto const first = (o.target.offset() - ref.at().offset()) / word_bytes;
        std::copy_n(&leaf.words[first], o.length / word_bytes, static_cast<word*>(o.local));
    }
    return look_for(got.view, ref, tag, key, wary);
}

/// One operation as it was posted.
struct posted {
    std::size_t batch;
    op_kind kind;
    remote_ptr at;
    std::size_t words;
    word first; ///< of a WRITE
    [[nodiscard]] bool covers(remote_ptr p) const {
        return p.node() == at.node() && at.offset() <= p.offset() && p.offset() < at.offset() + words * word_bytes;
    }
};

using tree_type = chime_tree<std::uint64_t, std::uint64_t>;

/// Two clients of one tree whose only leaf is the root, and what is posted while somebody looks.
struct scene {
    using session_type = clock_client::session_type;
    clock_fabric fabric{16U << 20U};
    clock_client a = clock_client::create(fabric, {.lease = 1h, .patience = 10ms});
    clock_client b = clock_client::join(fabric, {.lease = 1h, .patience = 10ms});
    tree_type as_tree = ok(tree_type::create(a.s, "t", 1U << 16U));
    tree_type bs_tree = ok(tree_type::open(b.s, "t", 1U << 16U));
    calls<tree_type, session_type> as{as_tree, a.s};
    calls<tree_type, session_type> bs{bs_tree, b.s};

    scene() {
        as_tree.keep_hotspots(0);
        bs_tree.keep_hotspots(0);
    }
    [[nodiscard]] node_ref root() { return node_ref::from_word(raw_read(fabric.memory(), as_tree.handle().root())); }
    [[nodiscard]] word at(remote_ptr p) { return raw_read(fabric.memory(), p); }

    template <typename Call>
    [[nodiscard]] std::vector<posted> record(Call call) {
        std::vector<posted> all;
        std::size_t batches = 0;
        fabric.clock.on_submit = [&](batch ops) {
            for (auto const& o : ops)
                all.push_back({.batch = batches,
                               .kind = o.kind,
                               .at = o.target,
                               .words = o.length / word_bytes,
                               .first = o.kind == op_kind::write ? *static_cast<word const*>(o.local) : 0});
            ++batches;
        };
        call();
        fabric.clock.on_submit = nullptr;
        return all;
    }
};

[[nodiscard]] std::uint64_t key_of_home(std::size_t home, std::uint64_t from = 1) {
    while (leaf_8_8::home_of(from) != home) ++from;
    return from;
}

} // namespace

TEMPLATE_TEST_CASE("the READs of a lookup are the header, if it is wary, and then just the neighbourhood", "", leaf_8_8,
                   leaf_16_8, leaf_8_24, leaf_one_fence) {
    using layout = TestType;
    for (std::size_t home = 0; home < layout::homes; ++home) {
        for (bool const wary : {false, true}) {
            CAPTURE(home, wary);
            image<layout> leaf;
            std::array<op, max_neighbourhood_reads> ops;
            auto const n = plan_read(leaf.view, ref, tag, home, wary, ops);
            REQUIRE(n >= 1);
            std::vector<int> times(layout::words, 0);
            for (std::size_t i = 0; i < n; ++i) {
                auto const& o = ops[i];
                REQUIRE(o.kind == op_kind::read);
                REQUIRE(o.target.node() == ref.at().node());
                auto const first = (o.target.offset() - ref.at().offset()) / word_bytes;
                REQUIRE(first + o.length / word_bytes <= layout::used_words);
                REQUIRE(o.local == leaf.words.data() + first);
                REQUIRE((first < layout::header_words) == (wary && i == 0)); // the header comes first
                for (std::size_t w = 0; w < o.length / word_bytes; ++w) ++times[first + w];
            }
            for (std::size_t w = 0; w < layout::words; ++w) {
                auto const in = [&](std::size_t first, std::size_t count) { return w >= first && w < first + count; };
                auto const behind = layout::next(home);
                bool const wanted = (wary && w < layout::header_words) ||
                                    in(layout::quad_at(home), layout::quad_words) ||
                                    in(layout::quad_at(behind), layout::quad_words) ||
                                    in(layout::fence_at(layout::fence_of(home)), layout::key_words);
                CAPTURE(w);
                REQUIRE(times[w] == (wanted ? 1 : 0));
            }
        }
    }
}

TEST_CASE("a reader is told of every kind of leaf what to do") {
    std::uint64_t const keys[] = {0, 99, 100, 150, 199, 200, ~std::uint64_t{0}};
    for (bool const wary : {false, true}) {
        for (bool const unbounded : {false, true}) {
            for (auto const key : keys) {
                CAPTURE(wary, unbounded, key);
                hand_made const leaf(life, tag, false, unbounded);
                auto const [seen, slot] = read(leaf, key, wary);
                if (wary && key < 100) {
                    REQUIRE(seen ==
                            visit::stale); // only the header has the low fence: who is not wary came from the parent
                } else if (key >= 200 && !unbounded) {
                    REQUIRE(seen == visit::right);
                } else {
                    REQUIRE(seen == visit::here);
                    REQUIRE((slot != leaf_8_8::no_slot) == (key == 150));
                    if (key == 150) REQUIRE(leaf.view.payload(slot) == 1500);
                }
            }
        }
        for (std::uint64_t const key : {100U, 150U, 199U}) {
            CAPTURE(wary, key);
            // Another life of the block, another index: the header says so; without it no quad fits its seal.
            auto const otherwise = wary ? visit::stale : visit::torn;
            REQUIRE(read(hand_made(life + 1), key, wary).seen == otherwise);
            REQUIRE(read(hand_made(life, tag + 1), key, wary).seen == otherwise);
            REQUIRE(read(hand_made(life, tag, true), key, wary).seen == visit::dead);
            REQUIRE(read(image<leaf_8_8>(), key, wary).seen == otherwise); // memory that never held a leaf
        }
    }
}

TEST_CASE("a neighbourhood of which one word is of another moment is torn, or what is taken is of the other quad") {
    hand_made const leaf;
    auto const home = leaf_8_8::home_of(150);
    auto const slot = leaf.view.find(150);
    REQUIRE(slot < leaf_8_8::slots);
    std::size_t torn = 0;
    for (auto const& range : leaf_8_8::neighbourhood(home))
        for (auto w = range.first; w < range.first + range.count; ++w)
            for (unsigned const bit : {0U, 31U, 40U, 63U}) {
                CAPTURE(w, bit);
                image<leaf_8_8> changed(leaf);
                changed.words[w] ^= word{1} << bit;
                auto const found = read(changed, 150, false);
                if (found.seen == visit::here)
                    REQUIRE(found.slot == slot);
                else
                    REQUIRE(found.seen == visit::torn);
                auto const q = slot / quad_word::slots;
                bool const in_its_quad = w >= leaf_8_8::slot_at(slot) && w < leaf_8_8::slot_at(slot) + 2;
                if (in_its_quad || w == leaf_8_8::quad_at(q)) {
                    REQUIRE(found.seen == visit::torn);
                    ++torn;
                }
            }
    REQUIRE(torn == 12);
    for (auto const q : {home, leaf_8_8::next(home)}) { // absence needs both quads, and one mind about the border
        image<leaf_8_8> changed(leaf);
        auto other = home == leaf_8_8::home_of(150) ? key_of_home(home, 151) : 0;
        while (other >= 200) other = key_of_home(home, 101);
        REQUIRE(read(changed, other, false).seen == visit::here);
        auto const w = changed.view.quad(q);
        changed.view.set_quad(q, q == home ? w.crossed_right() : w.crossed_left());
        changed.view.seal(q);
        REQUIRE(read(changed, other, false).seen == visit::torn);
        REQUIRE(read(changed, 150, false).seen == visit::here); // who sees its key needs no border
    }
}

TEST_CASE("a header that was read first decides before the quads do") {
    hand_made leaf;
    REQUIRE(inspect_header(leaf.view, ref, tag, std::uint64_t{150}) == visit::here);
    REQUIRE(inspect_header(leaf.view, ref, tag, std::uint64_t{99}) == visit::stale);
    REQUIRE(inspect_header(leaf.view, ref, tag + 1, std::uint64_t{150}) == visit::stale);
    REQUIRE(inspect_header(leaf.view, node_ref(ref.at(), 0, life + 1), tag, std::uint64_t{150}) == visit::stale);
    leaf.words[leaf_8_8::quad_at(leaf_8_8::home_of(150))] ^= 1; // torn, and all the same
    REQUIRE(look_for(leaf.view, ref, tag, std::uint64_t{99}, true).seen == visit::stale);
    auto meta = leaf.view.meta();
    meta.dead = true;
    leaf.view.set_meta(meta);
    REQUIRE(look_for(leaf.view, ref, tag, std::uint64_t{150}, true).seen == visit::dead);
}

TEST_CASE("the lock of a leaf is taken by a CAS that proves its life, and before it is read") {
    hand_made leaf;
    auto attempt = attempt_lock(leaf.view, ref.at(), 9);
    std::array<op, 2> ops;
    REQUIRE(attempt.plan(ops) == 2);
    REQUIRE(ops[0].kind == op_kind::cas);
    REQUIRE(ops[0].target == ref.at());
    REQUIRE(ops[0].compare == hopscotch_view<leaf_8_8>::free_lock(tag, life).bits());
    REQUIRE(lock_word(ops[0].operand).locked());
    REQUIRE(lock_word(ops[0].operand).owner() == 9);
    REQUIRE(ops[1].kind == op_kind::read);
    for (std::uint32_t other = life + 1; other < life + 1000; ++other)
        REQUIRE(hopscotch_view<leaf_8_8>::free_lock(tag, other).bits() != ops[0].compare);
    REQUIRE(hopscotch_view<leaf_8_8>::free_lock(tag + 1, life).bits() != ops[0].compare);
}

TEST_CASE("W1, W2: lock before READ, the steps in order, the lock word last") {
    scene t;
    auto const leaf = t.root();
    t.as.insert(key_of_home(0), 1); // whatever the first one needs besides
    for (std::size_t const home : {std::size_t{2}, std::size_t{3}, leaf_8_8::quads - 1}) {
        CAPTURE(home);
        auto const key = key_of_home(home, 100);
        auto const free = t.at(leaf.at());
        auto const control = [&] { // where the key went
            image<leaf_8_8> now;
            for (std::size_t w = 0; w < leaf_8_8::used_words; ++w) now.words[w] = t.at(leaf.at() + w * word_bytes);
            auto const slot = now.view.find(key);
            REQUIRE(slot != leaf_8_8::no_slot);
            return std::pair(leaf.at() + leaf_8_8::quad_at(slot / quad_word::slots) * word_bytes, slot);
        };
        auto const begins = [&](std::vector<posted> const& ops) {
            REQUIRE(ops.size() >= 3);
            REQUIRE(ops[0].kind == op_kind::cas);
            REQUIRE(ops[0].at == leaf.at());
            REQUIRE(ops[1].kind == op_kind::read);
            REQUIRE(ops[1].batch == ops[0].batch);
            auto const& last = ops.back();
            REQUIRE(last.kind == op_kind::write);
            REQUIRE(last.at == leaf.at());
            REQUIRE(last.words == 1);
            REQUIRE(last.first == free);
            for (std::size_t i = 2; i < ops.size(); ++i) {
                REQUIRE(ops[i].kind == op_kind::write);
                REQUIRE(ops[i].batch == ops[0].batch + 1);
                if (i + 1 < ops.size()) REQUIRE_FALSE(ops[i].covers(leaf.at()));
            }
        };
        auto const inserted = t.record([&] { REQUIRE(t.as.insert(key, 1)); });
        begins(inserted);
        REQUIRE(inserted.size() == 4);
        auto const [quad, slot] = control();
        REQUIRE(inserted[2].at == quad); // control word to slot, in one
        REQUIRE(inserted[2].covers(leaf.at() + leaf_8_8::payload_at(slot) * word_bytes));

        auto const replaced = t.record([&] { REQUIRE_FALSE(t.as.upsert(key, 2)); });
        begins(replaced);
        REQUIRE(replaced.size() == 5);
        REQUIRE(replaced[2].at == quad);
        REQUIRE(replaced[2].words == 1);
        REQUIRE(replaced[3].at == leaf.at() + leaf_8_8::payload_at(slot) * word_bytes);
        REQUIRE(replaced[3].words == 1);

        auto const erased = t.record([&] { REQUIRE(t.as.erase(key)); });
        REQUIRE(erased.size() >= 4); // it may look for a neighbour afterwards
        begins({erased.begin(), erased.begin() + 4});
        REQUIRE(erased[2].at == quad);
        REQUIRE(erased[2].words == 1);
    }
}

TEST_CASE("split: the right leaf is there before the ring of the left one, and that before any other step of it") {
    scene t;
    auto const left = t.root();
    auto const link = left.at() + leaf_8_8::link_at * word_bytes;
    auto const link_before = t.at(link);
    auto const free = t.at(left.at());
    std::vector<posted> ops;
    for (std::uint64_t k = 1; t.at(link) == link_before; ++k) {
        REQUIRE(k < 100);
        ops = t.record([&] { REQUIRE(t.as.insert(mix64(k), k)); });
    }
    std::array<word, leaf_8_8::words> words{};
    words[leaf_8_8::link_at] = t.at(link);
    auto const right = hopscotch_view<leaf_8_8>(words.data()).link();
    auto const is = [&](auto what) { return std::find_if(ops.begin(), ops.end(), what); };
    auto const wrote_right = is([&](posted const& o) { return o.kind == op_kind::write && o.at == right.at(); });
    auto const ring = is([&](posted const& o) { return o.kind == op_kind::write && o.covers(link); });
    REQUIRE(wrote_right != ops.end());
    REQUIRE(ring != ops.end());
    REQUIRE(wrote_right->words == leaf_8_8::used_words);
    REQUIRE(wrote_right->first ==
            hopscotch_view<leaf_8_8>::free_lock(t.as_tree.handle().tag(), right.incarnation()).bits());
    REQUIRE(wrote_right->batch < ring->batch); // they may lie on different memory nodes
    REQUIRE(ring->words == leaf_8_8::contents().count);
    auto const in_left = [&](posted const& o) {
        return o.kind == op_kind::write && o.at.node() == left.at().node() && o.at.offset() >= left.at().offset() &&
               o.at.offset() < left.at().offset() + leaf_8_8::bytes;
    };
    REQUIRE(is(in_left) == ring);
    auto const unlocked = is([&](posted const& o) { return o.kind == op_kind::write && o.covers(left.at()); });
    REQUIRE(unlocked != ops.end());
    REQUIRE(unlocked->words == 1);
    REQUIRE(unlocked->first == free);
    REQUIRE(std::none_of(unlocked + 1, ops.end(), in_left));
    t.as.sound();
}

TEST_CASE("a reader that comes to the right leaf over the left one reads the header first, there and here") {
    scene t;
    for (std::uint64_t k = 1; k <= 20; ++k) t.as.insert(mix64(k), k);
    for (std::uint64_t k = 1; k <= 20; ++k) REQUIRE(t.bs.find(mix64(k)) == k); // b knows the root: a leaf
    auto const left = t.root();
    std::uint64_t n = 20;
    while (t.root() == left) {
        ++n;
        t.as.insert(mix64(n), n);
    }
    std::array<word, leaf_8_8::words> words{};
    words[leaf_8_8::link_at] = t.at(left.at() + leaf_8_8::link_at * word_bytes);
    auto const right = hopscotch_view<leaf_8_8>(words.data()).link();
    std::uint64_t k = 1;
    auto const separator = t.at(left.at() + leaf_8_8::fence_at(0) * word_bytes);
    while (mix64(k) < separator) ++k;
    auto const ops = t.record([&] { REQUIRE(t.bs.find(mix64(k)) == k); });
    std::size_t batches = 0;
    for (std::size_t i = 0; i < ops.size(); ++i) {
        REQUIRE(ops[i].kind == op_kind::read);
        bool const begins = i == 0 || ops[i - 1].batch != ops[i].batch;
        if (!begins) continue;
        if (++batches == 1) {
            REQUIRE_FALSE(ops[i].covers(left.at())); // it came from above: the neighbourhood alone
            continue;
        }
        REQUIRE(ops[i].at == (batches == 2 ? left : right).at());
        REQUIRE(ops[i].words == leaf_8_8::header_words);
    }
    REQUIRE(batches == 3);
}
