// SPDX-License-Identifier: Apache-2.0
// extent_news: a ring in remote memory that tells every client where the others' new extents lie.
//
// A publisher takes positions in the ring by FAA and, once the index has his extents, writes one entry for each run of them that lie
// one behind the other, along with a later batch (prefix/news_outbox.hpp). Each client reads what came since it looked
// last, along with what it reads anyway (prefix/news_watch.hpp). So what is told was true once, as all that a client remembers of
// placements, and it costs nobody a round trip. Nothing depends on what becomes of an entry:
//   torn, late   Each entry says at which position it was written; what does not fit is not there (yet).
//   never        Its writer died, or gave up, or was alone for long and is slow: after a while it is passed over.
//   overtaken    A client that looks too seldom misses entries; what they told of, it finds through the index.
//
// Offsets in words (docs/formats.md): 0 to 2 block header (pool/block_header.hpp), 3 head: the next position, 4 how many entries,
// 8 entries: key, extent, parent, check = (extents behind the first (16) | position (48)) exclusive-or the other three.
// The ring stays as long as the pool, also when its index is dropped (leave_news_ring of detail/news_setup.hpp): FAAs and WRITEs have no
// condition, and those of a client that comes late would change whatever its memory were by then.
// Thread safety: plain values; the remote words are changed by FAA (head) and WRITE (entries, each by who took its position).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <catena/core/bytes.hpp>
#include <catena/core/remote_ptr.hpp>
#include <catena/prefix/extent_words.hpp>

namespace catena {

/// So many extents lie one behind the other, of the same class and incarnation, each for the window behind the one before.
struct extent_news {
    static constexpr std::size_t entry_words = 4;
    static constexpr std::size_t most_behind = 15;

    word key = 0;             ///< of the first one's first block: the low half of its hash
    extent_ref first;         ///< null: the entry tells nothing
    word parent = 0;          ///< if it begins inside a window: the key of the extent that it branches from
    std::uint32_t behind = 0; ///< further ones, at most most_behind

    /// One more, if it lies behind these. False: it does not.
    [[nodiscard]] constexpr bool joins(extent_ref e) noexcept {
        extent_ref const next(first.at() + (behind + 1) * first.bytes(), first.size_class(), first.incarnation());
        if (behind == most_behind || e != next) return false;
        ++behind;
        return true;
    }

    [[nodiscard]] constexpr std::array<word, entry_words> written_at(std::uint64_t position) const noexcept {
        auto const check = word{behind} << 48U | (position & position_mask);
        return {key, first.bits(), parent, check ^ key ^ first.bits() ^ parent};
    }
    /// The position at which these words say that they were written, however torn they are.
    [[nodiscard]] static constexpr std::uint64_t position_of(word const* words) noexcept {
        return check_of(words) & position_mask;
    }
    [[nodiscard]] static constexpr std::optional<extent_news> at(word const* words, std::uint64_t position) noexcept {
        auto const first = extent_ref::from_word(words[1]);
        auto const behind = check_of(words) >> 48U;
        if (position_of(words) != (position & position_mask) || behind > most_behind) return std::nullopt;
        return extent_news{
            .key = words[0], .first = first, .parent = words[2], .behind = static_cast<std::uint32_t>(behind)};
    }

private:
    [[nodiscard]] static constexpr word check_of(word const* words) noexcept {
        return words[0] ^ words[1] ^ words[2] ^ words[3];
    }
    static constexpr std::uint64_t position_mask = (std::uint64_t{1} << 48U) - 1;
};

/// Where a ring lies. Positions go up for ever; the first is `entries`, so that no entry of zeros was written at one.
struct news_ring {
    static constexpr std::size_t head_word = 3;
    static constexpr std::size_t entries_word = 4;
    static constexpr std::size_t header_words = 8;
    static constexpr std::size_t entry_bytes = extent_news::entry_words * word_bytes;

    remote_ptr at;
    std::uint64_t entries = 0; ///< 0: there is no ring

    [[nodiscard]] static constexpr std::uint64_t entries_in(std::size_t bytes) noexcept {
        return (bytes - header_words * word_bytes) / entry_bytes;
    }
    [[nodiscard]] constexpr std::size_t bytes() const noexcept {
        return entries == 0 ? 0 : header_words * word_bytes + static_cast<std::size_t>(entries) * entry_bytes;
    }
    [[nodiscard]] constexpr remote_ptr head() const noexcept { return at + head_word * word_bytes; }
    [[nodiscard]] constexpr remote_ptr entry(std::uint64_t position) const noexcept {
        return at + (header_words * word_bytes + position % entries * entry_bytes);
    }
    /// How many of `count` entries from that position on lie one behind the other.
    [[nodiscard]] constexpr std::size_t in_one_piece(std::uint64_t position, std::size_t count) const noexcept {
        auto const to_end = entries - position % entries;
        return count < to_end ? count : static_cast<std::size_t>(to_end);
    }
};

} // namespace catena
