// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>

#include <catena/layout/lock_word.hpp>

#include <support/catch.hpp>
#include <support/random.hpp>

using namespace catena;

namespace {

constexpr std::uint32_t max_owner = (1U << lock_word::owner_bits) - 1;
constexpr std::uint32_t max_version = (1U << lock_word::version_bits) - 1;

} // namespace

TEST_CASE("every field of a lock word comes back, at its limits and in between") {
    for (bool const locked : {false, true})
        for (std::uint32_t const owner : {0U, 1U, 0x2aaaaU, 1U << 18U, max_owner})
            for (std::uint32_t const version : {0U, 1U, 0xaaaU, max_version})
                for (std::uint32_t const seal : {0U, 1U, 0xaaaaaaaaU, 0xffffffffU}) {
                    CAPTURE(locked, owner, version, seal);
                    lock_word const w(locked, owner, version, seal);
                    REQUIRE(w.locked() == locked);
                    REQUIRE(w.owner() == owner);
                    REQUIRE(w.version() == version);
                    REQUIRE(w.seal() == seal);
                    REQUIRE(lock_word(w.bits()) == w);
                }
}

TEST_CASE("every bit of the word belongs to exactly one field") {
    for (unsigned bit = 0; bit < 64; ++bit) {
        CAPTURE(bit);
        lock_word const w(word{1} << bit);
        REQUIRE((w.seal() != 0) == (bit < 32));
        REQUIRE((w.version() != 0) == (bit >= 32 && bit < 44));
        REQUIRE((w.owner() != 0) == (bit >= 44 && bit < 63));
        REQUIRE(w.locked() == (bit == 63));
        REQUIRE(lock_word(w.locked(), w.owner(), w.version(), w.seal()) == w);
    }
}

TEST_CASE("a field that is too large does not spill into the others") {
    lock_word const w(false, ~0U, ~0U, 0);
    REQUIRE((w.owner() == max_owner && w.version() == max_version && w.seal() == 0 && !w.locked()));
    REQUIRE(lock_word(false, 0, max_version + 1, 5) == lock_word(false, 0, 0, 5));
    REQUIRE(lock_word(false, max_owner + 1, 7, 5) == lock_word(false, 0, 7, 5));
}

TEST_CASE("taking and giving up a lock keeps version and seal") {
    auto const seed = test::test_seed(21);
    CAPTURE(seed);
    test::random_source random(seed);
    for (int i = 0; i < 1000; ++i) {
        lock_word const before(random.next() & ~(word{1} << 63U));
        auto const owner = static_cast<std::uint32_t>(random.below(max_owner + 1));
        auto const held = before.held_by(owner);
        REQUIRE((held.locked() && held.owner() == owner && held.version() == before.version() &&
                 held.seal() == before.seal()));
        auto const after = held.released();
        REQUIRE((!after.locked() && after.owner() == owner && after.version() == before.version() &&
                 after.seal() == before.seal()));
        REQUIRE(after.bits() == (held.bits() & ~(word{1} << 63U)));
    }
}

TEST_CASE("the version counts up and wraps after 4096") {
    lock_word w(false, 3, 0, 9);
    for (std::uint32_t i = 1; i <= max_version; ++i) {
        REQUIRE(w.next_version() == i);
        w = lock_word(false, 3, w.next_version(), 9);
    }
    REQUIRE(w.next_version() == 0);
}
