// SPDX-License-Identifier: Apache-2.0
// immediate_channel: the channel of fabrics whose memory nodes are mapped into this process (local, shm). Every batch
// completes before submit() returns, so an await never suspends. A batch that writes passes the gate of its channel
// (gates.hpp), which is where a client that was fenced is stopped.
// Thread safety: one thread at a time; any number of channels on the same memory.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <utility>

#include <catena/core/result.hpp>
#include <catena/fabric/batch_rules.hpp>
#include <catena/fabric/client_id.hpp>
#include <catena/fabric/gates.hpp>
#include <catena/fabric/guarantees.hpp>
#include <catena/fabric/op.hpp>
#include <catena/fabric/stats.hpp>
#include <catena/fabric/word_memory.hpp>

namespace catena {

/// An awaitable that is complete already.
class completed {
public:
    explicit completed(result<void> outcome) noexcept : outcome_(outcome) {}
    [[nodiscard]] bool await_ready() const noexcept { return true; }
    template <typename Handle>
    void await_suspend(Handle) const noexcept {}
    [[nodiscard]] result<void> await_resume() const noexcept { return outcome_; }

private:
    result<void> outcome_;
};

class immediate_channel {
public:
    static constexpr fabric_guarantees guarantees{.atomic_words = true, .ordered_batch = true};

    /// Memory node i lies at base + i * stride and is node_bytes long. `gates`: where others are fenced, none if nobody
    /// can be; `pass`: the gate of this channel. Memory and gates outlive the channel.
    immediate_channel(std::byte* base, std::uint16_t nodes, std::uint64_t node_bytes, std::uint64_t stride,
                      gate_table* gates = nullptr, gate_pass pass = {}) noexcept
        : base_(base), node_bytes_(node_bytes), stride_(stride), gates_(gates), pass_(std::move(pass)), nodes_(nodes) {}
    /// What was moved from has no memory nodes any more: without its gate it must not write.
    immediate_channel(immediate_channel&& o) noexcept
        : base_(o.base_), node_bytes_(o.node_bytes_), stride_(o.stride_), gates_(std::exchange(o.gates_, nullptr)),
          pass_(std::move(o.pass_)), nodes_(std::exchange(o.nodes_, std::uint16_t{0})), idle_polls_(o.idle_polls_),
          stats_(o.stats_) {}
    immediate_channel& operator=(immediate_channel&& o) noexcept {
        if (this == &o) return *this;
        base_ = o.base_;
        node_bytes_ = o.node_bytes_;
        stride_ = o.stride_;
        gates_ = std::exchange(o.gates_, nullptr);
        pass_ = std::move(o.pass_);
        nodes_ = std::exchange(o.nodes_, std::uint16_t{0});
        idle_polls_ = o.idle_polls_;
        stats_ = o.stats_;
        return *this;
    }
    ~immediate_channel() = default;

    /// Errors: invalid_argument (an operation outside its memory node or a misaligned atomic), fenced. Nothing of the
    /// batch was done.
    [[nodiscard]] completed submit(batch ops) noexcept {
        auto const shape = shape_of(ops, nodes_, node_bytes_);
        if (shape.wrong) return completed(*shape.wrong);
        if (shape.changes && !pass_.enter()) return completed(make_error(errc::fenced, ops.front().target.node()));
        bool wrote = false;
        for (std::size_t i = 0; i < ops.size(); ++i) {
            op& o = ops[i];
            // What a NIC does too: the next operation's memory comes in while this one is served.
            if (i + 1 < ops.size()) word_memory::prefetch(at(ops[i + 1]), ops[i + 1].length);
            if (wrote && o.kind == op_kind::read) {
                word_memory::order_all();
                wrote = false;
            } else {
                word_memory::order();
            }
            word_memory::execute(o, at(o));
            count(o, stats_);
            wrote |= o.kind == op_kind::write;
        }
        word_memory::order();
        if (wrote) word_memory::order_all();
        if (shape.changes) pass_.leave();
        ++stats_.round_trips;
        idle_polls_ = 0;
        stats_.doorbells += shape.doorbells();
        return completed(result<void>{});
    }

    /// Shuts a client out (see the concept `channel`). Errors: timed_out, invalid_argument (anonymous), unsupported (this
    /// channel belongs to no fabric).
    [[nodiscard]] completed fence(client_id id) noexcept {
        if (gates_ == nullptr) return completed(make_error(errc::unsupported));
        ++stats_.round_trips;
        return completed(gates_->fence(id));
    }

    [[nodiscard]] completed pause(std::chrono::nanoseconds d) const noexcept {
        if (d < std::chrono::microseconds(5))
            std::this_thread::yield();
        else
            std::this_thread::sleep_for(d);
        return completed(result<void>{});
    }

    /// Only called while everything waits for another thread: gives the processor away, soon for longer, since that
    /// thread may need it.
    void poll() noexcept {
        if (++idle_polls_ < 64)
            std::this_thread::yield();
        else
            std::this_thread::sleep_for(std::chrono::microseconds(50));
    }

    [[nodiscard]] std::chrono::nanoseconds now() const noexcept {
        return std::chrono::steady_clock::now().time_since_epoch();
    }
    [[nodiscard]] fabric_stats& stats() noexcept { return stats_; }

private:
    [[nodiscard]] std::byte* at(op const& o) const noexcept {
        return base_ + o.target.node() * stride_ + o.target.offset();
    }

    std::byte* base_;
    std::uint64_t node_bytes_;
    std::uint64_t stride_;
    gate_table* gates_;
    gate_pass pass_;
    std::uint16_t nodes_;
    unsigned idle_polls_ = 0;
    fabric_stats stats_;
};

} // namespace catena
