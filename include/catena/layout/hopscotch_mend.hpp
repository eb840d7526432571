// SPDX-License-Identifier: Apache-2.0
// hopscotch_mend: makes a whole leaf of what a writer left that died (layout/hopscotch_edit.hpp has the order of its steps).
//
// At most one WRITE is in pieces: a ring, or one step on one quad. The fence is told by the leaf that `link` names, which is
// whole in one word.
//   another ring   A quad that is one ring ahead of the link: the link did not land, the occupancy from before is right.
//                  Behind it: the link landed, this control word did not; what has to go is not below the fence.
//   in pieces      A quad of the link's ring that is not sealed under that fence. A key was to overwrite another one that had
//                  gone to a neighbour, and the control word is the old one: with the copy of the neighbour in the right slot
//                  it fits. Else the control word is new: the slot of an insert is emptied, a payload of one word is one or
//                  the other, a larger one is done again.
//   borders        A key that is on both sides of one that differs has crossed but for leaving; then the side behind counts on.
// Mending again, also what a dead mender left of it, leads to the same.
// Thread safety: pure functions over an image that the caller owns.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <catena/layout/hopscotch_leaf.hpp>

namespace catena {

template <typename View>
class hopscotch_mender {
public:
    using layout = typename View::layout;
    using key_type = typename View::key_type;

    /// high: the fence as the right neighbour tells it; none: there is no neighbour.
    hopscotch_mender(View leaf, std::optional<key_type> const& high) : leaf_(leaf), high_(high) {
        if (high) store_words(fence_.data(), *high);
    }

    /// The image is not sealed then.
    void run() {
        take_rings_back();
        for (std::size_t q = 0; q < layout::quads; ++q)
            if (!whole_[q]) put_together(q);
        for (std::size_t q = 0; q < layout::quads; ++q) close_border(q);
        auto meta = leaf_.meta();
        meta.dead = false;
        meta.unbounded = !high_.has_value();
        leaf_.set_meta(meta);
        if (high_) leaf_.set_high(*high_);
        leaf_.for_each_slot([&](std::size_t slot) {
            auto const key = leaf_.key(slot);
            if (key < leaf_.low() || (high_ && !(key < *high_))) leaf_.set_occupied(slot, false);
        });
        for (std::size_t q = 0; q < layout::quads; ++q) leaf_.set_quad(q, leaf_.quad(q).with_ring(leaf_.ring()));
    }

private:
    [[nodiscard]] bool sealed(std::size_t q) const { return leaf_.quad(q).seal() == leaf_.seal_of(q, fence_.data()); }

    void take_rings_back() {
        auto const ahead = (leaf_.ring() + 1) & quad_word::ring_mask;
        for (std::size_t q = 0; q < layout::quads; ++q) {
            auto const w = leaf_.quad(q);
            whole_[q] = w.ring() != leaf_.ring() || sealed(q);
            if (w.ring() == ahead) leaf_.set_quad(q, w.with_occupancy(w.before()));
        }
    }

    void put_together(std::size_t q) {
        auto const w = leaf_.quad(q);
        for (auto const neighbour : {layout::before(q), layout::next(q)})
            if (whole_[neighbour] && leaf_.quad(neighbour).inserts() && overwritten(q, neighbour)) return;
        auto const slot = q * quad_word::slots + w.recent();
        if (w.inserts()) {
            leaf_.set_occupied(slot, false);
        } else if constexpr (layout::payload_words > 1) {
            std::copy_n(leaf_.image() + layout::redo_at + layout::key_words, layout::payload_words,
                        leaf_.image() + layout::payload_at(slot));
            if (!sealed(q)) leaf_.set_occupied(slot, false); // damage: nobody knows its payload
        }
    }

    /// Is a slot of `q` in pieces whose key went to the neighbour last? Then it is emptied.
    [[nodiscard]] bool overwritten(std::size_t q, std::size_t neighbour) {
        auto const copy = neighbour * quad_word::slots + leaf_.quad(neighbour).recent();
        for (auto slot = q * quad_word::slots; slot < (q + 1) * quad_word::slots; ++slot) {
            if (!leaf_.occupied(slot)) continue;
            std::array<word, layout::entry_words> pieces;
            std::copy_n(leaf_.image() + layout::slot_at(slot), layout::entry_words, pieces.data());
            std::copy_n(leaf_.image() + layout::slot_at(copy), layout::entry_words,
                        leaf_.image() + layout::slot_at(slot));
            if (sealed(q)) {
                leaf_.set_occupied(slot, false);
                return true;
            }
            std::copy_n(pieces.data(), layout::entry_words, leaf_.image() + layout::slot_at(slot));
        }
        return false;
    }

    /// Between `q` and the quad behind it.
    void close_border(std::size_t q) {
        auto const behind = layout::next(q);
        if (leaf_.quad(q).right_epoch() == leaf_.quad(behind).left_epoch()) return;
        for (auto slot = q * quad_word::slots; slot < (q + 1) * quad_word::slots; ++slot)
            for (auto twin = behind * quad_word::slots; twin < (behind + 1) * quad_word::slots; ++twin)
                if (leaf_.occupied(slot) && leaf_.occupied(twin) && leaf_.key(twin) == leaf_.key(slot))
                    leaf_.set_occupied(slot, false);
        bool const ahead = leaf_.quad(q).crossed_right().right_epoch() != leaf_.quad(behind).left_epoch();
        if (ahead)
            leaf_.set_quad(behind, leaf_.quad(behind).crossed_left());
        else
            leaf_.set_quad(q, leaf_.quad(q).crossed_right());
    }

    View leaf_;
    std::optional<key_type> high_;
    std::array<word, layout::key_words> fence_{};
    std::array<bool, layout::quads> whole_{};
};

/// Takes what `leaf` holds for what a dead writer left, and makes it whole; not sealed.
template <typename View>
void hopscotch_mend(View const& leaf, std::optional<typename View::key_type> const& high) {
    hopscotch_mender<View> m(leaf, high);
    m.run();
}

} // namespace catena
