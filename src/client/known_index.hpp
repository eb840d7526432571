// SPDX-License-Identifier: Apache-2.0
// known_index: from what a pool's catalog says of an index to the code for it, for who did not make the index.
// Thread safety: pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <catena/core/result.hpp>
#include <catena/pool/catalog.hpp>

#include "client/open_index.hpp"

namespace catena {

/// All that this build has, in the order in which they are told.
[[nodiscard]] std::span<index_type const* const> all_index_types() noexcept;

struct known_index {
    index_type const* type = nullptr; ///< by extents: of what finds them
    bool by_extents = false;
    [[nodiscard]] stored_calls const& calls() const noexcept { return by_extents ? type->of_extents : type->of_blocks; }
};

/// `one` of the catalog. The error: why this build does not know it, in words.
[[nodiscard]] result<known_index, std::string> recognise(std::span<catalog_listing const> catalog,
                                                         catalog_listing const& one);

/// The name of the index that `one` is a part of: what finds its extents has an entry of its own. Nothing: it is none.
[[nodiscard]] std::optional<std::string_view> whole_of(std::span<catalog_listing const> catalog,
                                                       catalog_listing const& one);

/// The listing of that name; nullptr if there is none.
[[nodiscard]] catalog_listing const* find_listing(std::span<catalog_listing const> catalog, std::string_view name);

} // namespace catena
