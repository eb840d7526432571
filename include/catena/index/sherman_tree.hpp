// SPDX-License-Identifier: Apache-2.0
// sherman_tree: a B-link tree in remote memory, reached with one-sided operations only.
//
// After Sherman (Wang, Lu, Shu, SIGMOD 2022): unsorted leaves whose entries are written one by one, write-back and
// unlock in one ordered batch, local lock queues with handover, internal nodes cached at the client. Unlike it: a seal
// of the whole node in the lock word instead of entry versions, owners in lock words, merges after erase, batches of
// keys in shared round trips (docs/rationale.md).
//
// Cost, where index/detail/index_calls.hpp has calls and errors: insert and upsert 3 round trips, 4 verbs, a split 3 round trips
// more; erase 3 and 3; find_many one READ for each leaf; 1 round trip if nothing changes (the key is there, has that value, is absent).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/index_calls.hpp>
#include <catena/index/detail/scan.hpp>
#include <catena/index/options.hpp>

namespace catena {

template <index_key Key, index_value Value, typename Options = tree_options>
class sherman_tree
    : public detail::index_calls<sherman_tree<Key, Value, Options>, node_layout<Key, Value, Options::node_bytes>,
                                 detail::tree_state<Key, Options>> {
    using base = detail::index_calls<sherman_tree, node_layout<Key, Value, Options::node_bytes>,
                                     detail::tree_state<Key, Options>>;
    friend base;
    using base::state_;

    sherman_tree(pool_state& pool, catalog_handle h, std::size_t cache_bytes) : base(pool, h, cache_bytes) {}

    template <typename Session>
    [[nodiscard]] static task<result<word>> first_root(Session& s, catalog_handle h) {
        return detail::first_leaf<typename base::leaf>(s, h);
    }
    template <typename Session, typename State>
    [[nodiscard]] static task<result<void>> find_some(Session& s, State& state, std::span<Key const> keys,
                                                      std::span<std::optional<Value>> found,
                                                      std::span<op const> companions) {
        return detail::find_batch<typename base::leaf>(s, state, keys, found, companions);
    }

public:
    using typename base::leaf;
    static constexpr std::string_view type_name = "sherman";
    static constexpr std::uint32_t layout_version = 1;

    /// The value of `key`, nothing if it is absent. 1 round trip, one node read.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<std::optional<Value>>> find(Session& s, Key const& key) {
        Key const wanted = key; // the coroutine may outlive the argument
        scratch_lease const memory(s.scratches());
        detail::probe<Key> p{.key = wanted, .at = state_->root_hint(), .parent = {}};
        detail::descend_cached(*state_, p, 0);
        node_view<leaf> const node(memory->image(leaf::bytes));
        retry again;
        for (;;) {
            if (!p.at || p.at.level() > 0) {
                auto const found = co_await detail::descend(s, *state_, std::span(&p, 1), 0);
                if (!found) co_return found.error();
            }
            op read = op::read(p.at.at(), node.image(), leaf::bytes);
            if (auto const r = co_await s.submit(read); !r) co_return r.error();
            auto const seen = inspect(node, p.at, state_->handle.tag(), p.key);
            if (seen == visit::here) {
                auto const slot = node.find(p.key);
                if (slot == leaf::slots) co_return std::optional<Value>{};
                co_return std::optional<Value>(node.payload(slot));
            }
            auto const stuck = detail::obstacle_in(node, p.at, state_->handle.tag(), seen, wanted);
            detail::follow(*state_, p, seen, node);
            if (auto const r = co_await detail::wait_for<leaf>(s, *state_, again, stuck); !r) co_return r.error();
        }
    }

    /// Fills `out` with the entries of the range in ascending order; returns how many. Fewer than out.size() means that
    /// the range has no more. Each leaf is seen as it was at one moment; a key that is there throughout is seen exactly
    /// once, one that is absent throughout is not seen. As a rule 1 round trip for a few hundred entries.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<std::size_t>> scan(Session& s, scan_range<Key> const& range,
                                                                std::span<entry<Key, Value>> out) {
        return detail::scan<leaf>(s, *state_, range, out);
    }
};

} // namespace catena
