// SPDX-License-Identifier: Apache-2.0
// hotspot_buffer: values of hopscotch leaves that are asked for often, each with the control word of its quad as it was.
// (CHIME, section 4.3, keeps addresses of hot entries and reads an entry of which nothing says whether it is whole. Here the
// value is known, and what is read is the one word that says whether it still holds.)
//
// A lookup that finds its key here READs that control word, 8 bytes. If it is the same the quad has the same contents, in the
// same life of the same leaf, since the word seals all that (layout/hopscotch_leaf.hpp, H1): the value is that of the moment
// of the READ. If not, the lookup reads the neighbourhood, one round trip more.
// Replacement: a bucket keeps what was asked for most; who comes new takes the place of an entry whose count has worn off.
// Bound: the capacity in bytes that it was given. Thread safety: any number of threads; readers take no lock, whoever finds a
// bucket being written leaves it alone. (Memory order as in index/node_cache.hpp.)
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include <catena/core/bytes.hpp>
#include <catena/core/hash.hpp>

namespace catena {

template <typename Key, typename Value>
class hotspot_buffer {
public:
    struct entry {
        Value value{};
        word control = 0;    ///< of the quad, when the value was seen
        bool behind = false; ///< in the quad behind the key's home
    };

    /// capacity_bytes: 0 keeps nothing.
    explicit hotspot_buffer(std::size_t capacity_bytes)
        : count_(capacity_bytes / sizeof(bucket)), buckets_(count_ == 0 ? nullptr : new bucket[count_]) {}

    [[nodiscard]] std::optional<entry> find(Key const& key) noexcept {
        if (count_ == 0) return {};
        auto& b = bucket_of(key);
        auto const before = b.sequence.load(std::memory_order_acquire);
        auto const wanted = words_of_key(key);
        auto const slot = before % 2 == 0 ? slot_of(b, wanted) : ways;
        if (slot == ways) return {};
        std::array<word, value_words> value;
        for (std::size_t i = 0; i < value_words; ++i)
            value[i] = b.entries[slot].value[i].load(std::memory_order_acquire);
        auto const control = b.entries[slot].control.load(std::memory_order_acquire);
        if (b.sequence.load(std::memory_order_relaxed) != before || control == 0) return {};
        count_use(b, slot);
        return entry{.value = load_words<Value>(value.data()),
                     .control = control & ~behind_bit,
                     .behind = (control & behind_bit) != 0};
    }

    /// `key` was asked for and found so. It is kept if its bucket has nothing that is asked for more.
    void note(Key const& key, entry const& e) noexcept { put(key, e, true); }
    /// The quad of `key` was changed by this client: if the key is kept its entry holds again.
    void refresh(Key const& key, entry const& e) noexcept { put(key, e, false); }

    [[nodiscard]] std::size_t capacity_bytes() const noexcept { return count_ * sizeof(bucket); }

private:
    static constexpr std::size_t ways = 8;
    static constexpr std::size_t key_words = words_of<Key>;
    static constexpr std::size_t value_words = words_of<Value>;
    static constexpr word behind_bit = word{1} << 57U; // no bit of a control word
    static constexpr unsigned use_bits = 4;
    static constexpr std::uint32_t most_uses = (1U << use_bits) - 1;
    using key_image = std::array<word, key_words>;

    struct kept {
        std::array<std::atomic<word>, key_words> key{};
        std::array<std::atomic<word>, value_words> value{};
        std::atomic<word> control{0}; ///< 0: empty
    };
    struct bucket {
        std::atomic<std::uint32_t> sequence{0}; ///< odd while it changes
        std::atomic<std::uint32_t> uses{0};     ///< four bits a slot; increments may be lost
        std::array<kept, ways> entries{};
    };

    [[nodiscard]] static key_image words_of_key(Key const& key) noexcept {
        key_image words;
        store_words(words.data(), key);
        return words;
    }
    [[nodiscard]] bucket& bucket_of(Key const& key) const noexcept {
        auto const h = hash64(&key, sizeof key) >> 32U;
        return buckets_[static_cast<std::size_t>(mix64(h) >> 32U) * count_ >> 32U];
    }
    [[nodiscard]] static std::size_t slot_of(bucket const& b, key_image const& wanted) noexcept {
        for (std::size_t s = 0; s < ways; ++s) {
            bool same = true;
            for (std::size_t i = 0; i < key_words && same; ++i)
                same = b.entries[s].key[i].load(std::memory_order_acquire) == wanted[i];
            if (same && b.entries[s].control.load(std::memory_order_acquire) != 0) return s;
        }
        return ways;
    }
    [[nodiscard]] static std::uint32_t uses_of(std::uint32_t uses, std::size_t slot) noexcept {
        return uses >> slot * use_bits & most_uses;
    }
    static void count_use(bucket& b, std::size_t slot) noexcept {
        auto const uses = b.uses.load(std::memory_order_relaxed);
        if (uses_of(uses, slot) < most_uses) b.uses.store(uses + (1U << slot * use_bits), std::memory_order_relaxed);
    }

    void put(Key const& key, entry const& e, bool may_enter) noexcept {
        if (count_ == 0) return;
        auto& b = bucket_of(key);
        auto const wanted = words_of_key(key);
        auto sequence = b.sequence.load(std::memory_order_relaxed);
        if (sequence % 2 != 0 || (!may_enter && slot_of(b, wanted) == ways)) return;
        if (!b.sequence.compare_exchange_strong(sequence, sequence + 1, std::memory_order_acquire)) return;
        auto at = slot_of(b, wanted);
        if (at == ways && may_enter) at = make_room(b, sequence / 2);
        if (at != ways) {
            auto& to = b.entries[at];
            std::array<word, value_words> value;
            store_words(value.data(), e.value);
            for (std::size_t i = 0; i < key_words; ++i) to.key[i].store(wanted[i], std::memory_order_release);
            for (std::size_t i = 0; i < value_words; ++i) to.value[i].store(value[i], std::memory_order_release);
            to.control.store(e.control | (e.behind ? behind_bit : 0), std::memory_order_release);
        }
        b.sequence.store(sequence + 2, std::memory_order_release);
    }

    /// The slot used least, if nobody used it for a while; else it is a little nearer to that. Of equals the first from
    /// `hand` on, which goes round: else the one place would be taken again and again.
    [[nodiscard]] static std::size_t make_room(bucket& b, std::size_t hand) noexcept {
        auto const uses = b.uses.load(std::memory_order_relaxed);
        auto least = hand % ways;
        for (std::size_t i = 0; i < ways; ++i) {
            auto const s = (hand + i) % ways;
            if (b.entries[s].control.load(std::memory_order_relaxed) == 0) return s;
            if (uses_of(uses, s) < uses_of(uses, least)) least = s;
        }
        if (uses_of(uses, least) == 0) return least;
        b.uses.store(uses - (1U << least * use_bits), std::memory_order_relaxed);
        return ways;
    }

    std::size_t count_;
    std::unique_ptr<bucket[]> buckets_;
};

} // namespace catena
