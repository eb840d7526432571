// SPDX-License-Identifier: Apache-2.0
// packed_node: an internal node without the bits that all its entries have in common, sorted for bisection.
//
// Separators of one node lie close together, and so do its children: most of their upper bits are the same. Of each
// word of a key only the bits that vary are kept, from the lowest to the highest, as differences (exclusive or) from
// the low fence; of the references likewise, as differences from the first child. Nothing is lost, and nothing is
// assumed about the order of the key type: a key is put together again before it is compared.
// Words: node | link | shape | low fence | first child | bits
//   shape  16-bit lanes: count and flag, then for each key word and for the child its width less one and its shift
//   bits   the high fence unless unbounded, then separator and child, count times, ascending
// A reader of a record that is being overwritten sees any words at all. So whatever is taken from a record is bounded
// before it is used: everything here stays within the first max_words words and shifts by less than 64.
// Thread safety: pure functions over words that the caller reaches.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include <catena/core/bytes.hpp>
#include <catena/layout/node.hpp>

namespace catena {

template <typename Layout>
struct packed_layout {
    static constexpr std::size_t key_words = Layout::key_words;
    static constexpr std::size_t fields = key_words + 1; ///< of an entry: the words of its key, and its child
    static constexpr std::size_t lanes_per_word = 4;
    static constexpr std::size_t node_at = 0;
    static constexpr std::size_t link_at = 1;
    static constexpr std::size_t shape_at = 2;
    static constexpr std::size_t shape_words = (1 + fields + lanes_per_word - 1) / lanes_per_word;
    static constexpr std::size_t low_at = shape_at + shape_words;
    static constexpr std::size_t first_child_at = low_at + key_words;
    static constexpr std::size_t bits_at = first_child_at + 1;
    static constexpr std::size_t most_bits = 64 * (key_words + Layout::slots * fields);
    static constexpr std::size_t max_words = bits_at + most_bits / 64 + 1; ///< a field is read with the word after it
    static constexpr word unbounded_bit = 0x8000U;
    static constexpr word count_mask = 0x7fffU;

    [[nodiscard]] static constexpr std::size_t words_for(std::size_t bits) noexcept {
        return bits_at + (bits + 63) / 64;
    }
};

/// Writes the record of `image` to `out`; returns its length in words.
template <typename Layout>
[[nodiscard]] std::size_t pack_node(node_ref node, node_view<Layout> const& image,
                                    std::array<word, packed_layout<Layout>::max_words>& out) noexcept {
    using record = packed_layout<Layout>;
    constexpr auto key_words = record::key_words;
    slot_order<Layout> order;
    auto const count = sorted_slots(image, std::span(order));
    word const* const raw = image.image();
    auto const unbounded = image.meta().unbounded;
    auto const entry = [&](std::size_t i) { return raw + Layout::slot_at(order[i]); };

    out[record::node_at] = node.bits();
    out[record::link_at] = image.link().bits();
    auto* const base = out.data() + record::low_at; // field by field: low fence, first child
    std::copy_n(raw + Layout::low_at, key_words, base);
    base[key_words] = count == 0 ? 0 : entry(0)[key_words];
    std::array<word, record::fields> varying{};
    for (std::size_t i = 0; i < count; ++i)
        for (std::size_t f = 0; f < record::fields; ++f) varying[f] |= entry(i)[f] ^ base[f];
    if (!unbounded)
        for (std::size_t f = 0; f < key_words; ++f) varying[f] |= raw[Layout::high_at + f] ^ base[f];

    std::array<unsigned, record::fields> shift{};
    std::array<unsigned, record::fields> width;
    std::array<word, record::lanes_per_word * record::shape_words> lanes{count |
                                                                         (unbounded ? record::unbounded_bit : 0)};
    for (std::size_t f = 0; f < record::fields; ++f) {
        if (varying[f] != 0) shift[f] = static_cast<unsigned>(std::countr_zero(varying[f]));
        width[f] = static_cast<unsigned>(
            std::bit_width(varying[f] >> shift[f] | 1U)); // a bit of nothing spares readers a case
        lanes[1 + f] = (width[f] - 1) | word{shift[f]} << 8U;
    }
    for (std::size_t i = 0; i < record::shape_words; ++i)
        out[record::shape_at + i] =
            lanes[4 * i] | lanes[4 * i + 1] << 16U | lanes[4 * i + 2] << 32U | lanes[4 * i + 3] << 48U;

    std::size_t bits = 0;
    std::fill(out.begin() + record::bits_at, out.end(), word{0});
    auto const append = [&](word const* from, std::size_t n) {
        for (std::size_t f = 0; f < n; ++f) {
            word const w = (from[f] ^ base[f]) >> shift[f];
            auto const at = record::bits_at + bits / 64;
            out[at] |= w << bits % 64;
            if (bits % 64 + width[f] > 64) out[at + 1] |= w >> (64 - bits % 64);
            bits += width[f];
        }
    };
    if (!unbounded) append(raw + Layout::high_at, key_words);
    for (std::size_t i = 0; i < count; ++i) append(entry(i), record::fields);
    return record::words_for(bits);
}

/// A record, of which get(i) is word i, 0 <= i < max_words. Bits are counted from its beginning.
template <typename Layout, typename Get>
class packed_node {
    using record = packed_layout<Layout>;
    static constexpr auto key_words = record::key_words;

public:
    using key_type = typename Layout::key_type;

    explicit packed_node(Get get) noexcept : get_(get) {
        std::array<word, record::shape_words> shape;
        for (std::size_t i = 0; i < record::shape_words; ++i) shape[i] = get_(record::shape_at + i);
        count_ = std::min<std::size_t>(shape[0] & record::count_mask, Layout::slots);
        unbounded_ = (shape[0] & record::unbounded_bit) != 0;
        for (std::size_t f = 0; f < record::fields; ++f) {
            auto const lane = static_cast<unsigned>(shape[(1 + f) / 4] >> (1 + f) % 4 * 16U);
            auto const less_one = lane & 63U;
            auto const shift = lane >> 8U & 63U;
            if (f == key_words && !unbounded_) entries_ += stride_;
            fields_[f] = {.base = get_(record::low_at + f),
                          .mask = ~word{0} >> (63 - less_one) << shift,
                          .from = stride_ - shift};
            stride_ += less_one + 1;
        }
    }

    [[nodiscard]] node_ref link() const noexcept { return node_ref::from_word(get_(record::link_at)); }
    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    [[nodiscard]] std::size_t words() const noexcept { return (entries_ + count_ * stride_ + 63) / 64; }
    [[nodiscard]] key_type low() const noexcept {
        std::array<word, key_words> raw;
        for (std::size_t f = 0; f < key_words; ++f) raw[f] = fields_[f].base;
        return load_words<key_type>(raw.data());
    }
    [[nodiscard]] bool unbounded() const noexcept { return unbounded_; }
    /// Needs a high fence.
    [[nodiscard]] key_type high() const noexcept { return key_at(bits_from); }
    [[nodiscard]] bool above(key_type const& key) const noexcept { return !unbounded_ && !(key < high()); }
    /// Separator and child i < count().
    [[nodiscard]] key_type key(std::size_t i) const noexcept { return key_at(entries_ + i * stride_); }
    [[nodiscard]] node_ref child(std::size_t i) const noexcept { return child_at(entries_ + i * stride_); }
    /// The child of the last separator that is not above `key`; the first child if all are.
    [[nodiscard]] node_ref child_for(key_type const& key) const noexcept {
        std::size_t first = entries_;
        for (std::size_t n = count_; n > 1;) {
            auto const half = n / 2;
            auto const middle = first + half * stride_;
            first = key < key_at(middle) ? first : middle;
            n -= half;
        }
        return child_at(first);
    }

private:
    static constexpr std::size_t bits_from = 64 * record::bits_at;

    __extension__ using two_words = unsigned __int128;

    struct field {
        word base;
        word mask;        ///< the bits that vary, in their place
        std::size_t from; ///< where bit 0 of the word would be, from the beginning of an entry; modulo 2^64
    };

    [[nodiscard]] word field_at(std::size_t entry, field const& f) const noexcept {
        auto const bit = entry + f.from; // not before the header: entry >= bits_from > 63
        auto const at = bit / 64;
        return f.base ^ (static_cast<word>((two_words{get_(at + 1)} << 64U | get_(at)) >> bit % 64) & f.mask);
    }
    [[nodiscard]] key_type key_at(std::size_t entry) const noexcept {
        std::array<word, key_words> raw;
        for (std::size_t f = 0; f < key_words; ++f) raw[f] = field_at(entry, fields_[f]);
        return load_words<key_type>(raw.data());
    }
    [[nodiscard]] node_ref child_at(std::size_t entry) const noexcept {
        return node_ref::from_word(field_at(entry, fields_[key_words]));
    }

    Get get_;
    std::size_t count_ = 0;
    std::size_t stride_ = 0;
    std::size_t entries_ = bits_from;
    std::array<field, record::fields> fields_;
    bool unbounded_ = false;
};

} // namespace catena
