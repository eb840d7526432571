// SPDX-License-Identifier: Apache-2.0
// pool_uri: what a pool's URI says. Strict: whatever is not understood is refused by name.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catena/core/result.hpp>

namespace catena {

struct pool_uri {
    std::string scheme;                    ///< "local", "shm" or "verbs"
    std::string name;                      ///< of the pool; shm only
    std::vector<std::string> memory_nodes; ///< host:port of each; verbs only
    std::uint64_t size = 0;                ///< bytes of each memory node; 0: not given
    std::uint16_t nodes = 0;               ///< 0: not given
    bool keep = false;
    bool read_only = false;
    std::string secret_file; ///< verbs only, as is the next
    std::string device;
    std::optional<std::chrono::milliseconds> lease;
};

/// "512", "64K", "64KiB", "1.5GiB" in bytes (K, M, G, T and KiB ... TiB are powers of 1024); nothing if it is no size.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

/// Errors: invalid_argument, naming the part that is wrong and what would be right.
[[nodiscard]] setup_result<pool_uri> parse_pool_uri(std::string_view uri);

} // namespace catena
