// SPDX-License-Identifier: Apache-2.0
// The fit against a model that shares nothing with it: every pair of a floor and a ceiling bounds the slope of a line,
// and a line exists exactly if the greatest lower bound is not above the least upper bound.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <catena/layout/linear_fit.hpp>

#include <support/catch.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>

using namespace catena;

namespace {

__extension__ using signed_number = __int128;
using numbers = std::vector<key_number>;
using segments = std::vector<linear_segment>;

struct fraction {
    signed_number top;
    signed_number bottom; ///< > 0
    [[nodiscard]] bool operator<(fraction const& b) const { return top * b.bottom < b.top * bottom; }
};

/// Does a line pass numbers first to first + count - 1 within eps? Exact for distances below 2^90. O(n^2)
bool passes(numbers const& n, std::size_t first, std::size_t count, std::uint32_t eps) {
    std::optional<fraction> least;
    std::optional<fraction> greatest;
    for (auto i = first; i < first + count; ++i)
        for (auto j = i + 1; j < first + count; ++j) {
            auto const rise = static_cast<signed_number>(j - i);
            auto const run = static_cast<signed_number>(n[j] - n[i]);
            auto const slack = signed_number{2} * eps;
            if (run == 0) {
                if (rise > slack) return false;
                continue;
            }
            fraction const low{rise - slack, run};
            fraction const high{rise + slack, run};
            if (!least || *least < low) least = low;
            if (!greatest || high < *greatest) greatest = high;
        }
    return !least || !(*greatest < *least);
}

segments fit(numbers const& n, std::uint32_t eps) {
    segments out;
    fit_lines(
        n.size(), eps, [&](std::size_t i) { return n[i]; }, [&](linear_segment s) { out.push_back(s); });
    return out;
}

segments fit_by_model(numbers const& n, std::uint32_t eps) {
    segments out;
    for (std::size_t first = 0; first < n.size();) {
        std::size_t count = 1;
        while (first + count < n.size() && passes(n, first, count + 1, eps)) ++count;
        out.push_back({first, count});
        first += count;
    }
    return out;
}

/// The fewest segments, over all ways to cut.
std::size_t fewest(numbers const& n, std::uint32_t eps) {
    std::vector<std::size_t> best(n.size() + 1, n.size());
    best[0] = 0;
    for (std::size_t end = 1; end <= n.size(); ++end)
        for (std::size_t first = 0; first < end; ++first)
            if (passes(n, first, end - first, eps)) best[end] = std::min(best[end], best[first] + 1);
    return best[n.size()];
}

bool covers(segments const& s, std::size_t n) {
    std::size_t next = 0;
    for (auto const& one : s) {
        if (one.first != next || one.count == 0) return false;
        next += one.count;
    }
    return next == n;
}

/// Ascending, with gaps of a kind: even, wild, mostly none, clusters, powers.
numbers some_numbers(std::size_t count, unsigned kind, test::random_source& random) {
    numbers n;
    key_number at = random.below(1000);
    for (std::size_t i = 0; i < count; ++i) {
        n.push_back(at);
        switch (kind) {
        case 0: at += 1 + random.below(3); break;
        case 1: at += random.next() >> (24 + random.below(40)); break;
        case 2: at += random.one_in(4) ? random.below(3) : 0; break;
        case 3: at += random.one_in(8) ? random.below(1'000'000) : random.below(4); break;
        case 4: at += i * i / 3; break;
        default: at += random.below(2) << random.below(20);
        }
    }
    return n;
}

numbers uniform(std::size_t count, std::uint64_t seed) {
    numbers n;
    test::random_source random(seed);
    for (std::size_t i = 0; i < count; ++i) n.push_back(random.next());
    std::sort(n.begin(), n.end());
    return n;
}

} // namespace

TEST_CASE("no number makes no segment, one or two make one") {
    REQUIRE(fit({}, 1).empty());
    REQUIRE(fit({5}, 1) == segments{{0, 1}});
    REQUIRE(fit({~key_number{0}}, 1) == segments{{0, 1}});
    for (auto const& n : {numbers{0, 1}, numbers{0, ~key_number{0}}, numbers{7, 7}})
        REQUIRE(fit(n, 1) == segments{{0, 2}});
    REQUIRE(fit({7, 7}, 0) == segments{{0, 1}, {1, 1}});
}

TEST_CASE("the segments are those of the model: each is as long as a line can be") {
    auto const seed = test::test_seed(321);
    CAPTURE(seed);
    test::random_source random(seed);
    for (std::size_t round = 0; round < test::scaled(3000); ++round) {
        auto const kind = static_cast<unsigned>(round % 6);
        auto const eps = static_cast<std::uint32_t>(random.below(5));
        auto const n = some_numbers(1 + random.below(90), kind, random);
        CAPTURE(round, kind, eps, n.size());
        auto const found = fit(n, eps);
        REQUIRE(covers(found, n.size()));
        REQUIRE(found == fit_by_model(n, eps));
    }
}

TEST_CASE("every short run of small gaps, exhaustively") {
    for (std::uint32_t eps = 1; eps <= 2; ++eps)
        for (unsigned code = 0; code < 65536; ++code) { // eight gaps of 0, 1, 2 or 9
            numbers n{0};
            for (unsigned i = 0; i < 8; ++i) {
                auto const gap = code >> 2 * i & 3U;
                n.push_back(n.back() + (gap == 3 ? 9 : gap));
            }
            if (fit(n, eps) == fit_by_model(n, eps)) continue;
            CAPTURE(eps, code);
            REQUIRE(fit(n, eps) == fit_by_model(n, eps));
        }
}

TEST_CASE("no way to cut has fewer segments") {
    auto const seed = test::test_seed(322);
    CAPTURE(seed);
    test::random_source random(seed);
    for (std::size_t round = 0; round < test::scaled(600); ++round) {
        auto const n = some_numbers(1 + random.below(40), static_cast<unsigned>(round % 6), random);
        auto const eps = static_cast<std::uint32_t>(1 + random.below(2));
        CAPTURE(round, eps, n.size());
        REQUIRE(fit(n, eps).size() == fewest(n, eps));
    }
}

TEST_CASE("stretched and moved, the numbers have the same segments, up to the widest") {
    auto const seed = test::test_seed(323);
    CAPTURE(seed);
    test::random_source random(seed);
    for (std::size_t round = 0; round < test::scaled(3000); ++round) {
        auto n = some_numbers(2 + random.below(200), static_cast<unsigned>(round % 6), random);
        auto const eps = static_cast<std::uint32_t>(random.below(5));
        CAPTURE(round, eps, n.size());
        auto const before = fit(n, eps);
        if (n.front() == n.back()) continue;
        auto const first = n.front();
        auto const widest = ~key_number{0} / (n.back() - first); // an odd factor fills the low bits of products too
        auto const factor = round % 2 == 0 ? widest : (widest >> random.below(100)) + 1;
        if (factor > widest) continue;
        auto const room = ~key_number{0} - (n.back() - first) * factor;
        for (auto& x : n) x = (x - first) * factor + room;
        REQUIRE(fit(n, eps) == before);
    }
}

TEST_CASE("the last bit of 128 decides whether a line passes") {
    for (unsigned const k : {0U, 10U, 60U, 61U, 62U, 63U, 64U, 91U, 92U, 93U, 94U, 100U, 125U}) {
        CAPTURE(k);
        // Three equal numbers leave a line one height, with eps 1: it is at 1, then at 4. Rank 6 may be where it is at
        // 5 to 7, which are four to six thirds.
        auto const third = key_number{1} << k;
        auto const fits = [&](key_number seventh) {
            auto const found = fit({0, 0, 0, 3 * third, 3 * third, 3 * third, seventh}, 1);
            REQUIRE((found == segments{{0, 7}} || found == segments{{0, 6}, {6, 1}}));
            return found.size() == 1;
        };
        REQUIRE(fits(4 * third));
        REQUIRE(fits(6 * third));
        REQUIRE_FALSE(fits(4 * third - 1));
        REQUIRE_FALSE(fits(6 * third + 1));
        REQUIRE(fits(5 * third));
    }
}

TEST_CASE("sequential numbers are one segment, however far apart, up to the greatest number") {
    constexpr std::size_t count = 100'000;
    for (auto const step : {key_number{1}, key_number{3}, key_number{1} << 40U, key_number{1} << 110U}) {
        numbers n;
        for (std::size_t i = 0; i < count; ++i) n.push_back(~key_number{0} - (count - 1 - i) * step);
        REQUIRE(fit(n, 1) == segments{{0, count}});
        REQUIRE(fit(n, 0) == segments{{0, count}});
    }
}

TEST_CASE("random numbers take about four times eps squared a segment") {
    auto const seed = test::test_seed(324);
    CAPTURE(seed);
    constexpr std::uint32_t eps = 16;
    constexpr auto square = std::size_t{eps} * eps;
    auto const n = uniform(200'000, seed);
    auto const found = fit(n, eps);
    REQUIRE(covers(found, n.size()));
    auto const each = n.size() / found.size();
    CAPTURE(found.size(), each);
    REQUIRE(each >= 2 * square);
    REQUIRE(each <= 8 * square);
    for (std::size_t i = 0; i < test::scaled(16); ++i) {
        auto const& s = found[i * found.size() / 16];
        CAPTURE(s.first, s.count);
        REQUIRE(passes(n, s.first, s.count, eps));
        if (s.first + s.count < n.size()) REQUIRE_FALSE(passes(n, s.first, s.count + 1, eps));
    }
}

TEST_CASE("clusters take a segment or two each") {
    numbers n;
    for (std::size_t cluster = 0; cluster < 50; ++cluster)
        for (std::size_t i = 0; i < 2000; ++i) n.push_back((key_number{cluster} * cluster << 50U) + i);
    auto const found = fit(n, 8);
    REQUIRE(covers(found, n.size()));
    REQUIRE(found.size() >= 50);
    REQUIRE(found.size() <= 101);
    for (auto const& s : found)
        if (s.count <= 2100) REQUIRE(passes(n, s.first, s.count, 8));
}

TEST_CASE("one gap makes two segments") {
    numbers n;
    for (key_number i = 0; i < 5000; ++i) n.push_back(i * 10);
    for (key_number i = 0; i < 5000; ++i) n.push_back(1'000'000'000 + i * 10);
    auto const found = fit(n, 4);
    REQUIRE(found.size() == 2);
    // a line near the last ranks before the gap passes the first few behind it
    REQUIRE(found[0].count >= 5000);
    REQUIRE(found[0].count <= 5000 + 2 * 4 + 1);
    REQUIRE(covers(found, n.size()));
}

TEST_CASE("a run of equal numbers is cut every 2 eps + 1") {
    for (std::uint32_t const eps : {0U, 1U, 3U, 16U}) {
        CAPTURE(eps);
        std::size_t const most = 2 * eps + 1;
        for (std::size_t const count : {most - 1, most, most + 1, 5 * most, 5 * most + 1}) {
            CAPTURE(count);
            if (count == 0) continue;
            auto const found = fit(numbers(count, 77), eps);
            REQUIRE(covers(found, count));
            REQUIRE(found.size() == (count + most - 1) / most);
            for (std::size_t i = 0; i + 1 < found.size(); ++i) REQUIRE(found[i].count == most);
        }
    }
}

TEST_CASE("equal numbers in the middle of a line end it where the model ends it") {
    for (std::size_t run = 1; run < 30; ++run)
        for (std::uint32_t const eps : {1U, 2U, 5U}) {
            CAPTURE(run, eps);
            numbers n;
            for (key_number i = 0; i < 40; ++i) n.push_back(i * 4);
            n.insert(n.end(), run, key_number{160});
            for (key_number i = 41; i < 80; ++i) n.push_back(i * 4);
            REQUIRE(fit(n, eps) == fit_by_model(n, eps));
        }
}

TEST_CASE("numbers of 128 bits are cut like those of 64 if their high halves are equal, or their low ones") {
    auto const seed = test::test_seed(325);
    CAPTURE(seed);
    auto const n = uniform(20'000, seed);
    auto const found = fit(n, 16);
    auto high_equal = n;
    for (auto& x : high_equal) x += key_number{0xfedcba9876543210U} << 64U;
    REQUIRE(fit(high_equal, 16) == found);
    auto low_equal = n;
    for (auto& x : low_equal) x = x << 64U | 0x123456789abcdef0U;
    REQUIRE(fit(low_equal, 16) == found);
}

TEST_CASE("a bound above every rank is one segment") {
    auto const seed = test::test_seed(326);
    CAPTURE(seed);
    auto const n = uniform(3000, seed);
    for (unsigned const shift : {0U, 28U, 29U, 30U, 64U}) { // around the widest run of the short multiplication too
        auto wide = n;
        for (auto& x : wide) x <<= shift;
        for (std::uint32_t const eps : {1500U, 1U << 30U, ~0U}) REQUIRE(fit(wide, eps) == segments{{0, n.size()}});
    }
}

TEST_CASE("every number is asked for once, in order, and a segment is emitted as soon as it ends") {
    auto const seed = test::test_seed(327);
    CAPTURE(seed);
    auto const n = uniform(5000, seed);
    std::size_t asked = 0;
    std::size_t emitted = 0;
    fit_lines(
        n.size(), 4,
        [&](std::size_t i) {
            REQUIRE(i == asked);
            return n[asked++];
        },
        [&](linear_segment s) {
            REQUIRE(s.first == emitted);
            emitted += s.count;
            REQUIRE((asked == emitted + 1 || asked == n.size()));
        });
    REQUIRE(asked == n.size());
    REQUIRE(emitted == n.size());
}
