// SPDX-License-Identifier: Apache-2.0
#include "fabric/verbs/device.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>

#include <sys/resource.h>

namespace catena::verbs {

namespace {

/// By RDMA devices, for this process: what the kernel compares with its limit.
[[nodiscard]] std::uint64_t locked_bytes() {
    std::ifstream status("/proc/self/status");
    std::uint64_t kib = 0;
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmPin:")) kib = std::strtoull(line.c_str() + 6, nullptr, 10);
    return kib * 1024;
}

} // namespace

setup_result<device*> device_table::of(ibv_context* context) {
    std::lock_guard const lock(mutex_);
    for (auto& d : devices_)
        if (d.context == context) return &d;
    device d;
    d.context = context;
    if (ibv_query_device(context, &d.limits) != 0)
        return setup_error(errc::unreachable,
                           "device " + d.name() + " cannot be asked for its limits: " + std::strerror(errno));
    if (d.limits.atomic_cap == IBV_ATOMIC_NONE)
        return setup_error(errc::unsupported, "device " + d.name() + " has no remote atomics (iWARP?)");
    d.domain.reset(ibv_alloc_pd(context));
    if (!d.domain)
        return setup_error(errc::out_of_memory,
                           "device " + d.name() + ": no protection domain: " + std::strerror(errno));
    return &devices_.emplace_back(std::move(d));
}

void device_table::forget(device const& d) {
    std::lock_guard const lock(mutex_);
    devices_.remove_if([&](device const& x) { return &x == &d; });
}

std::string registration_failure(int number, std::size_t bytes) {
    auto text = "cannot register " + std::to_string(bytes) + " bytes with the RDMA device: " + std::strerror(number);
    rlimit limit{};
    auto const locked = locked_bytes();
    if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < locked + bytes)
        text += "; " + std::to_string(locked) + " are locked already, and the limit of locked memory is " +
                std::to_string(limit.rlim_cur) +
                " bytes: raise it (ulimit -l unlimited, or LimitMEMLOCK=infinity in the systemd unit)";
    return text;
}

} // namespace catena::verbs
