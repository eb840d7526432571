// SPDX-License-Identifier: Apache-2.0
// train_after: when a learned index trains by itself: after a write that split a leaf, or left a neighbourhood nearly empty.
//
// The extent counts both. A writer whose count says that enough of the extent's leaves split trains the piece, its change being in force
// already; so does one who counted as many nearly empty neighbourhoods as the extent has leaves. If somebody else is training
// just now nobody waits, and if the training fails (no memory, a memory node that does not answer, ...) the write has not:
// the next count says the same again.
// Thread safety: as the session.
#pragma once

#include <algorithm>
#include <cstdint>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/batch_write.hpp>
#include <catena/index/detail/learned_state.hpp>
#include <catena/index/detail/trainer.hpp>

namespace catena::detail {

template <typename Layout, typename Session, typename Tree, typename Round>
[[nodiscard, gnu::noinline]] task<result<void>> train_after(Session& s, Tree& tree, Round const& round) {
    if constexpr (Tree::options::writers_train) {
        for (auto const& g : round.groups()) {
            if (!g.published()) continue;
            auto const key = round.key_in(g);
            auto const piece = tree.model.find(key);
            if (!piece) continue;
            auto const leaves = piece->line.leaves();
            bool const wanted = g.overflowed || (g.sparse != 0 && g.sparse % (leaves + 1U) == 0);
            if (!wanted) continue;
            auto const trained = co_await train_around<Layout>(s, tree, key);
            if (trained) continue;
            auto const why = trained.error();
            if (why.code == errc::fenced || why.code == errc::lease_lost) co_return why;
        }
    }
    co_return result<void>{};
}

} // namespace catena::detail
