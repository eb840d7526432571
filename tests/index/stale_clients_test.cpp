// SPDX-License-Identifier: Apache-2.0
// A second client whose copies of the tree are out of date gets right answers, whatever became of the nodes meanwhile.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <support/catch.hpp>
#include <support/world.hpp>

#include <catena/core/hash.hpp>
#include <catena/index/sherman_tree.hpp>

using namespace catena;
using namespace catena::test;

namespace {

struct small_nodes : tree_options {
    static constexpr std::size_t node_bytes = 256;
};
using tree_type = sherman_tree<std::uint64_t, std::uint64_t, small_nodes>;
using tree_calls = calls<tree_type, local_session>;
constexpr std::size_t cache_bytes = 8U << 20U;
constexpr std::uint64_t population = 5000;
constexpr pool_options impatient{.patience = std::chrono::milliseconds(300)};

/// The i-th key of a client: spread over the whole range (mix64 maps 0 to 0, which the narrow range uses).
[[nodiscard]] constexpr std::uint64_t key(std::uint64_t i) noexcept { return mix64(i + 1); }

/// Two clients of one tree; the second has read all keys, so it knows every internal node of then.
struct two_clients {
    two_clients()
        : first_tree(ok(tree_type::create(w.first.s, "t", cache_bytes))), first(first_tree, w.first.s),
          other(w.join(impatient)), second_tree(ok(tree_type::open(other.s, "t", cache_bytes))),
          second(second_tree, other.s) {
        for (std::uint64_t i = 0; i < population; ++i) first.insert(key(i), i);
        for (std::uint64_t i = 0; i < population; ++i) REQUIRE(second.find(key(i)) == i);
    }

    world w{64U << 20U, 2, impatient};
    tree_type first_tree;
    tree_calls first;
    local_client other;
    tree_type second_tree;
    tree_calls second;
};

} // namespace

TEST_CASE("a client with stale routes finds what another client's splits moved", "[index][stale]") {
    two_clients t;
    for (std::uint64_t i = population; i < 8 * population; ++i) t.first.insert(key(i), i);
    for (std::uint64_t i = 0; i < 8 * population; ++i) REQUIRE(t.second.find(key(i)) == i);
    for (std::uint64_t i = 0; i < population; ++i) REQUIRE_FALSE(t.second.insert(key(i), 0));
    t.second.sound();
}

TEST_CASE("a client with stale routes sees that another client erased and merged everything", "[index][stale]") {
    two_clients t;
    for (std::uint64_t i = 0; i < population; ++i) REQUIRE(t.first.erase(key(i)));
    REQUIRE(t.first.sound().entries == 0);

    SECTION("by single lookups") {
        for (std::uint64_t i = 0; i < population; ++i) REQUIRE_FALSE(t.second.find(key(i)));
    }
    SECTION("by one lookup of many keys") {
        std::vector<std::uint64_t> keys(population);
        for (std::uint64_t i = 0; i < population; ++i) keys[i] = key(i);
        for (auto const& found : t.second.find_many(keys)) REQUIRE_FALSE(found);
    }
    SECTION("by a scan") { REQUIRE(t.second.scan({.from = 0, .to = {}}, 100).empty()); }
    SECTION("by writes") {
        for (std::uint64_t i = 0; i < population; ++i) REQUIRE(t.second.insert(key(i), i + 1));
        for (std::uint64_t i = 0; i < population; ++i) REQUIRE(t.first.find(key(i)) == i + 1);
        REQUIRE(t.first.sound().entries == population);
    }
}

TEST_CASE("a stale copy of a node that absorbed its right neighbour does not send a client there for ever",
          "[index][stale]") {
    // Only every n-th key stays, so that neighbours of all levels merge; what the second client asks for first decides
    // which of its copies it finds out to be stale.
    auto const stays = GENERATE(std::uint64_t{4}, std::uint64_t{8}, std::uint64_t{16}, std::uint64_t{40});
    bool const descending = GENERATE(false, true);
    CAPTURE(stays, descending);
    two_clients t;
    std::vector<std::uint64_t> keys;
    for (std::uint64_t i = 0; i < population; ++i) keys.push_back(key(i));
    std::sort(keys.begin(), keys.end());
    for (std::size_t i = 0; i < keys.size(); ++i)
        if (i % stays != 0) REQUIRE(t.first.erase(keys[i]));
    for (std::size_t n = 0; n < keys.size(); ++n) {
        auto const i = descending ? keys.size() - 1 - n : n;
        REQUIRE(t.second.find(keys[i]).has_value() == (i % stays == 0));
    }
}

TEST_CASE("a client with stale routes is not misled by nodes that were freed and used again elsewhere",
          "[index][stale]") {
    two_clients t;
    // The blocks of the old keys' leaves become leaves, and internal nodes, of a far narrower range.
    for (std::uint64_t i = 0; i < population; ++i)
        if (i % 10 != 0) REQUIRE(t.first.erase(key(i)));
    for (std::uint64_t i = 0; i < 4 * population; ++i) REQUIRE(t.first.insert(i, i)); // all below every old key
    for (std::uint64_t i = 0; i < population; ++i) {
        REQUIRE(t.second.find(key(i)) == (i % 10 == 0 ? std::optional(i) : std::nullopt));
    }
    for (std::uint64_t i = 0; i < 4 * population; ++i) REQUIRE(t.second.find(i) == i);
    t.second.sound();
}

TEST_CASE("a client with stale routes writes where its key belongs now", "[index][stale]") {
    two_clients t;
    for (std::uint64_t i = 0; i < population; ++i) REQUIRE(t.first.erase(key(i)));
    for (std::uint64_t i = 0; i < population; ++i) REQUIRE(t.first.insert(i, i));
    for (std::uint64_t i = 0; i < population; ++i) REQUIRE(t.second.insert(key(i), i));
    for (std::uint64_t i = 0; i < population; ++i) REQUIRE(t.first.find(key(i)) == i);
    REQUIRE(t.first.sound().entries == 2 * population);
}
