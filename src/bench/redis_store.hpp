// SPDX-License-Identifier: Apache-2.0
// redis_store: Redis with a key a block, asked in the ways that engines and their plug-ins ask it.
// Thread safety: one thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "bench/redis_server.hpp"
#include "bench/store.hpp"

namespace catena::bench {

enum class redis_method : std::uint8_t {
    get,    ///< GET, one block after the other, up to the first that is missing; SET, one after the other
    mget,   ///< one MGET of the whole chain; one MSET
    exists, ///< EXISTS of each block in one pipeline, which tells no places; SET in one pipeline
    lua,    ///< a script on the server that gets blocks up to the first that is missing; one MSET
};
inline constexpr std::array redis_methods{redis_method::get, redis_method::mget, redis_method::exists,
                                          redis_method::lua};
[[nodiscard]] std::string_view name(redis_method method) noexcept;

enum class redis_transport : std::uint8_t { unix_socket, tcp };

/// Empties the server. It must outlive the store, and serve no other meanwhile.
[[nodiscard]] made_store make_redis_store(redis_server const& server, redis_method method, redis_transport transport);

} // namespace catena::bench
