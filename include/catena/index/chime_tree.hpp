// SPDX-License-Identifier: Apache-2.0
// chime_tree: a B-link tree whose leaves are small hash tables, so that a lookup reads a neighbourhood and not a leaf.
//
// After CHIME (Luo, Shu, et al., SOSP 2024): hopscotch leaves, fences replicated into neighbourhoods, speculative reads of hot
// keys. Unlike it: keys move between quads of four slots; absence is proved by border epochs, so erase is safe; a hot key costs
// one control word; the lock is taken at once, its word being known, so that a write takes 2 round trips; owners in lock words,
// merges after erase (docs/rationale.md). Layout: layout/hopscotch_leaf.hpp, protocol: protocol/hopscotch_io.hpp.
//
// Cost, where index/detail/index_calls.hpp has calls and errors; keys and values of 8 bytes: find 1 round trip, 152 bytes (8 if
// the key is hot; a hot one that changed 2 round trips); find_many the same bytes for each key; insert, upsert and erase 2 round trips, 4 to 5 verbs, also where
// nothing changes; no room in the neighbourhood: 1 round trip more; a split: 5 or 6 more, of which 4 under the leaf's lock when
// its change is in force already.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/crowded_leaves.hpp>
#include <catena/index/detail/index_calls.hpp>
#include <catena/index/detail/hopscotch_find.hpp>
#include <catena/index/hotspot_buffer.hpp>
#include <catena/index/options.hpp>

namespace catena {

namespace detail {

/// Nodes of all levels lie in blocks of the size of a leaf.
template <typename Leaf, typename Options>
struct chime_nodes : Options {
    static constexpr std::size_t node_bytes = Leaf::bytes;
    static constexpr std::size_t inner_bytes = Options::inner_bytes == 0 ? Leaf::bytes : Options::inner_bytes;
    static_assert(inner_bytes <= node_bytes);
};

/// A tree_state, and what a client knows about leaves.
template <typename Leaf, typename Options>
struct chime_state : tree_state<typename Leaf::key_type, chime_nodes<Leaf, Options>> {
    using base = tree_state<typename Leaf::key_type, chime_nodes<Leaf, Options>>;
    using hotspot_type = hotspot_buffer<typename Leaf::key_type, typename Leaf::payload_type>;
    using hot_entry = typename hotspot_type::entry;

    chime_state(pool_state& pool, catalog_handle h, std::size_t cache_bytes)
        : base(pool, h, cache_bytes), hotspots(Options::speculative_reads ? Options::hotspot_bytes : 0) {}

    crowded_leaves crowded;
    hotspot_type hotspots;
};

} // namespace detail

template <index_key Key, index_value Value, typename Options = chime_options>
class chime_tree
    : public detail::index_calls<chime_tree<Key, Value, Options>, hopscotch_layout<Key, Value, Options::shape>,
                                 detail::chime_state<hopscotch_layout<Key, Value, Options::shape>, Options>> {
    using base = detail::index_calls<chime_tree, hopscotch_layout<Key, Value, Options::shape>,
                                     detail::chime_state<hopscotch_layout<Key, Value, Options::shape>, Options>>;
    friend base;
    using base::state_;

    chime_tree(pool_state& pool, catalog_handle h, std::size_t cache_bytes) : base(pool, h, cache_bytes) {}

    template <typename Session>
    [[nodiscard]] static task<result<word>> first_root(Session& s, catalog_handle h) {
        return detail::first_leaf<typename base::leaf>(s, h);
    }
    template <typename Session, typename State>
    [[nodiscard]] static task<result<void>> find_some(Session& s, State& state, std::span<Key const> keys,
                                                      std::span<std::optional<Value>> found,
                                                      std::span<op const> companions) {
        return detail::hopscotch_find_batch<typename base::leaf>(s, state, keys, found, companions);
    }

public:
    using typename base::leaf;
    static constexpr std::string_view type_name = "chime";
    static constexpr std::uint32_t layout_version = 1 + Options::shape.quads * 32 +
                                                    Options::shape.replicated_fences * 16 +
                                                    Options::shape.vacancy_in_lock * 4096 + Options::shape.last_home;

    /// Values of hot keys are kept in so many bytes from now on, those kept so far are forgotten; 0: none. No round trip.
    /// Nobody else may use the tree meanwhile. Without effect where options::speculative_reads is false.
    void keep_hotspots(std::size_t bytes) { state_->hotspots = hotspot_buffer<Key, Value>(bytes); }

    /// The value of `key`, nothing if it is absent. 1 round trip, one neighbourhood (two READs for one key in twelve).
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<std::optional<Value>>> find(Session& s, Key const& key) {
        return detail::hopscotch_find<leaf>(s, *state_, key);
    }

    /// Fills `out` with the entries of the range in ascending order; returns how many. Fewer than out.size() means that
    /// the range has no more. A key that is there throughout is seen exactly once, one that is absent throughout is not seen.
    /// As a rule 1 round trip for a few hundred entries; whole leaves are read, since their keys are in no order.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<std::size_t>> scan(Session& s, scan_range<Key> const& range,
                                                                std::span<entry<Key, Value>> out) {
        return detail::hopscotch_scan<leaf>(s, *state_, range, out);
    }
};

} // namespace catena
