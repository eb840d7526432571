// SPDX-License-Identifier: Apache-2.0
// A fabric of your own: anything that satisfies the concept `fabric` carries every index. This one is local memory
// behind a network of 20 microseconds, and notes how large the batches are.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <thread>
#include <utility>

#include <catena/fabric/local_fabric.hpp>
#include <catena/index/sherman_tree.hpp>
#include <catena/pool/memory_pool.hpp>

namespace {

using namespace catena;

class slow_channel {
public:
    static constexpr fabric_guarantees guarantees = immediate_channel::guarantees; // passed on, as we change no order

    slow_channel(immediate_channel to, std::size_t& largest) noexcept
        : to_(std::move(to)), largest_(&largest) {}

    [[nodiscard]] completed submit(batch ops) noexcept { // one batch, one round trip, however many operations
        if (ops.size() > *largest_) *largest_ = ops.size();
        std::this_thread::sleep_for(std::chrono::microseconds(20));
        return to_.submit(ops);
    }
    [[nodiscard]] completed fence(client_id id) noexcept { return to_.fence(id); }
    [[nodiscard]] completed pause(std::chrono::nanoseconds d) noexcept { return to_.pause(d); }
    void poll() noexcept { to_.poll(); }
    [[nodiscard]] std::chrono::nanoseconds now() const noexcept { return to_.now(); }
    [[nodiscard]] fabric_stats& stats() noexcept { return to_.stats(); }

private:
    immediate_channel to_;
    std::size_t* largest_;
};

class slow_fabric {
public:
    using channel_type = slow_channel;
    static constexpr char const* name = "slow";

    explicit slow_fabric(local_fabric memory) : memory_(std::move(memory)) {}
    [[nodiscard]] std::uint16_t node_count() const noexcept { return memory_.node_count(); }
    [[nodiscard]] std::uint64_t node_bytes() const noexcept { return memory_.node_bytes(); }
    [[nodiscard]] setup_result<channel_type> connect(client_id id) {
        auto channel = memory_.connect(id);
        if (!channel) return channel.error();
        return slow_channel(std::move(*channel), *largest_);
    }
    [[nodiscard]] std::size_t largest_batch() const noexcept { return *largest_; }

private:
    local_fabric memory_;
    std::unique_ptr<std::size_t> largest_ = std::make_unique<std::size_t>(0); // one channel at a time, in this program
};
static_assert(channel<slow_channel> && fabric<slow_fabric>);

} // namespace

int main() {
    auto memory = local_fabric::create(std::uint64_t{8} << 20U);
    if (!memory) return std::fprintf(stderr, "%s\n", memory.error().message.c_str()), 1;
    slow_fabric network(std::move(*memory));
    auto pool = memory_pool<slow_fabric>::create(network);
    if (!pool) return std::fprintf(stderr, "%s\n", pool.error().message.c_str()), 1;
    auto s = pool->open_session();
    if (!s) return std::fprintf(stderr, "%s\n", s.error().message.c_str()), 1;
    auto index = sherman_tree<std::uint64_t, std::uint64_t>::create(*s, "demo", 65536);
    if (!index) return std::fprintf(stderr, "%s\n", index.error().message.c_str()), 1;
    for (std::uint64_t k = 0; k < 200; ++k)
        if (!sync_wait(*s, index->upsert(*s, k, k + 1))) return 1;
    auto const found = sync_wait(*s, index->find(*s, 77));
    std::printf("%d round trips, at most %zu operations in one\n", static_cast<int>(s->stats().round_trips),
                network.largest_batch());
    return found && *found == 78 ? 0 : 1;
}
