// SPDX-License-Identifier: Apache-2.0
// scan and find_batch: reading many leaves in the same round trip.
//
// A scan keeps a cursor: everything below it was returned. It reads the leaf of the cursor and, in the same batch, the
// leaves that the cached parent lists after it; each is taken only if it covers the cursor that the leaf before it left
// behind (its high fence), so a key is never seen twice nor skipped, whatever splits or merges meanwhile.
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
#include <catena/index/detail/descent.hpp>
#include <catena/index/detail/node_edit.hpp>
#include <catena/index/detail/recovery.hpp>
#include <catena/index/index.hpp>

namespace catena::detail {

/// found[i] = value of keys[i]; at most options::batch_nodes keys. 1 round trip, one READ for each distinct leaf. companions:
/// READs and WRITEs of anything that share that round trip.
template <typename Leaf, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<void>>
find_batch(Session& s, Tree& tree, std::span<typename Tree::key_type const> keys,
           std::span<std::optional<typename Leaf::payload_type>> found, std::span<op const> companions) {
    using probe_type = probe<typename Tree::key_type>;
    constexpr auto settled = ~std::uint32_t{0};
    scratch_lease const memory(s.scratches());
    auto const probes = memory->template take<probe_type>(keys.size());
    auto pending = memory->template take<std::uint32_t>(keys.size());
    auto const images = memory->image(keys.size() * Leaf::bytes);
    auto const ops = memory->template take<op>(keys.size() + companions.size());
    auto const order_room = memory->template take<std::uint32_t>(keys.size());
    for (std::uint32_t i = 0; i < keys.size(); ++i) {
        probes[i].key = keys[i];
        pending[i] = i;
    }
    retry again;
    obstacle<typename Tree::key_type> stuck;
    while (!pending.empty()) {
        // Probes are kept in the order of `pending`, so that those still open stay together.
        auto const open = probes.first(pending.size());
        auto const reached = co_await descend(s, tree, open, 0);
        if (!reached) co_return reached.error();
        auto const order = order_room.first(open.size());
        for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
        std::sort(order.begin(), order.end(), [&](auto a, auto b) { return open[a].at < open[b].at; });
        std::size_t reads = 0;
        for (auto const i : order)
            if (reads == 0 || ops[reads - 1].target != open[i].at.at()) {
                ops[reads] = op::read(open[i].at.at(), images + reads * Leaf::words, Leaf::bytes);
                ++reads;
            }
        std::copy(companions.begin(), companions.end(), ops.begin() + static_cast<std::ptrdiff_t>(reads));
        if (auto const r = co_await s.submit(ops.first(reads + companions.size())); !r) co_return r.error();
        companions = {};
        std::size_t o = 0;
        std::size_t sealed_node = ops.size();
        for (auto const i : order) {
            auto& p = open[i];
            while (ops[o].target != p.at.at()) ++o;
            node_view<Leaf> const node(static_cast<word*>(ops[o].local));
            // The seal is checked once for each image: the other keys of the leaf only need its fences.
            auto const seen = sealed_node == o ? cover(node, p.key) : inspect(node, p.at, tree.handle.tag(), p.key);
            if (seen == visit::here) {
                sealed_node = o;
                auto const slot = node.find(p.key);
                if (slot == Leaf::slots)
                    found[pending[i]].reset();
                else
                    found[pending[i]] = node.payload(slot);
                pending[i] = settled;
            } else {
                if (auto const in_the_way = obstacle_in(node, p.at, tree.handle.tag(), seen, p.key); in_the_way.node)
                    stuck = in_the_way;
                follow(tree, p, seen, node);
            }
        }
        std::size_t left = 0;
        for (std::uint32_t i = 0; i < pending.size(); ++i) {
            if (pending[i] == settled) continue;
            probes[left] = probes[i];
            pending[left++] = pending[i];
        }
        bool const progress = left < pending.size();
        pending = pending.first(left);
        if (pending.empty()) break;
        if (progress) {
            again = {};
            ++s.stats().retries;
        } else if (auto const r = co_await wait_for<Leaf>(s, tree, again, stuck); !r) {
            co_return r.error();
        }
        stuck = {};
    }
    co_return result<void>{};
}

/// Takes the entries of a leaf from `cursor` on, as far as `out` has room behind its first n. True: the scan is at its end.
/// (An image may hold keys beyond its fence that a merge has put there, but not published.)
template <typename View>
[[nodiscard]] bool take_entries(View const& leaf, typename View::key_type const& cursor,
                                std::optional<typename View::key_type> const& to, std::size_t& n,
                                std::span<entry<typename View::key_type, typename View::payload_type>> out) noexcept {
    slot_order<typename View::layout> order;
    auto const count = sorted_slots(leaf, std::span(order));
    for (std::size_t e = 0; e < count && n < out.size(); ++e) {
        auto const key = leaf.key(order[e]);
        if (key < cursor || leaf.above(key)) continue;
        if (to && !(key < *to)) return true;
        out[n++] = {.key = key, .value = leaf.payload(order[e])};
    }
    return n == out.size();
}

template <typename Leaf, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<std::size_t>>
scan(Session& s, Tree& tree, scan_range<typename Tree::key_type> range,
     std::span<entry<typename Tree::key_type, typename Leaf::payload_type>> out) {
    constexpr std::size_t most_leaves = 16;
    constexpr std::size_t usual_fill = std::max<std::size_t>(1, Leaf::slots * 2 / 3);
    scratch_lease const memory(s.scratches());
    auto const images = memory->image(most_leaves * Leaf::bytes);
    std::array<typename decltype(tree.cache)::listed_child, most_leaves> leaves;
    std::array<op, most_leaves> ops;
    std::size_t n = 0;
    probe<typename Tree::key_type> p{.key = range.from, .at = {}, .parent = {}};
    retry again;
    while (n < out.size() && !(range.to && !(p.key < *range.to))) {
        if (auto const reached = co_await descend(s, tree, std::span(&p, 1), 0); !reached) co_return reached.error();
        leaves[0] = {.node = p.at, .low = p.key};
        // The cursor stands in the middle of its leaf on average.
        auto const wanted = std::min(most_leaves, (out.size() - n + usual_fill / 2) / usual_fill + 1);
        auto const followers =
            p.parent ? tree.cache.children_after(p.parent, p.key, range.to, std::span(leaves).subspan(1, wanted - 1))
                     : 0;
        auto const reads = 1 + followers;
        for (std::size_t i = 0; i < reads; ++i)
            ops[i] = op::read(leaves[i].node.at(), images + i * Leaf::words, Leaf::bytes);
        if (auto const r = co_await s.submit(batch(ops).first(reads)); !r) co_return r.error();
        bool more = true;
        for (std::size_t i = 0; i < reads && more; ++i) {
            node_view<Leaf> const node(images + i * Leaf::words);
            auto const seen = inspect(node, leaves[i].node, tree.handle.tag(), p.key);
            if (seen != visit::here) {
                if (i > 0) break; // a guess that was wrong: the cursor's own descent decides
                auto const stuck = obstacle_in(node, leaves[0].node, tree.handle.tag(), seen, p.key);
                follow(tree, p, seen, node);
                if (auto const r = co_await wait_for<Leaf>(s, tree, again, stuck); !r) co_return r.error();
                more = false;
                continue;
            }
            again = {};
            if (take_entries(node, p.key, range.to, n, out) || node.meta().unbounded) co_return n;
            p.key = node.high();
            p.at = {};
        }
    }
    co_return n;
}

} // namespace catena::detail
