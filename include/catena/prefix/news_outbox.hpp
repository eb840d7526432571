// SPDX-License-Identifier: Apache-2.0
// news_outbox: what a client has published and not yet told the others; it goes along with its next publish of something new, or
// with a walk that looks for news itself.
//
// Told late, or lost, it costs others a question to the index; so nobody waits for it, nor for anybody here.
// Thread safety: any number of threads. One at a time; who finds another at it lets it be.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include <catena/prefix/extent_news.hpp>

namespace catena {

class news_outbox {
public:
    static constexpr std::size_t capacity = 128;

    struct letter {
        std::uint64_t position = 0; ///< in the ring
        extent_news news;
    };

    /// One for each position from the first on. What there is no room for is lost.
    void put(std::uint64_t position, std::span<extent_news const> news) noexcept {
        if (news.empty() || busy_.test_and_set(std::memory_order_acquire)) return;
        auto count = count_.load(std::memory_order_relaxed);
        for (auto const& n : news)
            if (count < capacity) letters_[count++] = {.position = position++, .news = n};
        count_.store(count, std::memory_order_relaxed);
        busy_.clear(std::memory_order_release);
    }

    /// Takes the oldest; returns how many.
    std::size_t take(std::span<letter> to) noexcept {
        if (count_.load(std::memory_order_relaxed) == 0 || busy_.test_and_set(std::memory_order_acquire)) return 0;
        auto const count = count_.load(std::memory_order_relaxed);
        auto const n = std::min(count, to.size());
        std::copy_n(letters_.begin(), n, to.begin());
        std::copy(letters_.begin() + n, letters_.begin() + count, letters_.begin());
        count_.store(count - n, std::memory_order_relaxed);
        busy_.clear(std::memory_order_release);
        return n;
    }

private:
    std::atomic_flag busy_;
    std::atomic<std::size_t> count_{0};
    std::array<letter, capacity> letters_{};
};

} // namespace catena
