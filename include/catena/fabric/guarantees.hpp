// SPDX-License-Identifier: Apache-2.0
// Named guarantees of a fabric. Each fabric says which it gives; a protocol names those it needs (design: layers below
// promise, layers above check at attach, nobody assumes).
#pragma once

namespace catena {

/// atomic_words   an aligned 8-byte word never tears; CAS and FAA are atomic against CAS and FAA of the same memory
///                node (not against its CPU, and not against WRITEs)
/// ordered_batch  operations of one batch to one memory node take effect in posted order, but for a READ, which a later
///                WRITE or atomic may overtake unless that one is fenced
/// atomic_lines   an aligned 64-byte line never tears. No protocol of ours needs it.
/// Nothing else: a READ or WRITE longer than a word may tear at every word, in any order.
struct fabric_guarantees {
    bool atomic_words = false;
    bool ordered_batch = false;
    bool atomic_lines = false;

    /// Does a fabric that gives `this` serve a protocol that needs `needed`?
    [[nodiscard]] constexpr bool cover(fabric_guarantees const& needed) const noexcept {
        return (atomic_words || !needed.atomic_words) && (ordered_batch || !needed.ordered_batch) &&
               (atomic_lines || !needed.atomic_lines);
    }
};

} // namespace catena
