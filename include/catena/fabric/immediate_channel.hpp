// SPDX-License-Identifier: Apache-2.0
// immediate_channel: the channel of fabrics whose memory nodes are mapped into this process (local, shm). Every batch
// completes before submit() returns, so an await never suspends.
// Thread safety: one thread at a time; any number of channels on the same memory.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>

#include <catena/core/result.hpp>
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

    /// Memory node i lies at base + i * stride and is node_bytes long. The memory outlives the channel.
    immediate_channel(std::byte* base, std::uint16_t nodes, std::uint64_t node_bytes, std::uint64_t stride) noexcept
        : base_(base), node_bytes_(node_bytes), stride_(stride), nodes_(nodes) {}

    /// Errors: invalid_argument (an operation outside its memory node or a misaligned atomic; nothing of the batch was
    /// done).
    [[nodiscard]] completed submit(batch ops) noexcept {
        std::uint64_t touched = 0; // memory nodes of this batch, one bit each; node counts are at most 64
        for (op const& o : ops) {
            if (!valid(o)) return completed(make_error(errc::invalid_argument, o.target.node()));
            touched |= std::uint64_t{1} << o.target.node();
        }
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
            word_memory::execute(o, at(o), stats_);
            wrote |= o.kind == op_kind::write;
        }
        word_memory::order();
        if (wrote) word_memory::order_all();
        ++stats_.round_trips;
        idle_polls_ = 0;
        stats_.doorbells += static_cast<std::uint64_t>(__builtin_popcountll(touched));
        return completed(result<void>{});
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
    [[nodiscard]] bool valid(op const& o) const noexcept {
        if (o.target.node() >= nodes_) return false;
        if (o.length > node_bytes_ || o.target.offset() > node_bytes_ - o.length) return false;
        bool const atomic = o.kind == op_kind::cas || o.kind == op_kind::faa;
        return !atomic || o.target.offset() % word_bytes == 0;
    }

    std::byte* base_;
    std::uint64_t node_bytes_;
    std::uint64_t stride_;
    std::uint16_t nodes_;
    unsigned idle_polls_ = 0;
    fabric_stats stats_;
};

} // namespace catena
