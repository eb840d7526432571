// SPDX-License-Identifier: Apache-2.0
#include "tools/progress.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tools/units.hpp"

namespace catena::tools {
namespace {

std::size_t columns_of(std::FILE* stream) {
    winsize size{};
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

std::string time_left(work_state const& state) {
    auto const seconds = std::ceil(state.seconds * (1 - state.share) / state.share);
    if (seconds < 120) return fmt::format("{:.0f} s left", seconds);
    return fmt::format("{:.0f} min left", std::ceil(seconds / 60));
}

} // namespace

std::string progress_line(work_state const& state, std::size_t columns, std::string const& label) {
    auto text = fmt::format("{}{}{:3.0f} %", label, label.empty() ? "" : "  ", std::floor(100 * state.share));
    constexpr std::size_t smallest_bar = 12;
    constexpr std::size_t largest_bar = 42;
    constexpr std::string_view gap = "  ";
    auto const add = [&](std::string const& part) {
        if (smallest_bar + text.size() + 2 * gap.size() + part.size() < columns) text.append(gap).append(part);
    };
    add(state.amount);
    if (state.share > 0) add(time_left(state));
    for (auto const& each : state.more) add(each);

    if (columns < smallest_bar + text.size() + gap.size() + 1) return text.substr(0, columns);
    auto const bar = std::min(largest_bar, columns - text.size() - gap.size() - 1);
    auto const inside = bar - 2;
    auto const full = std::min(inside, static_cast<std::size_t>(state.share * static_cast<double>(inside)));
    return fmt::format("[{:#<{}}{:.<{}}]{}{}", "", full, "", inside - full, gap, text);
}

std::string progress_line(replay_state const& state, std::size_t columns, std::string const& label) {
    work_state work{.share = state.of == 0 ? 0.0 : static_cast<double>(state.requests) / static_cast<double>(state.of),
                    .amount =
                        fmt::format("{} of {} requests", with_thousands(state.requests), with_thousands(state.of)),
                    .seconds = state.seconds,
                    .more = {}};
    if (state.blocks > 0)
        work.more.push_back(fmt::format("hit {:.1f} %", 100 * static_cast<double>(state.hit_blocks) /
                                                            static_cast<double>(state.blocks)));
    if (state.seconds > 0)
        work.more.push_back(
            fmt::format("{} a second", with_thousands(static_cast<double>(state.requests) / state.seconds, 0)));
    return progress_line(work, columns, label);
}

void progress_bar::show(replay_state const& state) {
    if (is_due()) draw(progress_line(state, columns(), label_));
}

void progress_bar::show(work_state const& state) {
    if (is_due()) draw(progress_line(state, columns(), label_));
}

bool progress_bar::is_due() const {
    return enabled_ && (!drawn_ || std::chrono::steady_clock::now() - last_ >= redraw);
}

std::size_t progress_bar::columns() const { return columns_of(out_) - 1; }

void progress_bar::draw(std::string const& text) {
    fmt::print(out_, "\r{}\x1b[K", text);
    std::fflush(out_);
    drawn_ = true;
    last_ = std::chrono::steady_clock::now();
}

void progress_bar::clear() {
    if (!drawn_) return;
    fmt::print(out_, "\r\x1b[K");
    std::fflush(out_);
    drawn_ = false;
}

bool is_terminal(std::FILE* stream) {
    auto const* const kind = std::getenv("TERM");
    return isatty(fileno(stream)) != 0 && (kind == nullptr || std::string_view(kind) != "dumb");
}

} // namespace catena::tools
