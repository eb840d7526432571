// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_report.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <limits>
#include <string>

#include <catena/version.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/units.hpp"

namespace catena::tools {
namespace {

std::string file_of(trace_analysis const& a) { return std::filesystem::path(a.name).filename().string(); }

std::vector<std::string> labels_of(std::vector<trace_analysis> const& all) {
    constexpr std::size_t longest = 40;
    std::vector<std::string> out;
    for (auto const& each : all) {
        auto const stem = shortened(std::filesystem::path(each.name).stem().string(), longest);
        auto label = stem;
        for (int number = 2; std::find(out.begin(), out.end(), label) != out.end(); ++number)
            label = fmt::format("{} ({})", stem, number);
        out.push_back(std::move(label));
    }
    return out;
}

// What of the command line makes a difference to the figures.
std::string command_of(trace_settings const& s, std::vector<trace_analysis> const& all) {
    auto out = fmt::format("{} analyze", trace_program);
    for (auto const& each : all) out.append(" ").append(file_of(each));
    if (s.limit != std::numeric_limits<std::uint64_t>::max()) out += fmt::format(" --limit {}", s.limit);
    if (s.trace_block_tokens) out += fmt::format(" --trace-block-tokens {}", *s.trace_block_tokens);
    if (s.block_tokens) out += fmt::format(" --block-tokens {}", *s.block_tokens);
    if (s.full_blocks_only) out += " --full-blocks-only";
    return out;
}

} // namespace

report_heading report_heading_of(trace_settings const& s, std::vector<trace_analysis> const& all) {
    report_heading out;
    out.title = all.size() == 1 ? labels_of(all).front() : fmt::format("{} workloads side by side", all.size());
    out.subtitle =
        "What LLM requests ask a cache of KV blocks for: how much comes again, and when, what caches would find, and "
        "what prompts have in common.";
    if (s.block_tokens) out.subtitle += fmt::format(" Blocks are cut to {} tokens.", *s.block_tokens);
    if (s.full_blocks_only) out.subtitle += " Partial last blocks are left out.";
    out.footer = fmt::format("{} {}: {}", trace_program, version_string, command_of(s, all));
    return out;
}

nlohmann::ordered_json report_data_of(std::vector<trace_analysis> const& all) {
    auto out = to_json(all);
    auto const labels = labels_of(all);
    for (std::size_t i = 0; i < all.size(); ++i) {
        auto& trace = out["traces"][i];
        trace["trace"] = file_of(all[i]);
        trace["label"] = labels[i];
    }
    return out;
}

} // namespace catena::tools
