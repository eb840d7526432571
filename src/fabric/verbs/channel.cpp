// SPDX-License-Identifier: Apache-2.0
// Posting and completing; what happens when a queue pair breaks is in channel_failure.cpp.
#include "fabric/verbs/channel.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <thread>
#include <utility>

#include <catena/fabric/batch_rules.hpp>

#include "fabric/verbs/completion_error.hpp"

namespace catena::verbs {

namespace {

using std::chrono::nanoseconds;

constexpr std::uint32_t largest_message = 1U << 20U; ///< of one work request; soft-RoCE takes 8 MiB, every NIC more

/// What a completion is of: memory node (16) | generation (16) | is it a part's last request (1).
[[nodiscard]] std::uint64_t id_of(queue_pair const& q, bool last) noexcept {
    return std::uint64_t{q.node} << 48U | std::uint64_t{q.generation} << 32U | std::uint64_t{last};
}

} // namespace

verbs_channel::verbs_channel(std::shared_ptr<cluster> nodes, client_id who)
    : cluster_(std::move(nodes)), who_(who), requests_(queue_pair::depth), buffers_of_requests_(queue_pair::depth) {
    ended_.reserve(1024);
    completions_.reserve(cluster_->node_count()); // poll() goes over them while a connection may add one
}

verbs_channel::~verbs_channel() {
    for (auto const& q : pairs_) q->link.reset(); // no buffer is touched after that
}

void verbs_channel::submit(flight& f) noexcept {
    auto const shape = shape_of(f.ops, cluster_->node_count(), cluster_->node_bytes());
    if (shape.wrong) return f.end(*shape.wrong);
    if (shape.changes && cluster_->options().read_only)
        return f.end(make_error(errc::read_only, f.ops.front().target.node()));
    submitting_ = &f;
    for (auto left = shape.touched; left != 0 && !f.done; left &= left - 1) {
        auto& q = *pairs_[static_cast<std::size_t>(std::countr_zero(left))];
        if (auto const r = usable(q); !r) f.end(r);
    }
    if (!f.done) {
        for (op const& o : f.ops) count(o, stats_);
        ++stats_.round_trips;
        stats_.doorbells += shape.doorbells();
        if (f.ops.empty()) f.end({});
    }
    if (!f.done && waiting_ == nullptr) post(f);
    if (!f.done && f.posted < f.ops.size()) {
        (waiting_ == nullptr ? waiting_ : last_waiting_->next) = &f;
        last_waiting_ = &f;
    }
    submitting_ = nullptr;
}

void verbs_channel::fence(flight& f, client_id whom) noexcept {
    ++stats_.round_trips;
    f.end(cluster_->fence(who_, whom)); // waits: others of this thread do as well, as long as a takeover takes
}

void verbs_channel::pause(flight& f, nanoseconds d) noexcept {
    f.due = now() + d;
    f.next = std::exchange(sleeping_, &f);
}

/// As much of the flight as there is room for, with one doorbell for each memory node.
void verbs_channel::post(flight& f) noexcept {
    for (bool more = true; more && f.outcome;) {
        requests_used_ = 0;
        std::uint64_t touched = 0;
        more = false;
        while (f.posted < f.ops.size()) {
            auto const node = f.ops[f.posted].target.node();
            auto& q = *pairs_[node];
            if (requests_used_ == requests_.size()) { // of the array, not of the queue pair
                more = true;
                break;
            }
            if (q.now != queue_pair::condition::up || !add(q, f)) break;
            touched |= std::uint64_t{1} << node;
        }
        for (; touched != 0; touched &= touched - 1)
            ring_doorbell(*pairs_[static_cast<std::size_t>(std::countr_zero(touched))]);
    }
}

verbs_channel::transfer verbs_channel::plan(queue_pair const& q, op const& o, std::uint32_t from) const noexcept {
    bool const atomic = o.kind == op_kind::cas || o.kind == op_kind::faa;
    auto* const local = atomic
                            ? reinterpret_cast<std::byte*>(const_cast<word*>(&o.fetched)) // NOLINT: the NIC writes it
                            : static_cast<std::byte*>(o.local) + from;
    transfer t{.bytes = std::min(o.length - from, largest_message), .local = local};
    if (t.bytes == 0) return t;
    if (o.kind == op_kind::write && o.length <= q.inline_bytes) {
        t.is_inline = true;
    } else if (auto const key = memory_.key_of(local, t.bytes, q.device_number)) {
        t.key = *key;
    } else {
        t.bytes = std::min(t.bytes, bounce_ring::most);
        t.key = q.bounce_key;
        t.bounces = true;
    }
    return t;
}

/// One work request of the flight's next operation, or of its next bytes. False: there is no room.
bool verbs_channel::add(queue_pair& q, flight& f) noexcept {
    op& o = f.ops[f.posted];
    auto t = plan(q, o, f.part);
    if (q.room == 0 || q.newest - q.oldest == queue_pair::depth) return false;
    auto const bounce_begin = q.bounce.taken();
    if (t.bounces) {
        auto* const at = q.bounce.take(t.bytes);
        if (at == nullptr) return false;
        if (o.kind == op_kind::write) std::memcpy(at, t.local, t.bytes);
        t.local = at;
    }
    --q.room;

    auto& buffer = buffers_of_requests_[requests_used_];
    auto& request = requests_[requests_used_++];
    buffer = {.addr = reinterpret_cast<std::uintptr_t>(t.local), .length = t.bytes, .lkey = t.key};
    request = {};
    request.wr_id = id_of(q, false);
    request.sg_list = &buffer;
    request.num_sge = t.bytes == 0 ? 0 : 1;
    if (o.fenced && f.part == 0) request.send_flags |= IBV_SEND_FENCE;
    auto const remote = q.region_address + o.target.offset() + f.part;
    switch (o.kind) {
    case op_kind::read:
    case op_kind::write:
        request.opcode = o.kind == op_kind::read ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE;
        if (t.is_inline) request.send_flags |= IBV_SEND_INLINE;
        request.wr.rdma.remote_addr = remote;
        request.wr.rdma.rkey = q.region_key;
        break;
    case op_kind::cas:
    case op_kind::faa:
        request.opcode = o.kind == op_kind::cas ? IBV_WR_ATOMIC_CMP_AND_SWP : IBV_WR_ATOMIC_FETCH_AND_ADD;
        request.wr.atomic.remote_addr = remote;
        request.wr.atomic.rkey = q.region_key;
        request.wr.atomic.compare_add = o.kind == op_kind::cas ? o.compare : o.operand;
        request.wr.atomic.swap = o.operand;
        break;
    }

    if (q.first == nullptr) {
        q.first = &request;
        q.open = {.of = &f,
                  .first_op = f.posted,
                  .end_op = 0,
                  .first_byte = f.part,
                  .end_byte = 0,
                  .requests = 0,
                  .bounce_begin = bounce_begin,
                  .posted = {}};
    } else {
        q.last->next = &request;
    }
    q.last = &request;
    ++q.open.requests;
    f.part += t.bytes;
    if (f.part >= o.length) {
        ++f.posted;
        f.part = 0;
    }
    q.open.end_op = f.posted;
    q.open.end_byte = f.part;
    return true;
}

void verbs_channel::ring_doorbell(queue_pair& q) noexcept {
    q.last->wr_id = id_of(q, true);
    q.last->send_flags |= IBV_SEND_SIGNALED;
    q.used = now();
    q.open.posted = q.used;
    q.parts[q.newest++ % queue_pair::depth] = q.open;
    ++q.open.of->under_way;
    ++under_way_;
    auto* const chain = std::exchange(q.first, nullptr);
    ibv_send_wr* refused = nullptr;
    if (int const e = ibv_post_send(q.qp, chain, &refused); e != 0) {
        fail(q, make_error(errc::unreachable, q.node, e));
        give_up(q); // no completion will tell when those before `refused` are done
    }
}

/// The flights that wait for room, oldest first.
void verbs_channel::go_on_posting() noexcept {
    while (waiting_ != nullptr) {
        auto& f = *waiting_;
        if (f.outcome) post(f);
        if (f.outcome && f.posted < f.ops.size()) {
            auto& q = *pairs_[f.ops[f.posted].target.node()];
            if (q.now == queue_pair::condition::up) return;      // it has no room
            if (q.now == queue_pair::condition::failing) return; // connected anew, or down, once its parts have ended
            f.outcome = q.why;
        }
        waiting_ = f.next;
        f.next = nullptr;
        settle(f);
    }
}

bool verbs_channel::drain(ibv_cq& from) noexcept {
    std::array<ibv_wc, 32> done;
    bool any = false;
    for (;;) {
        int const n = ibv_poll_cq(&from, static_cast<int>(done.size()), done.data());
        if (n <= 0) return any; // of a queue that is broken nothing completes: look_for_late_ones() ends its parts
        any = true;
        for (int i = 0; i < n; ++i) on_completion(done[static_cast<std::size_t>(i)]);
        if (n < static_cast<int>(done.size())) return true;
    }
}

void verbs_channel::on_completion(ibv_wc const& done) noexcept {
    auto& q = *pairs_[done.wr_id >> 48U];
    if ((done.wr_id >> 32U & 0xffffU) != q.generation || q.idle()) return; // of an earlier connection
    bool const good = done.status == IBV_WC_SUCCESS;
    if (!good) fail(q, error_of(done.status, q.node));
    if ((done.wr_id & 1U) == 0) return; // what follows it will tell
    end_oldest(q, good);
    if (q.now == queue_pair::condition::failing && q.idle()) recover(q);
}

/// Where the bytes of a part came in by way of the ring, to where they belong.
void verbs_channel::copy_out(queue_pair& q, queue_pair::part const& p) noexcept {
    auto position = p.bounce_begin;
    auto const end =
        q.oldest + 1 == q.newest ? q.bounce.taken() : q.parts[(q.oldest + 1) % queue_pair::depth].bounce_begin;
    auto from = p.first_byte;
    for (auto i = p.first_op; position < end && i < p.of->ops.size(); ++i, from = 0) {
        op& o = p.of->ops[i];
        if (o.target.node() != q.node) continue;
        auto const stop = i == p.end_op ? p.end_byte : o.length;
        while (from < stop) {
            auto const t = plan(q, o, from);
            if (t.bounces) {
                auto const* const at = q.bounce.found(position, t.bytes);
                if (o.kind != op_kind::write) std::memcpy(t.local, at, t.bytes);
            }
            from += t.bytes;
        }
        if (i == p.end_op) break;
    }
    q.bounce.free_up_to(end);
}

void verbs_channel::end_oldest(queue_pair& q, bool good) noexcept {
    auto const p = q.oldest_part();
    auto& f = *p.of;
    if (good) {
        copy_out(q, p);
    } else {
        q.victims.push_back(&f); // what became of it is known when the queue pair was connected anew
        ++f.under_way;
    }
    ++q.oldest;
    q.room += p.requests;
    --under_way_;
    --f.under_way;
    settle(f);
}

/// The flight is over if nothing of it is under way, and all of it was posted or never will be.
void verbs_channel::settle(flight& f) noexcept {
    if (f.done || f.under_way != 0 || (f.outcome && f.posted < f.ops.size())) return;
    for (auto* w = waiting_; w != nullptr; w = w->next)
        if (w == &f) return; // go_on_posting() takes it off first
    f.done = true;
    if (&f != submitting_) ended_.push_back(&f);
}

void verbs_channel::wake_sleepers() noexcept {
    auto const time = now();
    for (auto** at = &sleeping_; *at != nullptr;) {
        auto* const f = *at;
        if (f->due > time) {
            at = &f->next;
            continue;
        }
        *at = std::exchange(f->next, nullptr);
        f->end({});
        ended_.push_back(f);
    }
}

void verbs_channel::resume_ended() noexcept {
    for (std::size_t i = 0; i < ended_.size(); ++i) { // whoever is resumed may submit, and end others
        auto const waiting = ended_[i]->waiting;
        waiting.resume();
    }
    ended_.clear();
}

void verbs_channel::poll() noexcept {
    bool any = false;
    if (under_way_ != 0)
        for (auto const& c : completions_) any |= drain(*c.queue);
    if (waiting_ != nullptr) go_on_posting();
    if (sleeping_ != nullptr) wake_sleepers();
    if (any || !ended_.empty()) {
        idle_polls_ = 0;
        resume_ended();
        return;
    }
    // A memory node answers within microseconds; whoever waits for longer gives the processor away.
    constexpr unsigned spins = 200, yields = 2000;
    ++idle_polls_;
    if (idle_polls_ % 64 == 0) look_for_late_ones();
    if (idle_polls_ > spins + yields || (under_way_ == 0 && idle_polls_ > 64))
        std::this_thread::sleep_for(std::chrono::microseconds(50));
    else if (idle_polls_ > spins || under_way_ == 0)
        std::this_thread::yield();
}

} // namespace catena::verbs
