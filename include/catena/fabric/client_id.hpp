// SPDX-License-Identifier: Apache-2.0
// client_id: whose channel this is, as far as the memory nodes care: what can be shut out as a whole.
// Thread safety: a plain value.
#pragma once

#include <cstdint>

namespace catena {

/// One for each client of a fabric (a memory_pool object), random, never used again. 0 is anonymous: it cannot be fenced.
enum class client_id : std::uint64_t {};

inline constexpr client_id anonymous_client{};

} // namespace catena
