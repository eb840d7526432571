// SPDX-License-Identifier: Apache-2.0
// mutation: one change of a batch that a tree applies in shared round trips.
// Thread safety: plain values.
#pragma once

#include <cstdint>

namespace catena {

enum class mutation_kind : std::uint8_t {
    insert,   ///< only if the key is absent; else `value` receives the value that is there
    upsert,   ///< insert, or replace the value
    erase,    ///< whatever the value
    erase_if, ///< only if the value equals `value`
    link,     ///< internal nodes: insert or replace a child, unless the child died meanwhile
    link_held, ///< link, of a child that cannot die: we hold the lock of its left neighbour, over which alone it is reached
};

enum class mutation_outcome : std::uint8_t {
    pending,  ///< not applied (only seen after an error)
    inserted, ///< the key was absent and is now there
    replaced, ///< upsert: the key was there, its value is now the new one
    erased,
    present, ///< insert: the key was there; nothing changed
    absent,  ///< erase: the key was not there; nothing changed
    differs, ///< erase_if: the value is another one; nothing changed
};

template <typename Key, typename Value>
struct mutation {
    Key key{};
    Value value{};
    mutation_kind kind = mutation_kind::insert;
    mutation_outcome outcome = mutation_outcome::pending;
};

/// One key and its value, as scans return them and bulk_load takes them.
template <typename Key, typename Value>
struct entry {
    Key key{};
    Value value{};
};

} // namespace catena
