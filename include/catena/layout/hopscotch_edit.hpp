// SPDX-License-Identifier: Apache-2.0
// hopscotch_edit: how a change alters the image of a hopscotch leaf, and in which order its words go to remote memory.
//
// Every step ends with emit(range): these words, as they are in the image now, are the next WRITE. Steps take effect in the
// order in which they are emitted; the words of one may land in any order, and its writer may die in the middle of it.
// At every moment (tests/layout/hopscotch_edit_test.cpp cuts everywhere): what a sealed quad says is right (H1 to H4 of
// hopscotch_leaf.hpp), and layout/hopscotch_mend.hpp makes a whole leaf of what a dead writer left, with every key that was
// there before, but for the one that was on its way in or out.
//   insert    one WRITE: control word to slot. Cut: the quad is not sealed, `recent` names the only slot in pieces.
//   push      keys make way, the last one of a chain first: each moves to the slot that the one before it left, by the same
//             WRITE as an insert. Cut: its old copy is whole. The slot that it goes to held a key whose new copy is whole;
//             if the control word is the old one still, it is found by trying that copy in each slot.
//   replace   a payload of one word: 1. the control word, which says that nothing is in pieces; 2. the payload. Cut: either
//             value. (The other way round a control word that speaks of an earlier insert would have that one taken back.)
//             A larger payload: 0. the whole entry goes to the leaf's redo words. Cut: it is taken from there.
//   erase     the control word.
//   ring      fence and link of a split or merge, and all control words, in one WRITE: the link decides. Each control word
//             has the occupancy from before, for the case that the link did not land. No slot changes.
// Thread safety: pure functions over an image that the caller owns.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <catena/layout/hopscotch_leaf.hpp>

namespace catena {

/// How a key of some home finds a slot: keys that make way for each other first, the last one of them first.
template <typename Layout>
struct hopscotch_room {
    struct move {
        std::size_t from = 0; ///< slots
        std::size_t to = 0;
    };
    std::size_t slot = Layout::no_slot; ///< free, or left by the last move; no_slot: the leaf must split
    std::array<move, Layout::quads> moves{};
    std::size_t count = 0;
};

/// All quads, bit by bit.
template <typename Layout>
inline constexpr word all_quads = Layout::quads == 64 ? ~word{0} : (word{1} << Layout::quads) - 1;

/// The fewest moves that free a slot in the neighbourhood of `home`: a search in breadth over quads, so it finds room wherever
/// any order of at most `most` moves would (a matching of keys to slots, and this an augmenting path).
/// known: the quads that the image has; no others are looked at. Of two free places in the neighbourhood the emptier quad is
/// taken, and where that is known the quad beyond counts, too: its keys may have to make way one day.
template <typename View>
[[nodiscard]] hopscotch_room<typename View::layout> make_room(View const& leaf, std::size_t home, std::size_t most,
                                                              word known = all_quads<typename View::layout>) {
    using layout = typename View::layout;
    constexpr auto none = layout::no_slot;
    auto const is_known = [&](std::size_t q) { return (known >> q & 1U) != 0; };
    auto const free_in = [&](std::size_t q) { return std::popcount(leaf.quad(q).free_slots()); };
    std::array<std::size_t, layout::quads> leaver; // of a quad: the key that would come to it on the way here
    std::array<std::size_t, layout::quads> moves{};
    std::array<bool, layout::quads> seen{};
    std::array<std::size_t, layout::quads> line{home, layout::next(home)};
    auto const beyond = std::array{layout::before(line[0]), layout::next(line[1])};
    auto const pull = [&](std::size_t i) {
        bool const both = is_known(beyond[0]) && is_known(beyond[1]);
        auto const here = free_in(line[i]);
        return here == 0 ? 0 : 10 * here + (both ? 3 * free_in(beyond[i]) : 0);
    };
    if (pull(0) < pull(1)) std::swap(line[0], line[1]);
    leaver.fill(none);
    seen[line[0]] = seen[line[1]] = true;
    std::size_t in_line = 2;
    hopscotch_room<layout> room;
    for (std::size_t turn = 0; turn < in_line; ++turn) {
        auto const q = line[turn];
        if (auto const free = leaf.quad(q).free_slots(); free != 0) {
            auto to = q * quad_word::slots + static_cast<std::size_t>(std::countr_zero(free));
            for (auto from = leaver[q]; from != none; to = from, from = leaver[from / quad_word::slots])
                room.moves[room.count++] = {.from = from, .to = to};
            room.slot = to;
            return room;
        }
        if (moves[q] == most) continue;
        for (auto slot = q * quad_word::slots; slot < (q + 1) * quad_word::slots; ++slot) {
            auto const at_home = layout::home_of(leaf.key(slot)) == q;
            auto const other = at_home ? layout::next(q) : layout::before(q);
            if (seen[other] || !is_known(other)) continue;
            seen[other] = true;
            leaver[other] = slot;
            moves[other] = moves[q] + 1;
            line[in_line++] = other;
        }
    }
    return room;
}

namespace detail {

/// One more key crossed the border between `quad` and its neighbour `other`: on this side.
template <typename View>
void count_crossing(View const& leaf, std::size_t quad, std::size_t other) noexcept {
    auto const w = leaf.quad(quad);
    leaf.set_quad(quad, other == View::layout::next(quad) ? w.crossed_right() : w.crossed_left());
}

template <typename View, typename Emit>
void put_entry(View const& leaf, std::size_t slot, typename View::key_type const& key,
               typename View::payload_type const& payload, Emit emit) {
    using layout = typename View::layout;
    auto const q = slot / quad_word::slots, i = slot % quad_word::slots;
    leaf.set_entry(slot, key, payload);
    auto const w = leaf.quad(q);
    leaf.set_quad(q, w.with_occupancy(w.occupancy() | 1U << i).with_recent(i, true));
    leaf.seal(q);
    emit(word_range{layout::quad_at(q), layout::slot_at(slot) + layout::entry_words - layout::quad_at(q)});
}

} // namespace detail

/// H2: each side counts a crossing with the control word with which the key comes to it, or is overwritten there.
template <typename View, typename Emit>
void hopscotch_insert(View const& leaf, hopscotch_room<typename View::layout> const& room,
                      typename View::key_type const& key, typename View::payload_type const& payload, Emit emit) {
    constexpr auto none = View::layout::quads;
    auto went_to = none; // where the key went whose slot is next
    for (std::size_t i = 0; i < room.count; ++i) {
        auto const& m = room.moves[i];
        auto const here = m.to / quad_word::slots;
        if (went_to != none) detail::count_crossing(leaf, here, went_to);
        detail::count_crossing(leaf, here, m.from / quad_word::slots);
        detail::put_entry(leaf, m.to, leaf.key(m.from), leaf.payload(m.from), emit);
        went_to = here;
    }
    if (went_to != none) detail::count_crossing(leaf, room.slot / quad_word::slots, went_to);
    detail::put_entry(leaf, room.slot, key, payload, emit);
}

template <typename View, typename Emit>
void hopscotch_erase(View const& leaf, std::size_t slot, Emit emit) {
    auto const q = slot / quad_word::slots;
    leaf.set_occupied(slot, false);
    leaf.seal(q);
    emit(word_range{View::layout::quad_at(q), 1});
}

template <typename View, typename Emit>
void hopscotch_replace(View const& leaf, std::size_t slot, typename View::payload_type const& payload, Emit emit) {
    using layout = typename View::layout;
    auto const q = slot / quad_word::slots;
    if constexpr (layout::payload_words > 1) {
        store_words(leaf.image() + layout::redo_at, leaf.key(slot));
        store_words(leaf.image() + layout::redo_at + layout::key_words, payload);
        emit(word_range{layout::redo_at, layout::entry_words});
    }
    store_words(leaf.image() + layout::payload_at(slot), payload);
    leaf.set_quad(q, leaf.quad(q).with_recent(slot % quad_word::slots, false));
    leaf.seal(q);
    emit(word_range{layout::quad_at(q), 1});
    emit(word_range{layout::payload_at(slot), layout::payload_words});
}

/// Lets the keys from `separator` on go to `right`, which `right_ref` will name: a leaf that has them in the same slots. Left
/// is a new ring; neither image is sealed.
template <typename View>
void hopscotch_split(View const& left, View const& right, node_ref right_ref, std::uint32_t right_incarnation,
                     typename View::key_type const& separator) noexcept {
    using layout = typename View::layout;
    auto meta = left.meta();
    std::copy_n(left.image(), layout::words, right.image());
    right.image()[layout::maker_at] = 0;
    meta.incarnation = right_incarnation;
    right.set_meta(meta);
    right.set_low(separator);
    left.begin_ring();
    for (std::size_t q = 0; q < layout::quads; ++q) right.set_quad(q, right.quad(q).with_ring(right.ring()));
    left.for_each_slot(
        [&](std::size_t slot) { (left.key(slot) < separator ? right : left).set_occupied(slot, false); });
    meta = left.meta();
    meta.unbounded = false;
    left.set_meta(meta);
    left.set_link(right_ref);
    left.set_high(separator);
}

/// Takes all entries of the right neighbour, with its fence and link. False: they do not fit; the image is spoilt.
/// Left is a new ring, not sealed, that follows the emitted steps.
template <typename View, typename Emit>
[[nodiscard]] bool hopscotch_absorb(View const& left, View const& right, Emit emit) {
    using layout = typename View::layout;
    bool fits = true;
    right.for_each_slot([&](std::size_t slot) {
        if (!fits) return;
        auto const room = make_room(left, layout::home_of(right.key(slot)), layout::quads);
        fits = room.slot != layout::no_slot;
        if (fits) hopscotch_insert(left, room, right.key(slot), right.payload(slot), emit);
    });
    if (!fits) return false;
    left.begin_ring();
    auto meta = left.meta();
    meta.unbounded = right.meta().unbounded;
    left.set_meta(meta);
    left.set_link(right.link());
    left.set_high(right.high());
    return true;
}

} // namespace catena
