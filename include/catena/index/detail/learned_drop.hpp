// SPDX-License-Identifier: Apache-2.0
// learned_drop: takes all blocks of a learned index out of use and frees them.
// Thread safety: as the session. Set-up path: allocates.
#pragma once

#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/drop.hpp>
#include <catena/index/detail/extent_builder.hpp>
#include <catena/index/detail/learned_walk.hpp>

namespace catena::detail {

/// Under the lease of the model, so that nothing is trained meanwhile. F1 retires all leaves, F2 marks extents, pages and the directory
/// as ours and dead, F3 CAS root word -> 0, F4 frees the blocks. Whoever drops it again after our death before F3 finds
/// everything where it was; after F3 the blocks are found when space is reclaimed.
template <typename Leaf, typename Session, typename Tree, typename Visit>
class learned_dropper {
public:
    using key_type = typename Tree::key_type;

    learned_dropper(Session& s, Tree& tree, Visit& visit) : s_(s), tree_(tree), visit_(visit), model_(s, tree, true) {}

    [[nodiscard, gnu::noinline]] task<result<void>> run() {
        auto const root = co_await read_root(s_, tree_);
        if (!root) co_return root.error();
        if (!*root) co_return result<void>{};
        retry again;
        for (;;) {
            auto const opened = co_await model_.open(*root);
            if (!opened) co_return opened.error();
            if (*opened) break;
            if (auto const r = co_await again.wait(s_); !r) co_return co_await damaged(s_, root->at().node());
        }
        auto const& directory = model_.directory();
        for (std::size_t p = 0; p < directory.count(); ++p)
            if (auto const r = co_await one_page(p); !r) co_return r.error();
        lists_.push_back({.ref = *root, .meta = directory.meta(), .bytes = tree_.directory_bytes});
        for (auto const& l : lists_)
            if (auto const r = co_await kill_block(s_, l.ref, l.meta); !r) co_return r.error();
        op forget = op::cas(tree_.handle.root(), root->bits(), 0);
        if (auto const r = co_await s_.submit(forget); !r) co_return r.error();
        for (auto const& l : lists_)
            blocks_.push_back({.memory = {.at = l.ref.at(), .lives = l.meta.incarnation}, .bytes = l.bytes});
        for (auto const& b : blocks_)
            if (auto const r = co_await free_block(s_, b.memory, b.bytes); !r && r.error().code != errc::unreachable)
                co_return r.error();
        co_return result<void>{};
    }

private:
    /// Everything but leaves.
    struct list {
        node_ref ref;
        node_meta meta;
        std::uint64_t bytes = 0;
    };

    [[nodiscard, gnu::noinline]] task<result<void>> one_page(std::size_t p) {
        retry again;
        for (;;) {
            auto const found = co_await model_.open_page(p);
            if (!found) co_return found.error();
            if (*found) break;
            if (auto const r = co_await again.wait(s_); !r)
                co_return co_await damaged(s_, model_.directory().entry(p).page.at().node());
        }
        for (std::size_t i = 0; i < model_.page().count(); ++i)
            if (auto const r = co_await one_piece(model_.page().entry(i), model_.end_of(p, i)); !r) co_return r.error();
        lists_.push_back({.ref = model_.directory().entry(p).page,
                          .meta = model_.page().meta(),
                          .bytes = Tree::options::page_bytes});
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> one_piece(model_piece<key_type> piece,
                                                              std::optional<key_type> end) {
        extent_header header;
        op read = op::read(piece.extent.at(), &header, sizeof header);
        if (auto const r = co_await s_.submit(read); !r) co_return r.error();
        if (!names(piece.extent, header.what(), tree_.handle.tag()))
            co_return result<void>{}; // its memory node lost it
        scratch_lease const memory(s_.scratches());
        view_of<Leaf> const leaf(memory->image(Leaf::bytes));
        auto const borders = co_await borders_of(s_, tree_, piece, end);
        if (!borders) co_return borders.error();
        for (std::uint32_t i = 0; i < header.leaves(); ++i)
            for (auto ref = leaf_in<Leaf>(piece.extent, i); ref; ref = leaf.link()) {
                auto const done = co_await one_leaf(leaf, ref, borders->end_of(i));
                if (!done) co_return done.error();
                if (*done == retirement::gone) break;
                if constexpr (!std::is_same_v<Visit, no_visitor>) {
                    if (auto const r = co_await show_values(s_, leaf, visit_); !r) co_return r.error();
                }
                if (ref != leaf_in<Leaf>(piece.extent, i))
                    blocks_.push_back({.memory = {.at = ref.at(), .lives = leaf.meta().incarnation},
                                       .bytes = Tree::options::node_bytes});
                if (auto const r = co_await keep_lease(s_); !r) co_return r.error();
            }
        lists_.push_back({.ref = piece.extent, .meta = header.what(), .bytes = header.block_bytes()});
        co_return result<void>{};
    }

    /// Retires a leaf when no writer is inside any more.
    [[nodiscard, gnu::noinline]] task<result<retirement>> one_leaf(view_of<Leaf> leaf, node_ref ref,
                                                                   std::optional<key_type> end) {
        retry again;
        lock_request claim;
        claim.node = ref;
        for (;;) {
            bool const looked = tree_.locks.try_acquire(claim); // no: another session of ours is inside
            result<retirement> done = retirement::busy;
            if (looked) {
                done = co_await retire(s_, tree_, ref, leaf);
                if (done && *done == retirement::busy && leaf.lock().locked() && !leaf.meta().dead) {
                    auto const gone = co_await gone_or_ours(leaf.lock());
                    auto const mended =
                        gone && *gone ? co_await mend_leaf<Leaf>(s_, tree_, ref, leaf.lock(), end) : gone;
                    if (!mended) done = mended.error();
                }
                tree_.locks.release(claim, false, 0);
            }
            if (!done || *done != retirement::busy) co_return done;
            auto const waited = co_await again.wait(s_);
            if (waited) continue;
            bool const torn = looked && !leaf.sealed() && waited.error().code == errc::contended;
            co_return torn ? make_error(errc::corrupt, ref.at().node()) : waited.error();
        }
    }

    [[nodiscard, gnu::noinline]] task<result<bool>> gone_or_ours(lock_word lock) {
        if (lock.owner() == s_.pool().self.tag()) co_return true;
        co_return co_await is_gone(s_, lock.owner());
    }

    Session& s_;
    Tree& tree_;
    Visit& visit_;
    generation_reader<Session, Tree> model_;
    std::vector<list> lists_;
    std::vector<sized_block> blocks_;
};

template <typename Leaf, typename Session, routed_by_model Tree, typename Visit>
[[nodiscard, gnu::noinline]] task<result<void>> free_all(Session& s, Tree& tree, Visit& visit) {
    model_lease<Leaf, Session, Tree> lease(s, tree);
    if (auto const r = co_await lease.acquire(); !r) co_return r.error();
    result<void> done;
    {
        learned_dropper<Leaf, Session, Tree, Visit> dropper(s, tree, visit);
        done = co_await dropper.run();
    }
    auto const released = co_await lease.release();
    if (!done) co_return done.error();
    co_return released;
}

} // namespace catena::detail
