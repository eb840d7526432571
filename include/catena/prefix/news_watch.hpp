// SPDX-License-Identifier: Apache-2.0
// news_watch: how far a client has read the ring of news, and how much of it to read next.
//
// It reads where it stopped, along with the first batch of a walk: as much as came last time and half as much again. When eight looks
// in a row found nothing it looks at every eighth walk only, so a client that is alone pays next to nothing.
// Gaps       An entry that is not there while later ones are is waited for through `patience` looks, then passed over.
// Overtaken  Where an entry of a later turn of the ring lies in its place, it goes on half a ring before that.
// Thread safety: any number of threads; of those that read the same entries one moves the position on.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <catena/core/bytes.hpp>
#include <catena/prefix/extent_news.hpp>

namespace catena {

class news_watch {
public:
    static constexpr std::size_t most_read = 128; ///< entries at once
    static constexpr std::size_t fewest_read = 8;
    static constexpr std::uint32_t patience = 4;
    static constexpr std::uint32_t every = 8; ///< a client that hears nothing looks at every eighth walk

    /// A part of the ring.
    struct part {
        std::uint64_t from = 0;
        std::size_t count = 0; ///< entries; 0: none
    };

    /// head: the ring's, before anything else of the index was read.
    news_watch(news_ring ring, std::uint64_t head) noexcept : ring_(ring), next_(head) {}

    [[nodiscard]] news_ring const& ring() const noexcept { return ring_; }

    /// What to read with the first batch of a walk.
    [[nodiscard]] part due() noexcept {
        if (ring_.entries == 0) return {};
        if (!others_at_work() && turn_.fetch_add(1, std::memory_order_relaxed) % every != 0) return {};
        return what_is_next();
    }
    [[nodiscard]] part what_is_next() const noexcept {
        auto const from = next_.load(std::memory_order_relaxed);
        return {from, ring_.in_one_piece(from, amount_.load(std::memory_order_relaxed))};
    }

    /// Calls tell(extent_news) for what stands in these words. True: there may be more behind.
    template <typename Tell>
    bool take(part read, word const* words, Tell tell) {
        std::size_t there = 0;   // up to the last one
        std::size_t in_turn = 0; // up to the first one that is not there
        std::size_t found = 0;
        for (std::size_t i = 0; i < read.count; ++i) {
            auto const news = extent_news::at(words + i * extent_news::entry_words, read.from + i);
            if (!news) continue;
            tell(*news);
            if (in_turn == i) ++in_turn;
            there = i + 1;
            ++found;
        }
        auto const later = extent_news::position_of(words);
        constexpr std::uint64_t plausible = std::uint64_t{1} << 32U;
        if (later > read.from && later - read.from < plausible && (later - read.from) % ring_.entries == 0) {
            advance(read.from, later + 1 - ring_.entries / 2);
            note(most_read);
            return true;
        }
        if (found == 0) {
            quiet_.store(std::min(quiet_.load(std::memory_order_relaxed) + 1, every), std::memory_order_relaxed);
            return false;
        }
        if (in_turn != 0 || waited_.fetch_add(1, std::memory_order_relaxed) + 1 >= patience) {
            waited_.store(0, std::memory_order_relaxed);
            advance(read.from, read.from + (in_turn != 0 ? in_turn : there));
        }
        bool const all = there == read.count;
        // (At the end of the ring little is read, however much comes.)
        note(all ? std::max(2 * read.count, amount_.load(std::memory_order_relaxed)) : found + found / 2);
        return all;
    }

    /// This client wrote `count` entries from that position on: if nobody else did before, it need not read them.
    void wrote(std::uint64_t position, std::size_t count) noexcept { advance(position, position + count); }
    /// Did one of the last eight looks find something?
    [[nodiscard]] bool others_at_work() const noexcept { return quiet_.load(std::memory_order_relaxed) < every; }
    /// They are at work.
    void wake() noexcept { quiet_.store(0, std::memory_order_relaxed); }

private:
    void advance(std::uint64_t from, std::uint64_t to) noexcept {
        next_.compare_exchange_strong(from, to, std::memory_order_relaxed);
    }
    /// So many are expected next time.
    void note(std::size_t expected) noexcept {
        amount_.store(std::clamp(expected, fewest_read, most_read), std::memory_order_relaxed);
        wake();
    }

    news_ring ring_;
    std::atomic<std::uint64_t> next_;
    std::atomic<std::size_t> amount_{2 * fewest_read};
    std::atomic<std::uint32_t> quiet_{every}; ///< looks in a row that found nothing
    std::atomic<std::uint32_t> turn_{0};
    std::atomic<std::uint32_t> waited_{0}; ///< looks in a row that began with one that is not there
};

} // namespace catena
