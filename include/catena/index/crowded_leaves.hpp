// SPDX-License-Identifier: Apache-2.0
// crowded_leaves: which leaves were so full when they were last read as a whole that an insert had better read all of it at
// once. A hint: a bit for each leaf, by hash; several leaves may share one.
// Bound: 128 KiB. Thread safety: any number of threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <catena/core/hash.hpp>
#include <catena/layout/node_ref.hpp>

namespace catena {

class crowded_leaves {
public:
    static constexpr std::size_t bytes = 128 * 1024;

    [[nodiscard]] bool contains(node_ref leaf) const noexcept {
        auto const h = mix64(leaf.bits());
        return (word_of(h).load(std::memory_order_relaxed) >> h % 64 & 1U) != 0;
    }
    void note(node_ref leaf, bool crowded) noexcept {
        auto const h = mix64(leaf.bits());
        auto const bit = word{1} << h % 64;
        auto& at = word_of(h);
        if ((at.load(std::memory_order_relaxed) & bit) == (crowded ? bit : 0)) return;
        if (crowded)
            at.fetch_or(bit, std::memory_order_relaxed);
        else
            at.fetch_and(~bit, std::memory_order_relaxed);
    }

private:
    static constexpr std::size_t words = bytes / sizeof(word);
    [[nodiscard]] std::atomic<word>& word_of(word hash) const noexcept { return bits_[hash / 64 % words]; }

    std::unique_ptr<std::atomic<word>[]> bits_ = std::make_unique<std::atomic<word>[]>(words);
};

} // namespace catena
