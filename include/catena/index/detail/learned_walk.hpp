// SPDX-License-Identifier: Apache-2.0
// learned_walk: over all of a learned index: directory, pages, extents, leaves and their overflow leaves. To check it, to finish
// what dead clients left half done, to take it out of use.
// Thread safety: as the session. Set-up path: allocates, explains in words.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/drop.hpp>
#include <catena/index/detail/learned_recovery.hpp>
#include <catena/index/detail/learned_state.hpp>
#include <catena/index/detail/model_lease.hpp>
#include <catena/index/detail/walk.hpp>
#include <catena/index/index.hpp>

namespace catena::detail {

/// The generation that `root` means, page by page. The caller sees to it that it does not go away, or looks whether it did.
template <typename Session, typename Tree>
class generation_reader {
public:
    using key_type = typename Tree::key_type;
    using part = model_part<key_type>;
    using piece = model_piece<key_type>;

    /// dead: lists that are out of use will do.
    generation_reader(Session& s, Tree& tree, bool dead = false)
        : s_(s), tree_(tree), memory_(s.scratches()), directory_(memory_->image(tree.directory_bytes)),
          page_(memory_->image(Tree::options::page_bytes)), dead_(dead) {}

    /// False: it is not there, or torn.
    [[nodiscard]] task<result<bool>> open(node_ref root) {
        return read_directory(s_, tree_, root, directory_.image(), dead_);
    }
    [[nodiscard, gnu::noinline]] task<result<bool>> open_page(std::size_t i) {
        auto const ref = directory_.entry(i).page;
        co_return co_await read_pages(s_, tree_, std::span(&ref, 1), page_.image(), dead_);
    }

    [[nodiscard]] model_list<part> const& directory() const noexcept { return directory_; }
    [[nodiscard]] model_list<piece> const& page() const noexcept { return page_; }
    /// Where what follows page `p`, piece `i` of it, begins.
    [[nodiscard]] std::optional<key_type> end_of(std::size_t p, std::size_t i) const noexcept {
        if (i + 1 < page_.count()) return page_.entry(i + 1).first;
        if (p + 1 < directory_.count()) return directory_.entry(p + 1).first;
        return std::nullopt;
    }

private:
    Session& s_;
    Tree& tree_;
    scratch_lease memory_;
    model_list<part> directory_;
    model_list<piece> page_;
    bool dead_;
};

/// What a list of the model says that is wrong as such, in words.
template <typename List, typename Key>
[[nodiscard]] std::string list_in_disorder(List const& list, Key const& begins) {
    if (list.count() == 0) return "is empty";
    if (list.entry(0).first != begins) return "does not begin where it should";
    for (std::size_t i = 1; i < list.count(); ++i)
        if (!(list.entry(i - 1).first < list.entry(i).first)) return "is not in ascending order";
    return {};
}

/// A leaf against where it should begin and end; end: of the leaf of the model that the chain belongs to.
template <typename View>
void check_leaf(verifier<typename View::key_type>& checks, View const& leaf, node_ref ref, std::uint16_t tag,
                typename View::key_type const& low, std::optional<typename View::key_type> const& end) {
    auto const meta = leaf.meta();
    checks.note_seal_and_lock(leaf, ref);
    if (meta.dead) checks.complain(ref, "is dead, but a part of the model");
    if (!names(ref, meta, tag)) checks.complain(ref, "is not the leaf that the model means");
    if (leaf.low() != low) checks.complain(ref, "does not begin where the model or its left neighbour says");
    if (!meta.unbounded && !(leaf.low() < leaf.high())) checks.complain(ref, "its fences are not in order");
    if (meta.unbounded && (end || leaf.link())) checks.complain(ref, "lacks a high fence");
    if (!meta.unbounded && !leaf.link() && (!end || leaf.high() != *end))
        checks.complain(ref, "does not end where the next leaf of the model begins");
    if (auto const wrong = slots_in_disorder(leaf); !wrong.empty()) checks.complain(ref, wrong);
    slot_order<typename View::layout> order;
    auto const n = sorted_slots(leaf, std::span(order));
    for (std::size_t i = 0; i < n; ++i) {
        auto const key = leaf.key(order[i]);
        if (leaf.below(key) || leaf.above(key)) checks.complain(ref, "holds a key outside its fences");
        if (i > 0 && !(leaf.key(order[i - 1]) < key)) checks.complain(ref, "holds a key twice");
    }
}

template <typename Leaf, typename Session, routed_by_model Tree>
[[nodiscard, gnu::noinline]] task<result<void>>
check_piece(Session& s, Tree& tree, model_piece<typename Tree::key_type> const& piece,
            std::optional<typename Tree::key_type> end, verifier<typename Tree::key_type>& checks,
            index_check& report) {
    scratch_lease const memory(s.scratches());
    view_of<Leaf> const leaf(memory->image(Leaf::bytes));
    extent_header header;
    op read = op::read(piece.extent.at(), &header, sizeof header);
    if (auto const r = co_await s.submit(read); !r) co_return r.error();
    if (!names(piece.extent, header.what(), tree.handle.tag()) || header.what().dead ||
        header.leaves() != piece.line.leaves() || leaves_in<Leaf>(header.block_bytes()) < header.leaves()) {
        checks.complain(piece.extent, "is not the extent that the model means");
        co_return result<void>{};
    }
    report.remote_bytes += header.block_bytes();
    auto const most = s.pool().geometry.node_bytes * s.pool().geometry.node_count / Leaf::bytes;
    auto const borders = co_await borders_of(s, tree, piece, end);
    if (!borders) co_return borders.error();
    if (borders->lows[0] != piece.first) checks.complain(piece.extent, "does not begin where the model says");
    for (std::uint32_t i = 0; i < header.leaves(); ++i) {
        auto low = borders->lows[i];
        for (auto ref = leaf_in<Leaf>(piece.extent, i); ref; ref = leaf.link()) {
            if (report.nodes++ > most) co_return make_error(errc::corrupt); // links run in a circle
            if (auto const r = co_await read_whole(s, leaf, ref); !r) co_return r.error();
            check_leaf(checks, leaf, ref, tree.handle.tag(), low, borders->end_of(i));
            if (ref != leaf_in<Leaf>(piece.extent, i)) report.remote_bytes += Tree::options::node_bytes;
            report.entries += leaf.count();
            if (!leaf.sealed()) break; // its link cannot be trusted
            low = leaf.high();
        }
    }
    co_return result<void>{};
}

template <typename Leaf, typename Session, routed_by_model Tree>
[[nodiscard, gnu::noinline]] task<result<index_check>> check(Session& s, Tree& tree) {
    using key_type = typename Tree::key_type;
    index_check report;
    report.height = 1;
    verifier<key_type> checks(report);
    auto const root = co_await refresh_root(s, tree);
    if (!root) co_return root.error();
    generation_reader<Session, Tree> model(s, tree);
    auto const opened = co_await model.open(*root);
    if (!opened) co_return opened.error();
    if (!*opened) {
        checks.complain(*root, "is not a directory, or damaged");
        co_return report;
    }
    auto const& directory = model.directory();
    report.remote_bytes = tree.directory_bytes;
    if (auto const wrong = list_in_disorder(directory, lowest_key<key_type>::value()); !wrong.empty()) {
        checks.complain(*root, "the directory " + wrong);
        co_return report;
    }
    for (std::size_t p = 0; p < directory.count(); ++p) {
        auto const ref = directory.entry(p).page;
        auto const found = co_await model.open_page(p);
        if (!found) co_return found.error();
        report.remote_bytes += Tree::options::page_bytes;
        if (!*found) {
            checks.complain(ref, "is not a page of the model, or damaged");
            continue;
        }
        if (auto const wrong = list_in_disorder(model.page(), directory.entry(p).first); !wrong.empty())
            checks.complain(ref, "the page " + wrong);
        for (std::size_t i = 0; i < model.page().count(); ++i) {
            auto const checked =
                co_await check_piece<Leaf>(s, tree, model.page().entry(i), model.end_of(p, i), checks, report);
            if (!checked) co_return checked.error();
        }
    }
    co_return report;
}

/// Visits a page at a time under the lease: a training in between replaces what it replaces by blocks of its own, so what a gone
/// client wrote and is still in force when the walk comes by is met.
template <typename Leaf, typename Session, typename Tree, typename See>
class learned_healer {
public:
    using key_type = typename Tree::key_type;

    learned_healer(Session& s, Tree& tree, See see) : s_(s), tree_(tree), see_(see), model_(s, tree) {}

    [[nodiscard, gnu::noinline]] task<result<index_recovery>> run() {
        std::optional<key_type> at = lowest_key<key_type>::value();
        while (at) {
            model_lease<Leaf, Session, Tree> lease(s_, tree_);
            if (auto const r = co_await lease.acquire(); !r) co_return r.error();
            auto const done = co_await one_page(*at);
            auto const released = co_await lease.release();
            if (!done) co_return done.error();
            if (!released) co_return released.error();
            at = *done;
        }
        co_return report_;
    }

    /// The caller has the lease.
    [[nodiscard, gnu::noinline]] task<result<void>> run_under_lease() {
        std::optional<key_type> at = lowest_key<key_type>::value();
        while (at) {
            auto const done = co_await one_page(*at);
            if (!done) co_return done.error();
            at = *done;
        }
        co_return result<void>{};
    }

private:
    /// Returns where the next page begins.
    [[nodiscard, gnu::noinline]] task<result<std::optional<key_type>>> one_page(key_type key) {
        retry again;
        std::size_t p = 0;
        for (;;) {
            auto const root = co_await refresh_root(s_, tree_);
            if (!root) co_return root.error();
            auto const opened = co_await model_.open(*root);
            if (!opened) co_return opened.error();
            if (*opened) {
                auto const& directory = model_.directory();
                p = 0;
                while (p + 1 < directory.count() && !(key < directory.entry(p + 1).first)) ++p;
                auto const found = co_await model_.open_page(p);
                if (!found) co_return found.error();
                see_(*root, lock_word(directory.image()[0]).owner());
                see_(directory.entry(p).page, lock_word(model_.page().image()[0]).owner());
                if (*found) break;
            }
            if (auto const r = co_await again.wait(s_); !r) co_return co_await damaged(s_, 0);
        }
        for (std::size_t i = 0; i < model_.page().count(); ++i)
            if (auto const r = co_await one_piece(model_.page().entry(i), model_.end_of(p, i)); !r) co_return r.error();
        if (p + 1 < model_.directory().count()) co_return std::optional(model_.directory().entry(p + 1).first);
        co_return std::optional<key_type>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> one_piece(model_piece<key_type> piece,
                                                              std::optional<key_type> end) {
        scratch_lease const memory(s_.scratches());
        view_of<Leaf> const leaf(memory->image(Leaf::bytes));
        extent_header header;
        op read = op::read(piece.extent.at(), &header, sizeof header);
        if (auto const r = co_await s_.submit(read); !r) co_return r.error();
        see_(piece.extent, lock_word(header.lock).owner());
        auto const borders = co_await borders_of(s_, tree_, piece, end);
        if (!borders) co_return borders.error();
        for (std::uint32_t i = 0; i < piece.line.leaves(); ++i)
            for (auto ref = leaf_in<Leaf>(piece.extent, i); ref; ref = leaf.link()) {
                if (auto const r = co_await one_leaf(leaf, ref, borders->end_of(i)); !r) co_return r.error();
                ++report_.nodes;
                if (ref != leaf_in<Leaf>(piece.extent, i)) see_(ref, leaf.last_writer());
                if (auto const r = co_await keep_lease(s_); !r) co_return r.error();
            }
        co_return result<void>{};
    }

    /// Reads a leaf until nobody has it and it is whole.
    [[nodiscard, gnu::noinline]] task<result<void>> one_leaf(view_of<Leaf> leaf, node_ref ref,
                                                             std::optional<key_type> end) {
        retry again;
        for (;;) {
            op read = op::read(ref.at(), leaf.image(), Leaf::bytes);
            if (auto const r = co_await s_.submit(read); !r) co_return r.error();
            if (!names(ref, leaf.meta(), tree_.handle.tag()) || leaf.meta().dead)
                co_return co_await damaged(s_, ref.at().node());
            if (!leaf.lock().locked() && leaf.sealed()) co_return result<void>{};
            if (leaf.lock().locked()) {
                auto const mended = co_await take_over(ref, leaf.lock(), end);
                if (!mended) co_return mended.error();
                if (*mended) continue;
            }
            if (auto const r = co_await again.wait(s_); !r) co_return r.error();
        }
    }

    [[nodiscard, gnu::noinline]] task<result<bool>> take_over(node_ref ref, lock_word seen,
                                                              std::optional<key_type> end) {
        if (seen.owner() != s_.pool().self.tag()) {
            auto const gone = co_await is_gone(s_, seen.owner());
            if (!gone || !*gone) co_return gone;
        }
        lock_request claim;
        claim.node = ref;
        if (!tree_.locks.try_acquire(claim)) co_return false; // one of ours is at it
        auto const mended = co_await mend_leaf<Leaf>(s_, tree_, ref, seen, end);
        tree_.locks.release(claim, false, 0);
        co_return mended;
    }

    Session& s_;
    Tree& tree_;
    See see_;
    generation_reader<Session, Tree> model_;
    index_recovery report_;
};

template <typename Leaf, typename Session, routed_by_model Tree>
[[nodiscard, gnu::noinline]] task<result<void>> free_what_names_us(Session& s, Tree& tree) {
    auto const nobody = [](node_ref, std::uint32_t) {};
    learned_healer<Leaf, Session, Tree, decltype(nobody)> h(s, tree, nobody);
    co_return co_await h.run_under_lease();
}

template <typename Leaf, typename Session, routed_by_model Tree, typename See>
[[nodiscard, gnu::noinline]] task<result<index_recovery>> heal(Session& s, Tree& tree, See see) {
    learned_healer<Leaf, Session, Tree, See> h(s, tree, see);
    co_return co_await h.run();
}
template <typename Leaf, typename Session, routed_by_model Tree>
[[nodiscard, gnu::noinline]] task<result<index_recovery>> heal(Session& s, Tree& tree) {
    return heal<Leaf>(s, tree, [](node_ref, std::uint32_t) {});
}

} // namespace catena::detail
