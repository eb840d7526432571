// SPDX-License-Identifier: Apache-2.0
#include "tools/table_lines.hpp"

#include <fmt/format.h>

#include "tools/units.hpp"

namespace catena::tools {

std::string plural(std::uint64_t number, std::string_view thing) {
    return fmt::format("{} {}{}", with_thousands(number), thing, number == 1 ? "" : "s");
}

std::string line(std::string_view label, std::string_view value) {
    return fmt::format("{:<{}}{}\n", label, label_width, shortened(value, widest_line - label_width));
}

std::string figure(std::string_view label, std::uint64_t number, std::string_view remark) {
    auto const start = fmt::format("{:<{}}{:>12}   ", label, label_width, with_thousands(number));
    return fmt::format("{}{}\n", start, shortened(remark, widest_line - start.size()));
}

std::string about_trace(run_description const& run) {
    auto text = line("trace", run.trace);
    text += line("", fmt::format("blocks of {} tokens{}{}", run.block_tokens,
                                 run.block_tokens == run.trace_block_tokens
                                     ? ""
                                     : fmt::format(", cut from {}", run.trace_block_tokens),
                                 run.full_blocks_only ? ", full blocks only" : ""));
    if (run.skipped_lines != 0)
        text += line("", fmt::format("{} skipped: not a request, see above", plural(run.skipped_lines, "line")));
    return text;
}

} // namespace catena::tools
