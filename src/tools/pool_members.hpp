// SPDX-License-Identifier: Apache-2.0
// pool_members: who is in a pool, and who of them shows that he lives.
// Thread safety: none needed; call from one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <catena/core/result.hpp>
#include <nlohmann/json_fwd.hpp>

#include "tools/pool_access.hpp"

namespace catena::tools {

struct pool_member {
    std::uint32_t slot = 0;
    std::uint32_t incarnation = 0;
    std::uint64_t client = 0;
    bool renewed = false; ///< its lease, while we watched; also if it joined meanwhile
};

struct pool_members {
    std::vector<pool_member> members; ///< who had joined when we stopped to watch
    std::chrono::milliseconds watched{};

    [[nodiscard]] std::uint64_t renewed() const noexcept;
};

/// Two looks at the table, so far apart; one if that is 0, or nobody is there.
[[nodiscard]] result<pool_members> watch_members(any_pool::session_type& s, std::chrono::milliseconds how_long);

[[nodiscard]] std::string to_table(pool_members const& all);
/// "members", and the figures of all of them.
void add_to_json(nlohmann::ordered_json& json, pool_members const& all);

} // namespace catena::tools
