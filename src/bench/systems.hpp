// SPDX-License-Identifier: Apache-2.0
// systems: what can be compared: each a store, a way to ask it, and a way to reach it.
// Thread safety: pure functions, but for make_store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catena/prefix/strategy.hpp>

#include "bench/pool_store.hpp"
#include "bench/redis_store.hpp"
#include "bench/store.hpp"

namespace catena::bench {

enum class system_kind : std::uint8_t { map, redis, pool };

/// A row of the comparison.
struct system {
    system_kind kind = system_kind::map;
    redis_method method = redis_method::get;                  // of redis
    redis_transport transport = redis_transport::unix_socket; // of redis
    match_strategy strategy = match_strategy::extents;        // of a pool
    std::string index;                                        // of a pool
    pool_place place = pool_place::local;                     // of a pool

    /// "redis-mget", "extents/chime", "map": the way to store and ask.
    [[nodiscard]] std::string way() const;
    /// "unix", "tcp", "local", "shm", "process": how it is reached.
    [[nodiscard]] std::string_view reached() const;
    /// "extents/chime@shm": both.
    [[nodiscard]] std::string name() const;
};

/// All of them, those that users would take first.
[[nodiscard]] std::vector<system> all_systems();

/// Those that match one of the words: a name, a way, "@" and how it is reached, or the beginning of a way up to "-" or "/", such as
/// "redis" and "extents". No words: all. A word that matches none of them is returned in `unknown`.
[[nodiscard]] std::vector<system> chosen(std::vector<std::string> const& words, std::optional<std::string>& unknown);

/// What stores need to be made.
struct surroundings {
    std::uint64_t blocks = 0;          ///< different ones, to have room for
    std::uint64_t hot_cache_bytes = 0; ///< of clients of extents
    std::string directory;             ///< for logs and sockets
    redis_server const* redis = nullptr;
    std::string holder{this_program}; ///< of pools in shared memory: catena-bench
};

/// An empty one. Requires a redis for those that are one.
[[nodiscard]] made_store make_store(system const& what, surroundings const& where);

} // namespace catena::bench
