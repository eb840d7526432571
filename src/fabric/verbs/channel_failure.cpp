// SPDX-License-Identifier: Apache-2.0
// How a channel connects its queue pairs, notices that one broke, and finds out why.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "fabric/verbs/channel.hpp"
#include "fabric/verbs/completion_error.hpp"

namespace catena::verbs {

namespace {

using namespace std::chrono_literals;
constexpr std::chrono::nanoseconds least_back_off = 50ms;
constexpr std::chrono::nanoseconds most_back_off = 1s;
constexpr auto unused_for_long = 100ms;

} // namespace

setup_result<std::unique_ptr<channel_driver>> verbs_channel::open(std::shared_ptr<cluster> nodes, client_id who) {
    std::unique_ptr<verbs_channel> made(new verbs_channel(std::move(nodes), who)); // NOLINT: the constructor is private
    for (std::uint16_t n = 0; n < made->cluster_->node_count(); ++n) {
        auto& q = *made->pairs_.emplace_back(std::make_unique<queue_pair>());
        q.node = n;
        q.victims.reserve(queue_pair::depth);
        if (auto const connected = made->connect(q); !connected) return connected.error();
    }
    return std::unique_ptr<channel_driver>(std::move(made));
}

setup_result<ibv_cq*> verbs_channel::queue_of(device& d) {
    for (auto const& c : completions_)
        if (c.of == &d) return c.queue.get();
    // Room for every work request: of a queue pair that breaks each of them completes.
    auto const wanted = static_cast<int>(queue_pair::depth * cluster_->node_count());
    completion_queue made(ibv_create_cq(d.context, std::min(wanted, d.limits.max_cqe), nullptr, nullptr, 0));
    if (!made) return setup_error(errc::out_of_memory, std::string("no completion queue: ") + std::strerror(errno));
    completions_.push_back({.of = &d, .queue = std::move(made)});
    return completions_.back().queue.get();
}

setup_result<void> verbs_channel::make_queue_pair(queue_pair& q, rdma_cm_id& id) {
    auto const d = cluster_->devices().of(id.verbs);
    if (!d) return d.error();
    if (q.bounce_at == nullptr) q.bounce_at = static_cast<std::byte*>(memory_.allocate(bounce_ring::bytes, cache_line));
    q.device_number = memory_.use_with(**d);
    auto const key = memory_.key_of(q.bounce_at, bounce_ring::bytes, q.device_number);
    if (!key) return setup_error(errc::out_of_memory, memory_.failure());
    q.bounce_key = *key;
    auto const queue = queue_of(**d);
    if (!queue) return queue.error();
    for (std::uint32_t const inline_bytes : {256U, 128U, 64U, 0U}) { // what a device takes can only be found by trying
        ibv_qp_init_attr wanted{};
        wanted.send_cq = *queue;
        wanted.recv_cq = *queue;
        wanted.qp_type = IBV_QPT_RC;
        wanted.cap = {.max_send_wr = queue_pair::depth,
                      .max_recv_wr = 1,
                      .max_send_sge = 1,
                      .max_recv_sge = 1,
                      .max_inline_data = inline_bytes};
        if (rdma_create_qp(&id, (*d)->domain.get(), &wanted) == 0) {
            q.inline_bytes = inline_bytes;
            return {};
        }
        if (errno != EINVAL) break;
    }
    return setup_error(errc::out_of_memory, std::string("no queue pair: ") + std::strerror(errno));
}

/// q: down.
setup_result<void> verbs_channel::connect(queue_pair& q) {
    auto made = cluster_->connect(q.node, who_, [&](rdma_cm_id& id) { return make_queue_pair(q, id); });
    if (!made) return made.error();
    q.link.emplace(std::move(made->link));
    q.qp = q.link->id().qp;
    q.region_address = made->said.region_address;
    q.region_key = made->said.region_key;
    q.bounce.lay_over(q.bounce_at);
    ++q.generation;
    q.room = queue_pair::depth;
    q.used = now();
    q.now = queue_pair::condition::up;
    return {};
}

/// Can something be posted there? Connects anew where that is due.
result<void> verbs_channel::usable(queue_pair& q) noexcept {
    auto const time = now();
    switch (q.now) {
    case queue_pair::condition::failing: return q.why;
    case queue_pair::condition::up:
        // The server ended the connection while it was not used: found out by asking, not by the next batch's failure.
        if (!q.idle() || time - q.used < unused_for_long) return {};
        q.used = time;
        if (!q.link->ended_by_peer()) return {};
        q.why = make_error(errc::unreachable, q.node);
        break;
    case queue_pair::condition::down:
        if (time < q.next_attempt) return q.why;
        break;
    }
    recover(q);
    if (q.now != queue_pair::condition::up) return q.why;
    return {};
}

void verbs_channel::fail(queue_pair& q, error why) noexcept {
    if (q.now != queue_pair::condition::up) return;
    q.now = queue_pair::condition::failing;
    q.why = why;
    ibv_qp_attr to{};
    to.qp_state = IBV_QPS_ERR; // it is, as a rule
    (void)ibv_modify_qp(q.qp, &to, IBV_QP_STATE);
}

/// Without waiting for completions: once there is no queue pair no buffer is touched any more.
void verbs_channel::give_up(queue_pair& q) noexcept {
    q.link.reset();
    while (!q.idle()) end_oldest(q, false);
    recover(q);
}

/// Nothing of it is under way. Connects it anew, to learn why it broke and to be there for the next batch; ends the victims.
void verbs_channel::recover(queue_pair& q) noexcept {
    q.link.reset();
    q.qp = nullptr;
    q.now = queue_pair::condition::down;
    if (auto const connected = connect(q)) {
        q.back_off = {};
    } else {
        auto const code = connected.error().code;
        bool const for_good = code == errc::fenced || code == errc::restarted;
        q.why = make_error(for_good ? code : q.why.code, q.node, q.why.native);
        q.back_off = std::clamp(2 * q.back_off, least_back_off, most_back_off);
        q.next_attempt = now() + q.back_off;
    }
    for (auto* const f : std::exchange(q.victims, {})) {
        if (f->outcome) f->outcome = q.why;
        --f->under_way;
        settle(*f);
    }
    q.victims.reserve(queue_pair::depth);
}

/// Parts whose completions did not come although the NIC should have given up long ago.
void verbs_channel::look_for_late_ones() noexcept {
    if (under_way_ == 0) return;
    auto const time = now();
    auto const patience = cluster_->options().patience;
    for (auto const& q : pairs_) {
        if (q->idle()) continue;
        auto const waited = time - q->oldest_part().posted;
        // Soft-RoCE (Linux 6.1) may forget to go on after a request that waited for those before it (IBV_SEND_FENCE); a doorbell
        // without a request wakes it up, and costs a NIC nothing.
        ibv_send_wr* none = nullptr;
        if (waited > 10ms && q->now == queue_pair::condition::up) {
            (void)ibv_post_send(q->qp, nullptr, &none);
            if (q->link->ended_by_peer()) fail(*q, make_error(errc::unreachable, q->node)); // before the NIC gives up
        }
        if (waited > patience) fail(*q, make_error(errc::timed_out, q->node));
        if (waited > patience + 1s && q->now == queue_pair::condition::failing) give_up(*q);
    }
}

} // namespace catena::verbs
