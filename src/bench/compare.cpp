// SPDX-License-Identifier: Apache-2.0
#include "bench/compare.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <catena/client.hpp>
#include <catena/version.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "bench/compare_report.hpp"
#include "bench/temporary_directory.hpp"
#include "tools/interrupt.hpp"
#include "tools/output.hpp"
#include "tools/progress.hpp"
#include "tools/report_page.hpp"
#include "tools/trace_source.hpp"
#include "tools/units.hpp"

namespace catena::bench {
namespace {

using namespace tools;

constexpr complainer complain{program};

class work {
public:
    work(bench_settings const& s, prepared_trace const& prepared)
        : s_(s), requests_(prepared.loaded.requests), chains_(requests_, prepared.shape),
          bar_(stderr, s.progress && is_terminal(stderr)), warm_up_(s.warm_up.value_or(requests_.requests.size() / 2)) {
        done_.about = {.where = this_machine(),
                       .redis = {},
                       .trace = requests_.name,
                       .trace_requests = requests_.requests.size(),
                       .warm_up = warm_up_,
                       .skipped_lines = prepared.loaded.skipped,
                       .trace_block_tokens = requests_.block_tokens,
                       .block_tokens = prepared.shape.block_tokens,
                       .full_blocks_only = prepared.shape.full_blocks_only,
                       .unique_blocks = chains_.unique_blocks(requests_.requests),
                       .against = s.against};
    }

    [[nodiscard]] exit_code run() {
        if (!enough_requests()) return exit_usage;
        interrupt_guard const guard;
        if (!s_.systems.empty() && !measure()) return exit_failed;
        if (!s_.simulate.empty() && !interrupted.load() && !simulate()) return exit_failed;
        bar_.clear();
        bool sound = print_result(program, s_.json, to_table(done_), to_json(done_));
        if (!s_.report.empty()) {
            auto const written = write_report_page(s_.report, heading(), "compare", report_data());
            if (!written) complain("--report {}: {}", s_.report, written.error());
            sound = sound && static_cast<bool>(written);
        }
        return sound && done_.measured.same_hits ? exit_ok : exit_failed;
    }

private:
    bool enough_requests() const {
        std::uint64_t const most = s_.simulate.empty() ? 1 : *std::max_element(s_.clients.begin(), s_.clients.end());
        auto const all = requests_.requests.size();
        if (warm_up_ <= all && all - warm_up_ >= most) return true;
        complain("{} requests, {} of them to warm up, are too few for {} clients", with_thousands(all),
                 with_thousands(warm_up_), most);
        complain("name fewer --clients, a smaller --warm-up, or a longer trace");
        return false;
    }

    bool measure() {
        temporary_directory const directory;
        if (directory.path().empty()) {
            complain("cannot make a temporary directory");
            return false;
        }
        std::unique_ptr<redis_server> redis;
        auto const is_redis = [](system const& each) { return each.kind == system_kind::redis; };
        if (std::any_of(s_.systems.begin(), s_.systems.end(), is_redis)) {
            auto started = redis_server::start(s_.redis_server, directory.path());
            if (!started) {
                complain("{}", started.error());
                complain("install redis-server, name it with --redis-server, or leave Redis out with --systems "
                         "extents,batched,map");
                return false;
            }
            redis = std::move(*started);
            done_.about.redis = redis->version();
        }
        rounds_setup setup{.systems = s_.systems,
                           .rounds = s_.rounds,
                           .warm_up = warm_up_,
                           .where = {.blocks = done_.about.unique_blocks,
                                     .hot_cache_bytes = client_options{}.hot_cache_bytes,
                                     .directory = directory.path(),
                                     .redis = redis.get()},
                           .stop = &interrupted};
        auto const begin = std::chrono::steady_clock::now();
        setup.progress = [&](double share, std::string const& name, unsigned round) {
            show(share, begin, fmt::format("round {} of {}  {:<22}", round, s_.rounds, name));
        };
        auto measured = run_rounds(requests_, chains_, setup);
        bar_.clear();
        if (!measured) {
            complain("{}", measured.error());
            return false;
        }
        done_.measured = std::move(*measured);
        return true;
    }

    bool simulate() {
        done_.simulated = {.network = sim_parameters::connectx6_100g(),
                           .client_cache_bytes = client_options{}.client_cache_bytes,
                           .seed = s_.seed,
                           .warm_up = warm_up_};
        scale_setup setup{.ways = s_.simulate,
                          .clients = s_.clients,
                          .nodes = s_.nodes,
                          .setup = done_.simulated,
                          .stop = &interrupted};
        auto const begin = std::chrono::steady_clock::now();
        setup.progress = [&](double share, std::string const& name) {
            show(share, begin, fmt::format("simulated  {:<16}", name));
        };
        auto scaled = run_scale(requests_, chains_, setup);
        bar_.clear();
        if (!scaled) {
            complain("{}", scaled.error());
            return false;
        }
        done_.scale = std::move(*scaled);
        return true;
    }

    void show(double share, std::chrono::steady_clock::time_point begin, std::string what) {
        bar_.show({.share = share,
                   .amount = std::move(what),
                   .seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
                   .more = {}});
    }

    [[nodiscard]] std::string file() const { return std::filesystem::path(requests_.name).filename().string(); }

    // Pages are passed around, so they name the trace's file and not the folder in which it lies.
    nlohmann::ordered_json report_data() const {
        auto data = to_json(done_);
        data["trace"]["name"] = file();
        if (data.contains("simulated")) data["simulated"]["trace"] = file();
        return data;
    }

    report_heading heading() const {
        return {.title = "Who serves it best?",
                .subtitle = fmt::format("{}: {} requests, blocks of {} tokens", file(),
                                        with_thousands(requests_.requests.size()), done_.about.block_tokens),
                .footer =
                    fmt::format("{} compare {}, commit {}; {}, {} processors, {}", program, version_string, commit(),
                                done_.about.where.processor, done_.about.where.processors, done_.about.where.kernel)};
    }

    bench_settings const& s_;
    trace const& requests_;
    chain_maker chains_;
    progress_bar bar_;
    std::uint64_t warm_up_;
    comparison done_;
};

} // namespace

exit_code compare(bench_settings const& s) {
    auto const prepared = prepare(s, program);
    if (!prepared) return prepared.error();
    return work(s, *prepared).run();
}

} // namespace catena::bench
