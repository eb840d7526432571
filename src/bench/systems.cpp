// SPDX-License-Identifier: Apache-2.0
#include "bench/systems.hpp"

#include <algorithm>
#include <array>

#include <catena/client.hpp>
#include <fmt/format.h>

#include "bench/map_store.hpp"

namespace catena::bench {
namespace {

bool fits(system const& s, std::string_view word) {
    auto const way = s.way();
    if (word.starts_with('@')) return word.substr(1) == s.reached();
    return word == way || word == s.name() || word == std::string_view(way).substr(0, way.find_first_of("-/"));
}

} // namespace

std::string system::way() const {
    switch (kind) {
    case system_kind::map: return "map";
    case system_kind::redis: return fmt::format("redis-{}", bench::name(method));
    case system_kind::pool: return fmt::format("{}/{}", catena::name(strategy), index);
    }
    return {};
}

std::string_view system::reached() const {
    switch (kind) {
    case system_kind::map: return "process";
    case system_kind::redis: return transport == redis_transport::tcp ? "tcp" : "unix";
    case system_kind::pool: return place == pool_place::shm ? "shm" : "local";
    }
    return {};
}

std::string system::name() const { return fmt::format("{}@{}", way(), reached()); }

std::vector<system> all_systems() {
    std::vector<system> all;
    auto const pools = [&all](match_strategy strategy, std::string_view index) {
        for (auto const place : {pool_place::shm, pool_place::local})
            all.push_back(
                {.kind = system_kind::pool, .strategy = strategy, .index = std::string(index), .place = place});
    };
    for (auto const index : client::index_types()) pools(match_strategy::extents, index);
    for (auto const transport : {redis_transport::unix_socket, redis_transport::tcp})
        for (auto const method : redis_methods)
            all.push_back({.kind = system_kind::redis, .method = method, .transport = transport, .index = {}});
    all.push_back({.kind = system_kind::map, .index = {}});
    for (auto const index : client::index_types()) pools(match_strategy::batched, index);
    for (auto const strategy : {match_strategy::galloping, match_strategy::binary, match_strategy::sequential})
        pools(strategy, client_options{}.index);
    return all;
}

std::vector<system> chosen(std::vector<std::string> const& words, std::optional<std::string>& unknown) {
    unknown.reset();
    auto const all = all_systems();
    if (words.empty()) return all;
    std::vector<system> some;
    for (auto const& word : words)
        if (std::none_of(all.begin(), all.end(), [&](system const& s) { return fits(s, word); })) unknown = word;
    for (auto const& each : all)
        if (std::any_of(words.begin(), words.end(), [&](std::string const& word) { return fits(each, word); }))
            some.push_back(each);
    return some;
}

made_store make_store(system const& what, surroundings const& where) {
    switch (what.kind) {
    case system_kind::map: return make_map_store();
    case system_kind::redis: return make_redis_store(*where.redis, what.method, what.transport);
    case system_kind::pool: break;
    }
    return make_pool_store({.place = what.place,
                            .index = what.index,
                            .strategy = what.strategy,
                            .blocks = where.blocks,
                            .hot_cache_bytes = where.hot_cache_bytes,
                            .log = where.directory + "/pool.log",
                            .holder = where.holder});
}

} // namespace catena::bench
