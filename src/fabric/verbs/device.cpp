// SPDX-License-Identifier: Apache-2.0
#include "fabric/verbs/device.hpp"

#include <cerrno>
#include <cstring>

#include <sys/resource.h>

namespace catena::verbs {

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

std::string registration_failure(int number, std::size_t bytes) {
    auto text = "cannot register " + std::to_string(bytes) + " bytes with the RDMA device: " + std::strerror(number);
    rlimit limit{};
    if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < bytes)
        text += "; the limit of locked memory is " + std::to_string(limit.rlim_cur) +
                " bytes: raise it (ulimit -l unlimited, or LimitMEMLOCK=infinity in the systemd unit)";
    return text;
}

} // namespace catena::verbs
