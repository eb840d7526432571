// SPDX-License-Identifier: Apache-2.0
#include <catena/layout/piece_plan.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include <support/catch.hpp>
#include <support/random.hpp>

using namespace catena;

namespace {

using numbers = std::vector<key_number>;
constexpr auto highest = key_number{~word{0}};

plan_rules rules(bool by_rank = false) {
    plan_rules r{.fill = 35, .most = 54, .error_bound = 128, .limit = highest, .by_rank = by_rank};
    for (auto const leaves : {1U, 3U, 6U, 12U, 24U, 49U, 99U})
        r.sizes[r.size_count++] = {.leaves = leaves, .bytes = 64 + leaves * 1312};
    return r;
}

std::vector<planned_piece> plan(plan_rules const& r, numbers const& keys, key_number begin = 0, std::size_t spare = 0) {
    auto const at = [&](std::size_t i) { return keys[i]; };
    piece_planner planner(r, keys.size(), at, spare);
    return planner.run(begin);
}

/// Every key is in one piece, pieces ascend, and numbers that are equal are together.
void require_whole(std::vector<planned_piece> const& pieces, numbers const& keys, key_number begin) {
    REQUIRE_FALSE(pieces.empty());
    REQUIRE(pieces.front().begin == begin);
    std::size_t next = 0;
    for (std::size_t p = 0; p < pieces.size(); ++p) {
        REQUIRE(pieces[p].first == next);
        if (p > 0) REQUIRE(pieces[p - 1].begin < pieces[p].begin);
        for (auto i = next; i < next + pieces[p].count; ++i) {
            REQUIRE(keys[i] >= pieces[p].begin);
            if (p + 1 < pieces.size()) REQUIRE(keys[i] < pieces[p + 1].begin);
        }
        next += pieces[p].count;
    }
    REQUIRE(next == keys.size());
}

std::size_t leaves_of(std::vector<planned_piece> const& pieces) {
    std::size_t n = 0;
    for (auto const& p : pieces) n += p.line.leaves();
    return n;
}

/// Overflow leaves that these keys need from the beginning.
std::size_t overflows(plan_rules const& r, std::vector<planned_piece> const& pieces, numbers const& keys) {
    std::size_t n = 0;
    for (auto const& p : pieces) {
        std::vector<std::size_t> load(p.line.leaves());
        for (auto i = p.first; i < p.first + p.count; ++i) ++load[p.line.leaf_of(keys[i] - p.begin)];
        for (auto const l : load) n += l == 0 ? 0 : (l - 1) / r.most;
    }
    return n;
}

numbers uniform(std::size_t n, std::uint64_t seed) {
    test::random_source random(seed);
    numbers keys(n);
    for (auto& k : keys) k = random.next();
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    return keys;
}

} // namespace

TEST_CASE("no keys and few keys are one leaf", "[layout][plan]") {
    auto const r = rules();
    for (auto const n : std::array<std::size_t, 4>{0, 1, 20, 35}) {
        auto const keys = uniform(n, 1);
        auto const pieces = plan(r, keys, 0, 1);
        require_whole(pieces, keys, 0);
        REQUIRE(leaves_of(pieces) == 1);
    }
}

TEST_CASE("uniform keys get the largest extents, evenly filled", "[layout][plan]") {
    auto const r = rules();
    auto const keys = uniform(4 * 99 * 43, 7); // four full pieces
    auto const pieces = plan(r, keys, 0, 100);
    require_whole(pieces, keys, 0);
    REQUIRE(pieces.size() == 5);
    for (auto const& p : pieces) REQUIRE(p.line.leaves() == 99);
    REQUIRE(overflows(r, pieces, keys) <= 10);
}

TEST_CASE("keys in order find leaves behind the last one that are made for them", "[layout][plan]") {
    auto const r = rules();
    numbers keys(10'000);
    for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = 1'000'000'000 + 3 * i;
    auto const pieces = plan(r, keys, 0, 99);
    require_whole(pieces, keys, 0);
    REQUIRE(overflows(r, pieces, keys) == 0);
    REQUIRE(pieces.front().count == 0); // nothing lies before the first one
    REQUIRE(pieces.front().line.leaves() == 1);
    auto const& spare = pieces.back();
    REQUIRE(spare.count == 0);
    REQUIRE(spare.line.leaves() == 99);
    std::vector<std::size_t> load(99);
    for (std::size_t i = 0; i < 99 * 34; ++i)
        ++load[spare.line.leaf_of(1'000'000'000 + 3 * (keys.size() + i) - spare.begin)];
    REQUIRE(*std::max_element(load.begin(), load.end() - 1) <= 36);
    REQUIRE(plan(r, keys, 0, 0).back().count > 0); // a piece follows: none

    numbers at_the_end(10'000); // no room for such a piece
    for (std::size_t i = 0; i < keys.size(); ++i) at_the_end[i] = highest - 3 * (keys.size() - i);
    auto const last = plan(r, at_the_end, 0, 99);
    require_whole(last, at_the_end, 0);
    REQUIRE(last.back().count > 0);
}

TEST_CASE("clusters, squares and one gap end with few overflow leaves", "[layout][plan]") {
    auto const r = rules();
    test::random_source random(3);
    std::array<numbers, 3> shapes;
    for (int cluster = 0; cluster < 50; ++cluster) {
        key_number const begin = random.next();
        for (int i = 0; i < 400; ++i) shapes[0].push_back(begin + static_cast<unsigned>(i) * 2);
    }
    for (std::uint64_t i = 0; i < 20'000; ++i) shapes[1].push_back(key_number{i} * i * i);
    for (std::uint64_t i = 0; i < 20'000; ++i)
        shapes[2].push_back(i < 10'000 ? i * 1'000'000'000 : 5'000'000'000'000 + i);
    for (auto& keys : shapes) {
        std::sort(keys.begin(), keys.end());
        keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
        auto const pieces = plan(r, keys, 0, 1);
        require_whole(pieces, keys, 0);
        REQUIRE(overflows(r, pieces, keys) <= leaves_of(pieces) / 20 + 1);
        REQUIRE(leaves_of(pieces) <= keys.size() / 8);
    }
}

TEST_CASE("numbers that are equal stay in one piece, however many they are", "[layout][plan]") {
    auto const r = rules();
    for (auto const run : std::array<std::size_t, 3>{2, 40, 5'000}) {
        numbers keys;
        for (std::uint64_t i = 0; keys.size() < 20'000; ++i) keys.insert(keys.end(), run, key_number{i} << 70U);
        for (bool const by_rank : {false, true}) {
            auto const some = rules(by_rank);
            require_whole(plan(some, keys, 0, 1), keys, 0);
        }
    }
    numbers const one(10'000, 77);
    auto const pieces = plan(r, one, 77, 1);
    require_whole(pieces, one, 77);
}

TEST_CASE("pieces by rank have no more leaves than keys", "[layout][plan]") {
    auto const r = rules(true);
    for (auto const n : std::array<std::size_t, 5>{1, 36, 37, 100, 20'000}) {
        auto const keys = uniform(n, n);
        auto const pieces = plan(r, keys, 0, 50);
        require_whole(pieces, keys, 0);
        for (auto const& p : pieces) REQUIRE(p.line.leaves() <= std::max<std::size_t>(1, p.count));
    }
}
