// SPDX-License-Identifier: Apache-2.0
// sim_engine: what sim_run does, for one way to store chains. Each way is compiled in a file of its own, sim_with_*.cpp.
// Thread safety: one thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <vector>

#include <catena/core/task.hpp>

#include "tools/sim_cluster.hpp"
#include "tools/sim_run.hpp"

namespace catena::tools {
namespace detail {

// A session as one of its coroutines sees it: counts that coroutine's round trips alone.
class metered_session {
public:
    using channel_type = sim_channel;

    explicit metered_session(sim_pool::session_type& s) noexcept : session_(&s) {}

    [[nodiscard]] std::uint64_t round_trips() const noexcept { return round_trips_; }

    [[nodiscard]] auto submit(batch ops) {
        ++round_trips_;
        return session_->submit(ops);
    }
    [[nodiscard]] auto submit(op& single) { return submit(batch(&single, 1)); }
    [[nodiscard]] auto& channel() noexcept { return session_->channel(); }
    [[nodiscard]] auto& stats() noexcept { return session_->stats(); }
    [[nodiscard]] auto& pool() noexcept { return session_->pool(); }
    [[nodiscard]] auto& scratches() noexcept { return session_->scratches(); }
    [[nodiscard]] auto& allocation() noexcept { return session_->allocation(); }
    void park(local_waiter& waiter) noexcept { session_->park(waiter); }

private:
    sim_pool::session_type* session_;
    std::uint64_t round_trips_ = 0;
};

// What the coroutines of one run share.
class progress_of_run {
public:
    progress_of_run(trace const& requests, chain_maker const& maker, sim_setup const& what,
                    timed_network const& network, sim_run_options const& options, sim_result& to)
        : chains(maker), setup(what), result(to), trace_(&requests), network_(&network), options_(&options),
          next_(what.warm_up), working_(what.clients * what.depth), begin_(network.now()) {}

    chain_maker const& chains;
    sim_setup const& setup;
    sim_result& result;

    [[nodiscard]] std::chrono::nanoseconds now() const noexcept { return network_->now(); }
    [[nodiscard]] double microseconds_since(std::chrono::nanoseconds start) const noexcept {
        return static_cast<double>((now() - start).count()) * 1e-3;
    }

    // The next request and its number, or null: then the caller is done.
    [[nodiscard]] request const* take(std::size_t& number) {
        bool const stop = options_->stop != nullptr && options_->stop->load(std::memory_order_relaxed);
        if (!stop && !result.failure && next_ < trace_->requests.size()) {
            number = static_cast<std::size_t>(next_++);
            return &trace_->requests[number];
        }
        if (!closed_) close();
        --working_;
        return nullptr;
    }
    void done(std::size_t number, std::size_t blocks, std::size_t hit) {
        result.hits[number] = static_cast<std::uint32_t>(hit);
        ++result.requests;
        result.blocks += blocks;
        result.hit_blocks += hit;
        constexpr std::uint64_t every = 64;
        if (options_->progress && result.requests % every == 0) options_->progress(result.requests);
    }
    [[nodiscard]] bool working() const noexcept { return working_ > 0; }

private:
    void close() {
        closed_ = true;
        auto const nanoseconds = static_cast<double>((now() - begin_).count());
        auto const load = network_->load();
        result.window_seconds = nanoseconds * 1e-9;
        result.window_requests = result.requests;
        result.window_blocks = result.blocks;
        if (nanoseconds <= 0) return;
        result.utilisation = {load.client_send / nanoseconds, load.client_receive / nanoseconds,
                              load.node_receive / nanoseconds, load.node_send / nanoseconds,
                              load.node_atomics / nanoseconds};
    }

    trace const* trace_;
    timed_network const* network_;
    sim_run_options const* options_;
    std::uint64_t next_;
    unsigned working_;
    std::chrono::nanoseconds begin_;
    bool closed_ = false;
};

// One coroutine of a client: serves one request after the other.
template <typename Client>
class sim_engine {
public:
    sim_engine(Client& client, progress_of_run& run)
        : client_(&client), session_(client.session), run_(&run), work_(serve_all()) {}
    sim_engine(sim_engine const&) = delete;
    sim_engine& operator=(sim_engine const&) = delete;

    void start() const { work_.start(); }

private:
    [[nodiscard, gnu::noinline]] task<result<void>> serve_all() {
        std::size_t number = 0;
        while (auto const* const r = run_->take(number)) {
            run_->chains.hash(*r, chain_);
            std::size_t hit = 0;
            if (!chain_.empty()) { // a prompt of less than one full block asks nothing
                auto const found = co_await match();
                if (!found) {
                    fail(found.error(), false, *r);
                    continue; // take() ends it
                }
                hit = found->blocks;
                if (hit < chain_.size()) {
                    if (auto const listed = co_await publish(*found); !listed) {
                        fail(listed.error(), true, *r);
                        continue;
                    }
                }
            }
            run_->done(number, chain_.size(), hit);
        }
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<match_answer>> match() {
        locations_.assign(chain_.size(), location{});
        auto const before = session_.round_trips();
        auto const start = run_->now();
        auto const hit = co_await client_->chains.match(session_, chain_, locations_, {});
        if (!hit) co_return hit.error();
        run_->result.match.latency_us.push_back(run_->microseconds_since(start));
        run_->result.match.round_trips += session_.round_trips() - before;
        run_->result.wrong_locations += count_wrong(std::span<block_hash const>{chain_}.first(hit->blocks), locations_);
        co_return *hit;
    }

    [[nodiscard, gnu::noinline]] task<result<void>> publish(match_answer const& hit) {
        auto const missing = std::span<block_hash const>{chain_}.subspan(hit.blocks);
        auto const places = std::span{locations_}.subspan(hit.blocks);
        std::transform(missing.begin(), missing.end(), places.begin(), made_up_location);
        auto const before = session_.round_trips();
        auto const start = run_->now();
        auto const listed = co_await client_->chains.publish(session_, chain_, locations_, hit.blocks, hit.end);
        if (!listed) co_return listed.error();
        run_->result.publish.latency_us.push_back(run_->microseconds_since(start));
        run_->result.publish.round_trips += session_.round_trips() - before;
        run_->result.inserted += listed->inserted;
        run_->result.already_present += listed->already_present;
        run_->result.wrong_locations += count_wrong(missing, places);
        co_return result<void>{};
    }

    void fail(error why, bool while_publishing, request const& r) {
        if (!run_->result.failure)
            run_->result.failure = replay_failure{.why = why, .while_publishing = while_publishing, .line = r.line};
    }

    Client* client_;
    metered_session session_;
    progress_of_run* run_;
    std::vector<block_hash> chain_;
    std::vector<location> locations_;
    task<result<void>> work_; // last: it uses the others
};

// Lets one thing happen after the other until all coroutines are done.
template <typename Cluster>
void drive(Cluster& cluster, sim_setup const& setup, progress_of_run const& run) {
    // Only coroutines of one client wait for each other without a message on the network that wakes them.
    bool const local_waits = setup.depth > 1;
    for (;;) {
        if (local_waits)
            for (auto& client : cluster.clients()) client->session.resume_granted();
        if (!run.working()) return;
        if (!cluster.network().step())
            throw std::logic_error("the simulation stands still: clients wait for something that will not happen");
    }
}

} // namespace detail

/// As simulate(), whatever the setup says of strategy and index.
template <typename Storage>
[[nodiscard]] setup_result<sim_result> simulate_with(trace const& trace, chain_maker const& chains,
                                                     sim_setup const& setup, sim_run_options const& options) {
    using engine_type = detail::sim_engine<sim_client<Storage>>;
    auto made = sim_cluster<Storage>::create(setup, chains.unique_blocks(trace.requests));
    if (!made) return made.error();
    auto& cluster = **made;
    auto const warm = std::span{trace.requests}.first(static_cast<std::size_t>(setup.warm_up));
    if (auto const r = cluster.warm_up(chains, warm); !r) return setup_error(r.error());

    sim_result result;
    result.hits.assign(trace.requests.size(), replay_result::not_done);
    std::uint64_t retries_before = 0;
    for (auto& client : cluster.clients()) retries_before += client->session.stats().retries;
    detail::progress_of_run run(trace, chains, setup, cluster.network(), options, result);
    std::vector<std::unique_ptr<engine_type>> engines;
    for (unsigned i = 0; i < setup.depth; ++i)
        for (auto& client : cluster.clients()) engines.push_back(std::make_unique<engine_type>(*client, run));

    cluster.network().set_calm(false);
    for (auto const& engine : engines) engine->start();
    detail::drive(cluster, setup, run);

    for (auto& client : cluster.clients()) result.retries += client->session.stats().retries;
    result.retries -= retries_before;
    result.stopped = !result.failure && result.requests + setup.warm_up < trace.requests.size();
    return result;
}

extern template setup_result<sim_result> simulate_with<sim_extents>(trace const&, chain_maker const&, sim_setup const&,
                                                                    sim_run_options const&);
extern template setup_result<sim_result> simulate_with<sim_sherman>(trace const&, chain_maker const&, sim_setup const&,
                                                                    sim_run_options const&);
extern template setup_result<sim_result> simulate_with<sim_chime>(trace const&, chain_maker const&, sim_setup const&,
                                                                  sim_run_options const&);
extern template setup_result<sim_result> simulate_with<sim_learned>(trace const&, chain_maker const&, sim_setup const&,
                                                                    sim_run_options const&);

} // namespace catena::tools
