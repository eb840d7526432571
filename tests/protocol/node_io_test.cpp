// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

#include <catena/prefix/block_hash.hpp>
#include <catena/protocol/node_io.hpp>

#include <support/catch.hpp>
#include <support/keys.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>

using namespace catena;
using test::blob;

namespace {

using leaf_8_8 = node_layout<std::uint64_t, std::uint64_t, 1024>;
using leaf_16_8 = node_layout<block_hash, std::uint64_t, 1024>;
using leaf_8_24 = node_layout<std::uint64_t, blob<24>, 1024>;
using leaf_64_slots = node_layout<std::uint64_t, std::uint64_t, 4096>;

template <typename Layout>
struct image {
    alignas(64) std::array<word, Layout::words> words{};
    node_view<Layout> view{words.data()};
    image() = default;
    image(image const& o) : words(o.words) {}
    image& operator=(image const&) = delete;
};

std::size_t runs_of(word bits) { return static_cast<std::size_t>(std::popcount(bits & ~(bits << 1U))); }

/// Which words of the node the operations write; each lies in the node and takes its bytes from the same place.
template <typename Layout>
std::vector<int> times_written(image<Layout> const& node, remote_ptr at, std::span<op const> ops) {
    std::vector<int> times(Layout::words, 0);
    for (op const& o : ops) {
        REQUIRE(o.kind == op_kind::write);
        REQUIRE(o.target.node() == at.node());
        REQUIRE((o.target.offset() - at.offset()) % word_bytes == 0);
        REQUIRE((o.length % word_bytes == 0 && o.length > 0));
        auto const first = (o.target.offset() - at.offset()) / word_bytes;
        REQUIRE(first + o.length / word_bytes <= Layout::words);
        REQUIRE(o.local == node.words.data() + first);
        for (std::size_t i = 0; i < o.length / word_bytes; ++i) ++times[first + i];
    }
    return times;
}

} // namespace

TEST_CASE("inspect says of every kind of node what a reader has to do") {
    // Exhaustive: sealed or not, the same life of the block in each respect or not, dead or not, where the key is.
    constexpr std::uint16_t tag = 7;
    node_ref const ref(remote_ptr(1, 65536), 2, 5);
    for (unsigned bits = 0; bits < 128; ++bits) {
        bool const sealed = (bits & 1U) != 0, dead = (bits & 2U) != 0;
        bool const other_incarnation = (bits & 4U) != 0, other_level = (bits & 8U) != 0, other_tag = (bits & 16U) != 0;
        bool const unbounded = (bits & 32U) != 0;
        bool const incarnation_came_round = (bits & 64U) != 0;
        image<leaf_8_8> node;
        std::uint32_t const life = incarnation_came_round ? node_ref::incarnation_mask + 1 + 5 : 5;
        node.view.format(other_level ? 1 : 2, other_tag ? 8 : 7, other_incarnation ? life + 1 : life);
        auto meta = node.view.meta();
        meta.dead = dead;
        meta.unbounded = unbounded;
        node.view.set_meta(meta);
        node.view.set_low(100);
        node.view.set_high(200);
        node.view.seal(3, (bits & 4U) != 0); // locked or not makes no difference
        if (!sealed) node.words[20] ^= 1;
        for (std::uint64_t const key : {0U, 99U, 100U, 199U, 200U, 1000U}) {
            bool const same_life = !other_incarnation && !other_level && !other_tag;
            auto expected = visit::here;
            if (!sealed)
                expected = same_life && !dead ? visit::torn : visit::stale;
            else if (!same_life)
                expected = visit::stale;
            else if (dead)
                expected = visit::dead;
            else if (key < 100)
                expected = visit::stale;
            else if (key >= 200 && !unbounded)
                expected = visit::right;
            CAPTURE(bits, key, static_cast<int>(expected));
            REQUIRE(inspect(node.view, ref, tag, key) == expected);
        }
    }
}

TEST_CASE("memory that never held a node sends a reader back to the root") {
    image<leaf_8_8> zeros;
    REQUIRE(inspect(zeros.view, node_ref(remote_ptr(0, 65536), 0, 1), 7, 5) == visit::stale);
}

TEMPLATE_TEST_CASE("a publication writes what changed, all of it, each word once and the lock word last", "", leaf_8_8,
                   leaf_16_8, leaf_8_24, leaf_64_slots) {
    using layout = TestType;
    using key_type = typename layout::key_type;
    using value_type = typename layout::payload_type;
    auto const seed = test::test_seed(41);
    CAPTURE(seed);
    test::random_source random(seed);
    remote_ptr const at(3, 81920);
    for (std::size_t round = 0; round < test::scaled(400); ++round) {
        CAPTURE(round);
        image<layout> old;
        old.view.format(0, 1, 1);
        for (std::size_t slot = 0; slot < layout::slots; ++slot)
            old.view.set_entry(slot, test::make_key<key_type>(slot), test::make_value<value_type>(random.next()));
        old.view.set_occupancy(random.next() & random.next() & layout::all_slots);
        old.view.seal(1, false);

        image<layout> now(old);
        node_changes changes;
        // dense, sparse, all and no slots; payloads elsewhere
        word const pick = round % 4 == 0   ? layout::all_slots
                          : round % 4 == 1 ? random.next() & random.next() & random.next()
                          : round % 4 == 2 ? ~(random.next() & random.next() & random.next())
                                           : 0;
        changes.slots = pick & (round % 8 == 0 ? layout::all_slots : old.view.free_slots());
        if constexpr (layout::payload_words == 1)
            changes.payloads = random.next() & random.next() & old.view.occupancy();
        changes.fences = random.one_in(2);
        changes.occupancy = changes.slots != 0 || random.one_in(2);
        for (std::size_t slot = 0; slot < layout::slots; ++slot) {
            if ((changes.slots >> slot & 1U) != 0)
                now.view.set_entry(slot, test::make_key<key_type>(1000 + slot),
                                   test::make_value<value_type>(random.next()));
            else if ((changes.payloads >> slot & 1U) != 0)
                now.view.set_payload(slot, test::make_value<value_type>(random.next()));
        }
        if (changes.fences) {
            now.view.set_link(node_ref(remote_ptr(1, 64 * random.below(1000)), 0, 3));
            now.view.set_high(test::make_key<key_type>(5000));
            auto meta = now.view.meta();
            meta.unbounded = !meta.unbounded;
            now.view.set_meta(meta);
        }
        if (changes.occupancy) now.view.set_occupancy(old.view.occupancy() ^ changes.slots ^ word{1});
        now.view.seal(2, random.one_in(2));

        std::array<op, max_publish_ops> ops;
        auto const n = plan_publish(now.view, at, changes, ops);
        auto const planned = std::span<op const>(ops).first(n);

        // as few operations as there are separate ranges
        word const alone = changes.payloads & ~changes.slots;
        REQUIRE(n == runs_of(changes.slots) + static_cast<std::size_t>(std::popcount(alone)) + changes.fences + 1);
        auto const times = times_written(now, at, planned);
        for (std::size_t i = 0; i < layout::words; ++i) {
            CAPTURE(i);
            REQUIRE(times[i] <= 1);
            if (old.words[i] != now.words[i]) REQUIRE(times[i] == 1);
        }
        // nothing beside the slots, payloads, fences, occupancy and lock word that were named
        std::size_t words = 1 + changes.occupancy;
        words += static_cast<std::size_t>(std::popcount(changes.slots)) * layout::entry_words;
        words += static_cast<std::size_t>(std::popcount(alone)) * layout::payload_words;
        if (changes.fences) words += layout::slots_at - meta_word;
        REQUIRE(static_cast<std::size_t>(std::count(times.begin(), times.end(), 1)) == words);
        // the lock word, with the occupancy beside it, comes last
        REQUIRE(planned.back().target == at);
        REQUIRE(planned.back().length == (changes.occupancy ? 2 : 1) * word_bytes);
        // replayed onto the old image they give the new one
        image<layout> replayed(old);
        for (op const& o : planned)
            std::memcpy(reinterpret_cast<std::byte*>(replayed.words.data()) + (o.target.offset() - at.offset()),
                        o.local, o.length);
        REQUIRE(replayed.words == now.words);
        REQUIRE(replayed.view.sealed());
    }
}

TEST_CASE("no publication takes more operations than max_publish_ops") {
    using layout = leaf_64_slots;
    image<layout> node;
    node.view.format(0, 1, 1);
    node.view.seal(1, false);
    std::vector<op> ops(200);
    word const odd = 0xaaaaaaaaaaaaaaaaULL;
    for (auto const& c : {node_changes{.slots = odd, .payloads = ~odd, .fences = true, .occupancy = true},
                          node_changes{.slots = ~odd, .payloads = odd, .fences = true, .occupancy = true},
                          node_changes{.slots = 0, .payloads = ~word{0}, .fences = true, .occupancy = true},
                          node_changes{.slots = ~word{0}, .payloads = ~word{0}, .fences = true, .occupancy = true}})
        REQUIRE(plan_publish(node.view, {0, 65536}, c, ops) <= max_publish_ops);
}

TEST_CASE("one new entry is two writes, one new value two of a word each") {
    image<leaf_8_8> node;
    node.view.format(0, 1, 1);
    node.view.seal(1, false);
    std::array<op, max_publish_ops> ops;
    REQUIRE(plan_publish(node.view, {0, 65536}, {.slots = 4, .payloads = 0, .fences = false, .occupancy = true}, ops) ==
            2);
    REQUIRE(ops[0].length + ops[1].length == 32);
    REQUIRE(plan_publish(node.view, {0, 65536}, {.slots = 0, .payloads = 4, .fences = false, .occupancy = false},
                         ops) == 2);
    REQUIRE(ops[0].length + ops[1].length == 16);
}

TEST_CASE("changes know whether there are any") {
    REQUIRE_FALSE(node_changes{}.any());
    REQUIRE(node_changes{.slots = 1, .payloads = 0, .fences = false, .occupancy = false}.any());
    REQUIRE(node_changes{.slots = 0, .payloads = 1, .fences = false, .occupancy = false}.any());
    REQUIRE(node_changes{.slots = 0, .payloads = 0, .fences = true, .occupancy = false}.any());
    REQUIRE(node_changes{.slots = 0, .payloads = 0, .fences = false, .occupancy = true}.any());
}

TEST_CASE("W2: who takes a lock looks behind it at the occupancy, if the last writer was another one") {
    constexpr std::uint32_t me = 3, other = 4;
    remote_ptr const at(0, 65536);
    std::array<op, 2> ops;
    {
        lock_attempt mine(at, lock_word(false, me, 7, 9), 5, me);
        REQUIRE_FALSE(mine.was_made());
        REQUIRE(mine.plan(ops) == 1); // what this client wrote is there, it awaited it
        REQUIRE(ops[0].kind == op_kind::cas);
        REQUIRE(mine.was_made());
    }
    lock_word const before(false, other, 7, 9);
    lock_attempt attempt(at, before, 5, me);
    REQUIRE(attempt.plan(ops) == 2);
    REQUIRE(ops[0].kind == op_kind::cas); // and executed first: from then on nobody begins to write
    REQUIRE(ops[0].target == at);
    REQUIRE(ops[0].compare == before.bits());
    REQUIRE(ops[0].operand == before.held_by(me).bits());
    REQUIRE(ops[1].kind == op_kind::read);
    REQUIRE(ops[1].target == at + word_bytes);
    REQUIRE(ops[1].length == word_bytes);
    auto const landed = [&](word occupancy) { *static_cast<word*>(ops[1].local) = occupancy; };
    ops[0].fetched = before.bits() + 1;
    landed(5);
    REQUIRE_FALSE(attempt.swapped());
    REQUIRE_FALSE(attempt.succeeded());
    ops[0].fetched = before.bits();
    REQUIRE(attempt.succeeded());
    landed(4); // the word that was read is under way still
    REQUIRE(attempt.swapped());
    REQUIRE_FALSE(attempt.succeeded());
    auto const undo = attempt.undo();
    REQUIRE(undo.kind == op_kind::cas);
    REQUIRE(undo.compare == before.held_by(me).bits());
    REQUIRE(undo.operand == before.bits());
}
