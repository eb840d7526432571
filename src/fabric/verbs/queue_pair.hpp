// SPDX-License-Identifier: Apache-2.0
// queue_pair: the way of one channel to one memory node: its connection, and what was posted there and has not completed.
//
// What a channel posts there at once is a *part*: a chain of work requests with one doorbell, of which only the last asks for a
// completion. A reliable connection completes in posted order, so parts end in the order of their ring, and the completion of the
// last request stands for all. Of a queue pair that broke every request completes with an error; the part has ended when its last
// one did: from then on the NIC does not touch its buffers.
// Thread safety: that of its channel: one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <infiniband/verbs.h>

#include <catena/core/bytes.hpp>
#include <catena/core/error.hpp>
#include <catena/fabric/any_channel.hpp>

#include "fabric/verbs/connection_manager.hpp"

namespace catena::verbs {

/// A ring of registered bytes, for what does not lie in registered memory itself: small values in coroutine frames, results of
/// atomics. Freed in the order in which it was taken.
class bounce_ring {
public:
    static constexpr std::size_t bytes = 32 * 1024;
    static constexpr std::uint32_t most = 8 * 1024; ///< at once

    void lay_over(std::byte* at) noexcept {
        at_ = at;
        taken_ = freed_ = 0;
    }
    /// Room for n <= most bytes in one piece, aligned to words; null: not now.
    [[nodiscard]] std::byte* take(std::uint32_t n) noexcept {
        auto const begin = place_for(taken_, n);
        if (begin + n - freed_ > bytes) return nullptr;
        taken_ = begin + n;
        return at_ + begin % bytes;
    }
    /// Where take() put n bytes when `taken()` was `position`.
    [[nodiscard]] std::byte* found(std::uint64_t& position, std::uint32_t n) const noexcept {
        auto const begin = place_for(position, n);
        position = begin + n;
        return at_ + begin % bytes;
    }
    [[nodiscard]] std::uint64_t taken() const noexcept { return taken_; }
    void free_up_to(std::uint64_t position) noexcept { freed_ = position; }

private:
    [[nodiscard]] static std::uint64_t place_for(std::uint64_t position, std::uint32_t n) noexcept {
        auto const begin = round_up(position, word_bytes);
        auto const left = bytes - begin % bytes;
        return n <= left ? begin : begin + left; // not around the end
    }
    std::byte* at_ = nullptr;
    std::uint64_t taken_ = 0; ///< positions only grow
    std::uint64_t freed_ = 0;
};

struct queue_pair {
    static constexpr std::uint32_t depth = 256; ///< work requests

    /// Operations of one flight for this memory node, from (first_op, first_byte) to before (end_op, end_byte).
    struct part {
        flight* of = nullptr;
        std::size_t first_op = 0;
        std::size_t end_op = 0;
        std::uint32_t first_byte = 0;
        std::uint32_t end_byte = 0;
        std::uint32_t requests = 0;
        std::uint64_t bounce_begin = 0;
        std::chrono::nanoseconds posted{};
    };
    enum class condition : std::uint8_t {
        up,
        failing, ///< the queue pair is in error; parts end one after the other
        down,    ///< there is none: connect() makes one
    };

    std::uint16_t node = 0;
    std::optional<cm_link> link;
    ibv_qp* qp = nullptr;
    std::uint64_t region_address = 0;
    std::uint32_t region_key = 0;
    std::size_t device_number = 0; ///< of registered_memory::use_with
    std::uint32_t inline_bytes = 0;
    std::uint16_t generation = 0; ///< how often it was connected: completions of earlier ones do not count
    condition now = condition::down;

    bounce_ring bounce;
    std::byte* bounce_at = nullptr;
    std::uint32_t bounce_key = 0;

    // What was posted. parts: a ring; positions only grow.
    std::vector<part> parts{depth};
    std::uint64_t newest = 0; ///< one behind the newest
    std::uint64_t oldest = 0;
    std::uint32_t room = depth;      ///< for work requests
    std::chrono::nanoseconds used{}; ///< when something was posted last

    // The chain that is being built.
    ibv_send_wr* first = nullptr;
    ibv_send_wr* last = nullptr;
    part open;

    // Why it broke, and whom that concerns.
    error why{};
    std::vector<flight*> victims;
    std::chrono::nanoseconds next_attempt{}; ///< of connecting
    std::chrono::nanoseconds back_off{};

    [[nodiscard]] bool idle() const noexcept { return oldest == newest; }
    [[nodiscard]] part& oldest_part() noexcept { return parts[oldest % depth]; }
};

} // namespace catena::verbs
