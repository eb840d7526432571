// SPDX-License-Identifier: Apache-2.0
// trace_lru_stack: blocks in the order of their last use, as an unbounded LRU list has them, without the list.
//
// The depth of a block is the number of different blocks used since its last use: its stack distance if it were used now.
// An LRU cache of C blocks holds exactly those of a depth below C, so one pass answers for caches of all sizes.
// A Fenwick tree over the moments of use has a one where a block was last used, so a depth is a sum: O(log n).
// Blocks may stand for several (pieces of trace_blocks.hpp): then the depth counts those.
// Memory: 4 bytes a use and 4 a block. Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace catena::tools {

/// Sums of the first values of an array of counters, in O(log n) each.
class fenwick_tree {
public:
    explicit fenwick_tree(std::size_t size) : sums_(size + 1) {}

    void add(std::size_t at, std::int32_t what) {
        for (++at; at < sums_.size(); at += at & (~at + 1)) sums_[at] += static_cast<std::uint32_t>(what);
    }
    /// Of the values before `end`.
    [[nodiscard]] std::uint32_t sum(std::size_t end) const {
        std::uint32_t total = 0;
        for (; end > 0; end &= end - 1) total += sums_[end];
        return total;
    }

private:
    std::vector<std::uint32_t> sums_; // [i]: of the values from i - (lowest bit of i) on, before i; modulo 2^32
};

class lru_stack {
public:
    static constexpr std::uint32_t never = std::numeric_limits<std::uint32_t>::max();

    /// `sizes`: how many each block stands for, one if there are none; borrowed.
    lru_stack(std::size_t blocks, std::size_t uses, std::span<std::uint32_t const> sizes = {})
        : last_(blocks, never), marks_(uses), sizes_(sizes) {}

    /// `never` of a block that was not used yet.
    [[nodiscard]] std::uint32_t depth(std::uint32_t block) const {
        auto const last = last_[block];
        return last == never ? never : used_ - marks_.sum(std::size_t{last} + 1);
    }

    void use(std::uint32_t block) {
        auto& last = last_[block];
        auto const size = sizes_.empty() ? 1 : static_cast<std::int32_t>(sizes_[block]);
        if (last == never)
            used_ += static_cast<std::uint32_t>(size);
        else
            marks_.add(last, -size);
        last = now_++;
        marks_.add(last, size);
    }

private:
    std::vector<std::uint32_t> last_; // moment of each block's last use
    fenwick_tree marks_;              // the block's size at each of them
    std::span<std::uint32_t const> sizes_;
    std::uint32_t now_ = 0;
    std::uint32_t used_ = 0; // different blocks
};

} // namespace catena::tools
