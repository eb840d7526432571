// SPDX-License-Identifier: Apache-2.0
// timed_network: a network without faults whose parts have rates; virtual time says how long things take.
//
// The way of an operation: batch_overhead, the host's NIC sends it (a queue: so many messages and bytes a second), the
// wire, the memory node's NIC takes it (a queue), atomics go through the node's atomic unit (a queue), it takes effect, the
// node's NIC sends the answer (a queue), the wire, the host's NIC takes it (a queue). A batch is complete when its last
// answer is in. A message holds a queue for as long as the slower of its limits says: a message's share of a second, or
// its bytes' share.
// Operations of one endpoint to one memory node take effect in posted order. Operations move whole.
// Not simulated: the clients' own CPU time (but for batch_overhead), congestion in switches, NIC caches, packets (a message
// is one, whatever its length).
// Same calls, same times: events of one moment happen in the order in which they were made.
// Thread safety: one thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <queue>
#include <vector>

#include <catena/fabric/sim/network.hpp>
#include <catena/fabric/sim/parameters.hpp>

namespace catena {

/// A server with one queue: what comes is served in the order in which it comes.
class sim_queue {
public:
    /// Serves something that came at `now` (never before what came last) and needs `service`; returns when it is done.
    std::chrono::nanoseconds serve(std::chrono::nanoseconds now, double service_nanoseconds) noexcept {
        free_at_ = std::max(free_at_, static_cast<double>(now.count())) + service_nanoseconds;
        busy_ += service_nanoseconds;
        return std::chrono::nanoseconds(static_cast<std::int64_t>(free_at_ + 0.5));
    }
    /// How long it has been busy until `now`, which is not before the last serve: what still waits is not counted. All
    /// of that came by now and is served without a gap, so it is what is left until free_at_.
    [[nodiscard]] double busy_nanoseconds(std::chrono::nanoseconds now) const noexcept {
        return busy_ - std::max(0.0, free_at_ - static_cast<double>(now.count()));
    }

private:
    double free_at_ = 0; ///< fractions of a nanosecond add up at a hundred million messages a second
    double busy_ = 0;    ///< of all that came, served or waiting
};

/// How long each part was busy since the beginning; calm times do not count. Never more than the time that went by.
struct sim_load {
    double client_send = 0; ///< of the busiest host, nanoseconds, as all of these
    double client_receive = 0;
    double node_receive = 0; ///< of the busiest memory node
    double node_send = 0;
    double node_atomics = 0;
};

class timed_network final : public sim_network {
public:
    timed_network(std::uint16_t nodes, std::uint64_t node_bytes, sim_parameters const& parameters)
        : sim_network(nodes, node_bytes), parameters_(parameters), ports_(nodes) {}

    [[nodiscard]] sim_parameters const& parameters() const noexcept { return parameters_; }

    [[nodiscard]] sim_load load() const noexcept {
        sim_load most;
        for (auto const& p : host_ports_) {
            most.client_send = std::max(most.client_send, p.send.busy_nanoseconds(now_));
            most.client_receive = std::max(most.client_receive, p.receive.busy_nanoseconds(now_));
        }
        for (auto const& p : ports_) {
            most.node_send = std::max(most.node_send, p.send.busy_nanoseconds(now_));
            most.node_receive = std::max(most.node_receive, p.receive.busy_nanoseconds(now_));
            most.node_atomics = std::max(most.node_atomics, p.atomics.busy_nanoseconds(now_));
        }
        return most;
    }

    void submit(sim_flight& f) override {
        if (f.what == sim_flight::kind::pause) {
            push(now_ + f.due, event::kind::land, f, nullptr);
            return;
        }
        if (f.what == sim_flight::kind::fence) {
            for (std::uint16_t n = 0; n < node_count(); ++n) node(n).shut_out(f.whom);
            push(now_ + 2 * parameters_.propagation, event::kind::land, f, nullptr);
            return;
        }
        f.open = static_cast<std::uint32_t>(f.ops.size());
        push(now_ + parameters_.batch_overhead, event::kind::post, f, nullptr);
    }

    bool step() override {
        if (events_.empty()) return false;
        auto const e = events_.top();
        events_.pop();
        now_ = std::max(now_, e.at);
        switch (e.what) {
        case event::kind::post: post(*e.flight); break;
        case event::kind::arrive: {
            auto const in = ports_[e.operation->target.node()].receive.serve(
                now_, service(parameters_.memory_node, request_bytes(*e.operation)));
            push(in, event::kind::taken, *e.flight, e.operation);
            break;
        }
        case event::kind::taken: taken(e); break;
        case event::kind::execute: execute(e); break;
        case event::kind::back: {
            auto const in = port_of(e.flight->endpoint)
                                .receive.serve(now_, service(parameters_.client, answer_bytes(*e.operation)));
            push(in, event::kind::answer, *e.flight, e.operation);
            break;
        }
        case event::kind::answer:
            if (--e.flight->open == 0) land(*e.flight);
            break;
        case event::kind::land: land(*e.flight); break;
        }
        return true;
    }

    /// What it posted still arrives; its coroutines end with errc::unreachable when the answers would have come.
    void kill(std::uint32_t host) override { hosts_[host].dead = true; }

private:
    struct event {
        enum class kind : std::uint8_t { post, arrive, taken, execute, back, answer, land };
        std::chrono::nanoseconds at;
        std::uint64_t number; ///< ties: first made, first served
        kind what;
        sim_flight* flight;
        op* operation;
        [[nodiscard]] bool operator<(event const& o) const noexcept { // priority_queue has the largest on top
            return at != o.at ? at > o.at : number > o.number;
        }
    };
    struct port {
        sim_queue send;
        sim_queue receive;
        sim_queue atomics;
    };

    void push(std::chrono::nanoseconds at, event::kind what, sim_flight& f, op* o) {
        events_.push({.at = at, .number = made_++, .what = what, .flight = &f, .operation = o});
    }
    [[nodiscard]] port& port_of(std::uint32_t endpoint) {
        auto const host = endpoints_[endpoint].host;
        if (host_ports_.size() <= host) host_ports_.resize(host + 1U);
        return host_ports_[host];
    }
    [[nodiscard]] static double service(sim_nic const& nic, std::uint64_t bytes) noexcept {
        return 1e9 * std::max(1 / nic.operations_per_second, static_cast<double>(bytes) / nic.bytes_per_second);
    }
    [[nodiscard]] std::uint64_t request_bytes(op const& o) const noexcept {
        if (o.kind == op_kind::read) return parameters_.header_bytes;
        return parameters_.header_bytes + (o.kind == op_kind::write ? o.length : 2 * word_bytes);
    }
    [[nodiscard]] std::uint64_t answer_bytes(op const& o) const noexcept {
        if (o.kind == op_kind::write) return parameters_.header_bytes;
        return parameters_.header_bytes + (o.kind == op_kind::read ? o.length : word_bytes);
    }

    void post(sim_flight& f) {
        auto& send = port_of(f.endpoint).send;
        for (auto& o : f.ops) {
            auto const sent = send.serve(now_, service(parameters_.client, request_bytes(o)));
            push(sent + parameters_.propagation, event::kind::arrive, f, &o);
        }
    }

    /// The memory node's NIC has taken an operation: it takes effect, now or in its turn.
    void taken(event const& e) {
        auto const n = e.operation->target.node();
        auto const pair = std::size_t{e.flight->endpoint} * node_count() + n;
        if (in_order_.size() <= pair) in_order_.resize(pair + 1);
        auto& last = in_order_[pair];
        auto due = now_;
        if (e.operation->kind == op_kind::cas || e.operation->kind == op_kind::faa)
            due = ports_[n].atomics.serve(now_, 1e9 / parameters_.atomics_per_second);
        bool const at_once = due == now_ && last < now_;
        last = std::max(last, due);
        if (at_once)
            execute(e); // most operations: saves an event
        else
            push(last, event::kind::execute, *e.flight, e.operation);
    }

    void execute(event const& e) {
        auto const n = e.operation->target.node();
        if (allowed(*e.flight, *e.operation)) node(n).move(*e.operation);
        auto const sent = ports_[n].send.serve(now_, service(parameters_.memory_node, answer_bytes(*e.operation)));
        push(sent + parameters_.propagation, event::kind::back, *e.flight, e.operation);
    }

    void land(sim_flight& f) {
        if (hosts_[endpoints_[f.endpoint].host].dead) f.fail(make_error(errc::unreachable));
        f.waiting.resume();
    }

    sim_parameters parameters_;
    std::priority_queue<event> events_;
    std::uint64_t made_ = 0;
    std::vector<port> ports_; ///< of the memory nodes
    std::vector<port> host_ports_;
    std::vector<std::chrono::nanoseconds> in_order_; ///< endpoint x memory node: when its last operation took effect
};

} // namespace catena
