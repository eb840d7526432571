// SPDX-License-Identifier: Apache-2.0
#include "fabric/verbs/memory_server.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <list>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <catena/fabric/verbs_fabric.hpp>

#include "fabric/verbs/challenges.hpp"
#include "fabric/verbs/connection_manager.hpp"
#include "fabric/verbs/device.hpp"
#include "fabric/verbs/handshake.hpp"
#include "fabric/verbs/secret.hpp"
#include "fabric/verbs/served_queue_pair.hpp"

namespace catena::verbs {

namespace {

constexpr int may_read = IBV_ACCESS_REMOTE_READ;
constexpr int may_write = may_read | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC;
constexpr int writable = may_write | IBV_ACCESS_LOCAL_WRITE; // remote writes need that as well

struct id_closer {
    void operator()(rdma_cm_id* id) const noexcept { rdma_destroy_id(id); }
};
using cm_id = std::unique_ptr<rdma_cm_id, id_closer>;

/// The region as one device knows it.
struct exported {
    device* of = nullptr;
    memory_region to_write;
    memory_region to_read;
    completion_queue nothing; ///< a queue pair must have one; nothing ever completes here
    cm_id watch; ///< bound to the device: hears when that is removed; none: its port is down, the listener is bound
};

struct connection {
    cm_id id;
    served_queue_pair pair; ///< ends before its id
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
        exported_.clear();
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
    void on_removal(ibv_context* context);
    [[nodiscard]] verdict judge(request const& r);
    [[nodiscard]] verdict accept(rdma_cm_id* id, request const& r, std::uint8_t depth, answer& a);
    void fence(std::uint64_t client);
    [[nodiscard]] answer answer_with(verdict what);
    void count_refusal(verdict why);

    std::byte* region_;
    std::size_t bytes_;
    std::function<pool_identity()> who_is_it_;
    memory_server_options options_;
    secret secret_;
    secret readers_secret_;
    std::uint64_t run_ = unguessable();
    challenges challenges_{std::chrono::steady_clock::now()};

    device_table devices_;
    event_channel events_;
    cm_id listening_; ///< none: its device was removed
    std::list<exported> exported_;
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
    e.to_write.reset(ibv_reg_mr(domain, region_, bytes_, writable));
    if (!e.to_write) return setup_error(errc::out_of_memory, registration_failure(errno, bytes_));
    e.to_read.reset(ibv_reg_mr(domain, region_, bytes_, may_read));
    if (!e.to_read) return setup_error(errc::out_of_memory, registration_failure(errno, bytes_));
    e.nothing.reset(ibv_create_cq(context, 1, nullptr, nullptr, 0));
    if (!e.nothing)
        return setup_error(errc::out_of_memory, std::string("no completion queue: ") + std::strerror(errno));
    // A listener on all addresses is not told when a device goes.
    if (auto at = address_of_device((*d)->name()); at && listening_->verbs == nullptr) {
        rdma_cm_id* id = nullptr;
        if (rdma_create_id(events_.get(), &id, nullptr, RDMA_PS_TCP) == 0) e.watch.reset(id);
        if (e.watch && rdma_bind_addr(id, at->get()) != 0) e.watch.reset();
    }
    return &exported_.emplace_back(std::move(e));
}

setup_result<void> memory_server::implementation::start() {
    if (!options_.secret_file.empty()) {
        auto read = secret::from_file(options_.secret_file);
        if (!read) return read.error();
        secret_ = *read;
    }
    if (!options_.readers_secret_file.empty()) {
        auto read = secret::from_file(options_.readers_secret_file);
        if (!read) return read.error();
        if (!secret_.any()) return setup_error(errc::invalid_argument, "a secret for readers needs one for writers");
        readers_secret_ = *read;
    }
    auto const any = std::string(":").append(std::to_string(default_memory_node_port));
    auto const listen = options_.listen.empty() ? any : options_.listen;
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
            errc::unreachable,
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

answer memory_server::implementation::answer_with(verdict what) {
    answer a{.what = what,
             .wants_secret = static_cast<std::uint8_t>(secret_.any()),
             .challenge = challenges_.current(std::chrono::steady_clock::now())};
    if (what == verdict::too_many) a.most_connections = options_.most_connections;
    if (what != verdict::ok) return a; // it may go to a stranger
    auto const pool = who_is_it_();
    a.run = run_;
    a.region_bytes = bytes_;
    a.pool_uuid_high = pool.uuid_high;
    a.pool_uuid_low = pool.uuid_low;
    a.incarnation = pool.incarnation;
    return a;
}

verdict memory_server::implementation::judge(request const& r) {
    if (r.version != handshake_version) return verdict::wrong_version;
    if (r.what != purpose::hello && r.what != purpose::connect && r.what != purpose::fence) return verdict::malformed;
    if (secret_.any()) {
        // A client that has no challenge of ours yet, or an old one, cannot have the right proof.
        if (!challenges_.holds(r)) return verdict::stale_challenge;
        bool const proved_as_reader =
            readers_secret_.any() && r.access == access_rights::read && readers_secret_.proves(r);
        if (!proved_as_reader && !secret_.proves(r)) return verdict::wrong_secret;
        if (!challenges_.first_time(r)) return verdict::stale_challenge;
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
    auto const before = connections_.size();
    std::vector<rdma_cm_id*> theirs;
    for (auto const& [id, c] : connections_)
        if (c.client == client) theirs.push_back(id);
    for (auto* const id : theirs) rdma_disconnect(id); // tells the client
    for (auto* const id : theirs) on_end(id);          // destroys the queue pair
    counters.queue_pairs_torn_down += before - connections_.size();
}

verdict memory_server::implementation::accept(rdma_cm_id* id, request const& r, std::uint8_t depth, answer& a) {
    auto const e = export_on(id->verbs);
    if (!e) return verdict::no_resources;
    // Whatever else it may come to mean, nothing but `write` is answered with a right to write.
    bool const reads_only = r.access != access_rights::write;
    auto& of = *(*e)->of;
    auto const most = std::min(of.limits.max_qp_rd_atom, 255);
    auto const reads_at_once = static_cast<std::uint8_t>(std::clamp<int>(depth, 1, most));
    auto pair =
        make_served_queue_pair(*id, *of.domain, *(*e)->nothing, reads_only ? may_read : may_write, reads_at_once);
    if (!pair) return verdict::no_resources;
    a.region_address = reinterpret_cast<std::uintptr_t>(region_);
    a.region_key = (reads_only ? (*e)->to_read : (*e)->to_write)->rkey;
    rdma_conn_param with{};
    with.private_data = &a;
    with.private_data_len = sizeof a;
    with.responder_resources = reads_at_once;
    with.rnr_retry_count = 6;
    with.qp_num = pair->qp_num;
    if (rdma_accept(id, &with) != 0) return verdict::no_resources;
    connections_.emplace(
        id, connection{.id = cm_id(id), .pair = std::move(pair), .client = r.client, .reads_only = reads_only});
    ++counters.accepted;
    counters.read_only += reads_only ? 1 : 0;
    counters.connections = connections_.size();
    return verdict::ok;
}

void memory_server::implementation::on_request(cm_event event) {
    (void)challenges_.current(std::chrono::steady_clock::now()); // those that are too old hold no longer
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
        auto const accepted = accept(id, *r, depth, a);
        if (accepted == verdict::ok) return;
        a = answer_with(accepted);
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

/// The kernel keeps a device that somebody has open: all of it has to go, librdmacm's handle as well.
void memory_server::implementation::on_removal(ibv_context* context) {
    std::vector<rdma_cm_id*> gone;
    for (auto const& [id, c] : connections_)
        if (id->verbs == context) gone.push_back(id);
    for (auto* const id : gone) on_end(id);
    if (listening_ && listening_->verbs == context) listening_.reset();
    for (auto e = exported_.begin(); e != exported_.end();) {
        auto const* const d = e->of;
        if (d->context != context) {
            ++e;
            continue;
        }
        e = exported_.erase(e);
        devices_.forget(*d);
    }
    // librdmacm closes it when it lists the devices and misses that one, which is a moment from now.
    for (auto const until = std::chrono::steady_clock::now() + std::chrono::seconds(1);
         std::chrono::steady_clock::now() < until; std::this_thread::sleep_for(std::chrono::milliseconds(5))) {
        int n = 0;
        auto** const all = rdma_get_devices(&n);
        if (all == nullptr) return;
        bool const there = std::find(all, all + n, context) != all + n;
        rdma_free_devices(all);
        if (!there) return;
    }
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
            event->reset();
            on_end(id);
            break;
        case RDMA_CM_EVENT_DEVICE_REMOVAL:
            event->reset();
            on_removal(id->verbs);
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
