// SPDX-License-Identifier: Apache-2.0
// completion_error: from the status of a work completion to an error that says what happened to the data.
// Thread safety: pure functions.
#pragma once

#include <cstdint>

#include <infiniband/verbs.h>

#include <catena/core/error.hpp>

namespace catena::verbs {

/// A queue pair runs its work requests in order and stops at the first that fails, but that one may have taken effect when only its
/// acknowledgement was lost, and those before it that ask for no completion did. So the effect of a batch that failed is unknown,
/// whatever the status; the status itself travels along as error::native, 0 for none. Whether the client was shut out meanwhile,
/// or the memory node restarted, is learned by connecting anew (channel.cpp), and replaces this.
///   timed out        IBV_WC_RESP_TIMEOUT_ERR: it was received, and no answer came
///   unreachable      IBV_WC_RETRY_EXC_ERR, IBV_WC_RNR_RETRY_EXC_ERR: no acknowledgement; IBV_WC_WR_FLUSH_ERR: one before it failed;
///                    IBV_WC_REM_ACCESS_ERR, IBV_WC_REM_INV_REQ_ERR, IBV_WC_REM_OP_ERR: the key is not valid there (any more)
///   invalid_argument IBV_WC_LOC_*: this side's buffers; a mistake of ours
[[nodiscard]] constexpr error error_of(ibv_wc_status status, std::uint16_t node) noexcept {
    auto const native = static_cast<std::int32_t>(status);
    switch (status) {
    case IBV_WC_RESP_TIMEOUT_ERR: return make_error(errc::timed_out, node, native);
    case IBV_WC_LOC_LEN_ERR:
    case IBV_WC_LOC_QP_OP_ERR:
    case IBV_WC_LOC_EEC_OP_ERR:
    case IBV_WC_LOC_PROT_ERR:
    case IBV_WC_LOC_ACCESS_ERR:
    case IBV_WC_LOC_RDD_VIOL_ERR: return make_error(errc::invalid_argument, node, native);
    default: return make_error(errc::unreachable, node, native);
    }
}

} // namespace catena::verbs
