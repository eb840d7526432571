// SPDX-License-Identifier: Apache-2.0
// pool_facts: what a pool says of itself, and how that is told. Used by create, info and list.
// Thread safety: pure functions and plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/pool/catalog.hpp>
#include <catena/pool/superblock.hpp>
#include <nlohmann/json_fwd.hpp>

#include "tools/pool_access.hpp"

namespace catena::tools {

struct pool_facts {
    std::string uri;
    std::string fabric;
    superblock geometry{};
    std::vector<std::uint64_t>
        bytes_taken; ///< of each memory node: handed out in chunks, what stands before the heap included

    [[nodiscard]] std::uint64_t bytes() const noexcept { return geometry.node_count * geometry.node_bytes; }
    [[nodiscard]] std::uint64_t all_bytes_taken() const noexcept;
};

/// One round trip for each memory node.
[[nodiscard]] result<pool_facts> facts_of(std::string const& uri, pool_access& access);

[[nodiscard]] std::string to_table(pool_facts const& facts);
[[nodiscard]] nlohmann::ordered_json to_json(pool_facts const& facts);

/// "1 index", "2 indexes"; those that are parts of others are not counted.
[[nodiscard]] std::string indexes_in_words(std::size_t number);
[[nodiscard]] std::string indexes_in_words(std::span<catalog_listing const> catalog);

/// A line for each index, with a heading; a sentence if there is none.
[[nodiscard]] std::string to_table(std::span<catalog_listing const> catalog);
[[nodiscard]] nlohmann::ordered_json to_json(std::span<catalog_listing const> catalog);

/// "0123456789abcdef"
[[nodiscard]] std::string hex(std::uint64_t number);

} // namespace catena::tools
