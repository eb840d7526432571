// SPDX-License-Identifier: Apache-2.0
// device: RDMA devices as a fabric uses them: one protection domain each, opened as connections lead to them.
// Thread safety: device_table by any thread; the rest is immutable.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>

#include <infiniband/verbs.h>

#include <catena/core/result.hpp>

namespace catena::verbs {

struct pd_closer {
    void operator()(ibv_pd* p) const noexcept { ibv_dealloc_pd(p); }
};
struct cq_closer {
    void operator()(ibv_cq* c) const noexcept { ibv_destroy_cq(c); }
};
struct mr_closer {
    void operator()(ibv_mr* m) const noexcept { ibv_dereg_mr(m); }
};
using protection_domain = std::unique_ptr<ibv_pd, pd_closer>;
using completion_queue = std::unique_ptr<ibv_cq, cq_closer>;
using memory_region = std::unique_ptr<ibv_mr, mr_closer>;

struct device {
    ibv_context* context = nullptr; ///< librdmacm's: open as long as the process lives
    protection_domain domain;
    ibv_device_attr limits{};
    [[nodiscard]] std::string name() const { return ibv_get_device_name(context->device); }
};

class device_table {
public:
    /// The one of a connection, opened at the first call. Errors: unsupported (no atomics between remote clients), out_of_memory.
    [[nodiscard]] setup_result<device*> of(ibv_context* context);
    /// It is gone, and nothing of it is used any more.
    void forget(device const& d);

private:
    std::mutex mutex_;
    std::list<device> devices_; ///< they never move
};

/// What registering so many further bytes failed with, and what to do about it.
[[nodiscard]] std::string registration_failure(int number, std::size_t bytes);

} // namespace catena::verbs
