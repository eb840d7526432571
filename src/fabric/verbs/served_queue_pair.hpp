// SPDX-License-Identifier: Apache-2.0
// served_queue_pair: a memory node's end of a connection. Nothing is ever posted to it: it answers READs, WRITEs and atomics.
//
// Rights     librdmacm would make it with all of them, and they could be taken away only once it answers. So its states are changed
//            here: it has its rights from INIT on, which is before anything can arrive.
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <memory>

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

namespace catena::verbs {

struct qp_closer {
    void operator()(ibv_qp* q) const noexcept { ibv_destroy_qp(q); }
};
using served_queue_pair = std::unique_ptr<ibv_qp, qp_closer>;

/// Ready to answer the client that asked for `id`, which is to be accepted with its number. nothing: a completion queue, as one must
/// have; rights: IBV_ACCESS_REMOTE_...; depth: how many READs and atomics of it may be under way at once. Null, with errno: none.
[[nodiscard]] served_queue_pair make_served_queue_pair(rdma_cm_id& id, ibv_pd& domain, ibv_cq& nothing, unsigned rights,
                                                       std::uint8_t depth);

} // namespace catena::verbs
