// SPDX-License-Identifier: Apache-2.0
// learned_state: what the threads of one client share about a learned index, and how its model leads keys to leaves: the
// overloads of descend and follow (index/detail/descent.hpp) for it.
//
// A leaf of the model is where a key belongs by definition, or, if that leaf split, in one of the overflow leaves that its link
// leads to. Who finds a leaf dead, or in another life, has an old model: he asks the catalog which directory is in force and
// reads what he does not have of it. Who finds a leaf locked, or torn, waits and comes back with the same model.
// Thread safety: any number of threads.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/fabric/stats.hpp>
#include <catena/index/crowded_leaves.hpp>
#include <catena/index/detail/descent.hpp>
#include <catena/index/detail/tree_state.hpp>
#include <catena/index/hotspot_buffer.hpp>
#include <catena/index/model_cache.hpp>
#include <catena/index/options.hpp>
#include <catena/layout/key_number.hpp>
#include <catena/layout/model_blocks.hpp>
#include <catena/layout/piece_plan.hpp>

namespace catena::detail {

/// Where every leaf is known to be about as full as the others, nobody needs to remember which is.
struct evenly_filled {
    [[nodiscard]] static crowding of(node_ref) noexcept { return crowding::some; }
    static void note(node_ref, crowding) noexcept {}
};

template <typename Leaf, typename Options>
struct learned_nodes : Options {
    static constexpr std::size_t node_bytes = Leaf::bytes; ///< of a block with one leaf
};

/// What training cost this client so far; a part of the statistics of the sessions that did it.
struct training_tally {
    std::atomic<std::uint64_t> trainings{0}, round_trips{0}, verbs{0}, bytes_read{0}, bytes_written{0};

    void add(fabric_stats const& cost) noexcept {
        ++trainings;
        round_trips += cost.round_trips;
        verbs += cost.verbs();
        bytes_read += cost.bytes_read;
        bytes_written += cost.bytes_written;
    }
};

template <typename Leaf, typename Options>
struct learned_state {
    using key_type = typename Leaf::key_type;
    using leaf = Leaf;
    using options = learned_nodes<Leaf, Options>;
    using model_type = model_cache<key_type>;
    using numbers = number_of_key<key_type>;
    using hotspot_type = hotspot_buffer<key_type, typename Leaf::payload_type>;
    using hot_entry = typename hotspot_type::entry;

    learned_state(pool_state& pool, catalog_handle h, std::size_t /* the whole model is kept */)
        : handle(h), model(options::page_bytes), locks(local_locks_of(pool)),
          hotspots(options::speculative_reads ? options::hotspot_bytes : 0), rules(rules_for(pool.geometry)),
          directory_bytes(fitting(options::directory_bytes, pool.geometry.chunk_bytes)) {}

    catalog_handle handle;
    std::atomic<word> root{0};     ///< as the catalog said last
    std::atomic<bool> stale{true}; ///< somebody found something that the model does not know
    model_type model;
    local_locks& locks; ///< of the client
    evenly_filled crowded;
    hotspot_type hotspots;
    plan_rules rules;
    std::uint32_t directory_bytes;
    training_tally tally;

    /// No leaf is where one begins: the model says it.
    [[nodiscard]] static node_ref root_hint() noexcept { return {}; }

private:
    [[nodiscard]] static std::uint32_t fitting(std::uint64_t bytes, std::uint64_t chunk_bytes) noexcept {
        return static_cast<std::uint32_t>(std::min(bytes, chunk_bytes));
    }
    /// Extents of one leaf, and of powers of two bytes, as far as chunks have room for them.
    [[nodiscard]] static plan_rules rules_for(superblock const& geometry) noexcept {
        plan_rules r{.fill = std::max<std::size_t>(1, Leaf::slots * options::trained_fill / 100),
                     .most = std::max<std::size_t>(1, Leaf::slots * options::trained_most / 100),
                     .error_bound = options::error_bound,
                     .limit = sizeof(key_type) == word_bytes ? key_number{~word{0}} : ~key_number{0},
                     .by_rank = options::use == model_use::error_bound};
        constexpr auto one = round_up(sizeof(extent_header) + Leaf::bytes, 64);
        constexpr auto single = one <= 4096 ? one : round_up(one, 4096);
        r.sizes[r.size_count++] = {.leaves = 1, .bytes = static_cast<std::uint32_t>(single)};
        auto const most = std::min<std::uint64_t>(options::extent_bytes, geometry.chunk_bytes);
        for (std::uint64_t bytes = 512; bytes <= most && r.size_count < r.sizes.size(); bytes *= 2) {
            if (bytes < 2 * Leaf::bytes + sizeof(extent_header)) continue;
            r.sizes[r.size_count++] = {.leaves = leaves_in<Leaf>(bytes), .bytes = static_cast<std::uint32_t>(bytes)};
        }
        return r;
    }
};

/// Leaf number `leaf` of a piece begins with this key.
template <typename Key>
[[nodiscard]] Key first_key_of(model_piece<Key> const& piece, std::uint32_t leaf) noexcept {
    using numbers = number_of_key<Key>;
    if (leaf == 0) return piece.first;
    return numbers::at(numbers::of(piece.first) + piece.line.begin_of(leaf));
}
template <typename Key>
[[nodiscard]] std::uint32_t leaf_number(model_piece<Key> const& piece, Key const& key) noexcept {
    using numbers = number_of_key<Key>;
    return piece.line.leaf_of(numbers::of(key) - numbers::of(piece.first));
}

/// How far the model may be off, in 256ths of a leaf: below and above the place that it says (model_use::error_bound).
struct model_error {
    std::uint32_t below = 0;
    std::uint32_t above = 0;

    static constexpr std::uint32_t most = 0xffff; ///< as many leaves as a piece has at most
    [[nodiscard]] static constexpr model_error of(leaf_line line) noexcept {
        return {.below = line.extra() & most, .above = line.extra() >> 16U};
    }
    [[nodiscard]] constexpr std::uint32_t bits() const noexcept {
        return std::min(below, most) | std::min(above, most) << 16U;
    }
};

/// The leaves in which a key may be, by number.
struct leaf_range {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
};
template <routed_by_model Tree>
[[nodiscard]] leaf_range leaves_for(Tree const&, model_piece<typename Tree::key_type> const& piece,
                                    typename Tree::key_type const& key) noexcept {
    if constexpr (Tree::options::use == model_use::placement) {
        auto const leaf = leaf_number(piece, key);
        return {leaf, leaf};
    } else {
        using numbers = typename Tree::numbers;
        auto const at = piece.line.position_of(numbers::of(key) - numbers::of(piece.first));
        auto const error = model_error::of(piece.line);
        auto const low = at < error.below ? 0 : at - error.below;
        auto const high = (at + error.above) >> leaf_line::fraction_bits;
        return {low >> leaf_line::fraction_bits, std::min(high, piece.line.leaves() - 1)};
    }
}

/// To the leaf that the model says, if it says one. False: it may be several, or there is no model here, or somebody is
/// writing it.
template <routed_by_model Tree>
[[nodiscard]] bool place(Tree& tree, probe<typename Tree::key_type>& p) noexcept {
    auto const piece = tree.model.find(p.key);
    if (!piece) return false;
    auto const leaves = leaves_for(tree, *piece, p.key);
    if (leaves.first != leaves.last) return false;
    p.at = leaf_in<typename Tree::leaf>(piece->extent, leaves.first);
    p.parent = piece->extent;
    p.hops = 0;
    p.wary = false;
    return true;
}

/// Reads the directory that `root` means to `image`, which has room for tree.directory_bytes. False: it is not there (any more), or
/// torn. dead: it may be out of use.
template <typename Session, routed_by_model Tree>
[[nodiscard, gnu::noinline]] task<result<bool>> read_directory(Session& s, Tree& tree, node_ref root, word* image,
                                                               bool dead = false) {
    using part = model_part<typename Tree::key_type>;
    constexpr std::size_t usual = 1024;
    model_list<part> const list(image);
    auto const most = tree.directory_bytes / word_bytes;
    auto const at_first = std::min<std::size_t>(usual, tree.directory_bytes);
    op read = op::read(root.at(), image, at_first);
    if (auto const r = co_await s.submit(read); !r) co_return r.error();
    if (!list.is(root, tree.handle.tag(), most, dead)) co_return false;
    if (auto const bytes = list.used_words() * word_bytes; bytes > at_first) {
        op rest = op::read(root.at() + at_first, reinterpret_cast<std::byte*>(image) + at_first, bytes - at_first);
        if (auto const r = co_await s.submit(rest); !r) co_return r.error();
    }
    co_return list.sealed();
}

/// Reads pages, each to options::page_bytes of `images`. False: one of them is not there (any more), or torn.
template <typename Session, routed_by_model Tree>
[[nodiscard, gnu::noinline]] task<result<bool>> read_pages(Session& s, Tree& tree, std::span<node_ref const> pages,
                                                           word* images, bool dead = false) {
    using piece = model_piece<typename Tree::key_type>;
    constexpr auto bytes = Tree::options::page_bytes;
    constexpr std::size_t at_once = 16;
    std::array<op, at_once> ops;
    for (std::size_t from = 0; from < pages.size(); from += at_once) {
        auto const n = std::min(at_once, pages.size() - from);
        for (std::size_t i = 0; i < n; ++i)
            ops[i] = op::read(pages[from + i].at(), images + (from + i) * bytes / word_bytes, bytes);
        if (auto const r = co_await s.submit(batch(ops).first(n)); !r) co_return r.error();
        for (std::size_t i = 0; i < n; ++i) {
            model_list<piece> const page(images + (from + i) * bytes / word_bytes);
            if (!page.is(pages[from + i], tree.handle.tag(), bytes / word_bytes, dead) || !page.sealed())
                co_return false;
        }
    }
    co_return true;
}

/// Takes the generation of that directory. False: it is not in force any more, as it seems.
template <typename Session, routed_by_model Tree>
[[nodiscard, gnu::noinline]] task<result<bool>> load_model(Session& s, Tree& tree, node_ref root) {
    using key_type = typename Tree::key_type;
    scratch_lease const memory(s.scratches());
    model_list<model_part<key_type>> const directory(memory->image(tree.directory_bytes));
    auto const found = co_await read_directory(s, tree, root, directory.image());
    if (!found || !*found) co_return found;
    std::vector<node_ref> missing;
    for (std::size_t i = 0; i < directory.count(); ++i)
        if (auto const page = directory.entry(i).page; !tree.model.has(page)) missing.push_back(page);
    auto* const images = memory->image(missing.size() * Tree::options::page_bytes);
    auto const whole = co_await read_pages(s, tree, missing, images);
    if (!whole || !*whole) co_return whole;
    std::vector<model_list<model_piece<key_type>>> pages;
    for (std::size_t i = 0; i < missing.size(); ++i)
        pages.emplace_back(images + i * Tree::options::page_bytes / word_bytes);
    co_return tree.model.install(root, directory, pages, missing);
}

/// Takes the generation in force, if that is not here yet. 1 round trip if it is; else 2 to 4 as a rule, for each 16 pages that
/// changed one more.
template <typename Session, routed_by_model Tree>
[[nodiscard, gnu::noinline]] task<result<void>> refresh_model(Session& s, Tree& tree) {
    retry again;
    for (;;) {
        auto const root = co_await refresh_root(s, tree);
        if (!root) co_return root.error();
        if (*root != tree.model.directory()) {
            auto const loaded = co_await load_model(s, tree, *root);
            if (!loaded) co_return loaded.error();
            if (!*loaded) {
                if (auto const r = co_await again.wait(s); !r) co_return r.error();
                continue;
            }
        }
        tree.stale.store(false, std::memory_order_relaxed);
        co_return result<void>{};
    }
}

template <routed_by_model Tree>
void descend_cached(Tree& tree, probe<typename Tree::key_type>& p, std::uint32_t) noexcept {
    if (!p.at && !tree.stale.load(std::memory_order_relaxed)) (void)place(tree, p);
}

/// model_use::error_bound: asks the leaves in which the key of a probe may be where they begin. False: the model is old, or
/// missing. 1 round trip.
template <typename Session, routed_by_model Tree>
[[nodiscard, gnu::noinline]] task<result<bool>> ask_leaves(Session& s, Tree& tree, probe<typename Tree::key_type>& p) {
    using leaf = typename Tree::leaf;
    auto const piece = tree.model.find(p.key);
    if (!piece) co_return false;
    auto const range = leaves_for(tree, *piece, p.key);
    auto const n = range.last - range.first + 1;
    scratch_lease const memory(s.scratches());
    auto const ops = memory->template take<op>(n);
    auto* const images = memory->image(n * leaf::header_words * word_bytes);
    for (std::uint32_t i = 0; i < n; ++i)
        ops[i] = op::read(leaf_in<leaf>(piece->extent, range.first + i).at(), images + i * leaf::header_words,
                          leaf::header_words * word_bytes);
    if (auto const r = co_await s.submit(ops); !r) co_return r.error();
    for (auto i = n; i-- > 0;) {
        view_of<leaf> const header(images + i * leaf::header_words);
        auto const ref = leaf_in<leaf>(piece->extent, range.first + i);
        if (!names(ref, header.meta(), tree.handle.tag())) co_return false;
        if (header.below(p.key)) continue;
        p.at = ref;
        p.parent = piece->extent;
        p.hops = 0;
        p.wary = false;
        co_return true;
    }
    co_return false;
}

/// Brings every probe to its leaf. No round trip if the model is known; model_use::error_bound: 1 for each key that may be in
/// several leaves.
template <typename Session, routed_by_model Tree>
[[nodiscard, gnu::noinline]] task<result<bool>>
descend(Session& s, Tree& tree, std::span<probe<typename Tree::key_type>> probes, std::uint32_t) {
    for (;;) {
        bool all = true;
        for (auto& p : probes) {
            descend_cached(tree, p, 0);
            if constexpr (Tree::options::use == model_use::error_bound) {
                if (!p.at && !tree.stale.load(std::memory_order_relaxed)) {
                    auto const asked = co_await ask_leaves(s, tree, p);
                    if (!asked) co_return asked.error();
                    if (!*asked) tree.stale.store(true, std::memory_order_relaxed);
                }
            }
            all &= static_cast<bool>(p.at);
        }
        if (all) co_return true;
        if (auto const r = co_await refresh_model(s, tree); !r) co_return r.error();
    }
}

template <routed_by_model Tree, typename View>
void follow(Tree& tree, probe<typename Tree::key_type>& p, visit seen, View const& node) noexcept {
    switch (seen) {
    case visit::here:
    case visit::torn: return;
    case visit::right:
        if (!node.link()) return; // the link is older than the fence: read both again
        p.at = node.link();
        ++p.hops;
        return;
    case visit::dead:
    case visit::stale:
        tree.stale.store(true, std::memory_order_relaxed);
        p.at = p.parent = {};
        return;
    }
}

} // namespace catena::detail
