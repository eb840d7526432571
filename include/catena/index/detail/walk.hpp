// SPDX-License-Identifier: Apache-2.0
// walk: over all nodes of a tree, level by level from left to right, to verify it.
// Thread safety: as the session. Set-up path: allocates, explains in words.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/descent.hpp>
#include <catena/index/detail/node_edit.hpp>
#include <catena/index/index.hpp>

namespace catena::detail {

/// What is wrong with the slots of a node as such, in words; empty: nothing.
template <typename Layout>
[[nodiscard]] std::string slots_in_disorder(node_view<Layout> const& node) {
    if ((node.occupancy() & ~Layout::all_slots) != 0) return "occupies slots that it does not have";
    if (node.count() > Layout::capacity) return "has no free slot";
    return {};
}
template <typename Layout>
[[nodiscard]] std::string slots_in_disorder(hopscotch_view<Layout> const& leaf) {
    std::string wrong;
    leaf.for_each_slot([&](std::size_t slot) {
        auto const home = Layout::home_of(leaf.key(slot)), quad = slot / quad_word::slots;
        if (quad != home && quad != Layout::next(home)) wrong = "holds a key outside its neighbourhood";
    });
    return wrong;
}

/// Checks one level after the other. What a level lists as children must be what the level below consists of.
template <typename Key>
class verifier {
public:
    struct expected_child {
        Key low;
        node_ref ref;
    };

    explicit verifier(index_check& report) : report_(report) {}

    void complain(node_ref ref, std::string const& what) {
        if (report_.violations.size() == index_check::max_violations) return;
        report_.violations.push_back("level " + std::to_string(ref.level()) + ", node " +
                                     std::to_string(ref.at().node()) + ":" + std::to_string(ref.at().offset()) + ": " +
                                     what);
    }

    /// What is locked may be half written: whoever takes over the lock of a dead owner makes it whole.
    template <typename View>
    void note_seal_and_lock(View const& node, node_ref ref) {
        if (node.lock().locked())
            ++report_.locked;
        else if (!node.sealed())
            complain(ref, "its seal does not match its contents");
    }

    /// The first node of a level must begin where all keys begin.
    void begin_level(std::vector<expected_child> children) {
        expected_ = std::move(children);
        next_expected_ = 0;
        low_ = lowest_key<Key>::value();
        children_.clear();
    }

    template <typename View>
    void visit(View const& node, node_ref ref, std::uint16_t tag) {
        ++report_.nodes;
        auto const meta = node.meta();
        note_seal_and_lock(node, ref);
        if (meta.dead) complain(ref, "is dead but still linked");
        if (meta.level != ref.level() || meta.index_tag != tag ||
            (meta.incarnation & node_ref::incarnation_mask) != ref.incarnation())
            complain(ref, "is not the node that the reference means");
        if (node.low() != low_) complain(ref, "its low fence is not the high fence of its left neighbour");
        if (!meta.unbounded && !(node.low() < node.high())) complain(ref, "its fences are not in order");
        if (meta.unbounded != !node.link()) complain(ref, "only the rightmost node may lack a high fence and a link");
        if (auto const wrong = slots_in_disorder(node); !wrong.empty()) complain(ref, wrong);
        check_expected(ref);
        slot_order<typename View::layout> order;
        auto const n = sorted_slots(node, std::span(order));
        for (std::size_t i = 0; i < n; ++i) {
            auto const key = node.key(order[i]);
            if (cover(node, key) != catena::visit::here) complain(ref, "holds a key outside its fences");
            if (i > 0 && !(node.key(order[i - 1]) < key)) complain(ref, "holds a key twice");
            if constexpr (std::is_same_v<typename View::payload_type, node_ref>)
                children_.push_back({.low = key, .ref = node.payload(order[i])});
        }
        if constexpr (std::is_same_v<typename View::payload_type, node_ref>) {
            if (n == 0)
                complain(ref, "is an internal node without children");
            else if (node.key(order[0]) != node.low())
                complain(ref, "has no child at its low fence");
        } else {
            report_.entries += n;
        }
        low_ = node.high();
    }

    void end_level(node_ref last) {
        if (next_expected_ < expected_.size())
            complain(last,
                     std::to_string(expected_.size() - next_expected_) + " children of the level above do not exist");
    }

    [[nodiscard]] std::vector<expected_child> take_children() { return std::exchange(children_, {}); }

private:
    // The nodes of a level in order: each is the next one that the level above lists, or is not listed (yet).
    void check_expected(node_ref ref) {
        if (expected_.empty()) return; // the root's level
        if (next_expected_ == expected_.size() || expected_[next_expected_].ref != ref) {
            ++report_.unlinked;
            return;
        }
        if (expected_[next_expected_].low != low_) complain(ref, "its separator in the parent is not its low fence");
        ++next_expected_;
    }

    index_check& report_;
    std::vector<expected_child> expected_;
    std::size_t next_expected_ = 0;
    std::vector<expected_child> children_;
    Key low_{};
};

/// Reads a node into `image`, again if it is torn; after its patience returns what there is.
template <typename View, typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> read_whole(Session& s, View const& node, node_ref ref) {
    retry again;
    for (;;) {
        op read = op::read(ref.at(), node.image(), View::layout::bytes);
        if (auto const r = co_await s.submit(read); !r) co_return r.error();
        if (node.sealed()) co_return result<void>{};
        if (auto const r = co_await again.wait(s); !r) co_return result<void>{}; // the caller looks at the seal
    }
}

template <typename Layout, typename Session, typename Visit>
[[nodiscard, gnu::noinline]] task<result<node_ref>> walk_level(Session& s, node_ref first, Visit visit_node) {
    scratch_lease const memory(s.scratches());
    view_of<Layout> const node(memory->image(Layout::bytes));
    auto const most = s.pool().geometry.node_bytes * s.pool().geometry.node_count / Layout::bytes;
    auto last = first;
    std::uint64_t seen = 0;
    for (auto ref = first; ref; ref = node.link()) {
        if (++seen > most || ref.level() != first.level()) co_return make_error(errc::corrupt); // links run in a circle
        if (auto const r = co_await read_whole(s, node, ref); !r) co_return r.error();
        visit_node(node, ref);
        last = ref;
        if (!node.sealed()) break; // its link cannot be trusted
    }
    co_return last;
}

template <typename Leaf, typename Session, tree_of_nodes Tree>
[[nodiscard, gnu::noinline]] task<result<index_check>> check(Session& s, Tree& tree) {
    using key_type = typename Tree::key_type;
    index_check report;
    verifier<key_type> checks(report);
    auto const root = co_await refresh_root(s, tree);
    if (!root) co_return root.error();
    report.height = root->level() + 1;
    auto const tag = tree.handle.tag();
    auto const check = [&](auto const& node, node_ref ref) { checks.visit(node, ref, tag); };
    auto first = *root;
    checks.begin_level({});
    for (auto level = root->level(); level > 0; --level) {
        auto const last = co_await walk_level<typename Tree::inner>(s, first, check);
        if (!last) co_return last.error();
        checks.end_level(*last);
        auto children = checks.take_children();
        if (children.empty()) co_return report; // said already
        first = children.front().ref;
        checks.begin_level(std::move(children));
    }
    auto const last = co_await walk_level<Leaf>(s, first, check);
    if (!last) co_return last.error();
    checks.end_level(*last);
    report.remote_bytes = report.nodes * Tree::options::node_bytes;
    co_return report;
}

} // namespace catena::detail
