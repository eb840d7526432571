// SPDX-License-Identifier: Apache-2.0
// node: a B-link tree node as it lies in remote memory. Leaves and internal nodes have the same shape.
//
// Offsets in words (K = words of a key, P = words of a payload; docs/formats.md):
//   0          lock word     locked, owner, version, seal (layout/lock_word.hpp)
//   1          occupancy     bit i: slot i holds an entry
//   2          meta          level (8) | flags (8) | index tag (16) | incarnation (32)
//   3          link          right sibling
//   4          low fence     K words: every key here is >= low
//   4 + K      high fence    K words: every key here is < high, unless the flag says that there is none
//   4 + 2K     slots         (K + P) words each: key, payload; not sorted
//
// Invariants (asserted by tests and by verify):
//   N1  sealed: the lock word carries the seal of all other words under its version. What does not fit its seal is
//       torn or damaged and is never used: a sealed image is a state that the node had at one moment.
//   N2  whole at every moment: an occupied slot changes by at most one word (a payload of one word); everything else is
//       written to free slots and becomes valid by the one word `occupancy`. A writer that dies anywhere leaves every
//       occupied slot whole.
//   N3  link and high are written before an occupancy that lets entries go and after one that gains some; the high fence
//       equals the low fence of the node that link names; there is none where link is null.
//   N4  at least one slot is free, so that a payload of several words can always be replaced out of place.
// Thread safety: pure functions over an image that the caller owns.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>

#include <catena/core/bytes.hpp>
#include <catena/core/hash.hpp>
#include <catena/layout/lock_word.hpp>
#include <catena/layout/node_ref.hpp>

namespace catena {

/// A key: totally ordered, equal exactly when its bytes are equal, of 8 to 64 bytes in whole words.
template <typename K>
concept index_key =
    wire_struct<K> && std::totally_ordered<K> && std::has_unique_object_representations_v<K> && sizeof(K) % word_bytes
        == 0 &&
    sizeof(K) <= 64;

/// A value: any trivially copyable type of at most 64 bytes that needs no more than the default alignment of new.
template <typename V>
concept index_value = word_copyable<V> && std::default_initializable<V> && sizeof(V) <= 64 &&
                      alignof(V) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__; // values travel in coroutine frames

/// The smallest key. Specialise for a struct whose value-initialised object is not its smallest.
template <index_key K>
struct lowest_key {
    [[nodiscard]] static constexpr K value() noexcept {
        if constexpr (std::numeric_limits<K>::is_specialized)
            return std::numeric_limits<K>::lowest();
        else
            return K{};
    }
};

inline constexpr std::size_t meta_word = 2;

/// The meta word of a node, which never tears.
struct node_meta {
    std::uint8_t level = 0;
    bool dead = false;      ///< merged into its left neighbour, or replaced by a bulk load
    bool unbounded = false; ///< there is no high fence: the rightmost node of its level
    bool made = false;      ///< word 1 names the member that wrote the node first (hopscotch leaves)
    std::uint16_t index_tag = 0;
    std::uint32_t incarnation = 0;

    [[nodiscard]] static constexpr node_meta from_word(word w) noexcept {
        return {.level = static_cast<std::uint8_t>(w),
                .dead = (w >> 8U & 1U) != 0,
                .unbounded = (w >> 9U & 1U) != 0,
                .made = (w >> 11U & 1U) != 0,
                .index_tag = static_cast<std::uint16_t>(w >> 16U),
                .incarnation = static_cast<std::uint32_t>(w >> 32U)};
    }
    [[nodiscard]] constexpr word bits() const noexcept {
        return word{level} | word{dead} << 8U | word{unbounded} << 9U | word{made} << 11U | word{index_tag} << 16U |
               word{incarnation} << 32U;
    }
};

template <index_key Key, word_copyable Payload, std::size_t NodeBytes>
struct node_layout {
    using key_type = Key;
    using payload_type = Payload;

    static constexpr std::size_t bytes = NodeBytes;
    static constexpr std::size_t words = NodeBytes / word_bytes;
    static constexpr std::size_t key_words = words_of<Key>;
    static constexpr std::size_t payload_words = words_of<Payload>;
    static constexpr std::size_t entry_words = key_words + payload_words;
    static constexpr std::size_t low_at = 4;
    static constexpr std::size_t high_at = low_at + key_words;
    static constexpr std::size_t slots_at = high_at + key_words;
    static constexpr std::size_t slots = std::min<std::size_t>(64, (words - slots_at) / entry_words);
    static constexpr std::size_t capacity = slots - 1; // N4
    static constexpr word all_slots = slots == 64 ? ~word{0} : (word{1} << slots) - 1;

    static_assert(NodeBytes % 64 == 0 && slots >= 4, "a node needs room for four entries");

    [[nodiscard]] static constexpr std::size_t slot_at(std::size_t slot) noexcept {
        return slots_at + slot * entry_words;
    }
    [[nodiscard]] static constexpr std::size_t payload_at(std::size_t slot) noexcept {
        return slot_at(slot) + key_words;
    }
};

/// A node image in local memory: Layout::words words that the view does not own.
template <typename Layout>
class node_view {
public:
    using layout = Layout;
    using key_type = typename Layout::key_type;
    using payload_type = typename Layout::payload_type;

    explicit node_view(word* image) noexcept : image_(image) {}

    [[nodiscard]] word* image() const noexcept { return image_; }
    [[nodiscard]] lock_word lock() const noexcept { return lock_word(image_[0]); }
    /// The lock word that gives the lock up with nothing changed.
    [[nodiscard]] lock_word unlocked() const noexcept { return lock().released(); }
    [[nodiscard]] std::uint32_t last_writer() const noexcept { return lock().owner(); }
    [[nodiscard]] word occupancy() const noexcept { return image_[1]; }
    [[nodiscard]] word free_slots() const noexcept { return ~image_[1] & Layout::all_slots; }
    [[nodiscard]] std::size_t count() const noexcept { return static_cast<std::size_t>(std::popcount(image_[1])); }
    [[nodiscard]] node_meta meta() const noexcept { return node_meta::from_word(image_[meta_word]); }
    [[nodiscard]] node_ref link() const noexcept { return node_ref::from_word(image_[3]); }
    [[nodiscard]] key_type low() const noexcept { return load_words<key_type>(image_ + Layout::low_at); }
    [[nodiscard]] key_type high() const noexcept { return load_words<key_type>(image_ + Layout::high_at); }
    [[nodiscard]] bool above(key_type const& key) const noexcept { return !meta().unbounded && !(key < high()); }
    [[nodiscard]] bool below(key_type const& key) const noexcept { return key < low(); }
    [[nodiscard]] key_type key(std::size_t slot) const noexcept {
        return load_words<key_type>(image_ + Layout::slot_at(slot));
    }
    [[nodiscard]] payload_type payload(std::size_t slot) const noexcept {
        return load_words<payload_type>(image_ + Layout::payload_at(slot));
    }

    void set_lock(lock_word w) const noexcept { image_[0] = w.bits(); }
    void set_occupancy(word w) const noexcept { image_[1] = w; }
    void set_meta(node_meta const& m) const noexcept { image_[meta_word] = m.bits(); }
    void set_link(node_ref r) const noexcept { image_[3] = r.bits(); }
    void set_low(key_type const& k) const noexcept { store_words(image_ + Layout::low_at, k); }
    void set_high(key_type const& k) const noexcept { store_words(image_ + Layout::high_at, k); }
    void set_entry(std::size_t slot, key_type const& k, payload_type const& p) const noexcept {
        store_words(image_ + Layout::slot_at(slot), k);
        store_words(image_ + Layout::payload_at(slot), p);
    }
    void set_payload(std::size_t slot, payload_type const& p) const noexcept {
        store_words(image_ + Layout::payload_at(slot), p);
    }

    /// The slot that holds `key`, or Layout::slots.
    [[nodiscard]] std::size_t find(key_type const& key) const noexcept {
        std::array<word, Layout::key_words> wanted;
        std::memcpy(wanted.data(), &key, sizeof key);
        word const occupied = occupancy();
        for (std::size_t slot = 0; slot < Layout::slots; ++slot) {
            word const* const at = image_ + Layout::slot_at(slot);
            if (at[0] != wanted[0]) continue;
            if (std::memcmp(at, wanted.data(), sizeof key) == 0 && (occupied >> slot & 1U) != 0) return slot;
        }
        return Layout::slots;
    }

    /// Calls visit(slot) for every occupied slot.
    template <typename Visit>
    void for_each_slot(Visit visit) const {
        for (word rest = occupancy(); rest != 0; rest &= rest - 1)
            visit(static_cast<std::size_t>(std::countr_zero(rest)));
    }

    /// The seal that these contents must carry under `version`.
    [[nodiscard]] std::uint32_t seal_of(std::uint32_t version) const noexcept {
        auto const h = hash64(image_ + 1, Layout::bytes - word_bytes) ^ mix64(version + 1ULL);
        return static_cast<std::uint32_t>(h ^ h >> 32U);
    }
    /// N1: is this image a state that the node really had?
    [[nodiscard]] bool sealed() const noexcept { return lock().seal() == seal_of(lock().version()); }
    /// Gives the contents the next version: the word to publish, locked or free.
    void seal(std::uint32_t owner, bool locked) const noexcept {
        auto const version = lock().next_version();
        set_lock(lock_word(locked, owner, version, seal_of(version)));
    }

    /// An empty node that covers everything.
    void format(std::uint8_t level, std::uint16_t index_tag, std::uint32_t incarnation) const noexcept {
        std::fill_n(image_, Layout::words, word{0});
        set_meta(
            {.level = level, .dead = false, .unbounded = true, .index_tag = index_tag, .incarnation = incarnation});
        set_low(lowest_key<key_type>::value());
    }

private:
    word* image_;
};

/// How an image of this layout is looked at.
template <typename Layout>
struct view_type {
    using type = node_view<Layout>;
};
template <typename Layout>
using view_of = typename view_type<Layout>::type;

/// Room for the slots of a node in some order. More than a tiny node has: g++ 12 warns of std::sort on less than 16.
template <typename Layout>
using slot_order = std::array<std::uint8_t, std::max<std::size_t>(Layout::slots, 20)>;

/// Occupied slots in ascending order of their keys; returns how many.
template <typename View>
[[nodiscard]] std::size_t sorted_slots(View const& node, std::span<std::uint8_t> order) noexcept {
    std::size_t n = 0;
    node.for_each_slot([&](std::size_t slot) { order[n++] = static_cast<std::uint8_t>(slot); });
    std::sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n),
              [&](std::uint8_t a, std::uint8_t b) { return node.key(a) < node.key(b); });
    return n;
}

} // namespace catena
