// SPDX-License-Identifier: Apache-2.0
// round_base: what every attempt to apply mutations to the nodes of one level begins with: which node each belongs to, and
// the local locks of these nodes (index/detail/batch_write.hpp has the whole protocol).
// Thread safety: as the session.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/descent.hpp>
#include <catena/index/detail/tree_state.hpp>
#include <catena/index/mutation.hpp>
#include <catena/protocol/local_locks.hpp>

namespace catena::detail {

template <typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<bool>> grow_root(Session& s, Tree& tree, std::uint32_t level,
                                                          typename Tree::key_type separator, node_ref right);
/// What a round knows of one node.
template <typename Key>
struct round_group : lock_request {
    enum class stage : std::uint8_t {
        skipped, ///< not this round
        reading, ///< local lock held
        editing, ///< image valid, changes to publish
        locked,  ///< remote lock held
    };

    std::uint32_t first = 0; ///< its mutations: order_[first, last)
    std::uint32_t last = 0;
    stage at = stage::skipped;
    bool holds_local = false;
    bool splits = false;
    new_node right; ///< of a split
    word* right_image = nullptr;
    Key separator{};      ///< of a split, or of a sibling that lacks one
    node_ref unlinked;    ///< such a sibling
    bool handing = false; ///< the lock goes to the next local waiter

    [[nodiscard]] bool published() const noexcept { return at == stage::locked; }
};

/// Group: a round_group, and what else that kind of node needs.
template <typename Layout, typename Session, typename Tree, typename Group>
class round_base {
public:
    using key_type = typename Layout::key_type;
    using mutation_type = mutation<key_type, typename Layout::payload_type>;
    using view = view_of<Layout>;
    using group = Group;
    using stage = typename Group::stage;

    /// pending: which mutations to apply; probes: of all mutations, kept from round to round.
    round_base(Session& s, Tree& tree, std::uint32_t level, std::span<mutation_type> mutations,
               std::span<probe<key_type>> probes, std::span<std::uint32_t const> pending, scratch& memory)
        : s_(s), tree_(tree), level_(level), mutations_(mutations), probes_(probes), pending_(pending),
          memory_(&memory) {}

    /// What kept a mutation from being applied in this round.
    [[nodiscard]] obstacle<key_type> const& stuck() const noexcept { return stuck_; }
    /// The nodes of this round, as they are now.
    [[nodiscard]] std::span<group const> groups() const noexcept { return groups_; }
    [[nodiscard]] view image_of(group const& g) const noexcept { return view(g.image); }
    /// A key that the node covered.
    [[nodiscard]] key_type const& key_in(group const& g) const noexcept { return probes_[order_[g.first]].key; }
    /// What led to the node (descent.hpp).
    [[nodiscard]] node_ref parent_of(group const& g) const noexcept { return probes_[order_[g.first]].parent; }

protected:
    [[nodiscard]] bool erased_from(group const& g) const noexcept {
        return std::ranges::any_of(
            of(g), [this](std::uint32_t i) { return mutations_[i].outcome == mutation_outcome::erased; });
    }

    static constexpr bool internal = std::is_same_v<typename Layout::payload_type, node_ref>;

    /// Probes of pending mutations to their nodes. False: there is no such level yet.
    [[nodiscard, gnu::noinline]] task<result<bool>> route() {
        auto const wanted = memory_->template take<probe<key_type>>(pending_.size());
        for (std::size_t i = 0; i < pending_.size(); ++i) wanted[i] = probes_[pending_[i]];
        auto const found = co_await descend(s_, tree_, wanted, level_);
        if (!found) co_return found.error();
        if (!*found) { // only a link can ask for a level above the root
            auto& m = mutations_[pending_.front()];
            if constexpr (internal) {
                auto const grown = co_await grow_root(s_, tree_, level_, m.key, m.value);
                if (!grown) co_return grown.error();
                if (*grown) m.outcome = mutation_outcome::inserted;
            }
            co_return false;
        }
        for (std::size_t i = 0; i < pending_.size(); ++i) probes_[pending_[i]] = wanted[i];
        co_return true;
    }

    void group_by_node() {
        order_ = memory_->template take<std::uint32_t>(pending_.size());
        std::copy(pending_.begin(), pending_.end(), order_.begin());
        std::sort(order_.begin(), order_.end(), [&](std::uint32_t a, std::uint32_t b) {
            return probes_[a].at != probes_[b].at ? probes_[a].at < probes_[b].at : a < b;
        });
        std::size_t n = 0;
        for (std::size_t i = 0; i < order_.size(); ++i)
            n += i == 0 || probes_[order_[i]].at != probes_[order_[i - 1]].at;
        n = std::min(n, Tree::options::batch_nodes);
        groups_ = memory_->template take<group>(n);
        std::uint32_t i = 0;
        for (auto& g : groups_) {
            g.first = i;
            g.node = probes_[order_[i]].at;
            while (i < order_.size() && probes_[order_[i]].at == g.node) ++i;
            g.last = i;
            g.image = memory_->image(Layout::bytes);
        }
        in_force_ = memory_->template take<typename Layout::payload_type>(mutations_.size());
    }

    [[nodiscard, gnu::noinline]] task<result<void>> lock_locally() {
        auto& first = groups_.front();
        co_await tree_.locks.acquire(s_, first);
        if (!first.granted_or_why) co_return first.granted_or_why.error();
        for (auto& g : groups_) {
            g.holds_local = &g == &first || tree_.locks.try_acquire(g);
            if (g.holds_local) g.at = stage::reading;
        }
        co_return result<void>{};
    }

    /// The outcomes of this group are final: inserts learn what was there before them.
    void settle(group const& g) noexcept {
        for (auto const i : order_.subspan(g.first, g.last - g.first))
            if (mutations_[i].outcome == mutation_outcome::present) mutations_[i].value = in_force_[i];
    }

    void forget_outcomes(group& g) noexcept {
        for (auto i = g.first; i < g.last; ++i) mutations_[order_[i]].outcome = mutation_outcome::pending;
    }

    /// A split that does not happen: its right half was never reachable, and its block's next life has another name.
    [[nodiscard, gnu::noinline]] task<result<void>> drop_right(group& g) {
        if (!g.splits) co_return result<void>{};
        g.splits = false;
        g.unlinked = {};
        co_return co_await free_node(s_, tree_, g.right.memory);
    }

    void release(group& g, bool handed, std::size_t image_bytes) {
        if (!g.holds_local) return;
        g.holds_local = false;
        tree_.locks.release(g, handed, image_bytes);
    }

    /// Ends the local hold of a group whose round failed. Who waits behind it for what does not come (another client's lock, a
    /// memory node) need not wait again; full memory is no matter of theirs.
    void let_go(group& g, error why) {
        if (why.code == errc::out_of_memory) return release(g, false, 0);
        g.holds_local = false;
        tree_.locks.release_and_refuse(g, why);
    }

    /// Mends a node of ours that may be half published: a lock that names us while nobody holds the local one.
    /// key: one that it covers.
    [[nodiscard]] task<result<void>> mend_half_done(group const& g, key_type const& key) {
        return overcome<Layout>(s_, tree_,
                                {.node = g.node, .lock = lock_word(true, s_.pool().self.tag(), 0, 0), .key = key});
    }

    /// A writer got to the right sibling over `g`, whose image is whole. The second time in a row it is linked, in case its
    /// splitter died.
    void suspect(group& g) noexcept {
        auto const node = image_of(g);
        if (tree_.unlinked.exchange(node.link().bits(), std::memory_order_relaxed) != node.link().bits()) return;
        g.unlinked = node.link();
        g.separator = node.high();
    }

    /// The mutations of a group.
    [[nodiscard]] std::span<std::uint32_t const> of(group const& g) const noexcept {
        return order_.subspan(g.first, g.last - g.first);
    }

    Session& s_;
    Tree& tree_;
    std::uint32_t level_;
    std::span<mutation_type> mutations_;
    std::span<probe<key_type>> probes_;
    std::span<std::uint32_t const> pending_;
    scratch* memory_;
    std::span<std::uint32_t> order_; ///< pending mutations, those of one node together
    std::span<group> groups_;
    obstacle<key_type> stuck_;
    std::span<typename Layout::payload_type> in_force_; ///< of each mutation: what an insert found present
};

} // namespace catena::detail
