// SPDX-License-Identifier: Apache-2.0
// sim_network: what lies between simulated clients and memory nodes. One thread, virtual time.
//
// Who                 A *host* is one client: what dies, stalls or has a NIC. A host has any number of *endpoints*
//                     (channels). A *flight* is one awaited batch of an endpoint, a fence, or a pause.
// How                 submit() puts a flight under way and suspends its coroutine; step() lets one thing happen; when
//                     all of a flight happened a step resumes the coroutine. Two networks decide what happens next:
//                     timed_network (queues and bandwidths) and adversarial_network (anything that is allowed).
// Setting up          While calm() is on every batch is executed whole at once, so that pools and indexes are made
//                     without costing virtual time; sync_wait works, since poll() is a step.
// A dead host         nothing that it submits has any effect: its coroutines end with errc::unreachable, as the code of a
//                     killed process never would; what counts is that the memory nodes hear nothing of it any more.
// Thread safety: one thread.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <catena/core/config.hpp>
#include <catena/core/result.hpp>
#include <catena/fabric/client_id.hpp>
#include <catena/fabric/op.hpp>
#include <catena/fabric/sim/memory_node.hpp>

namespace catena {

/// Lives in the frame of the coroutine that awaits it.
struct sim_flight {
    enum class kind : std::uint8_t { operations, fence, pause } what = kind::operations;
    std::uint32_t endpoint = 0;
    batch ops{};
    client_id whom{};               ///< of a fence
    std::chrono::nanoseconds due{}; ///< of a pause: length before, end after it was submitted
    std::uint32_t open = 0;         ///< operations that did not complete yet
    result<void> outcome{};         ///< the first error
    std::coroutine_handle<> waiting{};

    void fail(error e) noexcept {
        if (outcome) outcome = e;
    }
};

struct sim_endpoint {
    std::uint32_t host = 0;
    client_id client{};
    std::vector<std::uint32_t> nodes; ///< incarnation of each memory node when this endpoint connected
};

struct sim_host {
    bool dead = false;
    std::chrono::nanoseconds stalled_until{};
    bool thread_stalled = false; ///< only its coroutines stand still, what it posted goes on
    std::uint64_t steps = 0;     ///< what happened on its behalf so far
};

class sim_network {
public:
    sim_network(std::uint16_t nodes, std::uint64_t node_bytes) : node_bytes_(node_bytes) {
        nodes_.reserve(nodes);
        for (std::uint16_t i = 0; i < nodes; ++i) nodes_.emplace_back(node_bytes);
    }
    sim_network(sim_network const&) = delete;
    sim_network& operator=(sim_network const&) = delete;
    virtual ~sim_network() = default;

    [[nodiscard]] std::uint16_t node_count() const noexcept { return static_cast<std::uint16_t>(nodes_.size()); }
    [[nodiscard]] std::uint64_t node_bytes() const noexcept { return node_bytes_; }
    [[nodiscard]] sim_memory_node& node(std::uint16_t i) noexcept { return nodes_[i]; }
    [[nodiscard]] sim_host& host(std::uint32_t i) noexcept { return hosts_[i]; }
    [[nodiscard]] std::size_t host_count() const noexcept { return hosts_.size(); }
    [[nodiscard]] std::chrono::nanoseconds now() const noexcept { return now_; }

    [[nodiscard]] bool calm() const noexcept { return calm_; }
    void set_calm(bool on) noexcept { calm_ = on; }

    [[nodiscard]] std::uint32_t add_host() {
        hosts_.emplace_back();
        return static_cast<std::uint32_t>(hosts_.size() - 1);
    }
    [[nodiscard]] std::uint32_t connect(std::uint32_t host, client_id client) {
        sim_endpoint e{.host = host, .client = client, .nodes = {}};
        for (auto const& n : nodes_) e.nodes.push_back(n.incarnation());
        endpoints_.push_back(std::move(e));
        connected();
        return static_cast<std::uint32_t>(endpoints_.size() - 1);
    }

    /// True: it ended at once, nothing is to be waited for.
    [[nodiscard]] bool ends_at_once(sim_flight& f) {
        auto const& e = endpoints_[f.endpoint];
        if (hosts_[e.host].dead) {
            f.fail(make_error(errc::unreachable));
            return true;
        }
        if (!calm_ && !(f.what == sim_flight::kind::operations && f.ops.empty())) return false;
        if (f.what == sim_flight::kind::pause) now_ += f.due;
        if (f.what == sim_flight::kind::fence)
            for (auto& n : nodes_) n.shut_out(f.whom);
        for (auto& o : f.ops)
            if (allowed(f, o)) nodes_[o.target.node()].move(o);
        return true;
    }

    virtual void submit(sim_flight& f) = 0;
    /// Lets one thing happen. False: nothing is under way.
    virtual bool step() = 0;

    /// Lets the client of `host` stop for ever, wherever it is.
    virtual void kill(std::uint32_t host) = 0;

protected:
    /// May this operation have an effect? If not the flight learns why.
    [[nodiscard]] bool allowed(sim_flight& f, op const& o) noexcept {
        auto const n = o.target.node();
        auto const& e = endpoints_[f.endpoint];
        if (!nodes_[n].alive() || nodes_[n].incarnation() != e.nodes[n]) {
            f.fail(make_error(errc::unreachable, n));
            return false;
        }
        if (o.kind != op_kind::read && e.client != client_id{} && nodes_[n].is_shut_out(e.client)) {
            f.fail(make_error(errc::fenced, n));
            return false;
        }
        return true;
    }
    virtual void connected() {} ///< one more endpoint

    std::chrono::nanoseconds now_{1'000'000'000}; // a clock that starts at zero would hide a forgotten start
    std::vector<sim_endpoint> endpoints_;
    std::vector<sim_host> hosts_;

private:
    std::uint64_t node_bytes_;
    std::vector<sim_memory_node> nodes_;
    bool calm_ = true;
};

} // namespace catena
