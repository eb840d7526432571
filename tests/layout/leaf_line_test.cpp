// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include <catena/layout/leaf_line.hpp>

#include <support/catch.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>

using namespace catena;

namespace {

constexpr key_number one = 1;
constexpr key_number most = ~key_number{0};

std::vector<std::uint32_t> const leaf_counts{0,   1,   2,    3,     4,     5,     7,     8,         63, 64,
                                             100, 255, 1000, 32768, 65534, 65535, 65536, 1'000'000, ~0U};

/// 2^k and its neighbours, and everything small; around counts of leaves, around the greatest number of steps.
std::vector<key_number> widths() {
    std::vector<key_number> some{most - 1, most};
    for (unsigned n = 0; n < 20; ++n) some.push_back(n);
    for (unsigned k = 5; k < 128; ++k)
        for (key_number const w : {(one << k) - 2, (one << k) - 1, one << k, (one << k) + 1, (one << k) / 3 * 5})
            some.push_back(w);
    for (auto const n : leaf_counts)
        for (unsigned i = 0; i < 5; ++i) some.push_back(key_number{n} + 2 - i + (n < 3 ? 3 : 0));
    return some;
}

/// As many of 0 to n - 1 as are cheap to try: all, or both ends and some between.
std::vector<std::uint32_t> some_below(std::uint32_t n, test::random_source& random) {
    std::vector<std::uint32_t> some;
    if (n <= 128) {
        for (std::uint32_t i = 0; i < n; ++i) some.push_back(i);
    } else {
        for (std::uint32_t i = 0; i < 16; ++i) some.insert(some.end(), {i, n - 1 - i, n / 2 + i});
        for (std::uint32_t i = 0; i < 40; ++i) some.push_back(static_cast<std::uint32_t>(random.below(n)));
    }
    return some;
}

key_number any_number(test::random_source& random) {
    auto const high = random.next();
    return (key_number{high} << 64U | random.next()) >> random.below(128);
}

/// Every leaf begins where begin_of says, the leaf before ends there, and the last one begins within the width.
void check_begins(leaf_line const& line, key_number width, test::random_source& random) {
    auto const leaves = line.leaves();
    bool whole = line.begin_of(0) == 0 && line.leaf_of(0) == 0 && line.leaf_of(most) == leaves - 1;
    for (auto const i : some_below(leaves, random)) {
        auto const begin = line.begin_of(i);
        whole = whole && line.leaf_of(begin) == i && line.position_of(begin) >> 8U == i;
        whole = whole && (i == 0 || line.leaf_of(begin - 1) == i - 1);
        whole = whole && (width == 0 || begin < width);
    }
    REQUIRE(whole);
}

/// Ascending distances have ascending positions, none of them beyond the end.
void check_monotone(leaf_line const& line, key_number width, test::random_source& random) {
    std::vector<key_number> at{0, 1, 2, width / 2, width - 1, width, width + 1, width + width / 7, most - 1, most};
    for (unsigned k = 0; k < 128; k += 3) at.push_back(one << k);
    for (int i = 0; i < 40; ++i) at.push_back(width == 0 ? any_number(random) : any_number(random) % width);
    for (auto const i : some_below(line.leaves(), random)) at.push_back(line.begin_of(i));
    std::sort(at.begin(), at.end());
    bool fine = true;
    std::uint32_t before = 0;
    for (auto const d : at) {
        auto const position = line.position_of(d);
        fine = fine && position >= before && position >> 8U == line.leaf_of(d) && line.leaf_of(d) < line.leaves();
        fine = fine && (width == 0 || d < width || line.leaf_of(d) == line.leaves() - 1);
        before = position;
    }
    REQUIRE(fine);
}

} // namespace

TEST_CASE("every distance has one leaf, every leaf begins where it says, whatever the width") {
    auto const seed = test::test_seed(311);
    CAPTURE(seed);
    test::random_source random(seed);
    for (auto const width : widths())
        for (auto const leaves : leaf_counts) {
            auto const line = leaf_line::over(width, leaves);
            CAPTURE(static_cast<word>(width >> 64U), static_cast<word>(width), leaves, line.leaves());
            auto const fit = std::min<key_number>({key_number{leaves}, width, key_number{leaf_line::max_leaves}});
            REQUIRE(line.leaves() == std::max<std::uint32_t>(1, static_cast<std::uint32_t>(fit)));
            check_begins(line, width, random);
            check_monotone(line, width, random);
        }
}

TEST_CASE("the same for widths and counts of leaves at random") {
    auto const seed = test::test_seed(312);
    CAPTURE(seed);
    test::random_source random(seed);
    for (std::size_t i = 0; i < test::scaled(40'000); ++i) {
        auto const width = any_number(random);
        auto const leaves = static_cast<std::uint32_t>(random.below(65536) >> random.below(16));
        auto const line = leaf_line::over(width, leaves);
        CAPTURE(static_cast<word>(width >> 64U), static_cast<word>(width), leaves, line.leaves());
        check_begins(line, width, random);
        check_monotone(line, width, random);
    }
}

TEST_CASE("narrow pieces, distance by distance") {
    for (std::uint32_t width = 1; width <= 130; ++width)
        for (std::uint32_t leaves = 0; leaves <= width + 2; ++leaves) {
            CAPTURE(width, leaves);
            auto const line = leaf_line::over(width, leaves);
            REQUIRE(line.leaves() == std::clamp(leaves, 1U, width));
            std::vector<std::uint32_t> sizes(line.leaves());
            bool sorted = true;
            for (std::uint32_t d = 0; d < width; ++d) {
                ++sizes[line.leaf_of(d)];
                sorted = sorted && (d == 0 || line.leaf_of(d) >= line.leaf_of(d - 1));
            }
            REQUIRE(sorted);
            auto const [least, greatest] = std::minmax_element(sizes.begin(), sizes.end());
            REQUIRE(*least >= 1);
            REQUIRE(*greatest - *least <= 1);
        }
}

TEST_CASE("the leaves of a piece are even") {
    auto const seed = test::test_seed(313);
    CAPTURE(seed);
    test::random_source random(seed);
    for (auto const width : widths()) {
        if (width < 2) continue;
        for (auto const leaves : leaf_counts) {
            auto const line = leaf_line::over(width, leaves);
            CAPTURE(static_cast<word>(width >> 64U), static_cast<word>(width), leaves, line.leaves());
            auto const ideal = static_cast<long double>(width) / line.leaves();
            bool even = true;
            for (auto const i : some_below(line.leaves(), random)) {
                auto const end = i + 1 < line.leaves() ? line.begin_of(i + 1) : width;
                auto const off = static_cast<long double>(end - line.begin_of(i)) - ideal;
                // one distance, where a leaf has few; the bound of L3
                even = even && (off < 0 ? -off : off) <= 1.000001L + 4e-7L * ideal;
            }
            REQUIRE(even);
        }
    }
}

TEST_CASE("a position says how far into its leaf a distance is") {
    auto const line = leaf_line::over(key_number{1000} << 70U, 1000);
    for (std::uint32_t leaf = 0; leaf < 1000; ++leaf)
        for (std::uint32_t part = 0; part < 256; part += 17) {
            CAPTURE(leaf, part);
            auto const d = (key_number{leaf} << 70U) + (key_number{2 * part + 1} << 61U); // the middle of the part
            REQUIRE(line.position_of(d) == leaf * 256 + part);
        }
    auto const last = leaf_line::max_leaves * 256 - 1;
    REQUIRE(leaf_line::over(most, leaf_line::max_leaves).position_of(most) == last);
}

TEST_CASE("a line of width 0 is one leaf for everything, as one by default") {
    auto const line = leaf_line::over(0, 1000);
    REQUIRE(line == leaf_line());
    REQUIRE(line.leaves() == 1);
    REQUIRE((line.begin_of(0) == 0));
    for (auto const d : {key_number{0}, key_number{1}, one << 64U, most}) REQUIRE(line.leaf_of(d) == 0);
}

TEST_CASE("a line is its two words, and what is added to it changes nothing else") {
    auto const seed = test::test_seed(314);
    CAPTURE(seed);
    test::random_source random(seed);
    for (int i = 0; i < 1000; ++i) {
        auto const line =
            leaf_line::over(any_number(random), static_cast<std::uint32_t>(random.below(65536) >> random.below(16)));
        auto const extra = static_cast<std::uint32_t>(random.next());
        REQUIRE(line.extra() == 0);
        auto const tagged = line.with_extra(~extra).with_extra(extra);
        REQUIRE(tagged.extra() == extra);
        REQUIRE(tagged.leaves() == line.leaves());
        REQUIRE((tagged == line) == (extra == 0));
        REQUIRE(tagged.with_extra(0) == line);
        auto const d = any_number(random);
        REQUIRE(tagged.position_of(d) == line.position_of(d));
        auto const leaf = static_cast<std::uint32_t>(random.below(line.leaves()));
        REQUIRE((tagged.begin_of(leaf) == line.begin_of(leaf)));
        auto const [slope, packed] = tagged.words();
        REQUIRE(packed >> 32U == extra);
        REQUIRE((packed & 0xffffU) == line.leaves());
        REQUIRE((packed >> 24U & 0xffU) == 0);
        REQUIRE(leaf_line::from_words(slope, packed) == tagged);
        REQUIRE(leaf_line::from_words(slope ^ 1U, packed) != tagged);
    }
}

TEST_CASE("words that are no line still name a leaf for every distance") {
    constexpr auto ones = leaf_line::from_words(~word{0}, ~word{0}); // a constant expression has no undefined behaviour
    static_assert(ones.leaf_of(0) == 0 && ones.leaf_of(most) == 1);
    static_assert(ones.begin_of(1) >> 127U == 1 && leaf_line::from_words(0, 7).begin_of(6) == 0);
    auto const seed = test::test_seed(315);
    CAPTURE(seed);
    test::random_source random(seed);
    auto const any = [&] { return random.one_in(4) ? ~word{0} * random.below(2) : random.next() >> random.below(64); };
    for (int i = 0; i < 20'000; ++i) {
        auto const slope = any();
        auto const packed = any();
        auto const line = leaf_line::from_words(slope, packed);
        bool total = line.leaves() >= 1 && line.leaves() <= leaf_line::max_leaves;
        std::array<key_number, 5> at{0, 1, most, any_number(random), any_number(random)};
        std::sort(at.begin(), at.end());
        std::uint32_t before = 0;
        for (auto const d : at) {
            total = total && line.leaf_of(d) < line.leaves() && line.position_of(d) >> 8U == line.leaf_of(d) &&
                    line.leaf_of(d) >= before;
            before = line.leaf_of(d);
        }
        (void)line.begin_of(line.leaves() - 1); // undefined behaviour, if any, is the sanitizer's to find
        CAPTURE(slope, packed);
        REQUIRE(total);
    }
}
