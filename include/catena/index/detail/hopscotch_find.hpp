// SPDX-License-Identifier: Apache-2.0
// hopscotch_find: lookups in hopscotch leaves, one key or many, and scans.
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
#include <catena/index/detail/scan.hpp>
#include <catena/index/index.hpp>
#include <catena/protocol/hopscotch_io.hpp>

namespace catena::detail {

/// One key on its way to its value: which READs it needs next, and what their answer says.
template <typename Leaf, typename Tree>
class hopscotch_lookup {
public:
    using key_type = typename Leaf::key_type;
    using view = view_of<Leaf>;

    enum class state : std::uint8_t { settled, at_once, after_a_pause };

    /// To be called when the probe is at a leaf. Returns how many operations were written.
    [[nodiscard]] std::size_t plan(Tree& tree, probe<key_type> const& p, word* image, std::span<op> ops) {
        leaf_ = view(image);
        hot_ = {};
        auto const home = Leaf::home_of(p.key);
        if constexpr (Tree::options::speculative_reads) {
            if (!p.wary && !missed_) hot_ = tree.hotspots.find(p.key);
            if (hot_) {
                auto const quad = hot_->behind ? Leaf::next(home) : home;
                ops[0] = op::read(p.at.at() + Leaf::quad_at(quad) * word_bytes, image, word_bytes);
                return 1;
            }
        }
        if constexpr (!Tree::options::neighbourhood_reads) {
            ops[0] = plan_read_whole(leaf_, p.at);
            return 1;
        }
        return plan_read(leaf_, p.at, tree.handle.tag(), home, p.wary, ops);
    }

    /// settled: `found` has the answer. Else the probe was told where to go on.
    [[nodiscard]] state conclude(Tree& tree, probe<key_type>& p, std::optional<typename Leaf::payload_type>& found,
                                 obstacle<key_type>& stuck) {
        if constexpr (Tree::options::speculative_reads) {
            if (hot_) {
                if (leaf_.image()[0] == hot_->control) {
                    found = hot_->value;
                    return state::settled;
                }
                missed_ = true; // the quad changed, or the key moved on
                return state::at_once;
            }
        }
        bool const header = p.wary || !Tree::options::neighbourhood_reads;
        auto const [seen, slot] = look_for(leaf_, p.at, tree.handle.tag(), p.key, header);
        if (seen == visit::here) {
            found.reset();
            if (slot == Leaf::no_slot) return state::settled;
            found = leaf_.payload(slot);
            if constexpr (Tree::options::speculative_reads) {
                auto const quad = slot / quad_word::slots;
                tree.hotspots.note(
                    p.key,
                    {.value = *found, .control = leaf_.quad(quad).bits(), .behind = quad != Leaf::home_of(p.key)});
            }
            return state::settled;
        }
        // Also beyond the fence: a merge that ended halfway sends left and right to each other.
        bool const held = header && leaf_.lock().locked() && seen != visit::stale;
        if (held) stuck = {.node = p.at, .lock = leaf_.lock(), .key = p.key};
        bool const only_wary = (seen == visit::right || seen == visit::dead) && !header; // whither? who killed it?
        if (!only_wary) follow(tree, p, seen, leaf_);
        p.wary = true;
        return only_wary || went_right<Tree>(p, seen) ? state::at_once : state::after_a_pause;
    }

private:
    view leaf_{nullptr};
    std::optional<typename Tree::hot_entry> hot_;
    bool missed_ = false;
};

/// The value of `key`.
template <typename Leaf, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<std::optional<typename Leaf::payload_type>>>
hopscotch_find(Session& s, Tree& tree, typename Tree::key_type key) {
    scratch_lease const memory(s.scratches());
    probe<typename Tree::key_type> p{.key = key, .at = tree.root_hint(), .parent = {}};
    descend_cached(tree, p, 0);
    auto* const image = memory->image(Leaf::bytes);
    hopscotch_lookup<Leaf, Tree> lookup;
    retry again;
    for (;;) {
        if (!p.at || p.at.level() > 0) {
            auto const reached = co_await descend(s, tree, std::span(&p, 1), 0);
            if (!reached) co_return reached.error();
        }
        std::array<op, max_neighbourhood_reads> ops;
        auto const n = lookup.plan(tree, p, image, ops);
        if (auto const r = co_await s.submit(batch(ops).first(n)); !r) co_return r.error();
        std::optional<typename Leaf::payload_type> found;
        obstacle<typename Tree::key_type> stuck;
        using state = typename hopscotch_lookup<Leaf, Tree>::state;
        auto const now = lookup.conclude(tree, p, found, stuck);
        if (now == state::settled) co_return found;
        if (now == state::at_once)
            ++s.stats().retries;
        else if (auto const r = co_await wait_for<Leaf>(s, tree, again, stuck); !r)
            co_return r.error();
    }
}

/// found[i] = value of keys[i]; at most options::batch_nodes keys. 1 round trip, a neighbourhood for each key.
template <typename Leaf, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<void>>
hopscotch_find_batch(Session& s, Tree& tree, std::span<typename Tree::key_type const> keys,
                     std::span<std::optional<typename Leaf::payload_type>> found, std::span<op const> companions) {
    using probe_type = probe<typename Tree::key_type>;
    using lookup_type = hopscotch_lookup<Leaf, Tree>;
    using state = typename lookup_type::state;
    scratch_lease const memory(s.scratches());
    auto const probes = memory->template take<probe_type>(keys.size());
    auto const lookups = memory->template take<lookup_type>(keys.size());
    auto pending = memory->template take<std::uint32_t>(keys.size());
    auto const images = memory->image(keys.size() * Leaf::bytes);
    auto const ops = memory->template take<op>(keys.size() * max_neighbourhood_reads + companions.size());
    for (std::uint32_t i = 0; i < keys.size(); ++i) {
        probes[i].key = keys[i];
        pending[i] = i;
    }
    retry again;
    while (!pending.empty()) {
        // Probes are kept in the order of `pending`, so that those still open stay together.
        auto const open = probes.first(pending.size());
        auto const reached = co_await descend(s, tree, open, 0);
        if (!reached) co_return reached.error();
        std::size_t n = 0;
        for (std::size_t i = 0; i < open.size(); ++i)
            n += lookups[i].plan(tree, open[i], images + i * Leaf::words, ops.subspan(n));
        std::copy(companions.begin(), companions.end(), ops.begin() + static_cast<std::ptrdiff_t>(n));
        if (auto const r = co_await s.submit(ops.first(n + companions.size())); !r) co_return r.error();
        companions = {};
        obstacle<typename Tree::key_type> stuck;
        std::size_t left = 0;
        bool progress = false, blocked = false;
        for (std::size_t i = 0; i < open.size(); ++i) {
            auto const now = lookups[i].conclude(tree, open[i], found[pending[i]], stuck);
            progress |= now == state::settled;
            blocked |= now == state::after_a_pause;
            if (now == state::settled) continue;
            probes[left] = probes[i];
            lookups[left] = lookups[i];
            pending[left++] = pending[i];
        }
        pending = pending.first(left);
        if (pending.empty()) break;
        if (progress) again = {};
        if (progress || !blocked) { // those that go on at once do so once, then they are blocked or settled
            ++s.stats().retries;
        } else if (auto const r = co_await wait_for<Leaf>(s, tree, again, stuck); !r) {
            co_return r.error();
        }
    }
    co_return result<void>{};
}

/// As scan (index/detail/scan.hpp), but a leaf does not show its low fence: the separator that led to it is that. Reads rings
/// without headers.
template <typename Leaf, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<std::size_t>>
hopscotch_scan(Session& s, Tree& tree, scan_range<typename Tree::key_type> range,
               std::span<entry<typename Tree::key_type, typename Leaf::payload_type>> out) {
    using child = typename decltype(tree.cache)::listed_child;
    constexpr std::size_t most_leaves = 16;
    constexpr std::size_t usual_fill = std::max<std::size_t>(1, Leaf::slots * 3 / 5);
    constexpr std::size_t sparse_fill = std::max<std::size_t>(1, Leaf::slots / 3);
    scratch_lease const memory(s.scratches());
    auto const images = memory->image(most_leaves * Leaf::bytes);
    std::array<child, most_leaves> leaves;
    std::array<op, most_leaves + 1> ops;
    std::size_t n = 0;
    probe<typename Tree::key_type> p{.key = range.from, .at = {}, .parent = {}};
    retry again;
    while (n < out.size() && !(range.to && !(p.key < *range.to))) {
        if (auto const reached = co_await descend(s, tree, std::span(&p, 1), 0); !reached) co_return reached.error();
        leaves[0] = {.node = p.at, .low = p.key};
        // The cursor stands in the middle of its leaf on average. Where the range has an end leaves beyond it are not read
        // anyhow, so we can afford to expect sparse ones.
        constexpr auto expected = Tree::options::scan_by_range ? sparse_fill : usual_fill;
        auto const fill = range.to ? expected : usual_fill;
        auto const wanted = std::min(most_leaves, (out.size() - n + fill / 2) / fill + 1);
        auto const followers = p.parent && !p.wary ? tree.cache.children_after(p.parent, p.key, range.to,
                                                                               std::span(leaves).subspan(1, wanted - 1))
                                                   : 0;
        std::size_t reads = 0;
        auto const header = p.wary;
        for (std::size_t i = 0; i < 1 + followers; ++i) {
            view_of<Leaf> const leaf(images + i * Leaf::words);
            leaf.expect(leaves[i].node, tree.handle.tag());
            if (header) ops[reads++] = op::read(leaves[i].node.at(), leaf.image(), Leaf::header_words * word_bytes);
            ops[reads++] = op::read(leaves[i].node.at() + Leaf::ring_at * word_bytes, leaf.image() + Leaf::ring_at,
                                    Leaf::ring().count * word_bytes);
        }
        if (auto const r = co_await s.submit(batch(ops).first(reads)); !r) co_return r.error();
        bool more = true;
        for (std::size_t i = 0; i < 1 + followers && more; ++i) {
            view_of<Leaf> const leaf(images + i * Leaf::words);
            auto seen = visit::here;
            if (i > 0 && p.key < leaves[i].low) break; // a leaf between was not listed
            if (header) seen = inspect_header(leaf, leaves[i].node, tree.handle.tag(), p.key);
            if (seen == visit::here && !leaf.ring_sealed()) seen = visit::torn;
            if (seen == visit::here && leaf.quad(0).dead()) seen = visit::dead;
            if (seen == visit::here && leaf.above(p.key)) seen = visit::right;
            if (seen != visit::here) {
                if (i > 0) break; // a guess that was wrong: the cursor's own descent decides
                obstacle<typename Tree::key_type> stuck;
                bool const held = header && leaf.lock().locked() && seen != visit::stale;
                if (held) stuck = {.node = p.at, .lock = leaf.lock(), .key = p.key};
                bool const only_wary = (seen == visit::right || seen == visit::dead) && !header;
                if (!only_wary) follow(tree, p, seen, leaf);
                p.wary = true;
                if (auto const r = co_await wait_for<Leaf>(s, tree, again, stuck); !r) co_return r.error();
                more = false;
                continue;
            }
            again = {};
            if (take_entries(leaf, p.key, range.to, n, out) || leaf.quad(0).unbounded()) co_return n;
            p.key = leaf.high();
            p.at = {};
            p.wary = false;
        }
    }
    co_return n;
}

} // namespace catena::detail
