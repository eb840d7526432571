// SPDX-License-Identifier: Apache-2.0
#include "fabric/verbs/served_queue_pair.hpp"

#include <cerrno>

namespace catena::verbs {

served_queue_pair make_served_queue_pair(rdma_cm_id& id, ibv_pd& domain, ibv_cq& nothing, unsigned rights,
                                         std::uint8_t depth) {
    ibv_qp_init_attr wanted{};
    wanted.send_cq = &nothing;
    wanted.recv_cq = &nothing;
    wanted.qp_type = IBV_QPT_RC;
    wanted.cap = {.max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1, .max_inline_data = 0};
    served_queue_pair made(ibv_create_qp(&domain, &wanted));
    if (!made) return nullptr;
    for (auto const state : {IBV_QPS_INIT, IBV_QPS_RTR, IBV_QPS_RTS}) {
        ibv_qp_attr to{};
        to.qp_state = state;
        int mask = 0;
        if (rdma_init_qp_attr(&id, &to, &mask) != 0) return nullptr;
        // What the connection manager negotiated (path, numbers), but for the rights and depths.
        to.qp_access_flags = rights;
        to.max_dest_rd_atomic = depth;
        to.max_rd_atomic = 0;
        constexpr int known = (1 << 21) - 1; // older kernels set bits above those that user space may (RoCE's MACs)
        if (int const e = ibv_modify_qp(made.get(), &to, mask & known); e != 0) {
            errno = e;
            return nullptr;
        }
    }
    return made;
}

} // namespace catena::verbs
