// SPDX-License-Identifier: Apache-2.0
// model_blocks: how the model of a learned index lies in remote memory. (Which leaf a key belongs to: layout/leaf_line.hpp.)
//
//   directory   one for each generation: the pages of the model in ascending order, and what this generation took out of use
//   page        some pieces of the model; generations share the pages that they have in common
//   extent      a block with the leaves of one piece, one behind the other, so that the number of a leaf is its address
// Directories and pages never change once they are written; a generation is the directory that the root word names.
//
// Words of a directory or page:
//   0     lock word    names the member that wrote it (pool/block_header.hpp)
//   1     seal         of everything behind, but not of the mark that says that it is dead
//   2     meta         as in layout/node.hpp; its level says which of the three it is
//   3     entries (32), retired (32)
//   4     generation   counts; of a page: the one that it was written for
//   5     retired      a node_ref each: extents, pages and the directory that are not in force any more
//   then  entries      page: first key, extent, line of a piece; directory: first key, page
// Words of an extent before its leaves:
//   0, 2  as above     its leaves have the same incarnation
//   3     overflows    FAA: how many leaves split, less how many may before the piece should be trained: enough when not negative
//   4     sparse       FAA: the same of erases that left a neighbourhood nearly empty
//   5     leaves (32), bytes of the block (32)
// Thread safety: pure functions over an image that the caller owns.
#pragma once

#include <cstddef>
#include <cstdint>

#include <catena/core/bytes.hpp>
#include <catena/core/hash.hpp>
#include <catena/layout/leaf_line.hpp>
#include <catena/layout/lock_word.hpp>
#include <catena/layout/node.hpp>
#include <catena/layout/node_ref.hpp>

namespace catena {

/// What the level of a node_ref means in a learned index; leaves have level 0.
enum class model_level : std::uint8_t { leaf = 0, extent = 1, page = 2, directory = 3 };

[[nodiscard]] constexpr node_ref model_ref(remote_ptr at, model_level level, std::uint32_t incarnation) noexcept {
    return {at, static_cast<std::uint32_t>(level), incarnation};
}

/// A piece of the model: keys from `first` on, up to the first key of the next piece.
template <index_key Key>
struct model_piece {
    Key first{};
    node_ref extent;
    leaf_line line; ///< of distances from `first`
};

/// Where a part of the model lies that begins with `first`.
template <index_key Key>
struct model_part {
    Key first{};
    node_ref page;
};

struct extent_header {
    word lock = 0;
    word spare = 0;
    word meta = 0;
    word overflows = 0;
    word sparse = 0;
    word shape = 0;
    word reserved[2] = {}; // NOLINT: a wire struct

    /// Is that enough, after an FAA which added one to `before`?
    [[nodiscard]] static constexpr bool enough(word before) noexcept { return (before + 1) >> 63U == 0; }

    static constexpr std::size_t overflows_at = 3 * word_bytes;
    static constexpr std::size_t sparse_at = 4 * word_bytes;

    [[nodiscard]] constexpr std::uint32_t leaves() const noexcept { return static_cast<std::uint32_t>(shape); }
    [[nodiscard]] constexpr std::uint64_t block_bytes() const noexcept { return shape >> 32U; }
    [[nodiscard]] constexpr node_meta what() const noexcept { return node_meta::from_word(meta); }
};
static_assert(wire_struct<extent_header> && sizeof(extent_header) == 64);

/// The leaf of that number.
template <typename Leaf>
[[nodiscard]] constexpr node_ref leaf_in(node_ref extent, std::uint32_t leaf) noexcept {
    return {extent.at() + sizeof(extent_header) + leaf * Leaf::bytes, 0, extent.incarnation()};
}
template <typename Leaf>
[[nodiscard]] constexpr std::uint32_t leaves_in(std::uint64_t extent_bytes) noexcept {
    return static_cast<std::uint32_t>((extent_bytes - sizeof(extent_header)) / Leaf::bytes);
}

/// A directory (of model_part) or a page (of model_piece) in local memory.
template <typename Entry>
class model_list {
public:
    static constexpr std::size_t header_words = 5;
    static constexpr std::size_t entry_words = words_of<Entry>;

    explicit model_list(word* image) noexcept : image_(image) {}

    /// How many entries a block has room for.
    [[nodiscard]] static constexpr std::size_t capacity(std::uint64_t block_bytes, std::size_t retired = 0) noexcept {
        return (block_bytes / word_bytes - header_words - retired) / entry_words;
    }

    [[nodiscard]] word* image() const noexcept { return image_; }
    [[nodiscard]] node_meta meta() const noexcept { return node_meta::from_word(image_[2]); }
    [[nodiscard]] std::size_t count() const noexcept { return static_cast<std::uint32_t>(image_[3]); }
    [[nodiscard]] std::size_t retired_count() const noexcept { return image_[3] >> 32U; }
    [[nodiscard]] word generation() const noexcept { return image_[4]; }
    [[nodiscard]] node_ref retired(std::size_t i) const noexcept {
        return node_ref::from_word(image_[header_words + i]);
    }
    [[nodiscard]] Entry entry(std::size_t i) const noexcept { return load_words<Entry>(image_ + at(i)); }
    [[nodiscard]] std::size_t used_words() const noexcept { return at(count()); }

    /// Begins an image: who and what it is. Entries follow.
    void begin(std::uint32_t owner, node_meta const& meta, word generation) const noexcept {
        image_[0] = lock_word(true, owner, 0, 0).bits();
        image_[2] = meta.bits();
        image_[3] = 0;
        image_[4] = generation;
    }
    /// Before the first entry.
    void add_retired(node_ref ref) const noexcept {
        image_[header_words + retired_count()] = ref.bits();
        image_[3] += word{1} << 32U;
    }
    void add(Entry const& e) const noexcept {
        store_words(image_ + at(count()), e);
        ++image_[3];
    }
    void seal() const noexcept { image_[1] = expected_seal(); }

    /// Is the image, of which `read_words` were read, all of the block that `ref` means? So far as it was read.
    /// dead: it may be out of use.
    [[nodiscard]] bool is(node_ref ref, std::uint16_t index_tag, std::size_t most_words, bool dead) const noexcept {
        auto const m = meta();
        bool const meant = (m.incarnation & node_ref::incarnation_mask) == ref.incarnation() &&
                           m.level == ref.level() && m.index_tag == index_tag && (dead || !m.dead);
        return meant && count() <= most_words && retired_count() <= most_words && used_words() <= most_words;
    }
    [[nodiscard]] bool sealed() const noexcept { return image_[1] == expected_seal(); }

private:
    [[nodiscard]] std::size_t at(std::size_t i) const noexcept {
        return header_words + retired_count() + i * entry_words;
    }
    [[nodiscard]] word expected_seal() const noexcept {
        auto alive = meta();
        alive.dead = false;
        return hash64(image_ + 3, (used_words() - 3) * word_bytes) ^ mix64(alive.bits());
    }

    word* image_;
};

} // namespace catena
