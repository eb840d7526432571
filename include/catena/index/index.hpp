// SPDX-License-Identifier: Apache-2.0
// The ordered_index concept: what every index offers to the layers above and to the shared test suites.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/mutation.hpp>
#include <catena/pool/catalog.hpp>
#include <catena/pool/reclaim.hpp>

namespace catena {

/// What verify() found.
struct index_check {
    std::uint64_t entries = 0;
    std::uint64_t nodes = 0;
    std::uint64_t remote_bytes = 0;
    std::uint32_t height = 0;
    std::uint64_t unlinked = 0; ///< nodes that only their left neighbour leads to: a split whose owner is not done
    /// Nodes in somebody's hands: of who is at work, or of a dead client until somebody needs one and takes its lock over.
    std::uint64_t locked = 0;
    std::vector<std::string> violations; ///< broken invariants, at most max_violations; empty: the index is sound
    static constexpr std::size_t max_violations = 100;
};

/// What recover() did.
struct index_recovery {
    std::uint64_t nodes = 0;  ///< of the index
    std::uint64_t linked = 0; ///< nodes that got the separator that a dead splitter did not come to write
};

/// Which part of an index a scan returns: from <= key, and key < to if there is one.
template <typename Key>
struct scan_range {
    Key from{};
    std::optional<Key> to;
};

/// An index over sessions of type Session. All calls are coroutines on that session's thread; an index object is shared
/// by all threads of a process. Meaning, cost and errors stand at the index types; the contract suite tests them all.
template <typename T, typename Session>
concept ordered_index = requires(T tree, Session& s, typename T::key_type const& key,
                                 typename T::value_type const& value, std::span<typename T::key_type const> keys,
                                 std::span<std::optional<typename T::value_type>> found,
                                 std::span<mutation<typename T::key_type, typename T::value_type>> changes,
                                 std::span<entry<typename T::key_type, typename T::value_type>> entries,
                                 std::span<entry<typename T::key_type, typename T::value_type> const> sorted,
                                 scan_range<typename T::key_type> const& range) {
    { tree.find(s, key) } -> std::same_as<task<result<std::optional<typename T::value_type>>>>;
    { tree.find_many(s, keys, found) } -> std::same_as<task<result<void>>>;
    { tree.insert(s, key, value) } -> std::same_as<task<result<bool>>>;
    { tree.insert_if_absent(s, key, value) } -> std::same_as<task<result<typename T::value_type>>>;
    { tree.upsert(s, key, value) } -> std::same_as<task<result<bool>>>;
    { tree.erase(s, key) } -> std::same_as<task<result<bool>>>;
    { tree.apply(s, changes) } -> std::same_as<task<result<void>>>;
    { tree.scan(s, range, entries) } -> std::same_as<task<result<std::size_t>>>;
    { tree.bulk_load(s, sorted) } -> std::same_as<task<result<void>>>;
    { tree.verify(s) } -> std::same_as<task<result<index_check>>>;
    { tree.recover(s) } -> std::same_as<task<result<index_recovery>>>;
    { tree.reclaim(s) } -> std::same_as<task<result<reclaim_report>>>;
    { tree.cache_bytes() } -> std::same_as<std::size_t>;
};

} // namespace catena
