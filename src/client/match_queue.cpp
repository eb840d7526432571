// SPDX-License-Identifier: Apache-2.0
// One request is in one of these lists at any time, all under one mutex, which nobody holds while the network works:
// waiting -> running (the thread has it) -> finished -> collected. A running one whose time is up is collected at once; the thread
// drops it when it comes back.
#include <catena/match_queue.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

#include "client/implementation.hpp"

namespace catena {

class match_queue::implementation {
public:
    implementation(std::shared_ptr<client::implementation> of, match_queue_options options)
        : client_(std::move(of)), options_(options), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        if (event_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
        options_.most_together = std::max<std::size_t>(options_.most_together, 1);
        thread_ = std::jthread([this](std::stop_token const& stop) { run(stop); });
    }
    implementation(implementation const&) = delete;
    implementation& operator=(implementation const&) = delete;
    ~implementation() {
        thread_.request_stop();
        thread_.join();
        ::close(event_);
    }

    result<std::uint64_t> submit(std::span<block_hash const> chain, std::span<location> locations,
                                 std::chrono::nanoseconds within) {
        if (!locations.empty() && locations.size() < chain.size()) return make_error(errc::invalid_argument);
        std::lock_guard const lock(mutex_);
        if (pending_ >= options_.most_pending) return make_error(errc::full);
        auto r = new_request();
        r->chain.assign(chain.begin(), chain.end());
        r->found.resize(locations.empty() ? 0 : chain.size());
        r->out = locations;
        r->deadline = within.count() == 0 ? within : client_->now() + within;
        r->progress.store(0, std::memory_order_relaxed);
        r->answer = {.blocks = 0, .complete = false};
        r->failed.reset();
        r->ticket = ++tickets_;
        ++pending_;
        waiting_.push_back(std::move(r));
        wake_.notify_one();
        return tickets_;
    }

    std::size_t poll(std::span<match_done> answers) {
        std::lock_guard const lock(mutex_);
        std::size_t n = 0;
        while (n < answers.size() && !finished_.empty()) {
            auto r = std::move(finished_.front());
            finished_.pop_front();
            answers[n++] = collect(*r);
            idle_.push_back(std::move(r));
        }
        if (finished_.empty()) {
            std::uint64_t count = 0;
            [[maybe_unused]] auto const nothing_there = ::read(event_, &count, sizeof count);
        }
        auto const now = client_->now();
        auto const late = [now](request const& r) { return r.deadline.count() != 0 && r.deadline <= now; };
        for (auto& r : running_) {
            if (n == answers.size()) return n;
            if (r->collected || !late(*r)) continue;
            r->collected = true;
            answers[n++] = {.ticket = r->ticket,
                            .blocks = r->progress.load(std::memory_order_relaxed),
                            .complete = false,
                            .failed = {},
                            .end = {}};
            --pending_;
        }
        for (auto r = waiting_.begin(); r != waiting_.end() && n < answers.size();) {
            if (!late(**r)) {
                ++r;
                continue;
            }
            answers[n++] = collect(**r); // nothing is known of it
            idle_.push_back(std::move(*r));
            r = waiting_.erase(r);
        }
        return n;
    }

    [[nodiscard]] int event_fd() const noexcept { return event_; }
    [[nodiscard]] std::size_t pending() const {
        std::lock_guard const lock(mutex_);
        return pending_;
    }

private:
    struct request {
        std::uint64_t ticket = 0;
        std::vector<block_hash> chain;
        std::vector<location> found; ///< written by the thread; poll() copies it to `out`
        std::span<location> out;
        std::chrono::nanoseconds deadline{};
        std::atomic<std::size_t> progress{0};
        match_answer answer{.blocks = 0, .complete = false};
        std::optional<error> failed;
        bool collected = false; ///< while it was running, since its time was up
    };
    using request_ptr = std::unique_ptr<request>;

    [[nodiscard]] request_ptr new_request() {
        if (idle_.empty()) return std::make_unique<request>();
        auto r = std::move(idle_.back());
        idle_.pop_back();
        r->collected = false;
        return r;
    }

    [[nodiscard]] match_done collect(request& r) {
        --pending_;
        auto const known = std::min(r.answer.blocks, r.out.size());
        std::copy_n(r.found.begin(), known, r.out.begin());
        return {.ticket = r.ticket,
                .blocks = r.answer.blocks,
                .complete = r.answer.complete && !r.failed,
                .failed = r.failed,
                .end = r.answer.end};
    }

    void run(std::stop_token const& stop) {
        std::vector<chain_query> queries;
        std::vector<match_answer> answers;
        for (;;) {
            {
                std::unique_lock lock(mutex_);
                if (!wake_.wait(lock, stop, [this] { return !waiting_.empty(); })) return;
                while (!waiting_.empty() && running_.size() < options_.most_together) {
                    running_.push_back(std::move(waiting_.front()));
                    waiting_.pop_front();
                }
            }
            queries.clear();
            for (auto& r : running_)
                queries.push_back(
                    {.chain = r->chain, .out = r->found, .deadline = r->deadline, .progress = &r->progress});
            answers.assign(queries.size(), match_answer{.blocks = 0, .complete = false});
            auto const done = client_->match_queries(queries, answers);
            std::lock_guard const lock(mutex_);
            for (std::size_t i = 0; i < running_.size(); ++i) {
                auto& r = running_[i];
                r->answer = answers[i];
                if (!done) {
                    r->failed = done.error();
                    r->answer.blocks = 0;
                }
                (r->collected ? idle_list(std::move(r)) : finished_.push_back(std::move(r)));
            }
            running_.clear();
            std::uint64_t const one = 1;
            if (!finished_.empty()) [[maybe_unused]]
                auto const told = ::write(event_, &one, sizeof one);
        }
    }
    void idle_list(request_ptr r) { idle_.push_back(std::move(r)); }

    std::shared_ptr<client::implementation> client_;
    match_queue_options options_;
    int event_;
    mutable std::mutex mutex_;
    std::condition_variable_any wake_;
    std::deque<request_ptr> waiting_;
    std::vector<request_ptr> running_; ///< changed by the thread alone
    std::deque<request_ptr> finished_;
    std::vector<request_ptr> idle_;
    std::size_t pending_ = 0;
    std::uint64_t tickets_ = 0;
    std::jthread thread_; ///< last: it uses the others
};

match_queue::match_queue(client const& of, match_queue_options options)
    : impl_(std::make_unique<implementation>(of.impl_, options)) {}
match_queue::match_queue(match_queue&&) noexcept = default;
match_queue& match_queue::operator=(match_queue&&) noexcept = default;
match_queue::~match_queue() = default;

result<std::uint64_t> match_queue::submit(std::span<block_hash const> chain, std::span<location> locations,
                                          std::chrono::nanoseconds within) {
    return impl_->submit(chain, locations, within);
}
std::size_t match_queue::poll(std::span<match_done> answers) { return impl_->poll(answers); }
int match_queue::event_fd() const noexcept { return impl_->event_fd(); }
std::size_t match_queue::pending() const noexcept { return impl_->pending(); }

} // namespace catena
