// SPDX-License-Identifier: Apache-2.0
// register_history: what threads wrote to and read from registers, and whether it is linearizable.
//
// Every register has one writer, which writes 1, 2, 3, ...; 0 is what it holds before. Times come from one counter that
// every operation takes before it begins and after it ended, so "ended before the other began" is known for sure.
// Such a history is linearizable exactly if
//   R1  no read returns what was not yet begun to be written when the read ended;
//   R2  no read returns less than a write that ended before the read began;
//   R3  no read returns less than another read that ended before it began.
// Thread safety: each thread keeps its own log; check() runs when they are done.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace catena::test {

struct register_event {
    enum class kind : std::uint8_t { write, read } what = kind::read;
    std::uint64_t which = 0; ///< register
    std::uint64_t value = 0;
    std::uint64_t begin = 0;
    std::uint64_t end = 0; ///< 0: it never ended (a writer that died): it may have taken effect or not
};

class register_clock {
public:
    [[nodiscard]] std::uint64_t tick() noexcept { return ++now_; }

private:
    std::atomic<std::uint64_t> now_{0};
};

/// The first read that no linearization explains, in words; nothing if there is none.
[[nodiscard]] inline std::optional<std::string> find_violation(std::vector<register_event> events) {
    using kind = register_event::kind;
    auto const never = ~std::uint64_t{0};
    for (auto& e : events)
        if (e.end == 0) e.end = never;
    std::sort(events.begin(), events.end(),
              [](auto const& a, auto const& b) { return a.which != b.which ? a.which < b.which : a.begin < b.begin; });
    auto const complain = [](register_event const& read, std::string const& why) {
        return "register " + std::to_string(read.which) + ": a read in [" + std::to_string(read.begin) + ", " +
               std::to_string(read.end) + "] returned " + std::to_string(read.value) + ", " + why;
    };
    for (auto first = events.begin(); first != events.end();) {
        auto const last = std::find_if(first, events.end(), [&](auto const& e) { return e.which != first->which; });
        // In the order of their ends: the largest value known to be in force before a given moment.
        std::vector<register_event> ended(first, last);
        std::sort(ended.begin(), ended.end(), [](auto const& a, auto const& b) { return a.end < b.end; });
        std::vector<std::uint64_t> write_begins{0}; // of value i
        for (auto at = first; at != last; ++at)
            if (at->what == kind::write) {
                write_begins.resize(std::max<std::size_t>(write_begins.size(), at->value + 1), never);
                write_begins[at->value] = at->begin;
            }
        std::uint64_t least = 0;
        auto done = ended.begin();
        for (auto at = first; at != last; ++at) {
            if (at->what != kind::read) continue;
            for (; done != ended.end() && done->end < at->begin; ++done) least = std::max(least, done->value); // R2, R3
            if (at->value < least) return complain(*at, "but " + std::to_string(least) + " was in force before");
            if (at->value >= write_begins.size() || write_begins[at->value] > at->end) // R1
                return complain(*at, "which nobody had begun to write");
        }
        first = last;
    }
    return std::nullopt;
}

} // namespace catena::test
