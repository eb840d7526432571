// SPDX-License-Identifier: Apache-2.0
// hopscotch_leaf: a leaf that is a small hash table, so that a lookup reads a neighbourhood of it instead of all of it.
// (After CHIME, Luo et al., SOSP 2024, section 4: hopscotch leaves, metadata replicated into neighbourhoods. Ours moves keys
// between quads of four slots instead of single slots, stores the fence, and proves absence differently.)
//
// Offsets in words (K = words of a key, P = of a payload; E = K + P):
//   0          lock word
//   1          low fence, if K = 1
//   2          meta          as in layout/node.hpp
//   3          link          right sibling
//   4          low fence, if K > 1
//   ring       pairs of quads, each behind a copy of the high fence: K + 2 (1 + 4 E) words; an odd quad at the end alone
//   quad       control word (layout/quad_word.hpp), four slots of key and payload
// With keys and values of 8 bytes and 13 quads: 1,024 bytes, 52 slots.
//
// A key has a home quad by its hash, and lies there or in the quad behind it (the last one's neighbour is the first). The two
// are its neighbourhood: any two neighbours have one copy of the fence in or before them, so a READ of 2 quads and a fence
// tells everything, two READs for the last home. With keys and values of 8 bytes: 152 bytes.
//
// Invariants
//   H1  sealed: a quad whose seal does not fit is torn or damaged, never used. The seal covers the fence and the identity of the
//       leaf (which life of the block, of which index), so a quad is never taken together with a fence of another moment.
//   H2  borders: every change that takes a key from one side of a border between quads to the other, directly or by way of
//       another leaf, adds one to the epoch of that border on both sides, the side where the key arrives first.
//   H3  absence: a key is absent if it is in neither quad of its neighbourhood, both are sealed, and they agree about the
//       border between them. Proof: let the home's control word be read at s, its neighbour's at t, and the key be present
//       throughout. If it was never in both places where it was looked for, it crossed between s and t, arriving on the
//       side that was read before it arrived, and leaving the side that was read after it left. By H2 the first side was read
//       before that crossing was counted there, the second one after it, and the epochs differ.
//   H4  one place: a key is in one slot, save while it crosses, when both copies are equal.
// Thread safety: pure functions over an image that the caller owns.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <catena/core/bytes.hpp>
#include <catena/core/hash.hpp>
#include <catena/layout/node.hpp>
#include <catena/layout/quad_word.hpp>

namespace catena {

/// Which words to READ.
struct word_range {
    std::size_t first = 0;
    std::size_t count = 0;
};

template <index_key Key, index_value Value, std::size_t Quads = 13>
struct hopscotch_layout {
    using key_type = Key;
    using payload_type = Value;

    static constexpr std::size_t quads = Quads;
    static constexpr std::size_t key_words = words_of<Key>;
    static constexpr std::size_t payload_words = words_of<Value>;
    static constexpr std::size_t entry_words = key_words + payload_words;
    static constexpr std::size_t quad_words = 1 + quad_word::slots * entry_words;
    static constexpr std::size_t pair_words = key_words + 2 * quad_words;
    static constexpr std::size_t slots = quads * quad_word::slots;
    static constexpr std::size_t no_slot = slots;
    static constexpr std::size_t link_at = 3;
    static constexpr std::size_t low_at = key_words == 1 ? 1 : 4;
    static constexpr std::size_t ring_at = key_words == 1 ? 4 : 4 + key_words;
    static constexpr std::size_t fences = (quads + 1) / 2;
    static constexpr std::size_t used_words = ring_at + fences * key_words + quads * quad_words;
    static constexpr std::size_t bytes = round_up(used_words * word_bytes, 64);
    static constexpr std::size_t words = bytes / word_bytes;

    static_assert(quads >= 3, "a neighbourhood is two of them");

    [[nodiscard]] static constexpr std::size_t next(std::size_t quad) noexcept {
        return quad + 1 == quads ? 0 : quad + 1;
    }
    [[nodiscard]] static constexpr std::size_t before(std::size_t quad) noexcept {
        return (quad == 0 ? quads : quad) - 1;
    }
    [[nodiscard]] static constexpr std::size_t fence_at(std::size_t copy) noexcept {
        return ring_at + copy * pair_words;
    }
    [[nodiscard]] static constexpr std::size_t quad_at(std::size_t quad) noexcept {
        return fence_at(quad / 2) + key_words + quad % 2 * quad_words;
    }
    [[nodiscard]] static constexpr std::size_t slot_at(std::size_t slot) noexcept {
        return quad_at(slot / quad_word::slots) + 1 + slot % quad_word::slots * entry_words;
    }
    [[nodiscard]] static constexpr std::size_t payload_at(std::size_t slot) noexcept {
        return slot_at(slot) + key_words;
    }

    /// The copy of the fence that lies in the neighbourhood of this home.
    [[nodiscard]] static constexpr std::size_t fence_of(std::size_t home) noexcept {
        return home % 2 == 0 ? home / 2 : home + 1 == quads ? 0 : (home + 1) / 2;
    }
    /// The neighbourhood of this home with its fence: one range, a second one (else empty) where the ring closes.
    [[nodiscard]] static constexpr std::array<word_range, 2> neighbourhood(std::size_t home) noexcept {
        auto const begin = home % 2 == 0 ? fence_at(home / 2) : quad_at(home);
        if (home + 1 < quads) return {word_range{begin, quad_at(home + 1) + quad_words - begin}, word_range{}};
        auto const first = home % 2 == 0 ? quad_at(0) : fence_at(0); // an even last quad brought a fence with it
        return {word_range{begin, quad_at(home) + quad_words - begin},
                word_range{first, quad_at(0) + quad_words - first}};
    }

    [[nodiscard]] static std::size_t home_of(Key const& key) noexcept {
        auto const h = hash64(&key, sizeof key) >> 32U; // quads need not be a power of two: the high part of a product
        return static_cast<std::size_t>(h * quads >> 32U);
    }
};

/// What a reader of a neighbourhood has to do.
enum class neighbourhood_state : std::uint8_t {
    whole, ///< the key is where find() says, or absent (H3)
    torn,  ///< a quad is not sealed, or the border is being crossed and the key was not seen: read again
    right, ///< the leaf ends below the key
    dead,  ///< the leaf was merged away: from the root again
};

template <typename Layout>
class hopscotch_view {
public:
    using layout = Layout;
    using key_type = typename Layout::key_type;
    using payload_type = typename Layout::payload_type;

    /// identity: of the life of this leaf, see identity_of.
    hopscotch_view(word* image, word identity) noexcept : image_(image), identity_(identity) {}
    [[nodiscard]] static constexpr word identity_of(std::uint16_t index_tag, std::uint32_t incarnation) noexcept {
        return word{index_tag} << 32U | (incarnation & node_ref::incarnation_mask);
    }

    [[nodiscard]] word* image() const noexcept { return image_; }
    [[nodiscard]] quad_word quad(std::size_t q) const noexcept { return quad_word(image_[Layout::quad_at(q)]); }
    [[nodiscard]] bool occupied(std::size_t slot) const noexcept {
        return (quad(slot / quad_word::slots).occupancy() >> slot % quad_word::slots & 1U) != 0;
    }
    [[nodiscard]] key_type key(std::size_t slot) const noexcept {
        return load_words<key_type>(image_ + Layout::slot_at(slot));
    }
    [[nodiscard]] payload_type payload(std::size_t slot) const noexcept {
        return load_words<payload_type>(image_ + Layout::payload_at(slot));
    }
    [[nodiscard]] key_type fence(std::size_t copy) const noexcept {
        return load_words<key_type>(image_ + Layout::fence_at(copy));
    }

    void set_quad(std::size_t q, quad_word w) const noexcept { image_[Layout::quad_at(q)] = w.bits(); }
    void set_entry(std::size_t slot, key_type const& k, payload_type const& p) const noexcept {
        store_words(image_ + Layout::slot_at(slot), k);
        store_words(image_ + Layout::payload_at(slot), p);
    }
    /// All copies.
    void set_fence(key_type const& k) const noexcept {
        for (std::size_t copy = 0; copy < Layout::fences; ++copy) store_words(image_ + Layout::fence_at(copy), k);
    }

    /// H1: of quad `q`, under this copy of the fence.
    [[nodiscard]] std::uint32_t seal_of(std::size_t q, std::size_t fence_copy) const noexcept {
        constexpr std::size_t most = 2 + Layout::key_words + quad_word::slots * Layout::entry_words;
        std::array<word, most> sealed{}; // free slots count as zeros
        auto const w = quad(q);
        sealed[0] = w.bits() & ~quad_word::seal_mask;
        sealed[1] = identity_;
        if (!w.unbounded()) std::copy_n(image_ + Layout::fence_at(fence_copy), Layout::key_words, &sealed[2]);
        for (std::size_t i = 0; i < quad_word::slots; ++i)
            if ((w.occupancy() >> i & 1U) != 0)
                std::copy_n(image_ + Layout::slot_at(q * quad_word::slots + i), Layout::entry_words,
                            &sealed[2 + Layout::key_words + i * Layout::entry_words]);
        auto const h = hash64(sealed.data(), sizeof sealed);
        return static_cast<std::uint32_t>(h ^ h >> 32U);
    }
    [[nodiscard]] bool sealed(std::size_t q, std::size_t fence_copy) const noexcept {
        return quad(q).seal() == seal_of(q, fence_copy);
    }
    void seal(std::size_t q) const noexcept { set_quad(q, quad(q).with_seal(seal_of(q, Layout::fence_of(q)))); }
    void seal_all() const noexcept {
        for (std::size_t q = 0; q < Layout::quads; ++q) seal(q);
    }

    /// The slot in the neighbourhood of `home` that holds `key`, or no_slot. Both quads are looked at as a whole.
    [[nodiscard]] std::size_t find(std::size_t home, key_type const& key) const noexcept {
        std::array<word, Layout::key_words> wanted;
        std::memcpy(wanted.data(), &key, sizeof key);
        for (auto const q : {home, Layout::next(home)})
            for (auto slot = q * quad_word::slots; slot < (q + 1) * quad_word::slots; ++slot)
                if (occupied(slot) && std::memcmp(image_ + Layout::slot_at(slot), wanted.data(), sizeof key) == 0)
                    return slot;
        return Layout::no_slot;
    }

    /// For a neighbourhood that was just read. H1 to H3.
    [[nodiscard]] neighbourhood_state inspect(std::size_t home, key_type const& key) const noexcept {
        auto const copy = Layout::fence_of(home);
        auto const behind = Layout::next(home);
        if (!sealed(home, copy) || !sealed(behind, copy)) return neighbourhood_state::torn;
        auto const here = quad(home), there = quad(behind);
        if (here.dead() != there.dead() || here.unbounded() != there.unbounded()) return neighbourhood_state::torn;
        if (here.dead()) return neighbourhood_state::dead;
        if (!here.unbounded() && !(key < fence(copy))) return neighbourhood_state::right;
        if (here.right_epoch() != there.left_epoch() && find(home, key) == Layout::no_slot)
            return neighbourhood_state::torn;
        return neighbourhood_state::whole;
    }

    /// An empty leaf without an upper fence; sealed.
    void format(std::uint16_t index_tag, std::uint32_t incarnation, key_type const& low) const noexcept {
        std::fill_n(image_, Layout::words, word{0});
        image_[meta_word] =
            node_meta{.level = 0, .dead = false, .unbounded = true, .index_tag = index_tag, .incarnation = incarnation}
                .bits();
        store_words(image_ + Layout::low_at, low);
        for (std::size_t q = 0; q < Layout::quads; ++q) set_quad(q, quad_word().with_unbounded(true));
        seal_all();
    }

private:
    word* image_;
    word identity_;
};

} // namespace catena
