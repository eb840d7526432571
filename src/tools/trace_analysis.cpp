// SPDX-License-Identifier: Apache-2.0
#include "tools/trace_analysis.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

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

void describe(trace_analysis& out, trace const& t) {
    out.name = t.name;
    out.block_tokens = t.block_tokens;
    out.requests = t.requests.size();
    std::vector<std::uint32_t> blocks;
    auto first = t.requests.front().timestamp;
    auto last = first;
    for (auto const& r : t.requests) {
        out.accesses += r.id_count;
        out.tokens += r.input_length;
        first = std::min(first, r.timestamp);
        last = std::max(last, r.timestamp);
        blocks.push_back(r.id_count);
    }
    out.span_ms = last - first;
    out.blocks_of_requests = make_distribution(std::move(blocks));
}

} // namespace

trace_analysis analyze(trace t, analysis_options const& options) {
    trace_analysis out;
    out.full_blocks_only = options.full_blocks_only;
    if (options.full_blocks_only) out.left_out = leave_out_partial_blocks(t);
    describe(out, t);
    steps step(options, t.requests.size());
    step.next("numbering blocks");
    auto const blocks = number_blocks(t);
    out.unique = blocks.unique();
    out.validity = blocks.validity;
    step.next("order and shape");
    out.order = order_of(t, blocks);
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
