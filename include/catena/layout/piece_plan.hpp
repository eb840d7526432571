// SPDX-License-Identifier: Apache-2.0
// piece_plan: which pieces a part of the model gets that is trained anew, from the numbers of its keys.
//
// Segments of an optimal fit (layout/linear_fit.hpp) are cut into pieces of at most the largest extent; keys in too small segments
// share a leaf. A piece divides its keys evenly by their numbers. Where that overfills more than a few leaves the piece is
// fitted again with a quarter of the error bound: so smooth distributions, uniform ones above all, get few and large pieces,
// others as many as they need. Ends at a bound of `least_error`, whatever the keys are.
// Thread safety: pure; allocates.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <catena/layout/key_number.hpp>
#include <catena/layout/leaf_line.hpp>
#include <catena/layout/linear_fit.hpp>

namespace catena {

/// An extent that can be had.
struct extent_size {
    std::uint32_t leaves = 0;
    std::uint32_t bytes = 0;
};

struct plan_rules {
    std::size_t fill = 0;          ///< keys that a leaf should have
    std::size_t most = 0;          ///< more than that and it needs an overflow leaf from the beginning
    std::uint32_t error_bound = 0; ///< of the first fit, in keys
    key_number limit = 0;          ///< the number of the highest key
    bool by_rank = false;          ///< leaves get the same number of keys each, wherever the line says that they are
    std::array<extent_size, 10> sizes{};
    std::size_t size_count = 0; ///< ascending; the first has one leaf

    [[nodiscard]] extent_size largest() const noexcept { return sizes[size_count - 1]; }
    /// The smallest that has nearly so many leaves.
    [[nodiscard]] extent_size size_for(std::size_t leaves) const noexcept {
        for (auto const& s : std::span(sizes).first(size_count))
            if (s.leaves + s.leaves / 16 >= leaves) return s;
        return largest();
    }
};

struct planned_piece {
    key_number begin = 0;
    std::size_t first = 0; ///< of its keys
    std::size_t count = 0;
    leaf_line line;
    std::uint32_t block_bytes = 0;
};

/// number_at(i): of the i-th key, ascending.
template <typename NumberAt>
class piece_planner {
public:
    static constexpr std::uint32_t least_error = 4;

    /// spare: no piece follows, keys may come behind the last one: for them a piece of about so many leaves; 0: else.
    piece_planner(plan_rules const& rules, std::size_t keys, NumberAt number_at, std::size_t spare)
        : rules_(rules), keys_(keys), number_at_(number_at), spare_(spare) {}

    /// The pieces for all keys from `begin` on, at least one.
    [[nodiscard]] std::vector<planned_piece> run(key_number begin) {
        std::size_t first = 0;
        if (keys_ > rules_.fill) {
            auto const gap = number_at_(0) - begin;
            auto const span = number_at_(keys_ - 1) - number_at_(0);
            if (gap / 2 > span / leaves_for(keys_)) { // nothing lies there: not worth more than a leaf
                add(begin, 0, 0, rules_.sizes[0], gap);
                begin = number_at_(0);
            }
        }
        if (keys_ == 0)
            add(begin, 0, 0, rules_.sizes[0], 0);
        else
            fit(begin, first, keys_, rules_.error_bound);
        if (spare_ > 0 && keys_ > rules_.fill && !rules_.by_rank) add_spare(); // ranks know nothing of keys to come
        return std::move(made_);
    }

private:
    [[nodiscard]] std::size_t leaves_for(std::size_t keys) const noexcept {
        return std::max<std::size_t>(1, (keys + rules_.fill - 1) / rules_.fill);
    }
    /// The first key from `at` on whose number is not that of the one before. (Keys of one number are in one piece.)
    [[nodiscard]] std::size_t border(std::size_t at, std::size_t end) const {
        while (at < end && at > 0 && number_at_(at - 1) == number_at_(at)) ++at;
        return at;
    }

    /// Keys [first, end), of a piece that begins at `begin`.
    void fit(key_number begin, std::size_t first, std::size_t end, std::uint32_t error) {
        std::vector<std::size_t> borders;
        fit_lines(
            end - first, error, [&](std::size_t i) { return number_at_(first + i); },
            [&](linear_segment s) { borders.push_back(border(first + s.first + s.count, end)); });
        std::size_t from = first;
        for (std::size_t i = 0; i < borders.size(); ++i) {
            auto to = borders[i];
            if (to <= from) continue;
            while (to - from < rules_.fill && i + 1 < borders.size()) { // too few: the next ones join, if few as well
                auto const next = borders[i + 1];
                if (next > to && next - from > rules_.fill) break;
                to = std::max(to, next);
                ++i;
            }
            cut(from == first ? begin : number_at_(from), from, to, error);
            from = to;
        }
    }

    void cut(key_number begin, std::size_t first, std::size_t end, std::uint32_t error) {
        auto const largest = rules_.largest().leaves;
        auto const needed = leaves_for(end - first);
        auto const pieces = std::max<std::size_t>(1, (needed + largest - 1 - largest / 10) / largest);
        std::size_t from = first;
        for (std::size_t p = 1; p <= pieces; ++p) {
            auto const to = border(first + (end - first) * p / pieces, end);
            if (to <= from) continue;
            one(from == first ? begin : number_at_(from), from, to, error);
            from = to;
        }
    }

    void one(key_number begin, std::size_t first, std::size_t end, std::uint32_t error) {
        auto const needed = leaves_for(end - first);
        auto const size = rules_.size_for(needed);
        auto const width = number_at_(end - 1) - begin + 1; // 0: all numbers there are
        auto const most = rules_.by_rank ? std::min<std::size_t>(size.leaves, end - first) : size.leaves;
        auto const line = leaf_line::over(width, static_cast<std::uint32_t>(most));
        if (!rules_.by_rank && error > least_error && end - first > 2 * rules_.fill &&
            overfilled(line, begin, first, end))
            return fit(begin, first, end, error / 4);
        made_.push_back(
            {.begin = begin, .first = first, .count = end - first, .line = line, .block_bytes = size.bytes});
    }

    [[nodiscard]] bool overfilled(leaf_line line, key_number begin, std::size_t first, std::size_t end) const {
        std::size_t full = 0;
        for (std::size_t i = first; i < end;) {
            auto const leaf = line.leaf_of(number_at_(i) - begin);
            auto const from = i;
            while (i < end && line.leaf_of(number_at_(i) - begin) == leaf) ++i;
            full += (i - from - 1) / rules_.most;
        }
        return full > line.leaves() / 50U;
    }

    /// Leaves behind the last key, as far apart as those before it, for keys that come in ascending order; none where there is
    /// hardly room for more keys (uniform ones).
    void add_spare() {
        auto const last = made_.back();
        auto const highest = number_at_(keys_ - 1);
        auto const leaf = (highest - last.begin) / leaves_for(last.count) + 1;
        auto const size = rules_.size_for(spare_);
        if ((rules_.limit - highest) / leaf < size.leaves) return;
        add(highest + 1, keys_, 0, size, leaf * size.leaves);
    }

    void add(key_number begin, std::size_t first, std::size_t count, extent_size size, key_number width) {
        made_.push_back({.begin = begin,
                         .first = first,
                         .count = count,
                         .line = leaf_line::over(width, size.leaves),
                         .block_bytes = size.bytes});
    }

    plan_rules const& rules_;
    std::size_t keys_;
    NumberAt number_at_;
    std::size_t spare_;
    std::vector<planned_piece> made_;
};

} // namespace catena
