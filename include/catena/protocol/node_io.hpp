// SPDX-License-Identifier: Apache-2.0
// node_io: how a node is read, locked and published. The protocol that every tree shares.
//
// Actors     R reader.  W writer of a node.  T writer waiting for the same node.
// Read       R1 READ the whole node.  R takes the image only if it is sealed (N1): then it is a state that the node had
//            at the moment when its lock word was read or was last written before. A locked word still carries the seal
//            of the state before, so a lock held up front disturbs nobody. What does not fit is read again.
// Write      W1 READ, sealed and free.  W2 CAS lock word: the word read -> held. Success proves that the node still is
//            what W1 saw, since the word holds version and seal. If the last writer was another client: READ occupancy in
//            the same batch, after the CAS; if it is not what W1 saw, the lock is given back (see Stragglers).  W3 WRITE payload words, free slots, link and fences
//            (ranges);  W4 WRITE lock word (and occupancy, beside it) with the next version and seal.
//            W3 and W4 are one ordered batch. 3 round trips, 4 verbs for one entry.
// Takes effect  when the lock word of W4 lands: before that no image with any of W's words is sealed, save the one that
//            W2 proved. Lock word and occupancy may land in either order: a lock word whose occupancy is missing does
//            not fit its seal, so neither R nor T uses it.
// Stragglers That occupancy may land when the next writer has the lock already, over what it writes, if its image fitted
//            the seal all the same: because the occupancy did not change (so one that does not is not written along with
//            the lock word), or because its READ took the word from an older state that had the same occupancy. Hence
//            the second look in W2: it comes after the CAS, and as long as the straggler is under way memory holds
//            another occupancy. Where the last writer was a thread of ours no look is needed: who holds the local lock
//            knows that its publication completed. (Lock word and occupancy could go in two operations instead, one more
//            for every write of everybody.)
// T          finds the word locked (or its CAS fails): waits its budget (pool/retry.hpp), then errc::contended.
// W dies     before W3: the node is what it was, locked. Inside W3 or W4: all occupied slots are whole (N2), the lock
//            word names W, whether it still says locked or not. Whoever runs into it once W's lease ran out takes the
//            lock, takes the fences from what `link` names (N3), seals again (index/detail/recovery.hpp); nothing is lost.
// Order      in W3 slots come first. A split then writes link and fences before the occupancy that lets entries go, a
//            merge writes the occupancy that adds entries before link and fences: at every moment each entry is below
//            `link` or in what it names.
// Needs      atomic_words, ordered_batch.
// Thread safety: as the session. Tests: protocol/node_io_test.cpp, budget/, stress/.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include <catena/core/result.hpp>
#include <catena/fabric/op.hpp>
#include <catena/layout/node.hpp>
#include <catena/pool/catalog.hpp>

namespace catena {

/// What a reader that wants `key` in the node that `ref` names finds there.
enum class visit : std::uint8_t {
    here,  ///< sealed, alive, covers the key
    torn,  ///< not sealed: read again
    right, ///< sealed, but the key is not below its high fence: go to link()
    dead,  ///< merged away, or replaced by a bulk load: start from the root
    stale, ///< another life of the block, another index, another level, or key below the low fence: start from the root
};

/// Does the meta word belong to the life that `ref` means?
[[nodiscard]] constexpr bool names(node_ref ref, node_meta const& meta, std::uint16_t index_tag) noexcept {
    return (meta.incarnation & node_ref::incarnation_mask) == ref.incarnation() && meta.level == ref.level() &&
           meta.index_tag == index_tag;
}

/// For a node that is known to be sealed, alive and meant: does it cover the key?
template <typename View>
[[nodiscard]] visit cover(View const& node, typename View::key_type const& key) noexcept {
    if (node.below(key)) return visit::stale;
    return node.above(key) ? visit::right : visit::here;
}

template <typename View>
[[nodiscard]] visit inspect(View const& node, node_ref ref, std::uint16_t index_tag,
                            typename View::key_type const& key) noexcept {
    auto const meta = node.meta();
    // Another life of the block need not have the shape of this tree, nor a seal in the same place.
    bool const same_life = names(ref, meta, index_tag);
    // A dead node without its seal is on a free list (pool/node_allocator.hpp writes into its end), or is just dying: it
    // will not become whole again, the way leads over the root.
    if (!node.sealed()) return same_life && !meta.dead ? visit::torn : visit::stale;
    if (!same_life) return visit::stale;
    return meta.dead ? visit::dead : cover(node, key);
}

/// W2: taking the lock of a node that was read sealed and free.
class lock_attempt {
public:
    lock_attempt() = default;
    /// before, occupancy: as they were read. me: this client's tag.
    lock_attempt(remote_ptr at, lock_word before, word occupancy, std::uint32_t me) noexcept
        : at_(at), before_(before), occupancy_(occupancy), me_(me) {}

    /// Writes one or two operations to `ops`, returns how many. The attempt must not move until they completed.
    [[nodiscard]] std::size_t plan(std::span<op> ops) noexcept {
        take_ = &ops[0];
        *take_ = op::cas(at_, before_.bits(), before_.held_by(me_).bits());
        if (before_.owner() == me_) return 1;
        looked_ = true;
        ops[1] = op::read(at_ + word_bytes, &landed_, word_bytes);
        return 2;
    }
    [[nodiscard]] bool was_made() const noexcept { return take_ != nullptr; }
    /// The remote lock is ours ...
    [[nodiscard]] bool swapped() const noexcept { return take_->swapped(); }
    /// ... and the node is what was read. If not, it must be given back.
    [[nodiscard]] bool succeeded() const noexcept { return swapped() && (!looked_ || landed_ == occupancy_); }
    /// Gives back what the attempt took, if it took it: also where nobody knows.
    [[nodiscard]] op undo() const noexcept { return op::cas(at_, before_.held_by(me_).bits(), before_.bits()); }

private:
    remote_ptr at_;
    lock_word before_;
    word occupancy_ = 0;
    std::uint32_t me_ = 0;
    op* take_ = nullptr;
    bool looked_ = false;
    word landed_ = 0; ///< the occupancy after the CAS
};

template <typename Layout>
[[nodiscard]] lock_attempt attempt_lock(node_view<Layout> const& node, remote_ptr at, std::uint32_t me) noexcept {
    return {at, node.lock(), node.occupancy(), me};
}

/// Which words of a node changed against what lies in remote memory, for W3 and W4.
struct node_changes {
    word slots = 0;         ///< bit i: slot i is new as a whole (it was free)
    word payloads = 0;      ///< bit i: only the payload word of slot i is new (N2: one word)
    bool fences = false;    ///< meta, link, fences
    bool occupancy = false; ///< differs from what is there
    bool gains = false;     ///< a merge: the occupancy is written alone and before link and fences

    [[nodiscard]] constexpr bool any() const noexcept { return slots != 0 || payloads != 0 || fences || occupancy; }
};

/// Most operations that publishing one node takes: one a slot, occupancy, fences, lock word.
inline constexpr std::size_t max_publish_ops = 67;
/// Of those that declare one dead, or rewrite it.
inline constexpr std::size_t max_rewrite_ops = 4;

/// Writes W3 and W4 for a sealed image into `ops`; returns how many. The image must stay valid until they completed.
template <typename View>
[[nodiscard]] std::size_t plan_publish(View const& node, remote_ptr at, node_changes const& changes,
                                       std::span<op> ops) noexcept {
    using layout = typename View::layout;
    std::size_t n = 0;
    auto const range = [&](std::size_t first, std::size_t words) {
        ops[n++] = op::write(at + first * word_bytes, node.image() + first, words * word_bytes);
    };
    for (word rest = changes.slots; rest != 0;) { // neighbouring slots share a WRITE
        auto const first = static_cast<std::size_t>(std::countr_zero(rest));
        auto const run = static_cast<std::size_t>(std::countr_one(rest >> first));
        range(layout::slot_at(first), run * layout::entry_words);
        rest &= run == 64 ? 0 : ~(((word{1} << run) - 1) << first);
    }
    for (word rest = changes.payloads & ~changes.slots; rest != 0; rest &= rest - 1)
        range(layout::payload_at(static_cast<std::size_t>(std::countr_zero(rest))), layout::payload_words);
    if (changes.gains) range(1, 1);
    if (changes.fences) range(meta_word, layout::slots_at - meta_word);
    range(0, changes.occupancy && !changes.gains ? 2 : 1);
    return n;
}

/// Declares a node dead whose lock `me` holds: it stays locked, and leads where it led.
template <typename Layout>
[[nodiscard]] std::size_t plan_kill(node_view<Layout> const& node, remote_ptr at, std::uint32_t me,
                                    std::span<op> ops) noexcept {
    auto meta = node.meta();
    meta.dead = true;
    node.set_meta(meta);
    node.seal(me, true);
    return plan_publish(node, at, {.slots = 0, .payloads = 0, .fences = true, .occupancy = false, .gains = false}, ops);
}

/// Writes a mended node whose slots are as they were, and gives its lock up.
template <typename Layout>
[[nodiscard]] std::size_t plan_rewrite(node_view<Layout> const& node, remote_ptr at, std::uint32_t me,
                                       std::span<op> ops) noexcept {
    node.seal(me, false);
    // gains: the occupancy goes by itself, it may be what is there already.
    return plan_publish(node, at, {.slots = 0, .payloads = 0, .fences = true, .occupancy = true, .gains = true}, ops);
}

} // namespace catena
