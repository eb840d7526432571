// SPDX-License-Identifier: Apache-2.0
// learned_scan: a range scan over leaves that the model lists: as index/detail/scan.hpp, with links followed where leaves overflowed.
// Thread safety: as the session.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/learned_state.hpp>
#include <catena/index/detail/scan.hpp>
#include <catena/index/index.hpp>
#include <catena/protocol/hopscotch_io.hpp>

namespace catena::detail {

/// Leaves of the model behind `at`, the leaf of `key` (or an overflow leaf), in order; returns how many it found a place for in
/// `out`.
template <routed_by_model Tree>
[[nodiscard]] std::size_t leaves_after(Tree const& tree, node_ref at, typename Tree::key_type const& key,
                                       std::optional<typename Tree::key_type> const& to,
                                       std::span<node_ref> out) noexcept {
    using leaf_type = typename Tree::leaf;
    constexpr bool placed = Tree::options::use == model_use::placement;
    typename Tree::model_type::next_piece next;
    auto piece = tree.model.find(key, &next);
    if (!piece) return 0;
    std::uint32_t leaf = 0;
    if constexpr (placed) {
        leaf = leaf_number(*piece, key) + 1;
    } else {
        while (leaf < piece->line.leaves() && leaf_in<leaf_type>(piece->extent, leaf) != at) ++leaf;
        if (leaf++ == piece->line.leaves()) return 0;
    }
    std::size_t n = 0;
    while (n < out.size()) {
        if (leaf == piece->line.leaves()) {
            if (!next.any) break;
            auto const first = next.first;
            piece = tree.model.find(first, &next);
            leaf = 0;
            if (!piece || piece->first != first) break; // another generation just now
        }
        if (placed && to && !(first_key_of(*piece, leaf) < *to)) break;
        out[n++] = leaf_in<leaf_type>(piece->extent, leaf++);
    }
    return n;
}

template <typename Leaf, typename Session, routed_by_model Tree>
[[nodiscard, gnu::noinline]] task<result<std::size_t>>
learned_scan(Session& s, Tree& tree, scan_range<typename Tree::key_type> range,
             std::span<entry<typename Tree::key_type, typename Leaf::payload_type>> out) {
    constexpr std::size_t most_leaves = 16;
    constexpr std::size_t usual_fill = std::max<std::size_t>(1, Leaf::slots * Tree::options::trained_fill / 100);
    scratch_lease const memory(s.scratches());
    auto const images = memory->image(most_leaves * Leaf::bytes);
    std::array<node_ref, most_leaves> leaves;
    std::array<op, most_leaves + 1> ops;
    std::size_t n = 0;
    probe<typename Tree::key_type> p{.key = range.from, .at = {}, .parent = {}};
    retry again;
    while (n < out.size() && !(range.to && !(p.key < *range.to))) {
        if (auto const reached = co_await descend(s, tree, std::span(&p, 1), 0); !reached) co_return reached.error();
        leaves[0] = p.at;
        auto const wanted = std::min(most_leaves, (out.size() - n + usual_fill / 2) / usual_fill + 1);
        auto const followers = leaves_after(tree, p.at, p.key, range.to, std::span(leaves).subspan(1, wanted - 1));
        std::size_t reads = 0;
        for (std::size_t i = 0; i < 1 + followers; ++i) {
            view_of<Leaf> const leaf(images + i * Leaf::words);
            auto const at = leaves[i].at();
            if (i == 0 && p.wary) { // H5: the header first
                ops[reads++] = op::read(at, leaf.image(), Leaf::header_words * word_bytes);
                ops[reads++] = op::read(at + Leaf::ring_at * word_bytes, leaf.image() + Leaf::ring_at,
                                        Leaf::ring().count * word_bytes);
            } else {
                ops[reads++] = plan_read_whole(leaf, leaves[i]);
            }
        }
        if (auto const r = co_await s.submit(batch(ops).first(reads)); !r) co_return r.error();
        bool more = true;
        for (std::size_t i = 0; i < 1 + followers && more; ++i) {
            view_of<Leaf> const leaf(images + i * Leaf::words);
            auto seen = inspect_header(leaf, leaves[i], tree.handle.tag(), p.key);
            if (seen == visit::here && !leaf.ring_sealed()) seen = visit::torn;
            if (seen == visit::here && leaf.quad(0).dead()) seen = visit::dead;
            if (seen == visit::here && leaf.above(p.key)) seen = visit::right;
            if (seen != visit::here) {
                if (i > 0) break; // the leaf before overflowed: that comes first
                obstacle<typename Tree::key_type> stuck;
                if (leaf.lock().locked() && seen != visit::stale)
                    stuck = {.node = p.at, .lock = leaf.lock(), .key = p.key};
                follow(tree, p, seen, leaf);
                p.wary = true;
                more = false;
                if (went_right<Tree>(p, seen)) continue;
                if (auto const r = co_await wait_for<Leaf>(s, tree, again, stuck); !r) co_return r.error();
                continue;
            }
            again = {};
            if (take_entries(leaf, p.key, range.to, n, out) || leaf.quad(0).unbounded()) co_return n;
            p.key = leaf.high();
            p.at = leaf.link();
            p.wary = true;
        }
    }
    co_return n;
}

} // namespace catena::detail
