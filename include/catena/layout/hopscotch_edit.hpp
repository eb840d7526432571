// SPDX-License-Identifier: Apache-2.0
// hopscotch_edit: how a change alters the image of a hopscotch leaf, and in which order its words go to remote memory.
//
// Every step ends with emit(range): these words, as they are in the image now, are the next WRITE. Steps take effect in the
// order in which they are emitted; the words of one may land in any order, and its writer may die in the middle of it.
// At every moment (tests/layout/hopscotch_edit_test.cpp cuts everywhere): what a sealed quad says is right (H1 to H4 of
// hopscotch_leaf.hpp), and mend() makes a whole leaf of what a dead writer left, with every key that was there before, but for
// the one that was on its way in or out.
//   insert    one WRITE: control word to slot. Cut: the quad is not sealed, `recent` names the only slot in pieces.
//   cross     to another quad of its neighbourhood: 1. the new place, as an insert; 2. the old place's control word.
//   replace   a payload of one word: 1. the control word, which says that nothing is in pieces; 2. the payload. Cut: the old
//             value. (The other way round a control word that speaks of an earlier insert would have that one taken back.)
//   erase     the control word.
// Thread safety: pure functions over an image that the caller owns.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <catena/layout/hopscotch_leaf.hpp>

namespace catena {

template <typename View, typename Emit>
void hopscotch_insert(View const& leaf, std::size_t slot, typename View::key_type const& key,
                      typename View::payload_type const& payload, Emit emit) {
    using layout = typename View::layout;
    auto const q = slot / quad_word::slots, i = slot % quad_word::slots;
    leaf.set_entry(slot, key, payload);
    auto const w = leaf.quad(q);
    leaf.set_quad(q, w.with_occupancy(w.occupancy() | 1U << i).with_recent(i, true));
    leaf.seal(q);
    emit(word_range{layout::quad_at(q), layout::slot_at(slot) + layout::entry_words - layout::quad_at(q)});
}

template <typename View, typename Emit>
void hopscotch_erase(View const& leaf, std::size_t slot, Emit emit) {
    using layout = typename View::layout;
    auto const q = slot / quad_word::slots;
    auto const w = leaf.quad(q);
    leaf.set_quad(q, w.with_occupancy(w.occupancy() & ~(1U << slot % quad_word::slots)));
    leaf.seal(q);
    emit(word_range{layout::quad_at(q), 1});
}

/// For payloads of one word. Larger ones: a free slot of the neighbourhood, then erase.
template <typename View, typename Emit>
void hopscotch_replace(View const& leaf, std::size_t slot, typename View::payload_type const& payload, Emit emit) {
    using layout = typename View::layout;
    static_assert(layout::payload_words == 1, "a payload of several words could be cut in pieces");
    auto const q = slot / quad_word::slots;
    store_words(leaf.image() + layout::payload_at(slot), payload);
    leaf.set_quad(q, leaf.quad(q).with_recent(slot % quad_word::slots, false));
    leaf.seal(q);
    emit(word_range{layout::quad_at(q), 1});
    emit(word_range{layout::payload_at(slot), 1});
}

/// A key on its way from one quad of its neighbourhood to the other.
struct crossing {
    std::size_t from = 0; ///< slots
    std::size_t to = 0;
};

/// H2: the border is counted on the side of arrival first.
template <typename View, typename Emit>
void hopscotch_cross(View const& leaf, crossing const& c, Emit emit) {
    using layout = typename View::layout;
    auto const from = c.from / quad_word::slots, to = c.to / quad_word::slots;
    bool const rightwards = to == layout::next(from);
    leaf.set_quad(to, rightwards ? leaf.quad(to).crossed_left() : leaf.quad(to).crossed_right());
    hopscotch_insert(leaf, c.to, leaf.key(c.from), leaf.payload(c.from), emit);
    leaf.set_quad(from, rightwards ? leaf.quad(from).crossed_right() : leaf.quad(from).crossed_left());
    hopscotch_erase(leaf, c.from, emit);
}

/// How a key of some home finds a slot: keys that make room for each other first, the last one of them first.
template <typename Layout>
struct hopscotch_room {
    std::size_t slot = Layout::no_slot; ///< free after the crossings; no_slot: the leaf must split
    std::array<crossing, Layout::quads> crossings{};
    std::size_t count = 0;
};

/// The fewest crossings that free a slot in the neighbourhood of `home`: a search in breadth over quads, so it finds room
/// wherever any order of moves would (that is a matching of keys to slots, and this an augmenting path).
/// Needs the image of the whole leaf, unless there is a free slot in the neighbourhood.
template <typename View>
[[nodiscard]] hopscotch_room<typename View::layout> make_room(View const& leaf, std::size_t home) {
    using layout = typename View::layout;
    constexpr auto none = layout::no_slot;
    std::array<std::size_t, layout::quads>
        leaver; // of a quad: the key that would leave the quad before it on the way here
    std::array<bool, layout::quads> seen{};
    std::array<std::size_t, layout::quads> line{home, layout::next(home)};
    leaver.fill(none);
    seen[home] = seen[layout::next(home)] = true;
    std::size_t in_line = 2;
    hopscotch_room<layout> room;
    for (std::size_t turn = 0; turn < in_line; ++turn) {
        auto const q = line[turn];
        if (auto const free = leaf.quad(q).free_slots(); free != 0) {
            auto to = q * quad_word::slots + static_cast<std::size_t>(std::countr_zero(free));
            for (auto from = leaver[q]; from != none; to = from, from = leaver[from / quad_word::slots])
                room.crossings[room.count++] = {.from = from, .to = to};
            room.slot = to;
            return room;
        }
        for (auto slot = q * quad_word::slots; slot < (q + 1) * quad_word::slots; ++slot) {
            auto const at_home = layout::home_of(leaf.key(slot)) == q;
            auto const other = at_home ? layout::next(q) : layout::before(q);
            if (seen[other]) continue;
            seen[other] = true;
            leaver[other] = slot;
            line[in_line++] = other;
        }
    }
    return room;
}

/// Makes a whole leaf of what a writer left that died; nobody else writes. Returns the quads that changed, bit by bit.
template <typename View>
[[nodiscard]] word hopscotch_mend(View const& leaf) {
    using layout = typename View::layout;
    word changed = 0;
    for (std::size_t q = 0; q < layout::quads; ++q) {
        if (leaf.sealed(q, layout::fence_of(q))) continue;
        auto const w = leaf.quad(q);
        if (w.inserts()) leaf.set_quad(q, w.with_occupancy(w.occupancy() & ~(1U << w.recent())));
        changed |= word{1} << q;
    }
    for (std::size_t q = 0; q < layout::quads; ++q) {
        auto const behind = layout::next(q);
        if (leaf.quad(q).right_epoch() == leaf.quad(behind).left_epoch()) continue;
        for (auto slot = q * quad_word::slots; slot < (q + 1) * quad_word::slots;
             ++slot) { // a copy that did not go (H4)
            if (!leaf.occupied(slot)) continue;
            for (auto twin = behind * quad_word::slots; twin < (behind + 1) * quad_word::slots; ++twin)
                if (leaf.occupied(twin) && leaf.key(twin) == leaf.key(slot)) {
                    auto const w = leaf.quad(q);
                    leaf.set_quad(q, w.with_occupancy(w.occupancy() & ~(1U << slot % quad_word::slots)));
                }
        }
        // Whichever side is ahead: it counted a crossing of which the other one knows nothing yet.
        bool const ahead = leaf.quad(q).crossed_right().right_epoch() != leaf.quad(behind).left_epoch();
        if (ahead) {
            leaf.set_quad(behind, leaf.quad(behind).crossed_left());
            changed |= word{1} << behind;
        } else {
            leaf.set_quad(q, leaf.quad(q).crossed_right());
        }
        changed |= word{1} << q;
    }
    for (word rest = changed; rest != 0; rest &= rest - 1) leaf.seal(static_cast<std::size_t>(std::countr_zero(rest)));
    return changed;
}

} // namespace catena
