// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include <catena/layout/key_number.hpp>

#include <support/catch.hpp>
#include <support/keys.hpp>
#include <support/random.hpp>

using namespace catena;

namespace {

template <typename Key>
std::vector<Key> some_keys(std::uint64_t seed) {
    std::vector<Key> keys;
    for (auto const near : std::array<std::uint64_t, 5>{0, std::uint64_t{1} << 32U, std::uint64_t{1} << 63U, 1000, 0})
        for (std::uint64_t i = 0; i < 7; ++i) keys.push_back(static_cast<Key>(near + i - 3));
    test::random_source random(seed);
    for (int i = 0; i < 300; ++i) keys.push_back(static_cast<Key>(random.next() >> random.below(64)));
    keys.push_back(std::numeric_limits<Key>::min());
    keys.push_back(std::numeric_limits<Key>::max());
    std::sort(keys.begin(), keys.end());
    return keys;
}

} // namespace

TEMPLATE_TEST_CASE("an integer key and its number are each other's inverse, in one order", "", std::uint64_t,
                   std::int64_t, unsigned long long, long long) {
    using numbers = number_of_key<TestType>;
    auto const seed = test::test_seed(301);
    CAPTURE(seed);
    auto const keys = some_keys<TestType>(seed);
    for (auto const a : keys) {
        CAPTURE(a);
        REQUIRE(numbers::at(numbers::of(a)) == a);
        bool ordered = true;
        for (auto const b : keys) ordered = ordered && (a < b) == (numbers::of(a) < numbers::of(b));
        REQUIRE(ordered);
    }
}

TEMPLATE_TEST_CASE("the numbers of integer keys are 0 to 2^64 - 1, without gaps", "", std::uint64_t, std::int64_t) {
    using numbers = number_of_key<TestType>;
    using limits = std::numeric_limits<TestType>;
    static_assert(numbers::of(limits::min()) == 0 && numbers::of(limits::max()) == ~word{0});
    for (TestType const k : {limits::min(), static_cast<TestType>(-1), TestType{0}, TestType{1}, TestType{77}}) {
        if (k == limits::max()) continue;
        CAPTURE(k);
        REQUIRE((numbers::of(static_cast<TestType>(k + 1)) - numbers::of(k) == 1));
    }
}

TEMPLATE_TEST_CASE("a number above all keys is at the highest key", "", std::uint64_t, std::int64_t) {
    constexpr auto highest = std::numeric_limits<TestType>::max();
    for (auto const n : {key_number{~word{0}}, key_number{1} << 64U, (key_number{1} << 64U) + 5, ~key_number{0}})
        REQUIRE(number_of_key<TestType>::at(n) == highest);
}

TEST_CASE("a key wider than a number projects to its first 128 bits, in order") {
    using numbers = number_of_key<test::wide_key>;
    auto const seed = test::test_seed(302);
    CAPTURE(seed);
    test::random_source random(seed);
    auto const any = [&] { return random.below(3); };
    for (int i = 0; i < 1000; ++i) {
        test::wide_key const a{.words = {any(), any(), any(), any()}};
        test::wide_key const b{.words = {any(), any(), any(), any()}};
        if (a < b) REQUIRE((numbers::of(a) <= numbers::of(b)));
        REQUIRE(numbers::at(numbers::of(a)) <= a);
        REQUIRE((numbers::of(numbers::at(numbers::of(a))) == numbers::of(a)));
    }
}
