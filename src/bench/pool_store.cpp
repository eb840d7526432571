// SPDX-License-Identifier: Apache-2.0
#include "bench/pool_store.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <optional>
#include <thread>
#include <utility>

#include <pthread.h>
#include <unistd.h>

#include <catena/client.hpp>
#include <fmt/format.h>

#include "bench/child_process.hpp"
#include "tools/pool_size.hpp"

namespace catena::bench {
namespace {

constexpr std::chrono::seconds start_patience{10};

client_options options_of(pool_setup const& setup) {
    client_options options;
    options.index = setup.index;
    options.strategy = setup.strategy;
    options.hot_cache_bytes = static_cast<std::size_t>(setup.hot_cache_bytes);
    return options;
}

std::string uri_of(pool_setup const& setup) {
    static std::atomic<unsigned> number{0};
    auto const bytes = tools::sufficient_node_size(
        {.blocks_expected = setup.blocks, .sessions = 2, .by_extents = setup.strategy == match_strategy::extents});
    return setup.place == pool_place::local
               ? fmt::format("local:?size={}", bytes)
               : fmt::format("shm:catena-bench-{}-{}?size={}", getpid(), number.fetch_add(1), bytes);
}

std::string first_line(std::string const& file) {
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);
    return line;
}

class pool_store final : public store {
public:
    pool_store(client opened, std::optional<child_process> holder)
        : holder_(std::move(holder)), client_(std::move(opened)) {}

    result<std::size_t, std::string> match(std::span<block_hash const> chain, std::span<location> places) override {
        auto const found = client_.match(chain, places);
        if (!found) return std::string(describe(found.error().code));
        end_ = found->end;
        count(found->cost, sent_.match_round_trips);
        return found->blocks;
    }

    result<void, std::string> publish(std::span<block_hash const> chain, std::span<location> places,
                                      std::size_t from) override {
        auto const listed = client_.publish(chain, places, from, end_);
        if (!listed) return std::string(describe(listed.error().code));
        count(listed->cost, sent_.publish_round_trips);
        return {};
    }

    result<traffic, std::string> sent() override { return sent_; }

    result<footprint, std::string> size() override {
        auto const found = client_.inspect();
        if (!found) return fmt::format("the index cannot be inspected: {}", describe(found.error().code));
        if (!found->violations.empty()) return fmt::format("the index is broken: {}", found->violations.front());
        return footprint{
            .blocks = found->entries, .bytes = found->remote_bytes, .client_bytes = client_.report().cache_bytes};
    }

    double server_seconds() override { return holder_ ? holder_->processor_seconds() : 0; }

private:
    void count(fabric_stats const& cost, std::uint64_t& round_trips) noexcept {
        round_trips += cost.round_trips;
        sent_.bytes += cost.bytes_read + cost.bytes_written;
    }

    std::optional<child_process> holder_; // outlives the client: the last to leave removes the segment
    client client_;
    match_end end_; // of the last match
    traffic sent_;
};

// Waits until the holder said so in its log that the pool is there.
result<void, std::string> wait_for(child_process& holder, std::string const& log) {
    auto const until = std::chrono::steady_clock::now() + start_patience;
    while (first_line(log) != "ready") {
        if (!holder.running()) return fmt::format("the pool's holder ended: {}", first_line(log));
        if (std::chrono::steady_clock::now() > until) return std::string("the pool's holder does not answer");
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return {};
}

} // namespace

made_store make_pool_store(pool_setup const& setup) {
    auto const uri = uri_of(setup);
    std::optional<child_process> holder;
    if (setup.place == pool_place::shm) {
        auto started = child_process::start(
            {setup.holder, std::string(hold_pool_command), uri, setup.index, std::string(name(setup.strategy))},
            setup.log);
        if (!started) return started.error();
        holder = std::move(*started);
        if (auto const r = wait_for(*holder, setup.log); !r) return r.error();
    }
    auto opened = client::open(uri, options_of(setup));
    if (!opened) return fmt::format("cannot open the pool {}: {}", uri, opened.error().message);
    return std::unique_ptr<store>(std::make_unique<pool_store>(std::move(*opened), std::move(holder)));
}

int hold_pool(std::string const& uri, std::string const& index, std::string const& strategy) {
    auto const known = match_strategy_from(strategy);
    if (!known) return 2;
    sigset_t ends{};
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr); // before the client has threads: it must come to sigwait
    auto const pool = client::open(uri, options_of({.index = index, .strategy = *known}));
    std::puts(pool ? "ready" : pool.error().message.c_str());
    std::fflush(stdout);
    if (!pool) return 1;
    int which = 0;
    sigwait(&ends, &which);
    return 0;
}

} // namespace catena::bench
