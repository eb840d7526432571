// SPDX-License-Identifier: Apache-2.0
#include "tools/replay.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <span>
#include <thread>

#include <fmt/format.h>

namespace catena::tools {
namespace {

using clock = std::chrono::steady_clock;

double seconds_since(clock::time_point start) { return std::chrono::duration<double>(clock::now() - start).count(); }

double microseconds_since(clock::time_point start) {
    return std::chrono::duration<double, std::micro>(clock::now() - start).count();
}

// What the threads of one replay share.
struct shared_state {
    std::span<client const> clients;
    trace const& requests;
    chain_maker const& chains;
    std::atomic<bool> const* stop;
    std::vector<std::uint32_t>& hits; // one element a request, written by the thread that took it

    std::atomic<std::uint64_t> next{0};
    std::atomic<bool> failed{false};
    std::atomic<std::uint64_t> done_requests{0}; // these three for the progress bar
    std::atomic<std::uint64_t> done_blocks{0};
    std::atomic<std::uint64_t> done_hits{0};

    [[nodiscard]] bool stopped() const { return stop != nullptr && stop->load(std::memory_order_relaxed); }
};

// One thread: an engine that serves one request after the other.
class engine {
public:
    explicit engine(shared_state& shared) : shared_(shared) {}

    void run() {
        while (!shared_.stopped() && !shared_.failed.load(std::memory_order_relaxed)) {
            auto const at = shared_.next.fetch_add(1, std::memory_order_relaxed);
            if (at >= shared_.requests.requests.size()) return;
            client_ = &shared_.clients[at % shared_.clients.size()];
            if (!serve(shared_.requests.requests[at], shared_.hits[at])) {
                shared_.failed.store(true, std::memory_order_relaxed);
                return;
            }
        }
    }

    [[nodiscard]] replay_result const& result() const { return own_; }

private:
    bool serve(request const& r, std::uint32_t& hits) {
        shared_.chains.hash(r, chain_);
        std::size_t hit = 0;
        if (!chain_.empty()) { // a prompt of less than one full block asks nothing
            if (!match(r, hit)) return false;
            if (hit < chain_.size() && !publish(r, hit)) return false;
        }
        hits = static_cast<std::uint32_t>(hit);
        ++own_.requests;
        own_.blocks += chain_.size();
        own_.hit_blocks += hit;
        if (2 * hit > chain_.size()) ++own_.over_half;
        shared_.done_requests.fetch_add(1, std::memory_order_relaxed);
        shared_.done_blocks.fetch_add(chain_.size(), std::memory_order_relaxed);
        shared_.done_hits.fetch_add(hit, std::memory_order_relaxed);
        return true;
    }

    bool match(request const& r, std::size_t& hit) {
        locations_.assign(chain_.size(), location{});
        auto const start = clock::now();
        auto const found = client_->match(chain_, locations_);
        auto const took = microseconds_since(start);
        if (!found) return fail(found.error(), false, r);
        hit = found->blocks;
        end_ = found->end;
        own_.match.add(found->cost, took);
        own_.wrong_locations += count_wrong(std::span{chain_}.first(hit), locations_);
        return true;
    }

    bool publish(request const& r, std::size_t hit) {
        auto const missing = std::span<block_hash const>{chain_}.subspan(hit);
        auto const places = std::span{locations_}.subspan(hit);
        std::transform(missing.begin(), missing.end(), places.begin(), made_up_location);
        auto const start = clock::now();
        auto const listed = client_->publish(chain_, locations_, hit, end_);
        auto const took = microseconds_since(start);
        if (!listed) return fail(listed.error(), true, r);
        own_.inserted += listed->inserted;
        own_.already_present += listed->already_present;
        own_.publish.add(listed->cost, took);
        own_.wrong_locations += count_wrong(missing, places);
        return true;
    }

    bool fail(error why, bool while_publishing, request const& r) {
        own_.failure = replay_failure{.why = why, .while_publishing = while_publishing, .line = r.line};
        return false;
    }

    shared_state& shared_;
    client const* client_ = nullptr; // of the request
    replay_result own_;
    std::vector<block_hash> chain_;
    std::vector<location> locations_;
    match_end end_;
};

void join(replay_result& all, replay_result const& one) {
    all.requests += one.requests;
    all.blocks += one.blocks;
    all.hit_blocks += one.hit_blocks;
    all.over_half += one.over_half;
    all.inserted += one.inserted;
    all.already_present += one.already_present;
    all.wrong_locations += one.wrong_locations;
    all.match.join(one.match);
    all.publish.join(one.publish);
    if (one.failure && (!all.failure || one.failure->line < all.failure->line)) all.failure = one.failure;
}

} // namespace

replay_result replay(std::span<client const> clients, trace const& trace, chain_maker const& chains,
                     replay_options const& options) {
    constexpr std::chrono::milliseconds tick{100};
    replay_result all;
    all.hits.assign(trace.requests.size(), replay_result::not_done);
    shared_state shared{
        .clients = clients, .requests = trace, .chains = chains, .stop = options.stop, .hits = all.hits};

    auto const threads = std::max(1U, options.threads);
    std::vector<engine> engines;
    engines.reserve(threads);
    for (unsigned i = 0; i < threads; ++i) engines.emplace_back(shared);

    std::mutex mutex;
    std::condition_variable finished;
    unsigned working = threads;
    auto const start = clock::now();
    {
        std::vector<std::jthread> running;
        running.reserve(threads);
        for (auto& each : engines)
            running.emplace_back([&each, &mutex, &finished, &working] {
                each.run();
                std::lock_guard const lock(mutex);
                --working;
                finished.notify_one();
            });
        std::unique_lock lock(mutex);
        while (!finished.wait_for(lock, tick, [&working] { return working == 0; })) {
            if (!options.progress) continue;
            replay_state const now{.requests = shared.done_requests.load(std::memory_order_relaxed),
                                   .of = trace.requests.size(),
                                   .blocks = shared.done_blocks.load(std::memory_order_relaxed),
                                   .hit_blocks = shared.done_hits.load(std::memory_order_relaxed),
                                   .seconds = seconds_since(start)};
            lock.unlock(); // a slow terminal must not hold up a thread that ends
            options.progress(now);
            lock.lock();
        }
    }
    all.seconds = seconds_since(start);
    for (auto const& each : engines) join(all, each.result());
    all.stopped = !all.failure && all.requests < trace.requests.size();
    return all;
}

std::vector<std::string> find_lost_blocks(client const& pool, trace const& trace, chain_maker const& chains,
                                          replay_result const& done) {
    std::vector<std::string> lost;
    std::vector<block_hash> chain;
    std::vector<location> locations;
    for (std::size_t i = 0; i < trace.requests.size(); ++i) {
        auto const& r = trace.requests[i];
        if (done.hits[i] == replay_result::not_done) continue;
        chains.hash(r, chain);
        if (chain.empty()) continue;
        locations.assign(chain.size(), location{});
        auto const found = pool.match(chain, locations);
        if (!found) {
            lost.push_back(fmt::format("request of line {}: {}", r.line, describe(found.error().code)));
            continue;
        }
        if (found->blocks != chain.size())
            lost.push_back(
                fmt::format("request of line {}: {} of its {} blocks are listed", r.line, found->blocks, chain.size()));
        else if (auto const wrong = count_wrong(chain, locations); wrong != 0)
            lost.push_back(fmt::format("request of line {}: {} blocks are listed at a wrong place", r.line, wrong));
    }
    return lost;
}

} // namespace catena::tools
