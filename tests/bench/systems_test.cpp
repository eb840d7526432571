// SPDX-License-Identifier: Apache-2.0
// The names of what can be compared, and how they are chosen.
#include "support/catch.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bench/systems.hpp"

using namespace catena::bench;

namespace {

std::vector<std::string> names(std::vector<catena::bench::system> const& all) {
    std::vector<std::string> out;
    for (auto const& each : all) out.push_back(each.name());
    return out;
}

std::vector<std::string> names_chosen(std::vector<std::string> const& words) {
    std::optional<std::string> unknown;
    auto out = names(chosen(words, unknown));
    CHECK_FALSE(unknown);
    return out;
}

using list = std::vector<std::string>;

} // namespace

TEST_CASE("every system has a name of its own, of its way and how it is reached", "[bench]") {
    auto const all = names(all_systems());
    CHECK(std::set(all.begin(), all.end()).size() == all.size());
    for (auto const* const name : {"map@process", "redis-get@unix", "redis-lua@tcp", "extents/chime@shm",
                                   "batched/sherman@local", "sequential/chime@local"})
        CHECK(std::count(all.begin(), all.end(), name) == 1);
    for (auto const& each : all_systems()) CHECK(each.name() == each.way() + "@" + std::string(each.reached()));
}

TEST_CASE("systems are chosen by name, by way, by how they are reached, by the beginning of the way", "[bench]") {
    CHECK(names_chosen({}) == names(all_systems()));
    CHECK(names_chosen({"redis-mget@tcp"}) == list{"redis-mget@tcp"});
    CHECK(names_chosen({"redis-mget"}) == list{"redis-mget@unix", "redis-mget@tcp"});
    CHECK(names_chosen({"map"}) == list{"map@process"});
    CHECK(names_chosen({"extents/chime"}) == list{"extents/chime@shm", "extents/chime@local"});
    CHECK(names_chosen({"redis"}).size() == 8);
    CHECK(names_chosen({"extents"}).size() == 6);
    CHECK(names_chosen({"@tcp"}).size() == 4);
    for (auto const& name : names_chosen({"@shm"})) CHECK_THAT(name, catena::test::has_text("@shm"));
    // Each once, in the order of all, whatever was said first or twice.
    CHECK(names_chosen({"map", "redis-get@unix", "extents/chime@shm", "map"}) ==
          list{"extents/chime@shm", "redis-get@unix", "map@process"});
}

TEST_CASE("a word that fits nothing is handed back", "[bench]") {
    for (auto const* const word : {"memcached", "", "@", "@infiniband", "redis-", "extents/", "chime", "red", "Map"}) {
        CAPTURE(word);
        std::optional<std::string> unknown;
        auto const some = chosen({"map", word}, unknown);
        REQUIRE(unknown);
        CHECK(*unknown == word);
        CHECK(names(some) == list{"map@process"});
    }
}
