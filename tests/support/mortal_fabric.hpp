// SPDX-License-Identifier: Apache-2.0
// mortal_fabric: another client's view of a local fabric, which dies at a chosen operation.
//
// Of the batch in which it dies a prefix took effect, and of the next WRITE an arbitrary subset of its words; every later
// call fails with errc::unreachable and has no effect. That is what the memory nodes see of a killed process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include <catena/fabric/local_fabric.hpp>

#include <support/random.hpp>

namespace catena::test {

/// Shared by the channels of one mortal client.
struct lifetime {
    static constexpr std::uint64_t forever = ~std::uint64_t{0};
    std::uint64_t operations_left = forever;
    std::uint64_t operations = 0; ///< done so far
    std::uint64_t tear = 0;       ///< seed of the subset of words that the last WRITE leaves
    [[nodiscard]] bool dead() const noexcept { return operations_left == 0; }
};

class mortal_channel {
public:
    static constexpr fabric_guarantees guarantees = immediate_channel::guarantees;

    mortal_channel(immediate_channel channel, lifetime& life) noexcept : channel_(std::move(channel)), life_(&life) {}

    [[nodiscard]] completed submit(batch ops) noexcept {
        if (life_->dead()) return completed(make_error(errc::unreachable));
        if (ops.size() < life_->operations_left) {
            life_->operations += ops.size();
            if (life_->operations_left != lifetime::forever) life_->operations_left -= ops.size();
            return channel_.submit(ops);
        }
        auto const whole = life_->operations_left - 1; // the last one is the one that tears
        life_->operations_left = 0;
        (void)channel_.submit(ops.first(whole)).await_resume();
        if (auto const& last = ops[whole]; last.kind == op_kind::write) {
            random_source random(life_->tear);
            for (std::uint32_t at = 0; at + word_bytes <= last.length; at += word_bytes) {
                if (random.one_in(2)) continue;
                op part = op::write(last.target + at, static_cast<std::byte const*>(last.local) + at, word_bytes);
                (void)channel_.submit(batch(&part, 1)).await_resume();
            }
        }
        return completed(make_error(errc::unreachable));
    }
    [[nodiscard]] completed fence(client_id id) noexcept {
        return life_->dead() ? completed(make_error(errc::unreachable)) : channel_.fence(id);
    }
    [[nodiscard]] completed pause(std::chrono::nanoseconds d) const noexcept { return channel_.pause(d); }
    void poll() noexcept { channel_.poll(); }
    [[nodiscard]] std::chrono::nanoseconds now() const noexcept { return channel_.now(); }
    [[nodiscard]] fabric_stats& stats() noexcept { return channel_.stats(); }

private:
    immediate_channel channel_;
    lifetime* life_;
};

class mortal_fabric {
public:
    using channel_type = mortal_channel;
    static constexpr std::string_view name = "mortal";

    explicit mortal_fabric(local_fabric& memory) : memory_(&memory), life_(std::make_unique<lifetime>()) {}

    [[nodiscard]] std::uint16_t node_count() const noexcept { return memory_->node_count(); }
    [[nodiscard]] std::uint64_t node_bytes() const noexcept { return memory_->node_bytes(); }
    [[nodiscard]] setup_result<channel_type> connect(client_id id = {}) {
        auto channel = memory_->connect(id);
        if (!channel) return channel.error();
        return channel_type(std::move(*channel), *life_);
    }
    [[nodiscard]] lifetime& life() noexcept { return *life_; }

private:
    local_fabric* memory_;
    std::unique_ptr<lifetime> life_;
};
static_assert(fabric<mortal_fabric>);

} // namespace catena::test
