// SPDX-License-Identifier: Apache-2.0
#include "fabric/verbs/memory_server.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include <catena/fabric/verbs_fabric.hpp>

#include "fabric/verbs/connection_manager.hpp"
#include "fabric/verbs/device.hpp"
#include "fabric/verbs/handshake.hpp"
#include "fabric/verbs/secret.hpp"

namespace catena::verbs {

namespace {

constexpr auto challenge_lifetime = std::chrono::minutes(1);

struct id_closer {
    void operator()(rdma_cm_id* id) const noexcept {
        if (id->qp != nullptr) rdma_destroy_qp(id);
        rdma_destroy_id(id);
    }
};
using cm_id = std::unique_ptr<rdma_cm_id, id_closer>;

/// The region as one device knows it.
struct exported {
    device* of = nullptr;
    memory_region to_write;
    memory_region to_read;
    completion_queue nothing; ///< a queue pair must have one; nothing ever completes here
};

struct connection {
    cm_id id;
    std::uint64_t client = 0;
    bool reads_only = false;
};

} // namespace

class memory_server::implementation {
public:
    implementation(std::byte* region, std::size_t bytes, std::function<pool_identity()> who_is_it,
                   memory_server_options options)
        : region_(region), bytes_(bytes), who_is_it_(std::move(who_is_it)), options_(std::move(options)) {}
    implementation(implementation const&) = delete;
    implementation& operator=(implementation const&) = delete;
    ~implementation() {
        connections_.clear();
        listening_.reset();
    }

    [[nodiscard]] setup_result<void> start();
    void serve();

    [[nodiscard]] int descriptor() const noexcept { return events_->fd; }
    [[nodiscard]] std::uint64_t run() const noexcept { return run_; }
    [[nodiscard]] std::string devices() const {
        std::string names;
        for (auto const& e : exported_) names.append(names.empty() ? "" : ", ").append(e.of->name());
        return names;
    }

    memory_server_counters counters;

private:
    [[nodiscard]] setup_result<exported*> export_on(ibv_context* context);
    void on_request(cm_event event);
    void on_end(rdma_cm_id* id);
    [[nodiscard]] verdict judge(request const& r);
    [[nodiscard]] verdict accept(rdma_cm_id* id, request const& r, std::uint8_t depth, answer& a);
    void fence(std::uint64_t client);
    [[nodiscard]] answer answer_with(verdict what);
    void renew_challenge();
    void count_refusal(verdict why);

    std::byte* region_;
    std::size_t bytes_;
    std::function<pool_identity()> who_is_it_;
    memory_server_options options_;
    secret secret_;
    std::uint64_t run_ = unguessable();
    std::uint64_t challenge_ = unguessable();
    std::uint64_t last_challenge_ = challenge_; ///< still holds
    deadline challenge_until_ = std::chrono::steady_clock::now() + challenge_lifetime;

    device_table devices_;
    std::deque<exported> exported_;
    event_channel events_;
    cm_id listening_;
    std::unordered_map<rdma_cm_id*, connection> connections_;
    std::deque<std::uint64_t> fenced_in_order_;
    std::unordered_set<std::uint64_t> fenced_;
};

setup_result<exported*> memory_server::implementation::export_on(ibv_context* context) {
    auto const d = devices_.of(context);
    if (!d) return d.error();
    for (auto& e : exported_)
        if (e.of == *d) return &e;
    exported e;
    e.of = *d;
    auto* const domain = (*d)->domain.get();
    e.to_write.reset(ibv_reg_mr(domain, region_, bytes_,
                                IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE |
                                    IBV_ACCESS_REMOTE_ATOMIC));
    if (!e.to_write) return setup_error(errc::out_of_memory, registration_failure(errno, bytes_));
    e.to_read.reset(ibv_reg_mr(domain, region_, bytes_, IBV_ACCESS_REMOTE_READ));
    if (!e.to_read) return setup_error(errc::out_of_memory, registration_failure(errno, bytes_));
    e.nothing.reset(ibv_create_cq(context, 1, nullptr, nullptr, 0));
    if (!e.nothing)
        return setup_error(errc::out_of_memory, std::string("no completion queue: ") + std::strerror(errno));
    return &exported_.emplace_back(std::move(e));
}

setup_result<void> memory_server::implementation::start() {
    if (!options_.secret_file.empty()) {
        auto read = secret::from_file(options_.secret_file);
        if (!read) return read.error();
        secret_ = *read;
    }
    auto const listen = options_.listen.empty() ? ":" + std::to_string(default_memory_node_port) : options_.listen;
    auto at = resolve_name(listen, true);
    if (!at) return at.error();
    auto events = make_event_channel();
    if (!events) return events.error();
    events_ = std::move(*events);
    rdma_cm_id* id = nullptr;
    if (rdma_create_id(events_.get(), &id, nullptr, RDMA_PS_TCP) != 0)
        return setup_error(errc::unsupported, std::string("this machine has no RDMA device: ") + std::strerror(errno));
    listening_.reset(id);
    if (rdma_bind_addr(id, at->get()) != 0 || rdma_listen(id, 128) != 0) {
        int const e = errno;
        if (e == EADDRINUSE) return setup_error(errc::already_exists, "somebody listens on " + listen + " already");
        return setup_error(
            errc::invalid_argument,
            "cannot listen on " + listen + ": " + std::strerror(e) +
                (e == EADDRNOTAVAIL || e == ENODEV ? " (it must be the address of an RDMA device)" : ""));
    }
    // All devices that connections may come from, now: registering takes long, and may fail.
    if (id->verbs != nullptr) {
        if (auto const e = export_on(id->verbs); !e) return e.error();
        return {};
    }
    int n = 0;
    auto** const all = rdma_get_devices(&n);
    if (all == nullptr || n == 0) return setup_error(errc::unsupported, "this machine has no RDMA device");
    std::unique_ptr<ibv_context*, void (*)(ibv_context**)> const owner(all, rdma_free_devices);
    for (int i = 0; i < n; ++i)
        if (auto const e = export_on(all[i]); !e) return e.error();
    return {};
}

void memory_server::implementation::renew_challenge() {
    auto const now = std::chrono::steady_clock::now();
    if (now < challenge_until_) return;
    last_challenge_ = challenge_;
    challenge_ = unguessable();
    challenge_until_ = now + challenge_lifetime;
}

answer memory_server::implementation::answer_with(verdict what) {
    auto const pool = who_is_it_();
    return {.what = what,
            .wants_secret = static_cast<std::uint8_t>(secret_.any()),
            .run = run_,
            .challenge = challenge_,
            .region_bytes = bytes_,
            .region_address = reinterpret_cast<std::uintptr_t>(region_),
            .most_connections = options_.most_connections,
            .pool_uuid_high = pool.uuid_high,
            .pool_uuid_low = pool.uuid_low,
            .incarnation = pool.incarnation};
}

verdict memory_server::implementation::judge(request const& r) {
    if (r.version != handshake_version) return verdict::wrong_version;
    if (r.what != purpose::hello && r.what != purpose::connect && r.what != purpose::fence) return verdict::malformed;
    if (secret_.any()) {
        // A client that has no challenge of ours yet, or an old one, cannot have the right proof.
        if (r.challenge != challenge_ && r.challenge != last_challenge_) return verdict::stale_challenge;
        if (!secret_.proves(r)) return verdict::wrong_secret;
    }
    if (r.run != 0 && r.run != run_) return verdict::restarted;
    if (r.client != 0 && fenced_.contains(r.client)) return verdict::fenced;
    if (r.what == purpose::fence && (r.subject == 0 || r.access == access_rights::read)) return verdict::malformed;
    if (r.what == purpose::connect && connections_.size() >= options_.most_connections) return verdict::too_many;
    return verdict::ok;
}

void memory_server::implementation::count_refusal(verdict why) {
    switch (why) {
    case verdict::ok:
    case verdict::stale_challenge: return;
    case verdict::wrong_secret: ++counters.refused_secret; return;
    case verdict::wrong_version: ++counters.refused_version; return;
    case verdict::fenced: ++counters.refused_fenced; return;
    case verdict::too_many: ++counters.refused_full; return;
    case verdict::restarted: ++counters.refused_restarted; return;
    default: ++counters.refused_other; return;
    }
}

/// F1 and F2.
void memory_server::implementation::fence(std::uint64_t client) {
    ++counters.fences;
    if (fenced_.insert(client).second) {
        fenced_in_order_.push_back(client);
        if (fenced_in_order_.size() > most_fenced) {
            fenced_.erase(fenced_in_order_.front());
            fenced_in_order_.pop_front();
        }
    }
    std::vector<rdma_cm_id*> theirs;
    for (auto const& [id, c] : connections_)
        if (c.client == client) theirs.push_back(id);
    for (auto* const id : theirs) rdma_disconnect(id); // tells the client, and puts the queue pair into error
    for (auto* const id : theirs) on_end(id);          // destroys it
    counters.queue_pairs_torn_down += theirs.size();
}

verdict memory_server::implementation::accept(rdma_cm_id* id, request const& r, std::uint8_t depth, answer& a) {
    auto const e = export_on(id->verbs);
    if (!e) return verdict::no_resources;
    bool const reads_only = r.access == access_rights::read;
    ibv_qp_init_attr wanted{};
    wanted.send_cq = (*e)->nothing.get();
    wanted.recv_cq = (*e)->nothing.get();
    wanted.qp_type = IBV_QPT_RC;
    wanted.cap = {.max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1, .max_inline_data = 0};
    if (rdma_create_qp(id, (*e)->of->domain.get(), &wanted) != 0) return verdict::no_resources;
    a.region_key = (reads_only ? (*e)->to_read : (*e)->to_write)->rkey;
    rdma_conn_param with{};
    with.private_data = &a;
    with.private_data_len = sizeof a;
    with.responder_resources = static_cast<std::uint8_t>(std::clamp<int>(depth, 1, (*e)->of->limits.max_qp_rd_atom));
    with.rnr_retry_count = 6;
    if (rdma_accept(id, &with) != 0) {
        rdma_destroy_qp(id);
        return verdict::no_resources;
    }
    if (reads_only) { // the key forbids the rest already
        ibv_qp_attr may{};
        may.qp_access_flags = IBV_ACCESS_REMOTE_READ;
        (void)ibv_modify_qp(id->qp, &may, IBV_QP_ACCESS_FLAGS);
    }
    connections_.emplace(id, connection{.id = cm_id(id), .client = r.client, .reads_only = reads_only});
    ++counters.accepted;
    counters.read_only += reads_only ? 1 : 0;
    counters.connections = connections_.size();
    return verdict::ok;
}

void memory_server::implementation::on_request(cm_event event) {
    renew_challenge();
    auto* const id = event->id;
    auto const r = parse<request>(event->param.conn.private_data, event->param.conn.private_data_len);
    auto const depth = event->param.conn.responder_resources;
    event.reset(); // nothing of it is used any more: an id with an event that was not acknowledged cannot be destroyed
    if (!r) {
        ++counters.refused_other; // not a client of ours
        rdma_reject(id, nullptr, 0);
        rdma_destroy_id(id);
        return;
    }
    auto a = answer_with(judge(*r));
    if (a.what == verdict::ok && r->what == purpose::connect) {
        a.what = accept(id, *r, depth, a);
        if (a.what == verdict::ok) return;
    }
    if (a.what == verdict::ok && r->what == purpose::fence) fence(r->subject);
    if (a.what == verdict::ok && r->what == purpose::hello) ++counters.hellos;
    count_refusal(a.what);
    rdma_reject(id, &a, sizeof a);
    rdma_destroy_id(id);
}

void memory_server::implementation::on_end(rdma_cm_id* id) {
    auto const c = connections_.find(id);
    if (c == connections_.end()) return;
    counters.read_only -= c->second.reads_only ? 1 : 0;
    connections_.erase(c);
    ++counters.ended;
    counters.connections = connections_.size();
}

void memory_server::implementation::serve() {
    while (auto event = next_event(*events_, deadline{})) {
        auto* const id = (*event)->id;
        switch ((*event)->event) {
        case RDMA_CM_EVENT_CONNECT_REQUEST: on_request(std::move(*event)); break;
        case RDMA_CM_EVENT_DISCONNECTED:
        case RDMA_CM_EVENT_CONNECT_ERROR:
        case RDMA_CM_EVENT_UNREACHABLE:
        case RDMA_CM_EVENT_REJECTED:
        case RDMA_CM_EVENT_DEVICE_REMOVAL:
            event->reset();
            on_end(id);
            break;
        default: break; // established; its queue pair is gone for good
        }
    }
}

setup_result<memory_server> memory_server::start(std::byte* region, std::size_t bytes,
                                                 std::function<pool_identity()> who_is_it,
                                                 memory_server_options const& options) {
    auto made = std::make_unique<implementation>(region, bytes, std::move(who_is_it), options);
    if (auto const started = made->start(); !started) return started.error();
    return memory_server(std::move(made));
}

memory_server::memory_server(std::unique_ptr<implementation> impl) noexcept : impl_(std::move(impl)) {}
memory_server::memory_server(memory_server&&) noexcept = default;
memory_server::~memory_server() = default;
int memory_server::descriptor() const noexcept { return impl_->descriptor(); }
void memory_server::serve() { impl_->serve(); }
memory_server_counters const& memory_server::counters() const noexcept { return impl_->counters; }
std::string memory_server::devices() const { return impl_->devices(); }
std::uint64_t memory_server::run() const noexcept { return impl_->run(); }

} // namespace catena::verbs
