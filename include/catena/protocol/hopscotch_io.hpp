// SPDX-License-Identifier: Apache-2.0
// hopscotch_io: how a hopscotch leaf is read, locked and published. (Inner nodes: protocol/node_io.hpp.)
//
// Actors     R reader.  W writer.  T writer waiting for the same leaf.
// Read       R1 READ the neighbourhood of the key, and before it in the same batch the header if R is wary: it came from the
//            left neighbour, or saw a torn quad. A quad is taken if it is sealed (H1); absence needs both, of one mind about
//            their border (H3). Who is not wary came from the parent, whose separator is the low fence (H5).
// Header     A wary R takes nothing of the leaf unless the header names the life that it came for and a low fence that is not
//            above the key. READs of one batch take effect in order, so the header was read before the quads, whose seals
//            prove that the leaf had that life then; it had it when R learned of it; so also when the header was read.
// Right      The quads say that the leaf ends below the key: R reads again, with the header, and goes where its link leads.
//            The link may be newer than the fence, even of another life of the block: whoever comes over it is wary.
// Write      W1 CAS lock word: free_lock -> held, and behind it in the same batch the READs of R1: while W holds the lock
//            nothing changes, and since a free_lock is of one life of one leaf the CAS proves that, too. Where the
//            neighbourhood has no room: READ the whole leaf.  W2 WRITEs of the steps (layout/hopscotch_edit.hpp), in order,
//            and WRITE lock word: free. One ordered batch. 2 round trips for one entry. (Where lock words tell the vacancy of
//            quads: W0 READ lock word, which W1 then expects. 3 round trips; as CHIME, which has masked CAS for it.)
// Split      between them: WRITE the right leaf as a whole, free. Then in W2 the ring of the left one, before other steps.
// Takes effect  each change with the control word of its quad.
// Stale left While W2 of a split lands, right can be reached already, and changed by X; left may still show the old copies of
//            what X changes. But whoever came over left to right for a key saw the new fence in this key's neighbourhood, so
//            nobody sees an old one there any more. And over the parent one gets to right only when W2 has ended: its
//            separator is written by W afterwards, who keeps left's lock till then, or, if W died, by somebody who has that lock
//            or saw the whole of left in one ring, free.
// T          its CAS fails: reads the header as well next time, waits its budget (pool/retry.hpp), then errc::contended.
// W dies     between W1 and the end of W2: the lock word names W. Whoever needs the lock, or finds a quad torn, looks whether
//            W is gone, takes the lock over and mends the leaf (layout/hopscotch_mend.hpp).
// Needs      atomic_words, ordered_batch.
// Thread safety: as the session. Tests: layout/hopscotch_edit_test.cpp, protocol/hopscotch_io_test.cpp, torture suites.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include <catena/fabric/op.hpp>
#include <catena/layout/hopscotch_edit.hpp>
#include <catena/layout/hopscotch_leaf.hpp>
#include <catena/layout/hopscotch_mend.hpp>
#include <catena/pool/scratch.hpp>
#include <catena/protocol/node_io.hpp>

namespace catena {

/// Header, and up to three ranges of a neighbourhood.
inline constexpr std::size_t max_neighbourhood_reads = 4;

/// Writes the READs of R1 to `ops`; returns how many. The image then holds these parts, and says what life they must be of.
template <typename Layout>
[[nodiscard]] std::size_t plan_read(hopscotch_view<Layout> const& leaf, node_ref ref, std::uint16_t index_tag,
                                    std::size_t home, bool wary, std::span<op> ops) noexcept {
    std::size_t n = 0;
    auto const range = [&](word_range r) {
        if (r.count > 0)
            ops[n++] = op::read(ref.at() + r.first * word_bytes, leaf.image() + r.first, r.count * word_bytes);
    };
    leaf.expect(ref, index_tag);
    if (wary) range({0, Layout::header_words});
    for (auto const& r : Layout::neighbourhood(home)) range(r);
    return n;
}

/// As plan_read, with a quad on each side of the neighbourhood. Not for the home where the ring closes.
template <typename Layout>
[[nodiscard]] std::size_t plan_read_window(hopscotch_view<Layout> const& leaf, node_ref ref, std::uint16_t index_tag,
                                           std::size_t home, bool wary, std::span<op> ops) noexcept {
    std::size_t n = 0;
    leaf.expect(ref, index_tag);
    if (wary) ops[n++] = op::read(ref.at(), leaf.image(), Layout::header_words * word_bytes);
    auto const r = Layout::window(home);
    ops[n++] = op::read(ref.at() + r.first * word_bytes, leaf.image() + r.first, r.count * word_bytes);
    return n;
}

/// The whole leaf.
template <typename Layout>
[[nodiscard]] op plan_read_whole(hopscotch_view<Layout> const& leaf, node_ref ref) noexcept {
    return op::read(ref.at(), leaf.image(), Layout::used_words * word_bytes);
}

/// What a header that was read first says about a reader that wants `key`.
template <typename Layout>
[[nodiscard]] visit inspect_header(hopscotch_view<Layout> const& leaf, node_ref ref, std::uint16_t index_tag,
                                   typename Layout::key_type const& key) noexcept {
    auto const meta = leaf.meta();
    if (!names(ref, meta, index_tag) || leaf.below(key)) return visit::stale;
    return meta.dead ? visit::dead : visit::here;
}

struct hopscotch_sighting {
    visit seen = visit::torn;
    std::size_t slot = 0; ///< here: where the key is, or the layout's no_slot
};

/// What a reader finds who wants `key` there. header: it was read as well, or the whole leaf was.
template <typename Layout>
[[nodiscard]] hopscotch_sighting look_for(hopscotch_view<Layout> const& leaf, node_ref ref, std::uint16_t index_tag,
                                          typename Layout::key_type const& key, bool header) noexcept {
    if (header) {
        if (auto const said = inspect_header(leaf, ref, index_tag, key); said != visit::here)
            return {said, Layout::no_slot};
    }
    auto const sighting = leaf.look_for(Layout::home_of(key), key);
    switch (sighting.state) {
    case neighbourhood_state::whole: return {visit::here, sighting.slot};
    case neighbourhood_state::right: return {visit::right, Layout::no_slot};
    case neighbourhood_state::dead: return {visit::dead, Layout::no_slot};
    case neighbourhood_state::torn: break;
    }
    return {visit::torn, Layout::no_slot};
}

/// W1 for a leaf that is changed as a whole: takes the lock and reads it.
template <typename Layout>
class hopscotch_lock_attempt {
public:
    hopscotch_lock_attempt(hopscotch_view<Layout> leaf, remote_ptr at, std::uint32_t me) noexcept
        : leaf_(leaf), at_(at), free_(leaf.lock()), me_(me) {}

    /// Writes two operations to `ops`. The attempt must not move until they completed.
    [[nodiscard]] std::size_t plan(std::span<op> ops) noexcept {
        take_ = &ops[0];
        ops[0] = op::cas(at_, free_.bits(), free_.held_by(me_).bits());
        ops[1] = op::read(at_, leaf_.image(), Layout::bytes);
        return 2;
    }
    [[nodiscard]] bool swapped() const noexcept { return take_->swapped(); }
    /// The lock is ours, and the image is the leaf as it is.
    [[nodiscard]] bool succeeded() const noexcept { return swapped() && leaf_.sealed() && !leaf_.meta().dead; }
    [[nodiscard]] op undo() const noexcept { return op::cas(at_, free_.held_by(me_).bits(), free_.bits()); }

private:
    hopscotch_view<Layout> leaf_;
    remote_ptr at_;
    lock_word free_;
    std::uint32_t me_;
    op* take_ = nullptr;
};

/// leaf: as it was read before, its lock free.
template <typename Layout>
[[nodiscard]] hopscotch_lock_attempt<Layout> attempt_lock(hopscotch_view<Layout> const& leaf, remote_ptr at,
                                                          std::uint32_t me) noexcept {
    return {leaf, at, me};
}

/// The WRITEs of W2: each has the words that its range had when it was emitted.
template <typename Layout>
class hopscotch_steps {
public:
    hopscotch_steps(hopscotch_view<Layout> leaf, remote_ptr at, std::span<op> ops, scratch& memory) noexcept
        : leaf_(leaf), at_(at), ops_(ops), memory_(&memory) {}

    void operator()(word_range r) {
        auto* const words = memory_->image(r.count * word_bytes);
        std::copy_n(leaf_.image() + r.first, r.count, words);
        ops_[count_++] = op::write(at_ + r.first * word_bytes, words, r.count * word_bytes);
    }
    /// The lock word, as it is in the image.
    void unlock() { (*this)(word_range{0, 1}); }
    [[nodiscard]] std::size_t count() const noexcept { return count_; }

private:
    hopscotch_view<Layout> leaf_;
    remote_ptr at_;
    std::span<op> ops_;
    scratch* memory_;
    std::size_t count_ = 0;
};

/// Most steps of one change: each quad's key makes way, the key itself; or redo words, control word, payload.
template <typename Layout>
inline constexpr std::size_t max_steps = Layout::quads + 3;

template <typename Layout>
[[nodiscard]] std::size_t plan_kill(hopscotch_view<Layout> const& leaf, remote_ptr at, std::uint32_t me,
                                    std::span<op> ops) noexcept {
    auto meta = leaf.meta();
    meta.dead = true;
    leaf.set_meta(meta);
    leaf.seal(me, true);
    auto const r = Layout::contents();
    ops[0] = op::write(at + r.first * word_bytes, leaf.image() + r.first, r.count * word_bytes);
    return 1;
}

template <typename Layout>
[[nodiscard]] std::size_t plan_rewrite(hopscotch_view<Layout> const& leaf, remote_ptr at, std::uint32_t me,
                                       std::span<op> ops) noexcept {
    leaf.seal(me, false);
    auto const r = Layout::contents();
    ops[0] = op::write(at + r.first * word_bytes, leaf.image() + r.first, r.count * word_bytes);
    ops[1] = op::write(at, leaf.image(), word_bytes);
    return 2;
}

} // namespace catena
