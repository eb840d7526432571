// SPDX-License-Identifier: Apache-2.0
// fit_lines: cuts ascending numbers into the fewest runs that a straight line predicts with a bounded error of ranks.
//
// J. O'Rourke, An on-line algorithm for fitting straight lines between data ranges, CACM 24(9), 1981; the PGM-index (P.
// Ferragina and G. Vinciguerra, VLDB 2020) cuts keys that way. Written from the idea:
// A line may pass a point of rank y at the heights y - eps (its floor) to y + eps (its ceiling). Of the lines that pass
// all points so far, the steepest goes through a floor and a later ceiling, the flattest through a ceiling and a later
// floor. The next point lies behind them all, so there is a line for it too exactly if its floor is not above the
// steepest and its ceiling not below the flattest; then it becomes the later end of one of them, of both or neither.
// The earlier end is where the new line touches the hull of the points before; it only ever moves forward.
// Invariants:
//   F1  floors_ is the upper convex hull of the floors, from the one in the steepest line on; ceilings_ is the lower
//       convex hull of the ceilings, from the one in the flattest line on. Only they can bound a line to come.
//   F2  equal numbers have one floor, that of the highest rank, and one ceiling, that of the lowest
//   F3  no line falls: ranks do not, so the steepest line never falls, and where a falling line passes a level one does
// All arithmetic is exact, whatever the distances. A point is pushed and popped once per hull: O(1) each, amortised.
// Greedy runs are the fewest: whatever a line passes, it passes a part of.
// Thread safety: of one thread at a time; fit_lines shares nothing.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>

#include <catena/core/bytes.hpp>
#include <catena/core/config.hpp>
#include <catena/layout/key_number.hpp>

namespace catena {

/// The numbers first to first + count - 1.
struct linear_segment {
    std::size_t first = 0;
    std::size_t count = 0;
    friend constexpr bool operator==(linear_segment const&, linear_segment const&) = default;
};

/// The lines that pass every number of a run, the i-th at a height of i - eps to i + eps.
class line_corridor {
public:
    static constexpr std::int64_t max_count = std::int64_t{1} << 31U; ///< of a run: bounds the products

    /// More than half of max_count is no more: a level line passes as many.
    explicit line_corridor(std::uint32_t eps) : eps_(std::min<std::int64_t>(eps, max_count / 2)) {}

    /// A run of this number alone.
    void begin(key_number number) {
        first_ = last_ = number;
        count_ = 1;
        floors_.assign(1, {0, -eps_});
        ceilings_.assign(1, {0, eps_});
        steepest_ = {1, 0};
        flattest_ = {0, 1};
    }
    /// Takes `number` into the run, which it does not precede; or returns false and leaves the run as it is, because no
    /// line passes all of it. After begin.
    [[nodiscard]] bool extend(key_number number) {
        CATENA_ASSERT(count_ > 0 && number >= last_);
        if (count_ == max_count) return false;
        auto const x = number - first_;
        point const floor{x, count_ - eps_};
        point const ceiling{x, count_ + eps_};
        if (number != last_) {
            if (from(floors_.front(), floor) > steepest_ || from(ceilings_.front(), ceiling) < flattest_) return false;
            lower(ceiling);
            raise(floor);
            push_ceiling(ceiling);
            push_floor(floor);
        } else { // F2
            if (floor.y > ceilings_.back().y) return false;
            if (x != 0) {
                if (from(floors_.front(), floor) > steepest_) return false;
                raise(floor);
            }
            floors_.pop_back();
            push_floor(floor);
        }
        last_ = number;
        ++count_;
        return true;
    }

private:
    __extension__ using signed_number = __int128;

    struct point {
        key_number x;
        std::int64_t y;
    };
    /// rise * run, of up to 161 bits.
    struct product {
        key_number high; ///< above the lowest 64 bits
        word low;

        product(std::int64_t rise, key_number run) noexcept {
            auto const factor = static_cast<key_number>(rise);
            auto const below = factor * static_cast<word>(run);
            high = factor * (run >> 64U) + (below >> 64U);
            low = static_cast<word>(below);
        }
        [[nodiscard]] std::weak_ordering operator<=>(product const& b) const noexcept {
            return high != b.high ? high <=> b.high : low <=> b.low;
        }
    };
    /// Straight up where run is 0.
    struct slope {
        std::int64_t rise; ///< at most 2^32 either way: less than max_count ranks, and eps twice
        key_number run;

        [[nodiscard]] std::weak_ordering operator<=>(slope const& b) const noexcept {
            CATENA_ASSERT(b.rise >= 0);    // F3
            if ((run | b.run) >> 94U == 0) // of keys of 8 bytes, always
                return rise * static_cast<signed_number>(b.run) <=> b.rise * static_cast<signed_number>(run);
            if (rise < 0) return std::weak_ordering::less;
            return product(rise, b.run) <=> product(b.rise, run);
        }
    };

    [[nodiscard]] static slope from(point const& a, point const& b) noexcept { return {b.y - a.y, b.x - a.x}; }

    /// No line may pass above a new ceiling.
    void lower(point const& ceiling) {
        if (from(floors_.front(), ceiling) >= steepest_) return;
        while (floors_.size() > 1 && from(floors_[1], ceiling) <= from(floors_[0], ceiling)) floors_.pop_front();
        steepest_ = from(floors_.front(), ceiling);
    }
    /// No line may pass below a new floor. The ceiling over it may be known already (F2).
    void raise(point const& floor) {
        if (from(ceilings_.front(), floor) <= flattest_) return;
        while (ceilings_.size() > 1 && ceilings_[1].x < floor.x &&
               from(ceilings_[1], floor) >= from(ceilings_[0], floor))
            ceilings_.pop_front();
        flattest_ = from(ceilings_.front(), floor);
    }
    void push_floor(point const& p) {
        for (auto n = floors_.size(); n > 1 && from(floors_[n - 2], p) >= from(floors_[n - 2], floors_[n - 1]); --n)
            floors_.pop_back();
        floors_.push_back(p);
    }
    void push_ceiling(point const& p) {
        for (auto n = ceilings_.size(); n > 1 && from(ceilings_[n - 2], p) <= from(ceilings_[n - 2], ceilings_[n - 1]);
             --n)
            ceilings_.pop_back();
        ceilings_.push_back(p);
    }

    std::int64_t eps_;
    std::int64_t count_ = 0;
    key_number first_ = 0;
    key_number last_ = 0;
    std::deque<point> floors_; // F1
    std::deque<point> ceilings_;
    slope steepest_{1, 0};
    slope flattest_{0, 1};
};

/// Cuts n numbers, which do not descend, into the fewest segments such that through the points (number, rank) of each
/// there is a line that misses none by more than eps ranks: each is as long as it can be, at most 2^31 numbers. More
/// than 2 eps + 1 equal numbers take several. Calls number_at(i) once for each i and emit(linear_segment) for every
/// segment, ascending. Memory: the hulls of one segment.
template <typename NumberAt, typename Emit>
void fit_lines(std::size_t n, std::uint32_t eps, NumberAt number_at, Emit emit) {
    line_corridor run(eps);
    std::size_t first = 0;
    for (std::size_t i = 0; i < n; ++i) {
        key_number const number = number_at(i);
        if (i != 0) {
            if (run.extend(number)) continue;
            emit(linear_segment{first, i - first});
        }
        first = i;
        run.begin(number);
    }
    if (n != 0) emit(linear_segment{first, n - first});
}

} // namespace catena
