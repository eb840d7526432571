// SPDX-License-Identifier: Apache-2.0
// match_queue: matches for engines whose scheduler must not wait: submit, go on, look for the answers later.
//
// A thread of the queue's own takes whatever was submitted meanwhile and matches it together, so that the chains of one
// scheduler step share their round trips. Answers are collected with poll(), which never waits for the network; event_fd() becomes
// readable when there are some (for epoll and its like).
// A match has so much time as it is given: then poll() gives the answer as far as it got ("at least so many blocks"), also if
// the network does not answer at all.
//
//   catena::match_queue queue(cache);                            // catena::client
//   auto const ticket = queue.submit(chain, {}, 500us);          // from the scheduler
//   ...
//   std::array<catena::match_done, 16> done;
//   for (auto const& d : std::span(done).first(queue.poll(done))) use(d.ticket, d.blocks, d.complete);
//
// Thread safety: any number of threads; every answer goes to one poll(). A queue may outlive the client object that it was made of: the
// pool stays open until both are gone. Its destructor waits for the batch that is under way.
// Compiled (link catena::client).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include <catena/client.hpp>
#include <catena/core/result.hpp>
#include <catena/prefix/block_hash.hpp>
#include <catena/prefix/location.hpp>
#include <catena/prefix/match_end.hpp>

namespace catena {

struct match_queue_options {
    std::size_t most_pending = 1024; ///< submitted and not collected; more are refused
    std::size_t most_together = 64;  ///< matched in one batch
};

/// The answer to one submit.
struct match_done {
    std::uint64_t ticket = 0;
    std::size_t blocks = 0;      ///< the first so many blocks of the chain are listed
    bool complete = false;       ///< false: the time was up, or an error: there may be more
    std::optional<error> failed; ///< why it was not answered; blocks is what was known by then
    match_end end;               ///< for the publish of the rest
};

class match_queue {
public:
    explicit match_queue(client const& of, match_queue_options options = {});
    match_queue(match_queue&&) noexcept;
    match_queue& operator=(match_queue&&) noexcept;
    ~match_queue();

    /// Has `chain` matched; returns the ticket that its answer will bear. The chain is copied. locations: empty, or as long as the
    /// chain, and alive until its answer was collected: poll() writes the locations of the matched blocks there, nobody else does.
    /// within: from now on; 0: no limit. Does not wait.
    /// Errors: full (most_pending; collect answers first), invalid_argument (locations too short).
    [[nodiscard]] result<std::uint64_t> submit(std::span<block_hash const> chain, std::span<location> locations = {},
                                               std::chrono::nanoseconds within = {});

    /// Collects answers that are there, and those whose time is up; returns how many. Does not wait.
    [[nodiscard]] std::size_t poll(std::span<match_done> answers);

    /// Readable while answers are there. (A time that is up makes it readable only once the network answered: who must not be late
    /// calls poll() at that time.) Belongs to the queue; not to be read or closed.
    [[nodiscard]] int event_fd() const noexcept;

    /// Submitted, and not collected yet.
    [[nodiscard]] std::size_t pending() const noexcept;

private:
    class implementation;
    std::unique_ptr<implementation> impl_;
};

} // namespace catena
