// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "tools/trace_analysis.hpp"
#include "tools/units.hpp"

namespace catena::tools {
namespace {

constexpr std::size_t label_columns = 40;
constexpr std::size_t trace_columns = 20;
constexpr std::size_t side_by_side = 3;

std::string percent(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? "-" : fmt::format("{:.1f} %", 100 * share_of(part, whole));
}

std::string number(std::uint64_t n) { return with_thousands(n); }
std::string decimal(double n, int digits = 1) { return with_thousands(n, digits); }

std::string seconds(double ms) {
    return ms < 10'000 ? fmt::format("{} ms", decimal(ms, 0)) : fmt::format("{} s", decimal(ms / 1000));
}

// A p that rounds to nothing is not nothing.
std::string chance(double p) { return p < 0.0001 ? "< 0.0001" : fmt::format("{:.4f}", p); }

// Traces side by side: a line has a label and one figure of each.
class columns {
public:
    explicit columns(std::span<trace_analysis const> traces) : traces_(traces) {}

    using figure = std::function<std::string(trace_analysis const&)>;

    void section(std::string_view title) { text_ += fmt::format("\n{}\n", title); }
    void remark(std::string_view sentence) { text_ += fmt::format("  {}\n", sentence); }
    void heading(std::string_view label) { text_ += fmt::format("    {}\n", label); }
    void line(std::string_view label, figure const& of) {
        text_ += fmt::format("    {:<{}}", label, label_columns - 4);
        for (auto const& each : traces_) text_ += fmt::format("{:>{}}", of(each), trace_columns);
        text_ += '\n';
    }
    /// A line for each of the figures of a distribution.
    template <typename Shown>
    void lines(std::string_view label, distribution const& (*of)(trace_analysis const&), Shown shown) {
        line(fmt::format("{}: mean", label), [&](auto const& a) { return of(a).count == 0 ? "-" : shown(of(a).mean); });
        auto const rank = [&](std::string_view name, std::uint64_t distribution::*value) {
            line(fmt::format("{:>{}}{}", "", label.size() + 2, name),
                 [&](auto const& a) { return of(a).count == 0 ? "-" : shown(of(a).*value); });
        };
        rank("10th percentile", &distribution::p10);
        rank("median", &distribution::p50);
        rank("90th percentile", &distribution::p90);
        rank("99th percentile", &distribution::p99);
        rank("largest", &distribution::max);
    }
    [[nodiscard]] std::span<trace_analysis const> traces() const { return traces_; }
    [[nodiscard]] std::string take() { return std::move(text_); }

private:
    std::span<trace_analysis const> traces_;
    std::string text_;
};

// Whole numbers as they are, means with a decimal.
struct in_numbers {
    std::string operator()(double mean) const { return decimal(mean); }
    std::string operator()(std::uint64_t n) const { return number(n); }
};
struct in_seconds {
    std::string operator()(double mean) const { return seconds(mean); }
    std::string operator()(std::uint64_t ms) const { return seconds(static_cast<double>(ms)); }
};

void about(columns& c) {
    c.line("",
           [](auto const& a) { return shortened(std::filesystem::path(a.name).stem().string(), trace_columns - 2); });
    c.section("What is in it");
    c.line("requests", [](auto const& a) { return number(a.requests); });
    if (std::any_of(c.traces().begin(), c.traces().end(), [](auto const& a) { return a.full_blocks_only; }))
        c.line("left out: less than one full block", [](auto const& a) { return number(a.left_out); });
    c.line("time from the first to the last", [](auto const& a) { return in_seconds{}(a.span_ms); });
    c.line("tokens of a block", [](auto const& a) { return number(a.block_tokens); });
    if (std::any_of(c.traces().begin(), c.traces().end(),
                    [](auto const& a) { return a.block_tokens != a.trace_block_tokens; }))
        c.line("  cut from blocks of", [](auto const& a) { return number(a.trace_block_tokens); });
    c.line("blocks looked up", [](auto const& a) { return number(a.accesses); });
    c.line("unique blocks", [](auto const& a) { return number(a.unique); });
    c.line("uses of a block, mean",
           [](auto const& a) { return decimal(static_cast<double>(a.accesses) / static_cast<double>(a.unique), 2); });
    c.lines(
        "blocks of a request", [](trace_analysis const& a) -> distribution const& { return a.blocks_of_requests; },
        in_numbers{});
}

void chains(columns& c) {
    c.section("Are the ids chains?");
    c.remark("The same id must mean the same prefix. A violation is a use of an id after another prefix than at");
    c.remark("its first use; it counts as a block of its own everywhere below.");
    c.line("unique ids", [](auto const& a) { return number(a.validity.unique_ids); });
    c.line("violations", [](auto const& a) { return number(a.validity.violations); });
    if (std::none_of(c.traces().begin(), c.traces().end(), [](auto const& a) { return a.validity.first; })) return;
    c.line("ids concerned", [](auto const& a) { return number(a.validity.ids_violated); });
    c.line("the first in line", [](auto const& a) { return a.validity.first ? number(a.validity.first->line) : "-"; });
    c.line("  of hash_ids, from 0",
           [](auto const& a) { return a.validity.first ? number(a.validity.first->position) : "-"; });
}

void unbounded(columns& c) {
    c.section("What does a cache find that forgets nothing?");
    c.remark("Hits are the leading blocks of a request that were used before. Shares of requests are of all.");
    c.line("hit ratio, of the blocks", [](auto const& a) { return percent(a.unbounded.hit_blocks, a.accesses); });
    c.line("requests that hit any block", [](auto const& a) { return percent(a.unbounded.hit_any, a.requests); });
    c.line("  more than half", [](auto const& a) { return percent(a.unbounded.over_half, a.requests); });
    c.line("  more than nine tenths", [](auto const& a) { return percent(a.unbounded.over_nine_tenths, a.requests); });
    c.line("  all of their blocks", [](auto const& a) { return percent(a.unbounded.hit_all, a.requests); });
    c.lines(
        "hits, if any", [](trace_analysis const& a) -> distribution const& { return a.unbounded.hits; }, in_numbers{});
}

void bounded(columns& c) {
    c.section("What does a cache find that has not room for all?");
    c.remark("LRU; its size is in percent of the unique blocks. Leaf first: a request uses its last block first,");
    c.remark("so that the end of a prompt is dropped before its beginning. Root first: the other way round; that");
    c.remark("leaves holes, blocks that are cached, but behind one that is not, so that nobody finds them.");
    auto const& sizes = c.traces().front().caches; // of all traces the same
    using figure = std::function<std::string(trace_analysis const&, cache_size const&)>;
    auto const each_size = [&](std::string_view title, figure const& of) {
        c.heading(title);
        for (std::size_t i = 0; i < sizes.size(); ++i)
            c.line(fmt::format("{:>7g} %", sizes[i].percent), [&](auto const& a) { return of(a, a.caches[i]); });
    };
    each_size("blocks of the cache", [](auto const&, auto const& size) { return number(size.leaf_first.capacity); });
    each_size("hit ratio, leaf first | root first", [](auto const& a, auto const& size) {
        return fmt::format("{} | {:>6}", percent(size.leaf_first.hit_blocks, a.accesses),
                           percent(size.root_first.hit_blocks, a.accesses));
    });
    each_size("requests that hit over half (leaf first)",
              [](auto const& a, auto const& size) { return percent(size.leaf_first.over_half, a.requests); });
    each_size("requests with holes (root first)",
              [](auto const&, auto const& size) { return number(size.root_first.holed); });
}

void reuse(columns& c) {
    c.section("How far apart are the uses of a block?");
    c.remark("Distance: different blocks between two uses that follow each other. An LRU cache of more blocks");
    c.remark("than that still has it. Time: between the same uses, by the trace's timestamps.");
    c.line("uses after the first", [](auto const& a) { return number(a.reuse.distances.count); });
    c.lines(
        "distance", [](trace_analysis const& a) -> distribution const& { return a.reuse.distances; }, in_numbers{});
    c.lines(
        "time", [](trace_analysis const& a) -> distribution const& { return a.reuse.times_ms; }, in_seconds{});
    for (std::size_t i = 0; i < block_reuse::spans_ms.size(); ++i)
        c.line(fmt::format("within {} s", number(block_reuse::spans_ms[i] / 1000)),
               [i](auto const& a) { return percent(a.reuse.within[i], a.reuse.times_ms.count); });
    if (std::any_of(c.traces().begin(), c.traces().end(), [](auto const& a) { return a.reuse.back_in_time != 0; }))
        c.line("requests earlier than one before them", [](auto const& a) { return number(a.reuse.back_in_time); });
}

void trie(columns& c) {
    c.section("What shape has the trie of all prompts?");
    c.remark("A block branches if different blocks followed it; their number is its fan-out. A run is a piece of");
    c.remark("a path in which nothing branches: what an index can store, find and read as one.");
    c.line("different first blocks", [](auto const& a) { return number(a.shape.roots); });
    c.line("leaves", [](auto const& a) { return number(a.shape.leaves); });
    c.line("branching blocks", [](auto const& a) { return number(a.shape.branching); });
    c.line("  of the unique blocks", [](auto const& a) { return percent(a.shape.branching, a.unique); });
    c.line("fan-out: largest", [](auto const& a) { return number(a.shape.largest_fan_out); });
    c.line("         where: depth", [](auto const& a) { return number(a.shape.depth_of_largest); });
    c.line("         median", [](auto const& a) { return number(a.shape.fan_out.p50); });
    c.line("         99th percentile", [](auto const& a) { return number(a.shape.fan_out.p99); });
    c.lines(
        "depth", [](trace_analysis const& a) -> distribution const& { return a.shape.depths; }, in_numbers{});
    c.lines(
        "run", [](trace_analysis const& a) -> distribution const& { return a.shape.runs; }, in_numbers{});
    c.line("     of a block: mean", [](auto const& a) { return decimal(a.shape.run_of_a_block); });
    c.line(fmt::format("blocks in runs of {} and more", trie_shape::long_run),
           [](auto const& a) { return percent(a.shape.blocks_in_long_runs, a.unique); });
}

void runs_test_lines(columns& c, std::string_view title, std::optional<runs_test> id_order::*test) {
    c.line(fmt::format("{}: z", title),
           [&](auto const& a) { return a.order.*test ? decimal((*(a.order.*test)).z) : "-"; });
    c.line(fmt::format("{:>{}}p", "", title.size() + 2),
           [&](auto const& a) { return a.order.*test ? chance((*(a.order.*test)).p) : "-"; });
}

void runs_tests_lines(columns& c, std::string_view title, runs_tests id_order::*tests) {
    c.heading(title);
    c.line("  requests that can be tested", [&](auto const& a) { return number((a.order.*tests).possible); });
    c.line("    of these random (p > 0.05)",
           [&](auto const& a) { return percent((a.order.*tests).possible_random, (a.order.*tests).possible); });
    c.line(fmt::format("  with {} numbers a side and more", runs_test::enough),
           [&](auto const& a) { return number((a.order.*tests).sound); });
    c.line("    of these random (p > 0.05)",
           [&](auto const& a) { return percent((a.order.*tests).sound_random, (a.order.*tests).sound); });
}

void order(columns& c) {
    c.section("Is there order in the ids?");
    c.remark("Sequential: an id is one more than the id before it. Where ids were numbered by first use, new");
    c.remark("blocks are sequential by that alone; hashes of blocks, as engines have them, never are. A stretch");
    c.remark("is id, id + 1, id + 2, ... as long as it goes.");
    c.line("ids numbered by first use", [](auto const& a) { return a.validity.numbered_by_first_use ? "yes" : "no"; });
    c.line("sequential, of all pairs", [](auto const& a) { return percent(a.order.sequential, a.order.pairs); });
    c.line("  of a request, mean", [](auto const& a) {
        return a.order.requests_of_pairs == 0 ? "-" : fmt::format("{:.1f} %", 100 * a.order.sequential_of_a_request);
    });
    c.lines(
        "its stretches", [](trace_analysis const& a) -> distribution const& { return a.order.stretches; },
        in_numbers{});
    c.section("Could the order be random? (runs test of Wald and Wolfowitz)");
    c.remark("z below 0: like stands beside like; above: it alternates; p: how often chance alone does as much.");
    c.remark("Below 0.05 the order is not random. Above, nothing is shown: of a few numbers any order passes, so");
    c.remark("only the requests with enough of them on each side of their median say something.");
    runs_test_lines(c, "hit or miss, all blocks", &id_order::hits);
    runs_test_lines(c, "above the median id, all blocks", &id_order::ids);
    runs_tests_lines(c, "ids of each request, about its median", &id_order::in_requests);
    runs_tests_lines(c, "first ids of its stretches", &id_order::between_stretches);
}

void skew(columns& c) {
    c.section("How unevenly are blocks used?");
    c.remark("Zipf: the most likely exponent, if the k-th hottest block has a share in proportion to");
    c.remark("1 / k^exponent. Its error is the largest difference between the shares of the hottest k blocks,");
    c.remark("seen and fitted: above some 5 % a workload of that exponent is a poor stand-in for this trace.");
    c.line("the hottest block: of the requests", [](auto const& a) { return percent(a.skew.hottest, a.requests); });
    c.line("                   of the accesses", [](auto const& a) { return percent(a.skew.hottest, a.accesses); });
    c.line("the hottest 1 % of blocks", [](auto const& a) { return percent(a.skew.hottest_hundredth, a.accesses); });
    c.line("the hottest 10 %", [](auto const& a) { return percent(a.skew.hottest_tenth, a.accesses); });
    c.line("blocks used once, of the blocks", [](auto const& a) { return percent(a.skew.used_once, a.unique); });
    c.line("                  of the accesses", [](auto const& a) { return percent(a.skew.used_once, a.accesses); });
    c.line("Zipf exponent",
           [](auto const& a) { return a.skew.zipf ? fmt::format("{:.3f}", a.skew.zipf->exponent) : "-"; });
    c.line("     error",
           [](auto const& a) { return a.skew.zipf ? fmt::format("{:.1f} %", 100 * a.skew.zipf->distance) : "-"; });
}

std::string heading(std::vector<trace_analysis> const& all) {
    std::string text = "catena-trace analyze\n";
    for (auto const& each : all) {
        text += fmt::format("  {}{}\n", shortened(each.name, 76), each.full_blocks_only ? ", full blocks only" : "");
        if (each.skipped_lines != 0)
            text += fmt::format("    {} line{} skipped: not a request, see above\n", number(each.skipped_lines),
                                each.skipped_lines == 1 ? "" : "s");
    }
    return text;
}

} // namespace

std::string to_table(std::vector<trace_analysis> const& all) {
    auto text = heading(all);
    for (std::size_t i = 0; i < all.size(); i += side_by_side) {
        columns c(std::span<trace_analysis const>(all).subspan(i, std::min(side_by_side, all.size() - i)));
        text += '\n';
        for (auto const part : {about, chains, unbounded, bounded, reuse, trie, order, skew}) part(c);
        text += c.take();
    }
    return text;
}

} // namespace catena::tools
