// SPDX-License-Identifier: Apache-2.0
#include "fabric/verbs/cluster.hpp"

#include <thread>
#include <utility>

#include <catena/fabric/local_fabric.hpp>

namespace catena::verbs {

setup_result<std::shared_ptr<cluster>> cluster::open(std::span<std::string const> names, verbs_options const& options) {
    if (names.empty() || names.size() > max_memory_nodes)
        return setup_error(errc::invalid_argument,
                           "a pool has 1 to 64 memory nodes, not " + std::to_string(names.size()));
    if (device_names().empty())
        return setup_error(errc::unsupported,
                           "this machine has no RDMA device (ibv_devices shows them; is rdma_ucm loaded?)");
    std::shared_ptr<cluster> made(new cluster(options)); // NOLINT: the constructor is private
    if (!options.secret_file.empty()) {
        auto read = secret::from_file(options.secret_file);
        if (!read) return read.error();
        made->secret_ = *read;
    }
    if (!options.device.empty()) {
        auto source = address_of_device(options.device);
        if (!source) return source.error();
        made->source_ = *source;
    }
    for (auto const& name : names) {
        auto at = resolve_name(name);
        if (!at) return at.error();
        auto& node = made->nodes_.emplace_back();
        node.name = name;
        node.at = *at;
        auto const met = made->ask(node, {.what = purpose::hello}, nullptr);
        if (!met) return met.error();
        auto const& said = met->said;
        node.run = said.run;
        if (made->node_bytes_ == 0) made->node_bytes_ = said.region_bytes;
        if (said.region_bytes != made->node_bytes_)
            return setup_error(errc::bad_format, "memory node " + name + " has " + std::to_string(said.region_bytes) +
                                                     " bytes, memory node " + names.front() + " has " +
                                                     std::to_string(made->node_bytes_) +
                                                     ": those of one pool must be of one size (catena-memd --size)");
        if (said.pool_uuid_high == 0 && said.pool_uuid_low == 0) made->formatted_ = false;
    }
    return made;
}

setup_error cluster::refusal(memory_node const& node, answer const& said) const {
    auto const because = [&](errc code, std::string const& why) {
        return setup_error(code, "memory node " + node.name + ": " + why);
    };
    switch (said.what) {
    case verdict::wrong_secret:
        return because(errc::invalid_argument,
                       secret_.any() ? "its secret is another one than that of " + options_.secret_file +
                                           (options_.read_only ? "" : " (that of readers needs access=read)")
                                     : "it asks for a secret: add secret=FILE to the URI");
    case verdict::wrong_version:
        return because(errc::unsupported, "it speaks version " + std::to_string(said.version) +
                                              " of the protocol, this client version " +
                                              std::to_string(handshake_version));
    case verdict::fenced: return because(errc::fenced, "this client was shut out; open the pool again");
    case verdict::too_many:
        return because(errc::full, "all its " + std::to_string(said.most_connections) +
                                       " connections are in use (catena-memd --max-connections)");
    case verdict::restarted: return because(errc::restarted, "it was restarted; open the pool again");
    case verdict::no_resources: return because(errc::full, "it could not make another queue pair");
    default: return because(errc::unsupported, "it did not understand the request");
    }
}

setup_result<cluster::connection> cluster::ask(memory_node& node, request r, queue_pair_maker const& make_queue_pair) {
    auto const until = std::chrono::steady_clock::now() + options_.patience;
    r.access = options_.read_only ? access_rights::read : access_rights::write;
    r.run = node.run;
    constexpr int attempts = 3; // the second has the right challenge, unless a minute just ended
    for (int attempt = 0; attempt < attempts;) {
        auto link = cm_link::to(node.at, source_ ? &*source_ : nullptr, node.name, until);
        if (!link) return link.error();
        if (make_queue_pair)
            if (auto const made = make_queue_pair(link->id()); !made) return made.error();
        r.challenge = node.challenge.load(std::memory_order_relaxed);
        if (r.what != purpose::fence) r.subject = unguessable();
        r.proof = secret_.proof_of(r);
        auto reply = link->ask(r, until);
        if (!reply) return reply.error();
        if (reply->mistaken && std::chrono::steady_clock::now() < until) {
            // Others of this host may ask at the same time, again and again: each waits for another while.
            std::this_thread::sleep_for(std::chrono::microseconds(500 + unguessable() % 8000));
            continue;
        }
        if (reply->mistaken) return setup_error(errc::timed_out, "memory node " + node.name + ": too many ask at once");
        ++attempt;
        node.challenge.store(reply->said.challenge, std::memory_order_relaxed);
        if (reply->said.what == verdict::stale_challenge) continue;
        if (reply->said.what != verdict::ok || reply->said.version != handshake_version)
            return refusal(node, reply->said);
        return connection{.link = std::move(*link), .said = reply->said};
    }
    return setup_error(errc::unreachable, "memory node " + node.name + ": its challenges go stale at once");
}

setup_result<cluster::connection> cluster::connect(std::uint16_t node, client_id who,
                                                   queue_pair_maker const& make_queue_pair) {
    return ask(nodes_[node], {.what = purpose::connect, .client = static_cast<std::uint64_t>(who)}, make_queue_pair);
}

result<void> cluster::fence(client_id asker, client_id whom) {
    if (whom == anonymous_client) return make_error(errc::invalid_argument);
    for (std::uint16_t n = 0; n < node_count(); ++n) {
        auto const done = ask(nodes_[n],
                              {.what = purpose::fence,
                               .client = static_cast<std::uint64_t>(asker),
                               .subject = static_cast<std::uint64_t>(whom)},
                              nullptr);
        if (!done) return make_error(done.error().code, n);
    }
    return {};
}

} // namespace catena::verbs
