// SPDX-License-Identifier: Apache-2.0
// node_edit: how entries change inside node images. Pure: no I/O, tested by itself.
// Thread safety: pure functions over images that the caller owns.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <catena/index/mutation.hpp>
#include <catena/layout/node.hpp>
#include <catena/protocol/node_io.hpp>

namespace catena::detail {

template <typename Payload>
[[nodiscard]] bool same_bytes(Payload const& a, Payload const& b) noexcept {
    std::array<word, words_of<Payload>> x;
    std::array<word, words_of<Payload>> y;
    store_words(x.data(), a);
    store_words(y.data(), b);
    return x == y;
}

/// Applies `m` to the image and notes what changed. free_before: slots that are free in remote memory; only they may be
/// written (N2). False: there is no room; nothing was changed.
/// in_force: receives the value that an insert found present. It does not go into `m` yet: if the node cannot be locked the
/// insert is tried again, with its own value.
template <typename View>
[[nodiscard]] bool edit(View const& node, word free_before, node_changes& changes,
                        mutation<typename View::key_type, typename View::payload_type>& m,
                        typename View::payload_type& in_force) noexcept {
    using layout = typename View::layout;
    auto const put = [&](word slots_to_choose_from) {
        auto const slot = static_cast<std::size_t>(std::countr_zero(slots_to_choose_from));
        node.set_entry(slot, m.key, m.value);
        node.set_occupancy(node.occupancy() | word{1} << slot);
        changes.slots |= word{1} << slot;
        changes.occupancy = true;
    };
    auto const take = [&](std::size_t slot) {
        node.set_occupancy(node.occupancy() & ~(word{1} << slot));
        changes.occupancy = true;
    };
    auto const slot = node.find(m.key);
    bool const found = slot != layout::slots;
    word const writable = free_before & node.free_slots();
    switch (m.kind) {
    case mutation_kind::insert:
        if (found) {
            in_force = node.payload(slot);
            m.outcome = mutation_outcome::present;
            return true;
        }
        break;
    case mutation_kind::upsert:
    case mutation_kind::link:
    case mutation_kind::link_held:
        if (!found) break;
        if (same_bytes(node.payload(slot), m.value)) {
            // nothing to write: the state after this upsert is the state that was read
        } else if constexpr (layout::payload_words == 1) {
            node.set_payload(slot, m.value);
            changes.payloads |= word{1} << slot;
        } else {
            if (writable == 0) return false;
            take(slot);
            put(writable);
        }
        m.outcome = mutation_outcome::replaced;
        return true;
    case mutation_kind::erase:
    case mutation_kind::erase_if:
        if (!found) {
            m.outcome = mutation_outcome::absent;
        } else if (m.kind != mutation_kind::erase && !same_bytes(node.payload(slot), m.value)) {
            m.outcome = mutation_outcome::differs;
        } else {
            take(slot);
            m.outcome = mutation_outcome::erased;
        }
        return true;
    }
    if (writable == 0 || node.count() >= layout::capacity) return false;
    put(writable);
    m.outcome = mutation_outcome::inserted;
    return true;
}

/// Where the upper part of a full node begins: the middle; near the end where keys arrive in ascending order, so that
/// such a tree is left nine tenths full and not half.
template <typename View>
[[nodiscard]] std::size_t split_point(View const& node, std::span<std::uint8_t const> sorted,
                                      typename View::key_type const& arriving) noexcept {
    auto const n = sorted.size();
    bool const ascending = node.meta().unbounded && node.key(sorted.back()) < arriving;
    return ascending ? n - std::max<std::size_t>(1, n / 10) : n / 2;
}

/// Moves the upper part of `left` to the empty image `right`, which `right_ref` will name. Entries that stay keep their
/// slots. Neither image is sealed. Returns the separator.
template <typename View>
typename View::key_type split(View const& left, View const& right, node_ref right_ref, std::uint32_t right_incarnation,
                              typename View::key_type const& arriving) noexcept {
    slot_order<typename View::layout> order;
    auto const n = sorted_slots(left, std::span(order));
    auto const middle = split_point(left, std::span<std::uint8_t const>(order.data(), n), arriving);
    auto const separator = left.key(order[middle]);
    auto meta = left.meta();
    right.format(meta.level, meta.index_tag, right_incarnation);
    auto right_meta = right.meta();
    right_meta.unbounded = meta.unbounded;
    right.set_meta(right_meta);
    right.set_link(left.link());
    right.set_low(separator);
    if (!meta.unbounded) right.set_high(left.high());
    word moved = 0;
    for (std::size_t i = middle; i < n; ++i) {
        right.set_entry(i - middle, left.key(order[i]), left.payload(order[i]));
        moved |= word{1} << order[i];
    }
    right.set_occupancy((word{1} << (n - middle)) - 1);
    left.set_occupancy(left.occupancy() & ~moved);
    meta.unbounded = false;
    left.set_meta(meta);
    left.set_link(right_ref);
    left.set_high(separator);
    return separator;
}

/// Takes all entries of the right neighbour into free slots of `left`, with its fence and link. Both must fit.
template <typename View>
void absorb(View const& left, View const& right, node_changes& changes) noexcept {
    right.for_each_slot([&](std::size_t from) {
        auto const to = static_cast<std::size_t>(std::countr_zero(left.free_slots()));
        left.set_entry(to, right.key(from), right.payload(from));
        left.set_occupancy(left.occupancy() | word{1} << to);
        changes.slots |= word{1} << to;
    });
    auto meta = left.meta();
    meta.unbounded = right.meta().unbounded;
    left.set_meta(meta);
    left.set_link(right.link());
    left.set_high(right.high());
    changes.occupancy = changes.fences = changes.gains = true;
}

/// The child of a sealed internal node that covers `key`.
template <typename View>
[[nodiscard]] node_ref child_for(View const& node, typename View::key_type const& key) noexcept {
    auto best = View::layout::slots;
    node.for_each_slot([&](std::size_t slot) {
        if (key < node.key(slot)) return;
        if (best == View::layout::slots || node.key(best) < node.key(slot)) best = slot;
    });
    return best == View::layout::slots ? node_ref{} : node.payload(best);
}

} // namespace catena::detail
