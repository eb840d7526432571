// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_cut.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace catena::tools {
namespace {

// Where blocks of the trace end for some request, in cut blocks: for each its ends, rising, and the piece that reaches up to each.
class block_ends {
public:
    struct end {
        std::uint32_t at;
        std::uint32_t piece = no_block; ///< once it was used
    };

    block_ends(trace_blocks const& whole, trace const& t, trace_cut const& cut, std::uint32_t parts) {
        std::vector<std::pair<std::uint32_t, std::uint32_t>> all; // block, end in it
        std::vector<bool> passed(whole.pieces());
        for (std::size_t i = 0; i < whole.requests(); ++i) {
            auto const chain = whole.chain(i);
            for (auto const block : chain.first(chain.size() - 1)) passed[block] = true;
            auto const before = parts * std::uint64_t{chain.size() - 1};
            all.emplace_back(chain.back(), static_cast<std::uint32_t>(cut.blocks(t.requests[i]) - before));
        }
        for (std::uint32_t block = 0; block < passed.size(); ++block)
            if (passed[block]) all.emplace_back(block, parts);
        std::sort(all.begin(), all.end());
        all.erase(std::unique(all.begin(), all.end()), all.end());
        begins_.reserve(whole.pieces() + 1);
        ends_.reserve(all.size());
        for (auto const& [block, at] : all) {
            if (begins_.size() == block) begins_.push_back(ends_.size()); // every block has an end
            ends_.push_back({.at = at});
        }
        begins_.push_back(ends_.size());
    }

    [[nodiscard]] std::span<end> of(std::uint32_t block) {
        return std::span{ends_}.subspan(begins_[block], begins_[block + 1] - begins_[block]);
    }

private:
    std::vector<end> ends_;
    std::vector<std::size_t> begins_;
};

} // namespace

std::optional<std::string> unfit(trace const& t, trace_cut const& cut) {
    if (cut.block_tokens != 0 && t.block_tokens % cut.block_tokens == 0) return std::nullopt;
    return fmt::format("blocks of {} tokens do not divide the trace's blocks of {} tokens", cut.block_tokens,
                       t.block_tokens);
}

std::uint64_t leave_out_unused(trace& t, trace_cut const& cut) {
    auto const parts = t.block_tokens / cut.block_tokens;
    for (auto& r : t.requests)
        r.id_count =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(r.id_count, (cut.blocks(r) + parts - 1) / parts));
    return std::erase_if(t.requests, [](request const& r) { return r.id_count == 0; });
}

trace_blocks cut_blocks(trace_blocks whole, trace const& t, trace_cut const& cut) {
    auto const parts = t.block_tokens / cut.block_tokens;
    if (parts == 1) return whole;
    block_ends ends(whole, t, cut, parts);
    trace_blocks out;
    out.validity = whole.validity;
    out.begins.push_back(0);
    for (std::size_t i = 0; i < whole.requests(); ++i) {
        auto left = cut.blocks(t.requests[i]);
        auto parent = no_block;
        for (auto const block : whole.chain(i)) {
            std::uint32_t from = 0;
            for (auto& [at, piece] : ends.of(block)) {
                if (at > left) break;
                if (piece == no_block) { // numbered by first use
                    piece = static_cast<std::uint32_t>(out.parents.size());
                    out.depths.push_back(parent == no_block ? 1 : out.depths[parent] + out.sizes[parent]);
                    out.parents.push_back(parent);
                    out.sizes.push_back(at - from);
                }
                out.accesses.push_back(piece);
                parent = piece;
                from = at;
            }
            left -= from;
        }
        out.begins.push_back(out.accesses.size());
    }
    out.times = std::move(whole.times);
    return out;
}

} // namespace catena::tools
