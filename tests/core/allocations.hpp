// SPDX-License-Identifier: Apache-2.0
// How often the global operator new was called; one file of the program includes core/count_allocations.hpp.
// Thread safety: the count is atomic; a test that reads it keeps other threads quiet.
#pragma once

#include <atomic>
#include <cstdint>

namespace catena::test {

inline std::atomic<std::uint64_t> allocations{0};

/// Calls of operator new while `work` runs.
template <typename Work>
[[nodiscard]] std::uint64_t allocations_of(Work work) {
    auto const before = allocations.load();
    work();
    return allocations.load() - before;
}

} // namespace catena::test
