// SPDX-License-Identifier: Apache-2.0
// cluster: the memory nodes of a verbs fabric: who they are, how to connect to one, how to shut a client out of all of them.
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <catena/core/result.hpp>
#include <catena/fabric/client_id.hpp>
#include <catena/fabric/verbs_fabric.hpp>

#include "fabric/verbs/connection_manager.hpp"
#include "fabric/verbs/device.hpp"
#include "fabric/verbs/handshake.hpp"
#include "fabric/verbs/secret.hpp"

namespace catena::verbs {

class cluster {
public:
    [[nodiscard]] static setup_result<std::shared_ptr<cluster>> open(std::span<std::string const> names,
                                                                     verbs_options const& options);

    [[nodiscard]] std::uint16_t node_count() const noexcept { return static_cast<std::uint16_t>(nodes_.size()); }
    [[nodiscard]] std::uint64_t node_bytes() const noexcept { return node_bytes_; }
    [[nodiscard]] bool formatted() const noexcept { return formatted_; }
    [[nodiscard]] verbs_options const& options() const noexcept { return options_; }
    [[nodiscard]] device_table& devices() noexcept { return devices_; }

    /// A connection with a queue pair that works, and what the memory node said of its region.
    struct connection {
        cm_link link;
        answer said;
    };
    /// make_queue_pair: gives the link its queue pair; may be called more than once, each time for another link.
    using queue_pair_maker = std::function<setup_result<void>(rdma_cm_id&)>;
    /// Errors: those of verbs_fabric::connect.
    [[nodiscard]] setup_result<connection> connect(std::uint16_t node, client_id who,
                                                   queue_pair_maker const& make_queue_pair);

    /// See the concept `channel`: returns when no queue pair of `whom` is left at any memory node, nor will be. Errors: timed_out,
    /// unreachable, fenced (so is `asker`), restarted.
    [[nodiscard]] result<void> fence(client_id asker, client_id whom);

private:
    struct memory_node {
        std::string name;
        socket_address at;
        std::uint64_t run = 0; ///< as open() met it
        std::atomic<std::uint64_t> challenge{0};
    };
    explicit cluster(verbs_options options) : options_(std::move(options)) {}

    /// One request, again with another challenge if need be.
    [[nodiscard]] setup_result<connection> ask(memory_node& node, request r, queue_pair_maker const& make_queue_pair);
    [[nodiscard]] setup_error refusal(memory_node const& node, answer const& said) const;

    verbs_options options_;
    secret secret_;
    std::optional<socket_address> source_;
    device_table devices_;
    std::deque<memory_node> nodes_; ///< never moves
    std::uint64_t node_bytes_ = 0;
    bool formatted_ = true;
};

} // namespace catena::verbs
