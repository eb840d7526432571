// SPDX-License-Identifier: Apache-2.0
// Node images alone. What becomes of an image while it is published stands in protocol/node_io_test.cpp.
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include <catena/layout/node.hpp>
#include <catena/prefix/block_hash.hpp>

#include <support/catch.hpp>
#include <support/keys.hpp>
#include <support/random.hpp>

using namespace catena;
using test::blob;
using test::wide_key;

namespace {

using leaf_8_8 = node_layout<std::uint64_t, std::uint64_t, 1024>;
using leaf_16_8 = node_layout<block_hash, std::uint64_t, 1024>;
using leaf_8_24 = node_layout<std::uint64_t, blob<24>, 1024>;
using leaf_32_64 = node_layout<wide_key, blob<64>, 1024>;
using leaf_8_1 = node_layout<std::uint64_t, std::uint8_t, 4096>;
using small_node = node_layout<std::uint64_t, std::uint64_t, 128>;

template <typename Layout>
struct image {
    alignas(64) std::array<word, Layout::words> words{};
    node_view<Layout> view{words.data()};
    image() = default;
    image(image const& o) : words(o.words) {}
    image& operator=(image const&) = delete;
};

template <typename Layout>
void fill(image<Layout>& node, std::size_t entries, test::random_source& random) {
    node.view.format(0, 77, 1234);
    for (std::size_t i = 0; i < entries; ++i) {
        node.view.set_entry(i, test::make_key<typename Layout::key_type>(random.next() >> 8U),
                            test::make_value<typename Layout::payload_type>(random.next()));
        node.view.set_occupancy(node.view.occupancy() | word{1} << i);
    }
    node.view.seal(5, false);
}

} // namespace

TEST_CASE("a node of 1 KiB has 61 slots for keys and values of 8 bytes, 40 for keys of 16") {
    STATIC_REQUIRE(leaf_8_8::slots == 61);
    STATIC_REQUIRE(leaf_8_8::capacity == 60);
    STATIC_REQUIRE(leaf_16_8::slots == 40);
    STATIC_REQUIRE(leaf_8_24::slots == 30);
    STATIC_REQUIRE(leaf_32_64::slots == 9);
    STATIC_REQUIRE(leaf_8_1::slots == 64); // the occupancy is one word, whatever the size
    STATIC_REQUIRE(leaf_8_1::all_slots == ~word{0});
    STATIC_REQUIRE(leaf_8_8::all_slots == (word{1} << 61U) - 1);
    STATIC_REQUIRE(leaf_8_8::slots_at == 6);
    STATIC_REQUIRE(leaf_16_8::slots_at == 8);
}

TEMPLATE_TEST_CASE("slots lie one after the other behind the fences and inside the node", "", leaf_8_8, leaf_16_8,
                   leaf_8_24, leaf_32_64, leaf_8_1, small_node) {
    REQUIRE(TestType::high_at == TestType::low_at + TestType::key_words);
    REQUIRE(TestType::slots_at == TestType::high_at + TestType::key_words);
    for (std::size_t slot = 0; slot < TestType::slots; ++slot) {
        REQUIRE(TestType::slot_at(slot) == TestType::slots_at + slot * (TestType::key_words + TestType::payload_words));
        REQUIRE(TestType::payload_at(slot) == TestType::slot_at(slot) + TestType::key_words);
    }
    REQUIRE(TestType::slot_at(TestType::slots) <= TestType::words);
}

TEST_CASE("the fields of the meta word come back, and each bit belongs to one of them or to none") {
    for (unsigned bit = 0; bit < 64; ++bit) {
        CAPTURE(bit);
        auto const m = node_meta::from_word(word{1} << bit);
        REQUIRE((m.level != 0) == (bit < 8));
        REQUIRE(m.dead == (bit == 8));
        REQUIRE(m.unbounded == (bit == 9));
        REQUIRE(m.made == (bit == 11));
        REQUIRE((m.index_tag != 0) == (bit >= 16 && bit < 32));
        REQUIRE((m.incarnation != 0) == (bit >= 32));
        REQUIRE(m.bits() == (bit == 10 || (bit >= 12 && bit < 16) ? 0 : word{1} << bit));
    }
    node_meta const all{
        .level = 255, .dead = true, .unbounded = true, .made = true, .index_tag = 0xffff, .incarnation = ~0U};
    REQUIRE(all.bits() == (~word{0} & ~(word{0x3d} << 10U)));
}

TEMPLATE_TEST_CASE("a formatted node is empty, covers everything and says what it is", "", leaf_8_8, leaf_16_8,
                   leaf_8_24, leaf_32_64, small_node) {
    using key_type = typename TestType::key_type;
    image<TestType> node;
    node.words.fill(~word{0});
    node.view.format(3, 0xbeef, 99);
    REQUIRE(node.view.count() == 0);
    REQUIRE(node.view.meta().level == 3);
    REQUIRE(node.view.meta().index_tag == 0xbeef);
    REQUIRE(node.view.meta().incarnation == 99);
    REQUIRE_FALSE(node.view.meta().dead);
    REQUIRE_FALSE(static_cast<bool>(node.view.link()));
    for (auto const& key : {test::lowest<key_type>(), test::make_key<key_type>(7), test::highest<key_type>()}) {
        REQUIRE_FALSE(node.view.below(key));
        REQUIRE_FALSE(node.view.above(key));
        REQUIRE(node.view.find(key) == TestType::slots);
    }
}

TEST_CASE("a node of signed keys starts at the smallest of them") {
    image<node_layout<std::int64_t, std::uint64_t, 1024>> node;
    node.view.format(0, 1, 1);
    REQUIRE(node.view.low() == std::numeric_limits<std::int64_t>::min());
    REQUIRE_FALSE(node.view.below(std::numeric_limits<std::int64_t>::min()));
}

TEST_CASE("fences: a key belongs to a node if low <= key < high") {
    image<leaf_8_8> node;
    node.view.format(0, 1, 1);
    node.view.set_low(10);
    node.view.set_high(20);
    REQUIRE_FALSE(node.view.above(1000)); // still unbounded: the high fence counts for nothing
    auto meta = node.view.meta();
    meta.unbounded = false;
    node.view.set_meta(meta);
    for (std::uint64_t key = 0; key < 30; ++key) {
        CAPTURE(key);
        REQUIRE(node.view.below(key) == (key < 10));
        REQUIRE(node.view.above(key) == (key >= 20));
    }
}

TEMPLATE_TEST_CASE("find gives the slot of every key that is occupied, and of no other", "", leaf_8_8, leaf_16_8,
                   leaf_8_24, leaf_32_64, leaf_8_1, small_node) {
    using key_type = typename TestType::key_type;
    using value_type = typename TestType::payload_type;
    auto const seed = test::test_seed(31);
    CAPTURE(seed);
    test::random_source random(seed);
    for (int round = 0; round < 50; ++round) {
        image<TestType> node;
        node.view.format(0, 1, 1);
        std::map<std::uint64_t, std::size_t> model;
        for (std::size_t slot = 0; slot < TestType::slots; ++slot) {
            std::uint64_t const k = slot * 16 + random.below(16);
            // free slots hold what was there before: the same keys, which must not be found
            node.view.set_entry(slot, test::make_key<key_type>(k), test::make_value<value_type>(k));
            if (random.one_in(2)) continue;
            node.view.set_occupancy(node.view.occupancy() | word{1} << slot);
            model[k] = slot;
        }
        REQUIRE(node.view.count() == model.size());
        REQUIRE((node.view.free_slots() ^ node.view.occupancy()) == TestType::all_slots);
        for (std::uint64_t k = 0; k < TestType::slots * 16; ++k) {
            CAPTURE(k);
            auto const slot = node.view.find(test::make_key<key_type>(k));
            auto const expected = model.find(k);
            REQUIRE(slot == (expected == model.end() ? TestType::slots : expected->second));
            if (slot == TestType::slots) continue;
            REQUIRE(node.view.key(slot) == test::make_key<key_type>(k));
            REQUIRE(node.view.payload(slot) == test::make_value<value_type>(k));
        }
        std::set<std::size_t> visited;
        node.view.for_each_slot([&](std::size_t slot) { visited.insert(slot); });
        REQUIRE(visited.size() == model.size());
        for (auto const& [k, slot] : model) REQUIRE(visited.count(slot) == 1);
    }
}

TEST_CASE("a key that an occupied and a free slot hold is found in the occupied one") {
    for (std::size_t occupied = 0; occupied < small_node::slots; ++occupied) {
        image<small_node> node;
        node.view.format(0, 1, 1);
        for (std::size_t slot = 0; slot < small_node::slots; ++slot) node.view.set_entry(slot, 5, slot);
        node.view.set_occupancy(word{1} << occupied);
        REQUIRE(node.view.find(5) == occupied);
    }
}

TEMPLATE_TEST_CASE("a sealed image with any one bit flipped is not sealed, but for those that say who holds it", "",
                   leaf_8_8, leaf_16_8, leaf_8_24, small_node) {
    auto const seed = test::test_seed(32);
    CAPTURE(seed);
    test::random_source random(seed);
    image<TestType> node;
    fill(node, TestType::capacity / 2, random); // half of it is garbage of old entries: sealed, too
    REQUIRE(node.view.sealed());
    // Owner and lock bit change by CAS while the contents stay as they are: the seal leaves them out (lock_word.hpp).
    std::size_t accepted = 0;
    for (std::size_t bit = 0; bit < TestType::words * 64; ++bit) {
        CAPTURE(bit);
        node.words[bit / 64] ^= word{1} << bit % 64;
        bool const says_who = bit >= 44 && bit < 64;
        REQUIRE(node.view.sealed() == says_who);
        accepted += node.view.sealed();
        node.words[bit / 64] ^= word{1} << bit % 64;
    }
    REQUIRE(accepted == 1 + lock_word::owner_bits);
    REQUIRE(node.view.sealed());
}

TEST_CASE("memory that never held a node is not sealed") {
    image<leaf_8_8> node; // zeros: what a fresh chunk holds
    REQUIRE_FALSE(node.view.sealed());
    node.words.fill(~word{0});
    REQUIRE_FALSE(node.view.sealed());
}

TEST_CASE("two words that changed places break the seal") {
    auto const seed = test::test_seed(33);
    CAPTURE(seed);
    test::random_source random(seed);
    image<leaf_8_8> node;
    fill(node, 60, random);
    for (std::size_t a = 1; a < leaf_8_8::words; ++a)
        for (std::size_t b = a + 1; b < leaf_8_8::words; b += 5) {
            if (node.words[a] == node.words[b]) continue;
            std::swap(node.words[a], node.words[b]);
            bool const still = node.view.sealed();
            std::swap(node.words[a], node.words[b]);
            if (still) FAIL("words " << a << " and " << b);
        }
}

TEST_CASE("sealing counts the version up and fits the same contents under no other version") {
    image<leaf_8_8> node;
    node.view.format(0, 1, 1);
    std::set<std::uint32_t> seals;
    for (std::uint32_t i = 1; i <= 4096; ++i) {
        node.view.seal(i, i % 2 == 0);
        REQUIRE(node.view.lock().version() == i % 4096);
        REQUIRE(node.view.lock().owner() == i);
        REQUIRE(node.view.lock().locked() == (i % 2 == 0));
        REQUIRE(node.view.sealed());
        seals.insert(node.view.lock().seal());
    }
    REQUIRE(seals.size() >= 4094); // a coincidence of 32 bits is allowed for
    for (std::uint32_t version = 1; version < 4096; ++version) {
        image<leaf_8_8> other(node);
        auto const lock = node.view.lock();
        other.view.set_lock(lock_word(false, 0, lock.version() + version, lock.seal()));
        if (node.view.seal_of(lock.version()) != node.view.seal_of((lock.version() + version) % 4096))
            REQUIRE_FALSE(other.view.sealed());
    }
}

TEST_CASE("a lock that is taken and given up leaves the image sealed") {
    auto const seed = test::test_seed(34);
    CAPTURE(seed);
    test::random_source random(seed);
    image<leaf_8_8> node;
    fill(node, 10, random);
    node.view.set_lock(node.view.lock().held_by(4321));
    REQUIRE(node.view.sealed());
    REQUIRE(node.view.lock().locked());
    node.view.set_lock(node.view.lock().released());
    REQUIRE(node.view.sealed());
}
