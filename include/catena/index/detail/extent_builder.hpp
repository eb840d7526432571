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
        model_piece<key_type> piece{.first = numbers::at(plan.begin), .extent = ref, .line = plan.line};
        auto const count = plan.line.leaves();
        memory_.reset();
        auto const used = sizeof(extent_header) + count * Leaf::bytes;
        auto* const image = memory_.image(used);
        extent_header header{.lock = lock_word(true, s_.pool().self.tag(), 0, 0).bits(),
                             .meta = node_meta{.level = static_cast<std::uint8_t>(model_level::extent),
                                               .index_tag = tree_.handle.tag(),
                                               .incarnation = lives}
                                         .bits(),
                             .shape = count | word{plan.block_bytes} << 32U};
        auto const blocks_before = blocks.size();
        auto const borders = borders_for(piece, entries);
        for (std::uint32_t i = 0; i < count; ++i) {
            auto const [low, at] = borders[i];
            auto const high = i + 1 < count ? std::optional(borders[i + 1].low) : end;
            auto const to = i + 1 < count ? borders[i + 1].at : entries.size();
            auto* const leaf = image + (sizeof(extent_header) + i * Leaf::bytes) / word_bytes;
            auto const chained =
                co_await chain(leaf, leaf_in<Leaf>(ref, i), lives, low, high, entries.subspan(at, to - at));
            if (!chained) co_return chained.error();
        }
        if constexpr (Tree::options::use == model_use::error_bound)
            piece.line = piece.line.with_extra(error_of(piece, borders, entries).bits());
        header.overflows = word{0} - overflows_allowed(count, blocks.size() - blocks_before);
        header.sparse = word{0} - std::max<word>(16, count); // a nearly empty index is not trained at each erase
        store_words(image, header);
        op write = op::write(ref.at(), image, used);
        if (auto const r = co_await s_.submit(write); !r) co_return r.error();
        if (auto const r = co_await keep_lease(s_); !r) co_return r.error();
        co_return piece;
    }

private:
    /// How many leaves may split before the piece is trained. A piece that begins with overflow leaves, which no line could
    /// avoid, is not trained for each one more.
    [[nodiscard]] static constexpr word overflows_allowed(std::uint32_t leaves, std::size_t at_first) noexcept {
        return std::max<word>(1, leaves * Tree::options::overflow_percent / 100) + at_first / 2;
    }

    /// Where a leaf of the model begins, and the first entry that may be in it.
    struct border {
        key_type low;
        std::size_t at;
    };

    [[nodiscard]] std::vector<border> borders_for(model_piece<key_type> const& piece,
                                                  std::span<entry_type const> entries) const {
        std::vector<border> borders{{.low = piece.first, .at = 0}};
        auto const count = piece.line.leaves();
        for (std::uint32_t i = 1; i < count; ++i) {
            if constexpr (Tree::options::use == model_use::placement) {
                auto const low = first_key_of(piece, i);
                auto const from = entries.begin() + static_cast<std::ptrdiff_t>(borders.back().at);
                auto const to = std::partition_point(from, entries.end(), [&](auto const& e) { return e.key < low; });
                borders.push_back({.low = low, .at = static_cast<std::size_t>(to - entries.begin())});
            } else {
                auto const at = entries.size() * i / count; // as many leaves as entries at most
                borders.push_back({.low = entries[at].key, .at = at});
            }
        }
        return borders;
    }

    /// The least error under which leaves_for says the right leaf of every key, also of those that are not there yet: a key
    /// between two entries is in the leaf of the lower one, and the line puts it between them.
    [[nodiscard]] model_error error_of(model_piece<key_type> const& piece, std::span<border const> borders,
                                       std::span<entry_type const> entries) const noexcept {
        constexpr auto unit = 1U << leaf_line::fraction_bits;
        auto const position = [&](std::size_t i) {
            return piece.line.position_of(numbers::of(entries[i].key) - numbers::of(piece.first));
        };
        model_error error;
        for (std::uint32_t leaf = 0; leaf < borders.size(); ++leaf) {
            auto const from = borders[leaf].at;
            auto const to = leaf + 1 < borders.size() ? borders[leaf + 1].at : entries.size();
            if (from == to) continue;
            auto const lowest = leaf == 0 ? 0 : position(from);
            auto const highest = to < entries.size() ? position(to) : piece.line.leaves() * unit - 1;
            if (lowest < leaf * unit) error.above = std::max(error.above, leaf * unit - lowest);
            if (highest >= (leaf + 1) * unit) error.below = std::max(error.below, highest - (leaf + 1) * unit + 1);
        }
        return error;
    }

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
            auto const end = last ? high : std::optional(entries[at].key);
            if (end) {
                auto meta = leaf.meta();
                meta.unbounded = false;
                leaf.set_meta(meta);
                leaf.set_high(*end);
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
            low = *end;
        }
    }

    Session& s_;
    Tree& tree_;
    scratch memory_{s_.scratches().memory()}; ///< of one piece
};

} // namespace catena::detail
