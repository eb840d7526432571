// SPDX-License-Identifier: Apache-2.0
#include "fabric/verbs/connection_manager.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>

#include <catena/fabric/verbs_fabric.hpp>

namespace catena::verbs {

namespace {

using std::chrono::milliseconds;

/// How often a NIC sends again what was not acknowledged, and how long it waits each time: 4.096 us * 2^timeout. All tries together
/// are shorter than verbs_options::patience by default.
struct persistence {
    std::uint8_t retries;
    std::uint8_t timeout;
};
[[nodiscard]] persistence persistence_of(rdma_cm_id const& id) noexcept {
    constexpr persistence nic{.retries = 6, .timeout = 14};      // 7 * 67 ms. (7 retries are "for ever" on soft-RoCE.)
    constexpr persistence software{.retries = 2, .timeout = 17}; // 3 * 537 ms
    // Soft-RoCE answers late when the processor is busy, not only when a packet was lost. What it sends again then may stand still
    // for ever (Linux 6.1: a batch with READs or atomics, once in some ten thousand under emulation): it had better wait.
    constexpr std::uint32_t soft_roce = 0xffffff;
    ibv_device_attr attributes{};
    bool const soft =
        id.verbs != nullptr && ibv_query_device(id.verbs, &attributes) == 0 && attributes.vendor_id == soft_roce;
    return soft ? software : nic;
}

[[nodiscard]] int left(deadline until) noexcept {
    auto const ms = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now()).count();
    return static_cast<int>(std::clamp<long long>(ms, 0, 60'000));
}

struct device_list {
    device_list() : all(ibv_get_device_list(&count)) {}
    device_list(device_list const&) = delete;
    device_list& operator=(device_list const&) = delete;
    ~device_list() {
        if (all != nullptr) ibv_free_device_list(all);
    }
    int count = 0;
    ibv_device** all;
};

struct device_spec {
    std::string name;
    unsigned port = 0;           ///< 0: any
    std::optional<unsigned> gid; ///< index
};
[[nodiscard]] std::optional<device_spec> parse_device(std::string_view text) {
    device_spec spec;
    auto const number = [](std::string_view digits) -> std::optional<unsigned> {
        unsigned n = 0;
        auto const [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
        if (failure != std::errc{} || end != digits.data() + digits.size() || digits.empty()) return std::nullopt;
        return n;
    };
    auto const first = text.find(':');
    spec.name = text.substr(0, first);
    if (spec.name.empty()) return std::nullopt;
    if (first == std::string_view::npos) return spec;
    auto const second = text.find(':', first + 1);
    auto const port = number(text.substr(first + 1, second == std::string_view::npos ? second : second - first - 1));
    if (!port || *port == 0) return std::nullopt;
    spec.port = *port;
    if (second == std::string_view::npos) return spec;
    spec.gid = number(text.substr(second + 1));
    return spec.gid ? std::optional(spec) : std::nullopt;
}

/// The first address of a network interface; IPv4 before IPv6, and that only where it is not link-local.
[[nodiscard]] std::optional<socket_address> address_of_interface(unsigned index) {
    std::array<char, IF_NAMESIZE> name{};
    ifaddrs* all = nullptr;
    if (::if_indextoname(index, name.data()) == nullptr || ::getifaddrs(&all) != 0) return std::nullopt;
    std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> const owner(all, ::freeifaddrs);
    for (int const family : {AF_INET, AF_INET6})
        for (auto const* i = all; i != nullptr; i = i->ifa_next) {
            if (i->ifa_addr == nullptr || i->ifa_addr->sa_family != family ||
                std::string_view(name.data()) != i->ifa_name)
                continue;
            if (family == AF_INET6 &&
                IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<sockaddr_in6 const*>(i->ifa_addr)->sin6_addr))
                continue;
            socket_address found;
            found.length = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
            std::memcpy(&found.bytes, i->ifa_addr, found.length);
            return found;
        }
    return std::nullopt;
}

} // namespace

std::string device_names() {
    device_list const devices;
    std::string names;
    for (int i = 0; i < devices.count; ++i)
        names.append(i == 0 ? "" : ", ").append(ibv_get_device_name(devices.all[i]));
    return names;
}

setup_result<socket_address> resolve_name(std::string const& text, bool passive) {
    auto const wrong = [&] {
        return setup_error(errc::invalid_argument, "'" + text + "' is not HOST, HOST:PORT or [IPv6]:PORT");
    };
    std::string host = text;
    std::string port = std::to_string(default_memory_node_port);
    if (auto const bracket = text.find(']'); text.starts_with('[')) {
        if (bracket == std::string::npos) return wrong();
        host = text.substr(1, bracket - 1);
        if (bracket + 1 < text.size()) {
            if (text[bracket + 1] != ':') return wrong();
            port = text.substr(bracket + 2);
        }
    } else if (auto const colon = text.rfind(':'); colon != std::string::npos) {
        if (text.find(':') != colon) return wrong(); // an IPv6 address without brackets
        host = text.substr(0, colon);
        port = text.substr(colon + 1);
    }
    unsigned number = 0;
    auto const [end, failure] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (failure != std::errc{} || end != port.data() + port.size() || number == 0 || number > 65535) return wrong();
    if (host.empty() && !passive) return wrong();

    addrinfo hints{};
    hints.ai_flags = passive ? AI_PASSIVE : 0;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (int const e = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found); e != 0)
        return setup_error(errc::unreachable, "host '" + host + "': " + ::gai_strerror(e));
    std::unique_ptr<addrinfo, void (*)(addrinfo*)> const owner(found, ::freeaddrinfo);
    socket_address address;
    address.length = found->ai_addrlen;
    std::memcpy(&address.bytes, found->ai_addr, found->ai_addrlen);
    return address;
}

setup_result<socket_address> address_of_device(std::string const& device) {
    auto const spec = parse_device(device);
    if (!spec)
        return setup_error(errc::invalid_argument,
                           "device '" + device + "' is not NAME, NAME:PORT or NAME:PORT:GID (a number)");
    device_list const devices;
    for (int i = 0; i < devices.count; ++i) {
        if (spec->name != ibv_get_device_name(devices.all[i])) continue;
        std::unique_ptr<ibv_context, int (*)(ibv_context*)> const context(ibv_open_device(devices.all[i]),
                                                                          ibv_close_device);
        if (!context)
            return setup_error(errc::unreachable,
                               "device " + spec->name + " cannot be opened: " + std::strerror(errno));
        std::vector<ibv_gid_entry> gids(1024);
        auto const n = ibv_query_gid_table(context.get(), gids.data(), gids.size(), 0);
        for (ssize_t g = 0; g < n; ++g) {
            auto const& gid = gids[static_cast<std::size_t>(g)];
            if ((spec->port != 0 && gid.port_num != spec->port) || (spec->gid && gid.gid_index != *spec->gid)) continue;
            if (gid.ndev_ifindex == 0) continue;
            if (auto const address = address_of_interface(gid.ndev_ifindex)) return *address;
        }
        // InfiniBand: its GIDs belong to no interface; the IP address is that of its IPoIB interface.
        for (auto const* nets = ::if_nameindex(); auto const* net = nets; ++nets) {
            if (net->if_name == nullptr) break;
            auto const path = "/sys/class/infiniband/" + spec->name + "/device/net/" + net->if_name;
            if (::access(path.c_str(), F_OK) != 0) continue;
            if (auto const address = address_of_interface(net->if_index)) return *address;
        }
        return setup_error(errc::invalid_argument,
                           "device '" + device +
                               "' has no IP address to connect from: its port is down, or there is no such "
                               "port or GID (show_gids, ibv_devinfo -v)");
    }
    auto const known = device_names();
    return setup_error(errc::invalid_argument, "there is no RDMA device '" + spec->name + "'; this machine has " +
                                                   (known.empty() ? "none" : known));
}

setup_result<event_channel> make_event_channel() {
    auto* const c = rdma_create_event_channel();
    if (c == nullptr)
        return setup_error(errc::unsupported,
                           std::string("there is no RDMA connection manager here (modprobe rdma_ucm): ") +
                               std::strerror(errno));
    event_channel channel(c);
    if (::fcntl(c->fd, F_SETFL, ::fcntl(c->fd, F_GETFL) | O_NONBLOCK) != 0)
        return setup_error(errc::unsupported, std::string("fcntl: ") + std::strerror(errno));
    return channel;
}

std::optional<cm_event> next_event(rdma_event_channel& channel, deadline until) {
    for (;;) {
        rdma_cm_event* event = nullptr;
        if (rdma_get_cm_event(&channel, &event) == 0) return cm_event(event);
        if (errno != EAGAIN && errno != EINTR) return std::nullopt;
        int const wait = left(until);
        if (wait == 0) return std::nullopt;
        pollfd readable{.fd = channel.fd, .events = POLLIN, .revents = 0};
        if (::poll(&readable, 1, wait) < 0 && errno != EINTR) return std::nullopt;
    }
}

cm_link::cm_link(cm_link&& o) noexcept
    : channel_(std::move(o.channel_)), id_(std::exchange(o.id_, nullptr)), name_(std::move(o.name_)) {}
cm_link& cm_link::operator=(cm_link&& o) noexcept {
    std::swap(channel_, o.channel_);
    std::swap(id_, o.id_);
    std::swap(name_, o.name_);
    return *this;
}
cm_link::~cm_link() {
    if (id_ == nullptr) return;
    if (id_->qp != nullptr) {
        rdma_disconnect(id_);
        rdma_destroy_qp(id_);
    }
    rdma_destroy_id(id_);
}

setup_error cm_link::failed(std::string const& step, int number) const {
    auto const code = number == ENODEV || number == EOPNOTSUPP ? errc::unsupported
                      : number == ETIMEDOUT                    ? errc::timed_out
                                                               : errc::unreachable;
    return {code, "memory node " + name_ + ": " + step + ": " + std::strerror(number)};
}

setup_result<cm_event> cm_link::wait_for(rdma_cm_event_type what, std::string const& step, deadline until) {
    auto event = next_event(*channel_, until);
    if (!event) return failed(step, ETIMEDOUT);
    if ((*event)->event != what) {
        int const number = (*event)->status < 0 ? -(*event)->status : 0;
        return number != 0 ? failed(step, number)
                           : setup_error(errc::unreachable,
                                         "memory node " + name_ + ": " + step + ": " + rdma_event_str((*event)->event));
    }
    return std::move(*event);
}

setup_result<cm_link> cm_link::to(socket_address const& node, socket_address const* source, std::string const& name,
                                  deadline until) {
    auto channel = make_event_channel();
    if (!channel) return channel.error();
    cm_link link(std::move(*channel), name);
    if (rdma_create_id(link.channel_.get(), &link.id_, nullptr, RDMA_PS_TCP) != 0) {
        link.id_ = nullptr;
        return errno == ENODEV ? setup_error(errc::unsupported, "this machine has no RDMA device")
                               : link.failed("id", errno);
    }
    auto from = source != nullptr ? *source : socket_address{};
    auto to = node;
    // Addresses that are reached over an interface without RDMA fail here with ENODEV, hosts that do not answer with ETIMEDOUT.
    constexpr auto no_way = "no such host, or no RDMA device leads there";
    if (rdma_resolve_addr(link.id_, source != nullptr ? from.get() : nullptr, to.get(), std::max(left(until), 1)) != 0)
        return link.failed(no_way, errno);
    if (auto const r = link.wait_for(RDMA_CM_EVENT_ADDR_RESOLVED, no_way, until); !r) return r.error();
    auto timeout = persistence_of(*link.id_).timeout;
    (void)rdma_set_option(link.id_, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT, &timeout,
                          sizeof timeout); // older kernels: theirs
    if (rdma_resolve_route(link.id_, std::max(left(until), 1)) != 0) return link.failed("no route", errno);
    if (auto const r = link.wait_for(RDMA_CM_EVENT_ROUTE_RESOLVED, "no route", until); !r) return r.error();
    return link;
}

setup_result<cm_link::reply> cm_link::ask(request const& r, deadline until) {
    rdma_conn_param with{};
    with.private_data = &r;
    with.private_data_len = sizeof r;
    with.retry_count = persistence_of(*id_).retries;
    with.rnr_retry_count = with.retry_count;
    if (id_->qp != nullptr) {
        ibv_device_attr limits{};
        if (ibv_query_device(id_->verbs, &limits) != 0)
            return failed("the device cannot be asked for its limits", errno);
        with.initiator_depth = static_cast<std::uint8_t>(std::clamp(limits.max_qp_init_rd_atom, 1, 255));
    }
    if (rdma_connect(id_, &with) != 0) return failed("cannot connect", errno);
    auto event = next_event(*channel_, until);
    if (!event) return failed("does not answer", ETIMEDOUT);
    auto const& e = **event;
    if (e.event == RDMA_CM_EVENT_ESTABLISHED || e.event == RDMA_CM_EVENT_REJECTED) {
        if (auto const said = parse<answer>(e.param.conn.private_data, e.param.conn.private_data_len))
            return reply{.said = *said, .accepted = e.event == RDMA_CM_EVENT_ESTABLISHED};
        // Of the InfiniBand specification, table of rejection reasons.
        constexpr int invalid_service_id = 8, stale_connection = 10;
        if (e.event == RDMA_CM_EVENT_REJECTED && e.status == stale_connection) return reply{.mistaken = true};
        if (e.event == RDMA_CM_EVENT_REJECTED && e.status == invalid_service_id)
            return setup_error(errc::unreachable, "memory node " + name_ + ": no server listens there");
        return setup_error(errc::unreachable, "memory node " + name_ + ": what listens there is no catena-memd (" +
                                                  rdma_event_str(e.event) + ' ' + std::to_string(e.status) + ')');
    }
    if (e.event == RDMA_CM_EVENT_UNREACHABLE) return failed("does not answer", ETIMEDOUT);
    return setup_error(errc::unreachable, "memory node " + name_ + ": cannot connect: " + rdma_event_str(e.event));
}

bool cm_link::ended_by_peer() noexcept {
    for (;;) {
        auto const event = next_event(*channel_, deadline{});
        if (!event) return false;
        auto const what = (*event)->event;
        if (what == RDMA_CM_EVENT_DISCONNECTED || what == RDMA_CM_EVENT_DEVICE_REMOVAL) return true;
    }
}

} // namespace catena::verbs
