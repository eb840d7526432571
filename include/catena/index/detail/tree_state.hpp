// SPDX-License-Identifier: Apache-2.0
// tree_state: what the threads of one client share about one tree: its entry in the catalog, where they believe the root
// to be, cached internal nodes, local locks.
// Thread safety: any number of threads.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/node_cache.hpp>
#include <catena/index/options.hpp>
#include <catena/layout/node.hpp>
#include <catena/pool/block_header.hpp>
#include <catena/pool/catalog.hpp>
#include <catena/pool/node_allocator.hpp>
#include <catena/protocol/local_locks.hpp>

namespace catena::detail {

// The header of a node is that of its block: who holds a block that is in no index, the node says.
static_assert(block_header::meta_at == meta_word * word_bytes);
static_assert(lock_word(true, 0x51234, 0, 0).bits() == block_header::held_by(0x51234));
static_assert(block_header::meta_of(77, true, false) == node_meta{.dead = true, .incarnation = 77}.bits());
static_assert(node_meta::from_word(block_header::meta_of(77, true, true)).dead, "a shared block is no live node");

/// Inner nodes may be smaller than the blocks that they lie in.
template <typename Options>
[[nodiscard]] constexpr std::size_t inner_bytes_of() noexcept {
    if constexpr (requires { Options::inner_bytes; })
        return Options::inner_bytes;
    else
        return Options::node_bytes;
}

template <index_key Key, typename Options>
struct tree_state {
    using key_type = Key;
    using options = Options;
    using inner = node_layout<Key, node_ref, inner_bytes_of<Options>()>;

    tree_state(pool_state& pool, catalog_handle h, std::size_t cache_bytes)
        : handle(h), cache(cache_bytes), locks(local_locks_of(pool)) {}

    catalog_handle handle;
    std::atomic<word> root{0};     ///< node_ref, a hint: 0 = ask the catalog
    std::atomic<word> unlinked{0}; ///< node_ref of a right sibling that a writer reached without a separator
    node_cache<inner> cache;
    local_locks& locks; ///< of the client

    [[nodiscard]] node_ref root_hint() const noexcept {
        return node_ref::from_word(root.load(std::memory_order_relaxed));
    }
};

/// Asks the catalog where the root is. 1 round trip. Errors: dropped, unreachable.
/// Race: the two words may be of different moments while the index is dropped: state from before, root from after. No root
/// says the same as another state. The root of the index that has the entry next is told by the tag in its nodes.
template <typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<node_ref>> refresh_root(Session& s, Tree& tree) {
    std::array<word, 2> found{}; // state, root
    op read = op::read(tree.handle.entry(), found.data(), sizeof found);
    if (auto const r = co_await s.submit(read); !r) co_return r.error();
    if (found[0] != catalog_entry::state_of(tree.handle.generation, index_phase::ready) || found[1] == 0)
        co_return make_error(errc::dropped);
    tree.root.store(found[1], std::memory_order_relaxed);
    co_return node_ref::from_word(found[1]);
}

/// A new node: its block and the reference that will name it. Nothing is written.
struct new_node {
    node_ref ref;
    block memory;
};

template <typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<new_node>> allocate_node(Session& s, Tree&, std::uint32_t level) {
    auto taken = co_await allocate(s, Tree::options::node_bytes);
    if (!taken) co_return taken.error();
    ++taken->lives;
    co_return new_node{.ref = node_ref(taken->at, level, taken->lives), .memory = *taken};
}

template <typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<void>> free_node(Session& s, Tree&, block memory) {
    return free_block(s, memory, Tree::options::node_bytes);
}

} // namespace catena::detail
