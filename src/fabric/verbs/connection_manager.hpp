// SPDX-License-Identifier: Apache-2.0
// connection_manager: librdmacm, with owners and deadlines. One cm_link is one attempt to reach one memory node.
// Thread safety: a link by one thread at a time.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include <netinet/in.h>
#include <rdma/rdma_cma.h>
#include <sys/socket.h>

#include <catena/core/result.hpp>

#include "fabric/verbs/handshake.hpp"

namespace catena::verbs {

using deadline = std::chrono::steady_clock::time_point;

/// Where a memory node listens, or connections leave.
struct socket_address {
    sockaddr_storage bytes{};
    socklen_t length = 0;

    [[nodiscard]] sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&bytes); }
    [[nodiscard]] sockaddr const* get() const noexcept { return reinterpret_cast<sockaddr const*>(&bytes); }
};
/// "host", "host:port", "[IPv6]:port". passive: of a server: "" and ":port" are all addresses. Errors: invalid_argument (syntax),
/// unreachable (a name that is not known).
[[nodiscard]] setup_result<socket_address> resolve_name(std::string const& text, bool passive = false);
/// An address of the device "NAME", "NAME:PORT" or "NAME:PORT:GID". Errors: invalid_argument, with the devices that there are.
[[nodiscard]] setup_result<socket_address> address_of_device(std::string const& device);
/// The names of the RDMA devices of this machine, with commas; empty: none.
[[nodiscard]] std::string device_names();

struct event_closer {
    void operator()(rdma_cm_event* e) const noexcept { rdma_ack_cm_event(e); }
};
using cm_event = std::unique_ptr<rdma_cm_event, event_closer>;

struct channel_closer {
    void operator()(rdma_event_channel* c) const noexcept { rdma_destroy_event_channel(c); }
};
using event_channel = std::unique_ptr<rdma_event_channel, channel_closer>;
/// One whose reads never block. Errors: unsupported (the kernel has no rdma_ucm), out_of_memory.
[[nodiscard]] setup_result<event_channel> make_event_channel();
/// The next event, or nothing by then; without a wait if `until` is over.
[[nodiscard]] std::optional<cm_event> next_event(rdma_event_channel& channel, deadline until);

class cm_link {
public:
    /// Finds the way to a memory node: device, port, route. source: where from; else the routing table decides. name: of the memory
    /// node, for messages. Errors: unreachable, unsupported, each with the step that failed.
    [[nodiscard]] static setup_result<cm_link> to(socket_address const& node, socket_address const* source,
                                                  std::string const& name, deadline until);
    cm_link(cm_link&& o) noexcept;
    cm_link& operator=(cm_link&& o) noexcept;
    ~cm_link();

    /// Asks, with the queue pair of this link if it has one. Accepted or rejected, there is an answer. Errors: unreachable (nobody
    /// listens there, or something else than a catena-memd), timed_out.
    struct reply {
        verbs::answer said{};
        bool accepted = false;
        /// There is no answer: to the host there this looks like a connection that it has, since another request without a queue
        /// pair is on its way, or the number of the queue pair was that of one that just ended. Ask again, with another link.
        bool mistaken = false;
    };
    [[nodiscard]] setup_result<reply> ask(request const& r, deadline until);

    /// The other side ended the connection, as far as this one was told. No system call unless something happened... one poll(2).
    [[nodiscard]] bool ended_by_peer() noexcept;
    [[nodiscard]] rdma_cm_id& id() const noexcept { return *id_; }

private:
    cm_link(event_channel channel, std::string name) noexcept : channel_(std::move(channel)), name_(std::move(name)) {}
    [[nodiscard]] setup_error failed(std::string const& step, int number) const;
    [[nodiscard]] setup_result<cm_event> wait_for(rdma_cm_event_type what, std::string const& step, deadline until);

    event_channel channel_;
    rdma_cm_id* id_ = nullptr;
    std::string name_;
};

} // namespace catena::verbs
