// SPDX-License-Identifier: Apache-2.0
// pool_store: a catena pool, opened as an engine opens it.
//
// In shared memory the pool belongs to another process, which plays the memory node: it creates the pool and holds it, and does
// nothing else while it is measured. (Without it the pool would be the client's own, like a local one.)
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <catena/prefix/strategy.hpp>

#include "bench/store.hpp"

namespace catena::bench {

inline constexpr std::string_view this_program = "/proc/self/exe";

enum class pool_place : std::uint8_t { local, shm };

struct pool_setup {
    pool_place place = pool_place::local;
    std::string index;
    match_strategy strategy = match_strategy::extents;
    std::uint64_t blocks = 0;          ///< room for so many different ones
    std::uint64_t hot_cache_bytes = 0; ///< extents: bound of copies
    std::string log{};                 ///< file for what the holder complains of
    std::string holder{this_program};  ///< shm: catena-bench, which holds the pool
};

[[nodiscard]] made_store make_pool_store(pool_setup const& setup);

/// The word on the command line that makes this program the holder of a pool; not for people, so --help does not tell of it.
inline constexpr std::string_view hold_pool_command = "hold-pool";

/// The holder: creates the pool `uri` and the index in it, waits for SIGTERM. Returns the exit code.
[[nodiscard]] int hold_pool(std::string const& uri, std::string const& index, std::string const& strategy);

} // namespace catena::bench
