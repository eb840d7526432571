// SPDX-License-Identifier: Apache-2.0
// hopscotch_leaf: a leaf that is a small hash table, so that a lookup reads a neighbourhood of it instead of all of it.
// (After CHIME, Luo et al., SOSP 2024, section 4: hopscotch leaves, metadata replicated into neighbourhoods. Ours moves keys
// between quads of four slots instead of single slots, stores the fences, and proves absence differently.)
//
// Offsets in words (K = words of a key, P = of a payload; E = K + P):
//   0          lock word     free: `free_lock`, known to whoever has a reference to the leaf (or with the vacancy of quads,
//                            if the shape wants that); held: names the holder
//   1          maker         the member that wrote the leaf first (pool/block_header.hpp)
//   2          meta          as in layout/node.hpp
//   3          link          right sibling; the bits of its level, always 0, count the rings (layout/quad_word.hpp)
//   4          low fence     never changes
//   4 + K      redo          E words if P > 1: the entry whose payload is being replaced
//   ring       pairs of quads, each behind a copy of the high fence: K + 2 (1 + 4 E) words; an odd quad at the end alone
//   quad       control word (layout/quad_word.hpp), four slots of key and payload
// With keys and values of 8 bytes and 10 quads: 832 bytes, 40 slots.
//
// A key has a home quad by its hash, and lies there or in the quad behind it (the last one's neighbour is the first). The two
// are its neighbourhood: any two neighbours have one copy of the fence in or before them, so a READ of 2 quads and a fence
// tells everything, two READs for the last home (which fewer keys have for that reason). With keys and values of 8 bytes: 152 bytes.
//
// Invariants
//   H1  sealed: a quad whose seal does not fit is torn or damaged, never used. The seal covers the fence and the identity of the
//       leaf (which life of the block, of which index), so a quad is never taken together with a fence of another moment.
//   H2  borders: every change that takes a key from one side of a border between quads to the other, directly or by way of
//       another leaf, adds one to the epoch of that border on both sides, each with the word that lets the key come or go.
//   H3  absence: a key is absent if it is in neither quad of its neighbourhood, both are sealed, and they agree about the
//       border between them. Proof: let the home's control word be read at s, its neighbour's at t, and the key be present
//       throughout. If it was in neither place when that was looked at, it crossed the border: the side of arrival was read
//       before it came, the side of departure after it had gone. By H2 the first read does not count that crossing, the
//       second one does, and all crossings before it are counted on both sides: the epochs differ.
//   H4  one place: a key is in one slot, save while it crosses, when both copies are equal.
//   H5  low fence: a neighbourhood does not show it. A leaf is entered from its parent, whose separator it is, or from its
//       left neighbour or after a torn read, and then the header is read as well, before the neighbourhood.
// Thread safety: pure functions over an image that the caller owns.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <catena/core/bytes.hpp>
#include <catena/core/hash.hpp>
#include <catena/layout/lock_word.hpp>
#include <catena/layout/node.hpp>
#include <catena/layout/node_ref.hpp>
#include <catena/layout/quad_word.hpp>

namespace catena {

/// Which words to READ or WRITE.
struct word_range {
    std::size_t first = 0;
    std::size_t count = 0;
};

/// What of a hopscotch leaf can be chosen.
struct hopscotch_shape {
    std::size_t quads = 10;
    bool replicated_fences = true; ///< one in each neighbourhood; else one behind the header, a READ of its own
    std::size_t last_home =
        8; ///< share of keys of the last quad, whose neighbour is the first, in tenths of another's;
           ///< 0: it is no home, nothing wraps around
    bool vacancy_in_lock = false; ///< the free lock word tells which quads are full: it must be read before it is taken
};

template <index_key Key, index_value Value, hopscotch_shape Shape = hopscotch_shape{}>
struct hopscotch_layout {
    using key_type = Key;
    using payload_type = Value;

    static constexpr std::size_t quads = Shape.quads;
    static constexpr bool vacancy_in_lock = Shape.vacancy_in_lock;
    static constexpr std::size_t homes = Shape.last_home > 0 ? quads : quads - 1;
    static constexpr std::size_t key_words = words_of<Key>;
    static constexpr std::size_t payload_words = words_of<Value>;
    static constexpr std::size_t entry_words = key_words + payload_words;
    static constexpr std::size_t quad_words = 1 + quad_word::slots * entry_words;
    static constexpr std::size_t slots = quads * quad_word::slots;
    static constexpr std::size_t capacity = slots;
    static constexpr std::size_t no_slot = slots;

    static constexpr std::size_t maker_at = 1;
    static constexpr std::size_t link_at = 3;
    static constexpr std::size_t low_at = 4;
    static constexpr std::size_t redo_at = low_at + key_words;
    static constexpr std::size_t ring_at = redo_at + (payload_words > 1 ? entry_words : 0);
    static constexpr std::size_t header_words = redo_at; ///< lock word to low fence
    static constexpr std::size_t fences = Shape.replicated_fences ? (quads + 1) / 2 : 1;
    static constexpr std::size_t used_words = ring_at + fences * key_words + quads * quad_words;
    static constexpr std::size_t bytes = round_up(used_words * word_bytes, 64);
    static constexpr std::size_t words = bytes / word_bytes;

    static_assert(quads >= 3 && quads <= 64 && Shape.last_home <= 10,
                  "a neighbourhood is two of them, a word has a bit for each");

    [[nodiscard]] static constexpr std::size_t next(std::size_t quad) noexcept {
        return quad + 1 == quads ? 0 : quad + 1;
    }
    [[nodiscard]] static constexpr std::size_t before(std::size_t quad) noexcept {
        return (quad == 0 ? quads : quad) - 1;
    }
    [[nodiscard]] static constexpr std::size_t fence_at(std::size_t copy) noexcept {
        return ring_at + copy * (key_words + 2 * quad_words);
    }
    [[nodiscard]] static constexpr std::size_t quad_at(std::size_t quad) noexcept {
        if (!Shape.replicated_fences) return ring_at + key_words + quad * quad_words;
        return fence_at(quad / 2) + key_words + quad % 2 * quad_words;
    }
    [[nodiscard]] static constexpr std::size_t slot_at(std::size_t slot) noexcept {
        return quad_at(slot / quad_word::slots) + 1 + slot % quad_word::slots * entry_words;
    }
    [[nodiscard]] static constexpr std::size_t payload_at(std::size_t slot) noexcept {
        return slot_at(slot) + key_words;
    }
    /// Everything but lock word and maker.
    [[nodiscard]] static constexpr word_range contents() noexcept { return {meta_word, used_words - meta_word}; }
    [[nodiscard]] static constexpr word_range ring() noexcept { return {ring_at, used_words - ring_at}; }

    /// The copy of the fence that lies in the neighbourhood of this home.
    [[nodiscard]] static constexpr std::size_t fence_of(std::size_t home) noexcept {
        if (!Shape.replicated_fences) return 0;
        return home % 2 == 0 ? home / 2 : home + 1 == quads ? 0 : (home + 1) / 2;
    }
    /// The neighbourhood of this home with its fence, in one range where that is possible; the others are empty.
    [[nodiscard]] static constexpr std::array<word_range, 3> neighbourhood(std::size_t home) noexcept {
        auto const fence = fence_at(fence_of(home));
        bool const closes = home + 1 == quads;
        auto const last = quad_at(closes ? home : home + 1) + quad_words;
        if (fence + key_words == quad_at(home) || (fence > quad_at(home) && fence < last))
            return {word_range{std::min(fence, quad_at(home)), last - std::min(fence, quad_at(home))},
                    closes ? word_range{quad_at(0), quad_words} : word_range{}, word_range{}};
        if (closes) // the fence before the first quad, or the one fence of the leaf
            return {word_range{quad_at(home), quad_words}, word_range{fence, quad_at(0) + quad_words - fence},
                    word_range{}};
        return {word_range{fence, key_words}, word_range{quad_at(home), last - quad_at(home)}, word_range{}};
    }

    /// Four quads around a neighbourhood, in one range with its fence; none where the ring closes in it.
    static constexpr std::size_t window_quads = 4;
    static constexpr bool has_windows = Shape.replicated_fences && quads > window_quads + 1;
    [[nodiscard]] static constexpr std::size_t window_begin(std::size_t home) noexcept {
        return home == 0 ? 0 : std::min(home - 1, quads - window_quads);
    }
    [[nodiscard]] static constexpr word_range window(std::size_t home) noexcept {
        auto const first = window_begin(home);
        auto const begin = first % 2 == 0 ? fence_at(first / 2) : quad_at(first);
        return {begin, quad_at(first + window_quads - 1) + quad_words - begin};
    }

    [[nodiscard]] static std::size_t home_of(Key const& key) noexcept {
        constexpr std::size_t tenths = (quads - 1) * 10 + Shape.last_home;
        auto const h = hash64(&key, sizeof key) >> 32U; // no power of two: the high part of a product
        return static_cast<std::size_t>(h * tenths >> 32U) / 10;
    }
};

/// What a reader of a neighbourhood learns.
enum class neighbourhood_state : std::uint8_t {
    whole, ///< the key is in `slot`, or absent (H3)
    torn,  ///< a quad is not sealed, or the border is being crossed, and the key was not seen: read again
    right, ///< the leaf ends below the key
    dead,  ///< the leaf was merged away: from the root again
};

template <typename Layout>
class hopscotch_view {
public:
    using layout = Layout;
    using key_type = typename Layout::key_type;
    using payload_type = typename Layout::payload_type;

    explicit hopscotch_view(word* image) noexcept : image_(image) {}

    [[nodiscard]] word* image() const noexcept { return image_; }
    [[nodiscard]] lock_word lock() const noexcept { return lock_word(image_[0]); }
    [[nodiscard]] std::uint32_t maker() const noexcept { return static_cast<std::uint32_t>(image_[Layout::maker_at]); }
    /// Whom to ask what became of this leaf: its holder, or whoever made it.
    [[nodiscard]] std::uint32_t last_writer() const noexcept { return lock().locked() ? lock().owner() : maker(); }
    [[nodiscard]] node_meta meta() const noexcept { return node_meta::from_word(image_[meta_word]); }
    [[nodiscard]] node_ref link() const noexcept { return node_ref::from_word(image_[Layout::link_at] & ~ring_bits); }
    [[nodiscard]] std::uint32_t ring() const noexcept {
        return static_cast<std::uint32_t>(image_[Layout::link_at] >> ring_shift) & quad_word::ring_mask;
    }
    [[nodiscard]] key_type low() const noexcept { return load_words<key_type>(image_ + Layout::low_at); }
    [[nodiscard]] key_type fence(std::size_t copy) const noexcept {
        return load_words<key_type>(image_ + Layout::fence_at(copy));
    }
    [[nodiscard]] key_type high() const noexcept { return fence(0); }
    [[nodiscard]] bool above(key_type const& key) const noexcept { return !quad(0).unbounded() && !(key < high()); }
    [[nodiscard]] bool below(key_type const& key) const noexcept { return key < low(); }

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
    [[nodiscard]] std::size_t count() const noexcept {
        std::size_t n = 0;
        for (std::size_t q = 0; q < Layout::quads; ++q)
            n += static_cast<std::size_t>(std::popcount(quad(q).occupancy()));
        return n;
    }
    /// Calls visit(slot) for every occupied slot.
    template <typename Visit>
    void for_each_slot(Visit visit) const {
        for (std::size_t q = 0; q < Layout::quads; ++q)
            for (auto rest = quad(q).occupancy(); rest != 0; rest &= rest - 1)
                visit(q * quad_word::slots + static_cast<std::size_t>(std::countr_zero(rest)));
    }

    void set_lock(lock_word w) const noexcept { image_[0] = w.bits(); }
    void set_meta(node_meta const& m) const noexcept { image_[meta_word] = m.bits(); }
    void set_link(node_ref r) const noexcept {
        image_[Layout::link_at] = r.bits() | (image_[Layout::link_at] & ring_bits);
    }
    void set_low(key_type const& k) const noexcept { store_words(image_ + Layout::low_at, k); }
    void set_high(key_type const& k) const noexcept {
        for (std::size_t copy = 0; copy < Layout::fences; ++copy) store_words(image_ + Layout::fence_at(copy), k);
    }
    void set_quad(std::size_t q, quad_word w) const noexcept { image_[Layout::quad_at(q)] = w.bits(); }
    void set_occupied(std::size_t slot, bool occupied) const noexcept {
        auto const q = slot / quad_word::slots;
        auto const bit = 1U << slot % quad_word::slots;
        auto const w = quad(q);
        set_quad(q, w.with_occupancy(occupied ? w.occupancy() | bit : w.occupancy() & ~bit));
    }
    void set_entry(std::size_t slot, key_type const& k, payload_type const& p) const noexcept {
        store_words(image_ + Layout::slot_at(slot), k);
        store_words(image_ + Layout::payload_at(slot), p);
    }

    /// The lock word while nobody holds the leaf: nobody else's word, so a CAS that expects it proves the life as well.
    [[nodiscard]] static lock_word free_lock(std::uint16_t index_tag, std::uint32_t incarnation) noexcept {
        return {false, 0, 1, static_cast<std::uint32_t>(mix64(identity_of(index_tag, incarnation)) >> 32U)};
    }
    [[nodiscard]] lock_word unlocked() const noexcept {
        return with_vacancy(free_lock(meta().index_tag, meta().incarnation), ~word{0});
    }
    /// That word with what the image knows of `known` quads (bit by bit). Quads from the eleventh on share a bit.
    [[nodiscard]] lock_word with_vacancy(lock_word w, word known) const noexcept {
        if constexpr (!Layout::vacancy_in_lock) return w;
        auto bits = w.version();
        for (std::size_t q = 0; q < Layout::quads; ++q) {
            auto const bit = 2U << std::min<std::size_t>(q, 10);
            if ((known >> q & 1U) == 0) continue;
            bits = quad(q).free_slots() == 0 ? bits | bit : q < 10 ? bits & ~bit : bits;
        }
        return {w.locked(), w.owner(), bits, w.seal()};
    }
    /// Does a free lock word say that this quad has no room?
    [[nodiscard]] static bool full_by(lock_word w, std::size_t q) noexcept {
        return Layout::vacancy_in_lock && (w.version() >> (1 + std::min<std::size_t>(q, 10)) & 1U) != 0;
    }
    /// Is that the free lock word of this life, whatever it says of quads?
    [[nodiscard]] static bool frees(lock_word w, std::uint16_t index_tag, std::uint32_t incarnation) noexcept {
        auto const free = free_lock(index_tag, incarnation);
        return !w.locked() && w.owner() == free.owner() && w.seal() == free.seal();
    }

    /// For an image that will hold parts of the leaf that `ref` names: the seals are those of that life.
    void expect(node_ref ref, std::uint16_t index_tag) const noexcept {
        set_meta({.level = 0,
                  .dead = false,
                  .unbounded = false,
                  .made = true,
                  .index_tag = index_tag,
                  .incarnation = ref.incarnation()});
    }

    /// H1: of quad `q`, under this fence.
    [[nodiscard]] std::uint32_t seal_of(std::size_t q, word const* fence_words) const noexcept {
        constexpr std::size_t most = 2 + Layout::key_words + quad_word::slots * Layout::entry_words;
        std::array<word, most> sealed{}; // free slots count as zeros
        auto const w = quad(q);
        sealed[0] = w.bits() & ~quad_word::seal_mask;
        sealed[1] = identity_of(meta().index_tag, meta().incarnation);
        if (!w.unbounded()) std::copy_n(fence_words, Layout::key_words, &sealed[2]);
        for (std::size_t i = 0; i < quad_word::slots; ++i)
            if ((w.occupancy() >> i & 1U) != 0)
                std::copy_n(image_ + Layout::slot_at(q * quad_word::slots + i), Layout::entry_words,
                            &sealed[2 + Layout::key_words + i * Layout::entry_words]);
        auto const h = hash64(sealed.data(), sizeof sealed);
        return static_cast<std::uint32_t>(h ^ h >> 32U);
    }
    [[nodiscard]] bool sealed(std::size_t q, std::size_t fence_copy) const noexcept {
        return quad(q).seal() == seal_of(q, image_ + Layout::fence_at(fence_copy));
    }
    void seal(std::size_t q) const noexcept {
        set_quad(q, quad(q).with_seal(seal_of(q, image_ + Layout::fence_at(Layout::fence_of(q)))));
    }
    /// All quads, with the flags that the meta word has, and the lock word. Names `owner` as the maker of a new leaf.
    void seal(std::uint32_t owner, bool locked) const noexcept {
        for (std::size_t q = 0; q < Layout::quads; ++q) {
            set_quad(q, quad(q).with_dead(meta().dead).with_unbounded(meta().unbounded));
            seal(q);
        }
        if (maker() == 0) image_[Layout::maker_at] = owner;
        set_lock(locked ? unlocked().held_by(owner) : unlocked());
    }
    /// For an image with the whole ring: does each quad fit, and do they agree with each other?
    [[nodiscard]] bool ring_sealed() const noexcept {
        auto const first = quad(0);
        for (std::size_t copy = 1; copy < Layout::fences && !first.unbounded(); ++copy)
            if (std::memcmp(image_ + Layout::fence_at(copy), image_ + Layout::fence_at(0), sizeof(key_type)) != 0)
                return false;
        for (std::size_t q = 0; q < Layout::quads; ++q) {
            auto const w = quad(q);
            if (w.dead() != first.dead() || w.unbounded() != first.unbounded() || w.ring() != first.ring())
                return false;
            if (w.right_epoch() != quad(Layout::next(q)).left_epoch() || !sealed(q, Layout::fence_of(q))) return false;
        }
        return true;
    }
    /// For an image that was read as a whole.
    [[nodiscard]] bool sealed() const noexcept {
        auto const first = quad(0);
        return first.dead() == meta().dead && first.unbounded() == meta().unbounded && first.ring() == ring() &&
               ring_sealed();
    }

    /// The slot in the neighbourhood of `home` that holds `key`, or no_slot. Both quads are looked at as a whole.
    [[nodiscard]] std::size_t find(std::size_t home, key_type const& key) const noexcept {
        std::array<word, Layout::key_words> wanted;
        std::memcpy(wanted.data(), &key, sizeof key);
        for (auto const q : {home, Layout::next(home)})
            for (auto slot = q * quad_word::slots; slot < (q + 1) * quad_word::slots; ++slot)
                if (std::memcmp(image_ + Layout::slot_at(slot), wanted.data(), sizeof key) == 0 && occupied(slot))
                    return slot;
        return Layout::no_slot;
    }
    [[nodiscard]] std::size_t find(key_type const& key) const noexcept { return find(Layout::home_of(key), key); }

    struct sighting {
        neighbourhood_state state = neighbourhood_state::torn;
        std::size_t slot = Layout::no_slot;
    };
    /// For a neighbourhood that was just read. H1 to H3; a key that is seen in a quad that is whole needs no other one.
    [[nodiscard]] sighting look_for(std::size_t home, key_type const& key) const noexcept {
        auto const copy = Layout::fence_of(home);
        auto const slot = find(home, key);
        unsigned whole = 0;
        for (auto const q : {home, Layout::next(home)}) {
            if (!sealed(q, copy)) continue;
            ++whole;
            if (quad(q).dead()) return {neighbourhood_state::dead, Layout::no_slot};
            if (!quad(q).unbounded() && !(key < fence(copy))) return {neighbourhood_state::right, Layout::no_slot};
            if (slot / quad_word::slots == q) return {neighbourhood_state::whole, slot};
        }
        auto const here = quad(home), there = quad(Layout::next(home));
        bool const agree =
            whole == 2 && here.right_epoch() == there.left_epoch() && here.unbounded() == there.unbounded();
        return {agree ? neighbourhood_state::whole : neighbourhood_state::torn, Layout::no_slot};
    }

    /// An empty leaf that covers everything; not sealed.
    void format(std::uint8_t level, std::uint16_t index_tag, std::uint32_t incarnation) const noexcept {
        std::fill_n(image_, Layout::words, word{0});
        set_meta({.level = level,
                  .dead = false,
                  .unbounded = true,
                  .made = true,
                  .index_tag = index_tag,
                  .incarnation = incarnation});
        set_low(lowest_key<key_type>::value());
    }

    /// Before fence and link change, and entries go: what is there now can be taken back.
    void begin_ring() const noexcept {
        auto const next = (ring() + 1) & quad_word::ring_mask;
        image_[Layout::link_at] = (image_[Layout::link_at] & ~ring_bits) | word{next} << ring_shift;
        for (std::size_t q = 0; q < Layout::quads; ++q)
            set_quad(q, quad(q).with_ring(next).crossed_left().crossed_right());
    }

private:
    static constexpr unsigned ring_shift = 46; // the level in a node_ref
    static constexpr word ring_bits = word{15} << ring_shift;

    [[nodiscard]] static constexpr word identity_of(std::uint16_t index_tag, std::uint32_t incarnation) noexcept {
        return word{index_tag} << 32U | (incarnation & node_ref::incarnation_mask);
    }

    word* image_;
};

template <index_key Key, index_value Value, hopscotch_shape Shape>
struct view_type<hopscotch_layout<Key, Value, Shape>> {
    using type = hopscotch_view<hopscotch_layout<Key, Value, Shape>>;
};

} // namespace catena
