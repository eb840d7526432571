// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include <catena/pool/scratch.hpp>

#include <core/count_allocations.hpp> // here for the whole program
#include <support/catch.hpp>
#include <support/random.hpp>

using namespace catena;

namespace {

struct piece {
    std::byte* at;
    std::size_t size;
    std::uint8_t fill;
};

/// Takes pieces of random sizes, fills each, and checks at the end that none was overwritten.
void take_pieces(scratch& s, test::random_source& random, int count, std::size_t largest) {
    std::vector<piece> pieces;
    for (int i = 0; i < count; ++i) {
        auto const size = 1 + random.below(largest);
        auto* const at = reinterpret_cast<std::byte*>(s.image(size));
        REQUIRE(reinterpret_cast<std::uintptr_t>(at) % cache_line == 0);
        auto const fill = static_cast<std::uint8_t>(random.next());
        std::memset(at, fill, size);
        pieces.push_back({at, size, fill});
    }
    for (auto const& p : pieces)
        REQUIRE(std::all_of(p.at, p.at + p.size, [&](std::byte b) { return b == static_cast<std::byte>(p.fill); }));
}

} // namespace

TEST_CASE("what is taken from a scratch is aligned and does not overlap, also far beyond one block") {
    auto const seed = test::test_seed(81);
    CAPTURE(seed);
    test::random_source random(seed);
    scratch s;
    for (std::size_t const largest : {std::size_t{100}, std::size_t{4096}, std::size_t{200'000}})
        for (int round = 0; round < 5; ++round) {
            take_pieces(s, random, 100, largest);
            s.reset();
        }
}

TEST_CASE("objects that are taken are value-initialised, also where others were before") {
    scratch s;
    std::memset(s.image(8192), 0xff, 8192);
    s.reset();
    for (auto const n : s.take<std::uint64_t>(1024)) REQUIRE(n == 0);
    REQUIRE(s.take<std::uint64_t>(0).empty());
}

TEST_CASE("a scratch that was used before does not allocate again") {
    scratch s;
    auto const use = [&] {
        for (int i = 0; i < 100; ++i) (void)s.image(1024);
        (void)s.image(100'000);
        s.reset();
    };
    use();
    REQUIRE(test::allocations_of([&] {
                for (int i = 0; i < 50; ++i) use();
            }) == 0);
}

TEST_CASE("what was taken after a mark is given back by reset_to, what was taken before stays") {
    scratch s;
    auto* const before = s.image(1000);
    std::memset(before, 1, 1000);
    auto const place = s.mark();
    auto* const after = s.image(1000);
    for (int i = 0; i < 100; ++i) std::memset(s.image(1024), 2, 1024); // into further blocks
    s.reset_to(place);
    REQUIRE(s.image(1000) == after);
    auto const* const bytes = reinterpret_cast<std::uint8_t const*>(before);
    REQUIRE(std::all_of(bytes, bytes + 1000, [](std::uint8_t b) { return b == 1; }));
}

TEST_CASE("operations that run at once have scratches of their own; idle ones are used again") {
    scratch_list list;
    scratch* first = nullptr;
    scratch* second = nullptr;
    {
        scratch_lease const a(list);
        scratch_lease const b(list);
        first = &*a;
        second = &*b;
        REQUIRE(first != second);
    }
    REQUIRE(test::allocations_of([&] {
                scratch_lease const a(list);
                scratch_lease const b(list);
                if ((&*a != first && &*a != second) || &*a == &*b) ++test::allocations;
            }) == 0);
}
