// SPDX-License-Identifier: Apache-2.0
// extent_builder: writes the extents of planned pieces, every leaf locked by us, and the overflow leaves that they need.
// Nothing leads to them yet.
// Thread safety: as the session. Set-up path: allocates.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/bulk_load.hpp>
#include <catena/index/detail/learned_state.hpp>
#include <catena/pool/membership.hpp>

namespace catena::detail {

/// A block that was taken, and how large it is.
struct sized_block {
    block memory;
    std::uint64_t bytes = 0;
};

template <typename Leaf, typename Session, typename Tree>
class extent_builder {
public:
    using key_type = typename Tree::key_type;
    using entry_type = entry<key_type, typename Leaf::payload_type>;
    using numbers = number_of_key<key_type>;

    extent_builder(Session& s, Tree& tree) : s_(s), tree_(tree) {}

    /// All leaves that were written, and all blocks. They are the caller's, also after an error.
    std::vector<node_ref> leaves;
    std::vector<sized_block> blocks;

    /// entries: of this piece, ascending. end: where the next piece begins; none: nowhere. 1 round trip as a rule.
    [[nodiscard, gnu::noinline]] task<result<model_piece<key_type>>>
    build(planned_piece const& plan, std::span<entry_type const> entries, std::optional<key_type> end) {
        auto taken = co_await allocate(s_, plan.block_bytes);
        if (!taken) co_return taken.error();
        auto const lives = ++taken->lives;
        blocks.push_back({*taken, plan.block_bytes});
        auto const ref = model_ref(taken->at, model_level::extent, lives);
        model_piece<key_type> const piece{.first = numbers::at(plan.begin), .extent = ref, .line = plan.line};
        auto const count = plan.line.leaves();
        memory_.reset();
        auto const used = sizeof(extent_header) + count * Leaf::bytes;
        auto* const image = memory_.image(used);
        extent_header const header{.lock = lock_word(true, s_.pool().self.tag(), 0, 0).bits(),
                                   .meta = node_meta{.level = static_cast<std::uint8_t>(model_level::extent),
                                                     .index_tag = tree_.handle.tag(),
                                                     .incarnation = lives}
                                               .bits(),
                                   .shape = count | word{plan.block_bytes} << 32U};
        store_words(image, header);
        std::size_t at = 0;
        for (std::uint32_t i = 0; i < count; ++i) {
            auto const high = i + 1 < count ? std::optional(first_key_of(piece, i + 1)) : end;
            auto const to =
                i + 1 < count ? static_cast<std::size_t>(std::distance(
                                    entries.begin(),
                                    std::partition_point(entries.begin() + static_cast<std::ptrdiff_t>(at),
                                                         entries.end(), [&](auto const& e) { return e.key < *high; })))
                              : entries.size();
            auto* const leaf = image + (sizeof(extent_header) + i * Leaf::bytes) / word_bytes;
            auto const chained = co_await chain(leaf, leaf_in<Leaf>(ref, i), lives, first_key_of(piece, i), high,
                                                entries.subspan(at, to - at));
            if (!chained) co_return chained.error();
            at = to;
        }
        op write = op::write(ref.at(), image, used);
        if (auto const r = co_await s_.submit(write); !r) co_return r.error();
        if (auto const r = co_await keep_lease(s_); !r) co_return r.error();
        co_return piece;
    }

private:
    /// A leaf of the extent, in `image`, and overflow leaves, which are written.
    [[nodiscard, gnu::noinline]] task<result<void>> chain(word* image, node_ref ref, std::uint32_t lives, key_type low,
                                                          std::optional<key_type> high,
                                                          std::span<entry_type const> entries) {
        bool overflow = false;
        for (std::size_t at = 0;;) {
            view_of<Leaf> const leaf(image);
            leaf.format(0, tree_.handle.tag(), lives);
            leaf.set_low(low);
            auto const left = entries.size() - at;
            auto const nodes = std::max<std::size_t>(1, (left + tree_.rules.most - 1) / tree_.rules.most);
            at = fill(leaf, entries, at, at + (left + nodes - 1) / nodes); // evenly; may take fewer
            bool const last = at == entries.size();
            result<new_node> next = new_node{};
            if (!last) {
                next = co_await allocate_node(s_, tree_, 0);
                if (!next) co_return next.error();
                blocks.push_back({next->memory, Tree::options::node_bytes});
                leaf.set_link(next->ref);
            }
            auto const border = last ? high : std::optional(entries[at].key);
            if (border) {
                auto meta = leaf.meta();
                meta.unbounded = false;
                leaf.set_meta(meta);
                leaf.set_high(*border);
            }
            leaf.seal(s_.pool().self.tag(), true);
            leaves.push_back(ref);
            if (overflow) {
                op write = op::write(ref.at(), image, Leaf::bytes);
                if (auto const r = co_await s_.submit(write); !r) co_return r.error();
            }
            if (last) co_return result<void>{};
            overflow = true;
            image = memory_.image(Leaf::bytes);
            ref = next->ref;
            lives = next->memory.lives;
            low = *border;
        }
    }

    Session& s_;
    Tree& tree_;
    scratch memory_; ///< of one piece
};

} // namespace catena::detail
