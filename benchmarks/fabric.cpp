// SPDX-License-Identifier: Apache-2.0
// bench_fabric: what the operations of a fabric cost, by themselves: no index, no chains. See --help.
//
// Works on a pool that is in use: it takes one block of each memory node for each thread from the pool's allocator, touches nothing
// but the inside of these, and frees them. It leaves the headers of the blocks alone, so whoever looks at them sees blocks that were
// cut and never written, and if it is killed they are found like any other's (pool/reclaim.hpp).
#include <algorithm>
#include <array>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <catena/fabric/any_fabric.hpp>
#include <catena/pool/memory_pool.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "client/lease_keeper.hpp"
#include "client/open_fabric.hpp"
#include "client/pool_uri.hpp"
#include "tools/exit_code.hpp"
#include "tools/interrupt.hpp"
#include "tools/option_checks.hpp"
#include "tools/output.hpp"
#include "tools/samples.hpp"
#include "tools/units.hpp"

namespace catena::bench {
namespace {

constexpr auto description =
    R"(bench_fabric - what do READ, WRITE, CAS and FAA cost on this fabric?

Prints how long one operation takes when it is alone, and how many of them finish in a second when one
thread keeps 1, 16 or 64 under way, and when several threads do. A thread has a session of its own; what
is under way at once are coroutines of that thread, each with one operation, as catena's indexes have it.
)";

constexpr auto footer = R"(
The URI names a pool that exists: verbs://HOST:PORT,..., shm:NAME. It may be in use, and what is in it
stays as it is, but its users feel the load. (local:?size=64MiB is a pool of this process: what the
library costs without a network.) The memory nodes take turns unless --node names one.

Latency contains two looks at the clock, some 50 ns. An operation is a batch of its own here; a batch of
16 operations costs less than 16 of these (bench_index, catena-replay).

A first run leaves up to one chunk of each memory node (1 MiB as a rule) set aside for blocks of the size
that this program needs; later runs use it again.

Examples:
  bench_fabric 'verbs://10.0.0.1,10.0.0.2?secret=/etc/catena/secret'
  bench_fabric 'verbs://10.0.0.1,10.0.0.2?device=mlx5_1' --node 1 --threads 8
  bench_fabric local:?size=64MiB --json - 2>/dev/null | jq '.operations[].latency_us.p50'

Exit status: 0 done, 1 the pool cannot be used or an operation failed, 2 wrong usage.
)";

constexpr tools::complainer complain{"bench_fabric"};
constexpr std::array<unsigned, 3> depths{1, 16, 64};

// A block: its header, then a slot for each operation that is under way, and room for the longest READ from the last slot.
constexpr std::uint64_t slot_bytes = 1024;
constexpr std::uint64_t first_slot = 4096;
constexpr std::uint64_t longest = 4096;
constexpr std::uint64_t block_bytes = first_slot + depths.back() * slot_bytes + longest;
static_assert(is_block_size(block_bytes));

struct settings {
    std::string uri;
    std::uint64_t samples = 10'000;
    double seconds = 0.5;
    std::uint64_t threads = 4;
    std::optional<std::uint16_t> node;
    std::string json;
};

struct operation {
    std::string_view name;
    op_kind kind;
    std::uint32_t bytes;
};
constexpr std::array<operation, 8> operations{{{"READ", op_kind::read, 8},
                                               {"READ", op_kind::read, 64},
                                               {"READ", op_kind::read, 1024},
                                               {"READ", op_kind::read, 4096},
                                               {"WRITE", op_kind::write, 8},
                                               {"WRITE", op_kind::write, 1024},
                                               {"CAS", op_kind::cas, 8},
                                               {"FAA", op_kind::faa, 8}}};

using pool_type = memory_pool<any_fabric>;
using session_type = pool_type::session_type;
using blocks = std::vector<block>; ///< of one thread, one on each memory node that is measured
using steady = std::chrono::steady_clock;

struct latency {
    double least = 0;
    tools::summary all;
};
struct rate {
    std::size_t threads = 1;
    unsigned depth = 1;
    double a_second = 0;
};
struct measured {
    operation what;
    latency alone;
    std::vector<rate> rates;
};

/// One coroutine: `times` operations, or as many as it gets done before `until`; one after the other, on the memory nodes in turn.
/// Returns how many they were. took: gets how long each of them was, in microseconds.
[[nodiscard, gnu::noinline]] task<result<std::uint64_t>> repeat(session_type& s, operation what, blocks const& on,
                                                                unsigned slot, std::uint64_t times,
                                                                steady::time_point until, std::vector<double>* took) {
    scratch_lease const memory(s.scratches());
    auto& one = memory->take<op>(1).front();
    auto* const local = memory->image(longest);
    std::fill_n(local, longest / word_bytes, word{0});
    auto const last = memory->take<word>(on.size()); // what its words hold, as far as it knows: so that CASes swap
    std::uint64_t n = 0;
    auto now = steady::now();
    while (n < times && now < until && !tools::interrupted.load(std::memory_order_relaxed)) {
        auto const turn = (slot + n) % on.size();
        auto const at = on[turn].at + first_slot + slot * slot_bytes;
        switch (what.kind) {
        case op_kind::read: one = op::read(at, local, what.bytes); break;
        case op_kind::write: one = op::write(at, local, what.bytes); break;
        case op_kind::cas: one = op::cas(at, last[turn], last[turn] + 1); break;
        case op_kind::faa: one = op::faa(at, 1); break;
        }
        auto const begun = steady::now();
        if (auto const r = co_await s.submit(one); !r) co_return r.error();
        now = steady::now();
        if (took != nullptr) took->push_back(std::chrono::duration<double, std::micro>(now - begun).count());
        last[turn] = one.swapped() ? one.operand : one.fetched;
        ++n;
    }
    co_return n;
}

/// `depth` coroutines on one thread, for that long.
[[nodiscard]] result<std::uint64_t> keep_under_way(session_type& s, operation what, blocks const& on, unsigned depth,
                                                   std::chrono::duration<double> time) {
    auto const until = steady::now() + std::chrono::duration_cast<steady::duration>(time);
    std::vector<task<result<std::uint64_t>>> all;
    for (unsigned slot = 0; slot < depth; ++slot) all.push_back(repeat(s, what, on, slot, ~0ULL, until, nullptr));
    for (auto const& each : all) each.start();
    while (!std::all_of(all.begin(), all.end(), [](auto const& t) { return t.done(); })) s.progress();
    std::uint64_t sum = 0;
    for (auto const& each : all) {
        auto const n = each.take();
        if (!n) return n.error();
        sum += *n;
    }
    return sum;
}

class run {
public:
    /// The sessions and the blocks of as many threads.
    run(settings const& s, std::vector<session_type>& sessions, std::vector<blocks> const& places)
        : settings_(s), sessions_(sessions), places_(places) {}

    [[nodiscard]] result<measured> measure(operation what) {
        measured m{.what = what, .alone = {}, .rates = {}};
        auto const alone = measure_alone(what);
        if (!alone) return alone.error();
        m.alone = *alone;
        for (auto const threads : {std::size_t{1}, sessions_.size()}) {
            for (auto const depth : depths) {
                auto const r = measure_rate(what, threads, depth);
                if (!r) return r.error();
                m.rates.push_back({.threads = threads, .depth = depth, .a_second = *r});
            }
            if (sessions_.size() == 1) break;
        }
        return m;
    }

private:
    [[nodiscard]] result<latency> measure_alone(operation what) {
        std::vector<double> took;
        took.reserve(settings_.samples);
        auto& s = sessions_.front();
        for (auto const times : {settings_.samples / 10, settings_.samples}) { // the first to warm up
            took.clear();
            auto const n = sync_wait(s, repeat(s, what, places_.front(), 0, times, steady::time_point::max(), &took));
            if (!n) return n.error();
        }
        if (took.empty()) return latency{};
        return latency{.least = *std::min_element(took.begin(), took.end()), .all = tools::summarize(took)};
    }

    [[nodiscard]] result<double> measure_rate(operation what, std::size_t threads, unsigned depth) {
        std::vector<result<std::uint64_t>> done(threads, std::uint64_t{0});
        std::barrier together(static_cast<std::ptrdiff_t>(threads));
        std::vector<double> seconds(threads);
        auto const work = [&](std::size_t t) {
            together.arrive_and_wait();
            auto const begun = steady::now();
            done[t] =
                keep_under_way(sessions_[t], what, places_[t], depth, std::chrono::duration<double>(settings_.seconds));
            seconds[t] = std::chrono::duration<double>(steady::now() - begun).count();
        };
        {
            std::vector<std::jthread> others;
            for (std::size_t t = 1; t < threads; ++t) others.emplace_back(work, t);
            work(0);
        }
        double sum = 0;
        for (std::size_t t = 0; t < threads; ++t) {
            if (!done[t]) return done[t].error();
            sum += static_cast<double>(*done[t]) / seconds[t];
        }
        return sum;
    }

    settings const& settings_;
    std::vector<session_type>& sessions_;
    std::vector<blocks> const& places_;
};

[[nodiscard]] std::string table(settings const& s, any_fabric const& nodes, std::vector<measured> const& all) {
    auto text = fmt::format(
        "bench_fabric {}\n{}: {} memory node{} of {}{}; {} samples; {} s a rate\n\n", s.uri, nodes.kind(),
        nodes.node_count(), nodes.node_count() == 1 ? "" : "s", tools::human_size(nodes.node_bytes()),
        s.node ? fmt::format(", number {} alone", *s.node) : "", tools::with_thousands(s.samples), s.seconds);
    text += "                 one alone, us                   operations a second: threads x under way at once\n";
    text += fmt::format("{:<12}{:>8} {:>8} {:>8} {:>9}", "", "least", "p50", "p99", "most");
    for (auto const& r : all.front().rates) text += fmt::format(" {:>11}", fmt::format("{} x {}", r.threads, r.depth));
    for (auto const& m : all) {
        text +=
            fmt::format("\n{:<12}{:>8.2f} {:>8.2f} {:>8.2f} {:>9.1f}", fmt::format("{} {}", m.what.name, m.what.bytes),
                        m.alone.least, m.alone.all.p50, m.alone.all.p99, m.alone.all.max);
        for (auto const& r : m.rates) text += fmt::format(" {:>11}", tools::with_thousands(r.a_second, 0));
    }
    return text + "\n";
}

[[nodiscard]] nlohmann::ordered_json to_json(settings const& s, any_fabric const& nodes,
                                             std::vector<measured> const& all) {
    auto list = nlohmann::ordered_json::array();
    for (auto const& m : all) {
        auto rates = nlohmann::ordered_json::array();
        for (auto const& r : m.rates)
            rates.push_back({{"threads", r.threads}, {"depth", r.depth}, {"operations_per_second", r.a_second}});
        list.push_back({{"operation", m.what.name},
                        {"bytes", m.what.bytes},
                        {"latency_us",
                         {{"min", m.alone.least},
                          {"mean", m.alone.all.mean},
                          {"p50", m.alone.all.p50},
                          {"p99", m.alone.all.p99},
                          {"max", m.alone.all.max}}},
                        {"rates", std::move(rates)}});
    }
    return {{"uri", s.uri},
            {"fabric", nodes.kind()},
            {"memory_nodes", nodes.node_count()},
            {"node", nullptr},
            {"node_bytes", nodes.node_bytes()},
            {"samples", s.samples},
            {"seconds_per_rate", s.seconds},
            {"operations", std::move(list)}};
}

result<settings, int> parse_arguments(int argc, char** argv) {
    settings s;
    CLI::App app(description, "bench_fabric");
    app.footer(footer);
    app.get_formatter()->column_width(32);
    app.add_option("URI", s.uri, "Which pool")->option_text(" ")->required();
    app.add_option("--samples", s.samples, "Operations of each kind whose time is taken")
        ->option_text("N [10000]")
        ->check(tools::whole_number(10, 10'000'000));
    app.add_option("--seconds", s.seconds, "How long each rate is measured")
        ->option_text("S [0.5]")
        ->check(CLI::Range(0.001, 3600.0));
    app.add_option("--threads", s.threads, "Threads of the second half of the rates; 1: no\nsecond half")
        ->option_text("N [4]")
        ->check(tools::at_least_one(64));
    app.add_option("--node", s.node, "Only this memory node, counted from 0")
        ->option_text("N [all in turn]")
        ->check(tools::whole_number(0, 63));
    app.add_option("--json", s.json,
                   "Write the result as JSON too; - is standard output,\nthe table then goes to standard error")
        ->option_text("FILE");
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        return app.exit(e) == 0 ? tools::exit_ok : tools::exit_usage;
    }
    if (!tools::is_place_for_file(s.json)) {
        complain("--json {}: not a place for a file", s.json);
        return tools::exit_usage;
    }
    return s;
}

/// A block of each memory node that is to be measured, for each thread. All from one session, so that they come out of few chunks.
[[nodiscard]] result<std::vector<blocks>> allocate_all(session_type& s, settings const& wanted, blocks& taken) {
    std::vector<blocks> places(wanted.threads);
    auto const nodes = s.pool().geometry.node_count;
    for (auto& place : places)
        for (std::uint16_t n = 0; n < nodes; ++n) { // in turn: one on each, if all have room
            auto const b = sync_wait(s, allocate(s, block_bytes));
            if (!b) return b.error();
            taken.push_back(*b);
            if (!wanted.node || b->at.node() == *wanted.node) place.push_back(*b);
        }
    if (std::any_of(places.begin(), places.end(), [](auto const& p) { return p.empty(); }))
        return make_error(errc::out_of_memory, wanted.node.value_or(0));
    return places;
}

int run_all(settings const& s) {
    auto const failed = [&s](auto const& why) {
        complain("{}: {}", s.uri, why);
        return tools::exit_failed;
    };
    auto const uri = parse_pool_uri(s.uri);
    if (!uri) {
        complain("{}", uri.error().message);
        return tools::exit_usage;
    }
    if (uri->read_only) return failed("it also writes, and access=read forbids that");
    auto nodes = open_fabric(*uri, std::chrono::seconds(2));
    if (!nodes) return failed(nodes.error().message);
    auto& fabric = nodes->fabric;
    if (s.node && *s.node >= fabric.node_count())
        return failed(fmt::format("--node {}: its memory nodes are 0 to {}", *s.node, fabric.node_count() - 1));
    if (!nodes->fresh && !nodes->formatted)
        return failed(fmt::format("there is no pool on these memory nodes; make one: catena-pool create '{}'", s.uri));
    auto pool = nodes->fresh ? pool_type::create(fabric) : pool_type::open(fabric);
    if (!pool) return failed(pool.error().message);

    auto for_lease = pool->open_session();
    if (!for_lease) return failed(for_lease.error().message);
    lease_keeper<session_type> const alive(std::move(*for_lease));
    std::vector<session_type> sessions;
    for (std::size_t t = 0; t < s.threads; ++t) {
        auto opened = pool->open_session();
        if (!opened) return failed(opened.error().message);
        sessions.push_back(std::move(*opened));
    }

    blocks taken;
    auto& first = sessions.front();
    auto const places = allocate_all(first, s, taken);
    std::vector<measured> all;
    std::optional<std::string> wrong;
    if (places) {
        run r(s, sessions, *places);
        for (auto const& what : operations) {
            if (tools::interrupted) break;
            auto m = r.measure(what);
            if (!m) {
                wrong = fmt::format("{} of {} bytes, memory node {}: {}", what.name, what.bytes, m.error().node,
                                    describe(m.error().code));
                break;
            }
            all.push_back(std::move(*m));
        }
    } else {
        wrong = places.error().code == errc::invalid_argument
                    ? fmt::format("blocks of {} bytes are needed, and its memory nodes are too small for these",
                                  block_bytes)
                    : std::string(describe(places.error().code));
    }
    for (auto const& b : taken) (void)sync_wait(first, free_block(first, b, block_bytes));
    (void)sync_wait(first, release_all(first));
    if (wrong) return failed(*wrong);
    if (all.empty()) return tools::exit_failed; // interrupted
    auto data = to_json(s, fabric, all);
    if (s.node) data["node"] = *s.node;
    return tools::print_result("bench_fabric", s.json, table(s, fabric, all), data) ? tools::exit_ok
                                                                                    : tools::exit_failed;
}

} // namespace
} // namespace catena::bench

int main(int argc, char** argv) {
    try {
        auto const s = catena::bench::parse_arguments(argc, argv);
        if (!s) return s.error();
        catena::tools::interrupt_guard const guard;
        return catena::bench::run_all(*s);
    } catch (std::exception const& failure) {
        std::fprintf(stderr, "bench_fabric: %s\n", failure.what());
        return catena::tools::exit_failed;
    }
}
