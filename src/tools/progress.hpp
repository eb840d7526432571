// SPDX-License-Identifier: Apache-2.0
// progress: one line that is redrawn in place on a terminal, and wiped when the work is done.
// Thread safety: one thread at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "tools/replay_state.hpp"

namespace catena::tools {

/// How far any work is.
struct work_state {
    double share = 0;              ///< 0 to 1
    std::string amount;            ///< "6,250 of 12,031 requests"
    double seconds = 0;            ///< so far
    std::vector<std::string> more; ///< what else there is to say, the most important first
};

/// "[####....]  52 %  6,250 of 12,031 requests  1 s left  hit 36.1 %  5,210 a second", at most `columns` wide:
/// what does not fit is left out from the right, the bar first shrinks. A label stands before the percentage.
[[nodiscard]] std::string progress_line(work_state const& state, std::size_t columns, std::string const& label = {});
[[nodiscard]] std::string progress_line(replay_state const& state, std::size_t columns, std::string const& label = {});

class progress_bar {
public:
    static constexpr std::chrono::milliseconds redraw{100}; ///< ten times a second at most

    /// Draws on `out` only if `enabled`.
    progress_bar(std::FILE* out, bool enabled, std::string label = {})
        : out_(out), enabled_(enabled), label_(std::move(label)) {}
    ~progress_bar() { clear(); }
    progress_bar(progress_bar const&) = delete;
    progress_bar& operator=(progress_bar const&) = delete;

    void show(replay_state const& state);
    void show(work_state const& state);
    void clear();

private:
    [[nodiscard]] bool is_due() const;
    [[nodiscard]] std::size_t columns() const;
    void draw(std::string const& text);

    std::FILE* out_;
    bool enabled_;
    std::string label_;
    bool drawn_ = false;
    std::chrono::steady_clock::time_point last_{};
};

/// Is this stream a terminal that can redraw a line?
[[nodiscard]] bool is_terminal(std::FILE* stream);

} // namespace catena::tools
