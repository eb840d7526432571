// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_analysis.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include <fmt/format.h>

#include "tools/units.hpp"

namespace catena::tools {
namespace {

// Passes over the trace, which take about as long as each other.
class steps {
public:
    steps(analysis_options const& options, std::size_t requests) : options_(options), requests_(requests) {}

    /// What begins now; the one before it is done.
    requests_done next(std::string_view what) {
        auto const before = static_cast<double>(begun_++) / passes;
        if (!options_.progress) return {};
        options_.progress(what, before);
        return [this, what, before](std::uint64_t done) {
            constexpr std::uint64_t seldom = 256;
            if (done % seldom == 0)
                options_.progress(what, before + static_cast<double>(done) / static_cast<double>(requests_) / passes);
        };
    }

private:
    static constexpr double passes = 6;

    analysis_options const& options_;
    std::size_t requests_;
    unsigned begun_ = 0;
};

void describe(trace_analysis& out, trace const& t, trace_cut const& cut) {
    out.name = t.name;
    out.block_tokens = cut.block_tokens;
    out.trace_block_tokens = t.block_tokens;
    out.full_blocks_only = cut.full_blocks_only;
    out.requests = t.requests.size();
    std::vector<std::uint32_t> blocks;
    auto first = t.requests.front().timestamp;
    auto last = first;
    for (auto const& r : t.requests) {
        auto const count = cut.blocks(r);
        out.accesses += count;
        out.tokens += r.input_length;
        first = std::min(first, r.timestamp);
        last = std::max(last, r.timestamp);
        blocks.push_back(static_cast<std::uint32_t>(count));
    }
    out.span_ms = last - first;
    out.blocks_of_requests = make_distribution(std::move(blocks));
}

} // namespace

trace_cut cut_of(trace const& t, analysis_options const& options) {
    return {.block_tokens = options.block_tokens.value_or(t.block_tokens),
            .full_blocks_only = options.full_blocks_only};
}

std::optional<std::string> unfit(trace const& t, analysis_options const& options) {
    auto const cut = cut_of(t, options);
    if (auto why = unfit(t, cut)) return why;
    std::uint64_t blocks = 0;
    for (auto const& r : t.requests) blocks += cut.blocks(r);
    if (blocks > most_accesses)
        return fmt::format("{} blocks in all, more than {}: take fewer requests with --limit", with_thousands(blocks),
                           with_thousands(most_accesses));
    if (blocks == 0)
        return fmt::format("no request has a full block of {} tokens: leave out --full-blocks-only", cut.block_tokens);
    return std::nullopt;
}

trace_analysis analyze(trace t, analysis_options const& options) {
    trace_analysis out;
    auto const cut = cut_of(t, options);
    out.left_out = leave_out_unused(t, cut);
    describe(out, t, cut);
    steps step(options, t.requests.size());
    step.next("numbering blocks");
    auto blocks = number_blocks(t);
    out.validity = blocks.validity;
    step.next("order and shape");
    out.order = order_of(t, blocks);
    blocks = cut_blocks(std::move(blocks), t, cut);
    out.unique = blocks.unique_blocks();
    t = {};
    out.unbounded = serve_unbounded(blocks);
    out.shape = shape_of(blocks);
    step.next("skew");
    out.skew = skew_of(blocks);

    std::vector<std::uint64_t> capacities;
    for (auto const percent : options.cache_percent) capacities.push_back(capacity_of(percent, out.unique));
    auto const leaf_first = serve_bounded(blocks, touch_order::leaf_first, capacities, step.next("caches, leaf first"));
    auto const root_first = serve_bounded(blocks, touch_order::root_first, capacities, step.next("caches, root first"));
    for (std::size_t i = 0; i < capacities.size(); ++i)
        out.caches.push_back(
            {.percent = options.cache_percent[i], .leaf_first = leaf_first[i], .root_first = root_first[i]});
    out.reuse = reuse_of(blocks, step.next("reuse"));
    return out;
}

} // namespace catena::tools
