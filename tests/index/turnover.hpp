// SPDX-License-Identifier: Apache-2.0
// A population of constant size whose members are replaced again and again: erase gives space back for good.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <iostream>
#include <string>

#include <support/accounting.hpp>
#include <support/catch.hpp>
#include <support/random.hpp>
#include <support/scale.hpp>
#include <support/world.hpp>

#include <catena/core/hash.hpp>

namespace catena::test {

inline std::size_t const population = scaled(30'000);
inline constexpr std::size_t turnovers = sanitized ? 10 : 40;

/// Nodes after the last turnover over nodes after the first. leaving(size) says which member goes next; key_of(i) is the
/// key of the i-th arrival.
template <typename Index, typename Leaving, typename KeyOf>
double growth(Leaving leaving, KeyOf key_of) {
    world w(64U << 20U);
    auto index = ok(Index::create(w.first.s, "t", 1U << 20U));
    calls<Index, local_session> t(index, w.first.s);
    std::deque<std::uint64_t> members;
    std::uint64_t arrived = 0;
    auto const arrive = [&] {
        auto const k = key_of(arrived++);
        t.insert(k, k);
        members.push_back(k);
    };
    while (members.size() < population) arrive();
    double first = 0;
    for (std::size_t turn = 0; turn < turnovers; ++turn) {
        for (std::size_t i = 0; i < population; ++i) {
            auto const at = leaving(members.size());
            expect(t.erase(members[at]), "a member was gone");
            members[at] = members.front();
            members.pop_front();
            arrive();
        }
        if (turn == 0) first = static_cast<double>(t.sound().nodes);
    }
    auto const last = t.sound();
    REQUIRE(last.entries == population);
    REQUIRE(bytes_in_use(w.fabric, w.first.pool.geometry(), {&w.first.s}) == last.remote_bytes);
    return static_cast<double>(last.nodes) / first;
}

template <typename Index>
void turn_over(std::string const& type, double most_growth) {
    auto const seed = test_seed(3);
    CAPTURE(seed);
    double ratio = 0;
    std::string how;
    auto const oldest = [](std::size_t) { return std::size_t{0}; };
    auto const hash = [](std::uint64_t i) { return mix64(i + 1); };
    SECTION("at random") {
        how = "hash keys, random ones leave";
        ratio = growth<Index>([random = random_source(seed)](std::size_t n) mutable { return random.below(n); }, hash);
    }
    SECTION("first in, first out") {
        how = "hash keys, the oldest leaves";
        ratio = growth<Index>(oldest, hash);
    }
    SECTION("first in, first out, in the order of the keys") {
        how = "ascending keys, the oldest leaves";
        ratio = growth<Index>(oldest, [](std::uint64_t i) { return i; });
    }
    std::cout << type << ", " << how << ": nodes after " << turnovers << " turnovers / after the first: " << ratio
              << '\n';
    REQUIRE(ratio <= most_growth);
}

} // namespace catena::test
