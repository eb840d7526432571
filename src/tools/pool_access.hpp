// SPDX-License-Identifier: Apache-2.0
// pool_access: how catena-pool comes to a pool. What goes wrong is told on standard error, with the URI and what to do.
// Thread safety: none needed; call from one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/fabric/any_fabric.hpp>
#include <catena/pool/catalog.hpp>
#include <catena/pool/memory_pool.hpp>

#include "client/open_fabric.hpp"
#include "tools/exit_code.hpp"
#include "tools/output.hpp"
#include "tools/pool_settings.hpp"

namespace catena::tools {

using any_pool = memory_pool<any_fabric>;

/// Members in the order of their lifetimes.
struct pool_access {
    std::unique_ptr<opened_fabric> nodes;
    std::unique_ptr<any_pool> pool;
    any_pool::session_type session;
};

enum class access_kind : bool { read, write };

/// The memory nodes; never makes any.
[[nodiscard]] setup_result<opened_fabric> reach_nodes(pool_settings const& s, access_kind kind);

/// The pool on them; to write: as a member of it.
[[nodiscard]] setup_result<pool_access> open_pool(pool_settings const& s, access_kind kind);

/// The status that the program ends with after this.
exit_code complain_of(pool_settings const& s, setup_error const& why, complainer complain);

/// What open_pool gives for reading, and the catalog, by name.
struct pool_view {
    pool_access access;
    std::vector<catalog_listing> catalog;
};
/// Complains if it fails.
[[nodiscard]] result<pool_view, exit_code> look_at_pool(pool_settings const& s, complainer complain);

/// The index that s.index names. nullptr: there is none, or it is a part of another; then it has complained.
[[nodiscard]] catalog_listing const* find_named(pool_settings const& s, std::vector<catalog_listing> const& catalog,
                                                complainer complain);

} // namespace catena::tools
