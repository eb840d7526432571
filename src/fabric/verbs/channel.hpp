// SPDX-License-Identifier: Apache-2.0
// verbs_channel: a queue pair to each memory node, their completions, and the coroutines that wait for them.
//
// Post       A batch becomes a chain of work requests for each memory node that it touches, posted in the order of the batch: that
//            and the ordering of a reliable connection are `ordered_batch` (a READ may be overtaken; op::fenced is
//            IBV_SEND_FENCE). Small WRITEs are sent inline; what lies in the channel's memory() goes to and from the NIC directly,
//            the rest over a small registered ring. How many READs and atomics are under way at once is the NIC's affair: it holds
//            to the depth that was negotiated.
// Back-pressure  Where a queue pair has no room for the next operation, the rest of the batch waits, and every batch after it, and
//            goes on when something completed. Something is under way then, so it will.
// Fail       A status other than success breaks the queue pair. When all its parts have ended, so that the NIC touches no buffer
//            any more, it is connected anew at once: not to try again, that is for the caller to decide, but because the answer
//            tells why: shut out, restarted, unreachable. Then the batches that were under way end with that.
// Bounds     Each part has verbs_options::patience; the NIC gives up before (about half a second). Connecting has as much for each
//            memory node, and after a failure is not tried again before a back-off of 50 ms to 1 s: batches fail at once meanwhile.
// Buffers    A batch that failed in part on one memory node may still be under way on another: it ends when all of it did.
// Thread safety: one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <vector>

#include <infiniband/verbs.h>

#include <catena/core/result.hpp>
#include <catena/fabric/any_channel.hpp>
#include <catena/fabric/client_id.hpp>
#include <catena/fabric/op.hpp>
#include <catena/fabric/stats.hpp>

#include "fabric/verbs/cluster.hpp"
#include "fabric/verbs/queue_pair.hpp"
#include "fabric/verbs/registered_memory.hpp"

namespace catena::verbs {

class verbs_channel final : public channel_driver {
public:
    /// Connects to all memory nodes. Errors: those of verbs_fabric::connect.
    [[nodiscard]] static setup_result<std::unique_ptr<channel_driver>> open(std::shared_ptr<cluster> nodes,
                                                                            client_id who);
    ~verbs_channel() override;

    void submit(flight& f) noexcept override;
    void fence(flight& f, client_id whom) noexcept override;
    void pause(flight& f, std::chrono::nanoseconds d) noexcept override;
    void poll() noexcept override;
    [[nodiscard]] std::chrono::nanoseconds now() const noexcept override {
        return std::chrono::steady_clock::now().time_since_epoch();
    }
    [[nodiscard]] fabric_stats& stats() noexcept override { return stats_; }
    [[nodiscard]] std::pmr::memory_resource* memory() noexcept override { return &buffers_; }

private:
    /// How some bytes of one operation travel.
    struct transfer {
        std::uint32_t bytes = 0;
        std::byte* local = nullptr;
        std::uint32_t key = 0;
        bool bounces = false;
        bool is_inline = false;
    };

    verbs_channel(std::shared_ptr<cluster> nodes, client_id who);

    // Posting.
    void post(flight& f) noexcept;
    [[nodiscard]] bool add(queue_pair& q, flight& f) noexcept;
    [[nodiscard]] transfer plan(queue_pair const& q, op const& o, std::uint32_t from) const noexcept;
    void ring_doorbell(queue_pair& q) noexcept;
    void go_on_posting() noexcept;

    // Completing.
    [[nodiscard]] bool drain(ibv_cq& from) noexcept;
    void on_completion(ibv_wc const& done) noexcept;
    void copy_out(queue_pair& q, queue_pair::part const& p) noexcept;
    void end_oldest(queue_pair& q, bool good) noexcept;
    void settle(flight& f) noexcept;
    void wake_sleepers() noexcept;
    void resume_ended() noexcept;

    // Failing.
    [[nodiscard]] setup_result<void> connect(queue_pair& q);
    [[nodiscard]] setup_result<void> make_queue_pair(queue_pair& q, rdma_cm_id& id);
    [[nodiscard]] setup_result<ibv_cq*> queue_of(device& d);
    [[nodiscard]] result<void> usable(queue_pair& q) noexcept;
    void fail(queue_pair& q, error why) noexcept;
    void give_up(queue_pair& q) noexcept;
    void recover(queue_pair& q) noexcept;
    void look_for_late_ones() noexcept;

    std::shared_ptr<cluster> cluster_;
    client_id who_;
    fabric_stats stats_;
    registered_memory memory_;
    std::pmr::unsynchronized_pool_resource buffers_{
        {.max_blocks_per_chunk = 0, .largest_required_pool_block = 256 * 1024}, &memory_};
    struct completions {
        device* of = nullptr;
        completion_queue queue;
    };
    std::vector<completions> completions_;           ///< one for each device: as a rule one
    std::vector<std::unique_ptr<queue_pair>> pairs_; ///< by memory node; end before the others

    std::vector<ibv_send_wr> requests_; ///< of the chains that are being built
    std::vector<ibv_sge> buffers_of_requests_;
    std::size_t requests_used_ = 0;

    flight* waiting_ = nullptr; ///< for room, a list
    flight* last_waiting_ = nullptr;
    flight* sleeping_ = nullptr;   ///< pauses, a list in no order
    flight* submitting_ = nullptr; ///< whose coroutine has not suspended yet
    std::vector<flight*> ended_;   ///< to be resumed
    std::size_t under_way_ = 0;    ///< parts
    unsigned idle_polls_ = 0;
};

} // namespace catena::verbs
