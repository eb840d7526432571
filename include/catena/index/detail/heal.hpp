// SPDX-License-Identifier: Apache-2.0
// heal: walks over all nodes of a tree, top down, and finishes whatever clients that died left half done: locks are taken
// over, torn nodes mended (recovery.hpp), nodes that no parent lists are linked.
//
// Nobody needs it for right answers: who runs into something mends it. It is for operators and tests, and comes before
// space is reclaimed. Others may use the index meanwhile; what live clients are in the middle of is waited for.
// Thread safety: as the session. Set-up path: allocates.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/batch_write.hpp>
#include <catena/index/detail/recovery.hpp>
#include <catena/index/index.hpp>
#include <catena/pool/membership.hpp>

namespace catena::detail {

/// see(ref, tag of its last writer): called for every node, when it is neither locked nor torn; again if the walk begins again.
template <typename Leaf, typename Session, typename Tree, typename See>
class healer {
public:
    using key_type = typename Tree::key_type;
    using inner = typename Tree::inner;
    using link_type = mutation<key_type, node_ref>;

    healer(Session& s, Tree& tree, See see) : s_(s), tree_(tree), see_(see), memory_(s.scratches()) {
        image_ = memory_->image(Tree::options::node_bytes);
    }

    [[nodiscard, gnu::noinline]] task<result<index_recovery>> run() {
        for (;;) {
            report_.nodes = 0;
            auto const done = co_await all_levels();
            if (!done) co_return done.error();
            if (*done) co_return report_;
        }
    }

private:
    /// False: a node died or its block was used again while we looked: from the top again.
    [[nodiscard, gnu::noinline]] task<result<bool>> all_levels() {
        auto const root = co_await refresh_root(s_, tree_);
        if (!root) co_return root.error();
        listed_ = {*root};
        auto first = *root;
        for (auto level = root->level();; --level) {
            auto const done = level == 0 ? co_await one_level<Leaf>(first) : co_await one_level<inner>(first);
            if (!done || !*done) co_return done;
            if (!unlinked_.empty()) {
                batch_writer<inner, Session, Tree> parents(s_, tree_, level + 1, std::span(unlinked_));
                if (auto const r = co_await parents.run(); !r) co_return r.error();
                report_.linked += unlinked_.size();
            }
            if (level == 0) co_return true;
            listed_ = std::move(children_);
            first = first_child_;
        }
    }

    template <typename Layout>
    [[nodiscard, gnu::noinline]] task<result<bool>> one_level(node_ref first) {
        view_of<Layout> const node(image_);
        children_.clear();
        unlinked_.clear();
        auto listed = listed_;
        std::sort(listed.begin(), listed.end());
        retry again;
        auto begins = lowest_key<key_type>::value(); // where the next node must begin
        for (auto ref = first; ref;) {
            op read = op::read(ref.at(), image_, Layout::bytes);
            if (auto const r = co_await s_.submit(read); !r) co_return r.error();
            auto const low = node.low();
            auto const seen = inspect(node, ref, tree_.handle.tag(), low);
            // Its left neighbour changed after we read it, its link before; or one of the two is damaged.
            bool const gap = seen == visit::here && low != begins;
            if (seen != visit::here || gap || node.lock().locked()) {
                auto const o = obstacle_in(node, ref, tree_.handle.tag(), seen, low);
                bool const from_the_top = seen == visit::dead || seen == visit::stale || gap;
                if (from_the_top && ref != dead_end_) { // the same one again and again: its owner may be gone
                    dead_end_ = ref;
                    from_top_ = {};
                }
                auto& patience = from_the_top ? from_top_ : again;
                if (auto const r = co_await wait_for<Layout>(s_, tree_, patience, o); !r) co_return r.error();
                if (from_the_top) co_return false;
                continue;
            }
            begins = node.high();
            again = {};
            ++report_.nodes;
            see_(ref, node.last_writer());
            if (auto const r = co_await keep_lease(s_); !r) co_return r.error();
            if (!std::binary_search(listed.begin(), listed.end(), ref))
                unlinked_.push_back(
                    {.key = low, .value = ref, .kind = mutation_kind::link, .outcome = mutation_outcome::pending});
            if constexpr (std::is_same_v<Layout, inner>) {
                node.for_each_slot([&](std::size_t slot) { children_.push_back(node.payload(slot)); });
                if (ref == first) first_child_ = child_for(node, low);
            }
            ref = node.link();
        }
        co_return true;
    }

    Session& s_;
    Tree& tree_;
    See see_;
    scratch_lease memory_;
    word* image_;
    index_recovery report_;
    std::vector<node_ref> listed_;   ///< by the level above
    std::vector<node_ref> children_; ///< of the level at hand
    node_ref first_child_;
    node_ref dead_end_; ///< where the last walk ended too early
    retry from_top_;
    std::vector<link_type> unlinked_;
};

template <typename Leaf, typename Session, tree_of_nodes Tree, typename See>
[[nodiscard, gnu::noinline]] task<result<index_recovery>> heal(Session& s, Tree& tree, See see) {
    healer<Leaf, Session, Tree, See> h(s, tree, see);
    co_return co_await h.run();
}
template <typename Leaf, typename Session, tree_of_nodes Tree>
[[nodiscard, gnu::noinline]] task<result<index_recovery>> heal(Session& s, Tree& tree) {
    return heal<Leaf>(s, tree, [](node_ref, std::uint32_t) {});
}

} // namespace catena::detail
