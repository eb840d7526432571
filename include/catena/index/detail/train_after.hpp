// SPDX-License-Identifier: Apache-2.0
// train_after: when a learned index trains by itself: after a write that split a leaf, or left a neighbourhood nearly empty.
//
// The extent counts both (layout/model_blocks.hpp). A writer whose count says that it is enough trains the piece when all its
// changes are in force. If somebody else is training just now nobody waits, and if the training fails (no memory, a memory node
// that does not answer, ...) the write has not: the next count says the same again.
// Thread safety: as the session.
#pragma once

#include <span>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/batch_write.hpp>
#include <catena/index/detail/learned_state.hpp>
#include <catena/index/detail/trainer.hpp>

namespace catena::detail {

template <typename Layout, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<void>> train_after(Session& s, Tree& tree,
                                                            std::span<typename Tree::key_type const> keys) {
    if constexpr (Tree::options::writers_train) {
        for (auto const& key : keys) {
            auto const trained = co_await train_around<Layout>(s, tree, key);
            if (trained) continue;
            auto const why = trained.error();
            if (why.code == errc::fenced || why.code == errc::lease_lost) co_return why;
        }
    }
    co_return result<void>{};
}

} // namespace catena::detail
