// SPDX-License-Identifier: Apache-2.0
#include "bench/rounds.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>

namespace catena::bench {
namespace {

using tools::ratio;

round_figures figures_of(pass_result& p) {
    auto const requests = static_cast<double>(p.requests);
    return {.requests_per_second = ratio(requests, p.seconds()),
            .matches_per_second = ratio(requests, p.match_seconds),
            .matched_blocks_per_second = ratio(static_cast<double>(p.hit_blocks), p.match_seconds),
            .match_us = latencies_of(p.match_us),
            .publish_us = latencies_of(p.publish_us),
            .request_us = latencies_of(p.request_us),
            .server_us = ratio(p.server_seconds * 1e6, requests)};
}

void add(system_figures& to, pass_result&& p) {
    to.rounds.push_back(figures_of(p));
    to.requests = p.requests;
    to.blocks = p.blocks;
    to.hit_blocks = p.hit_blocks;
    to.publishes = p.publishes;
    to.sent = p.sent;
    to.size = p.size;
    to.match_us.insert(to.match_us.end(), p.match_us.begin(), p.match_us.end());
    to.request_us.insert(to.request_us.end(), p.request_us.begin(), p.request_us.end());
}

void sort_samples(rounds_result& all) {
    for (auto& each : all.systems) {
        std::sort(each.match_us.begin(), each.match_us.end());
        std::sort(each.request_us.begin(), each.request_us.end());
    }
}

} // namespace

spread spread_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    auto const n = values.size();
    auto const median = n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
    return {.median = median, .least = values.front(), .most = values.back()};
}

latencies latencies_of(std::vector<float>& samples) {
    if (samples.empty()) return {};
    std::sort(samples.begin(), samples.end());
    auto const n = samples.size();
    latencies found{.mean = std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(n),
                    .max = samples.back()};
    for (std::size_t i = 0; i < latencies::per_mille.size(); ++i)
        found.at[i] = samples[tools::nearest_rank(n, latencies::per_mille[i], 1000)];
    return found;
}

result<rounds_result, std::string> run_rounds(tools::trace const& trace, tools::chain_maker const& chains,
                                              rounds_setup const& setup) {
    rounds_result all;
    auto const n = setup.systems.size();
    for (auto const& each : setup.systems) {
        all.systems.push_back({});
        all.systems.back().what = each;
    }
    std::vector<std::uint32_t> hits;
    for (unsigned round = 0; round < setup.rounds; ++round) {
        for (std::size_t turn = 0; turn < n; ++turn) {
            // The first of each round another one, and every other round the other way round: nobody always follows the same.
            auto const which = (round + (round % 2 == 0 ? turn : n - turn)) % n;
            auto const& what = setup.systems[which];
            pass_options options{.warm_up = setup.warm_up, .stop = setup.stop};
            options.progress = [&](std::uint64_t served) {
                if (!setup.progress) return;
                auto const passes = static_cast<double>(round * n + turn) +
                                    static_cast<double>(served) / static_cast<double>(trace.requests.size());
                setup.progress(passes / static_cast<double>(n * setup.rounds), what.name(), round + 1);
            };
            auto made = make_store(what, setup.where);
            if (!made) return fmt::format("{}: {}", what.name(), made.error());
            auto served = serve(**made, trace, chains, options);
            if (!served) return fmt::format("{}: {}", what.name(), served.error());
            if (served->stopped) {
                all.stopped = true;
                for (auto& each : all.systems) each.rounds.resize(std::min<std::size_t>(each.rounds.size(), round));
                sort_samples(all);
                return all;
            }
            if (hits.empty()) hits = served->hits;
            all.same_hits = all.same_hits && served->hits == hits;
            add(all.systems[which], std::move(*served));
        }
        all.rounds = round + 1;
    }
    sort_samples(all);
    return all;
}

} // namespace catena::bench
