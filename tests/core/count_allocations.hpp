// SPDX-License-Identifier: Apache-2.0
// Replaces the global operator new and delete by ones that count: exactly one file of a program includes this.
// Thread safety: as malloc.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

#include <core/allocations.hpp>

namespace catena::test {

[[nodiscard]] inline void* counted_allocation(std::size_t bytes, std::size_t alignment) {
    ++allocations;
    void* memory = nullptr;
    if (::posix_memalign(&memory, alignment, bytes == 0 ? 1 : bytes) != 0) throw std::bad_alloc();
    return memory;
}

} // namespace catena::test

// Not inlined: g++ would see free() called for what it takes for the standard operator new, and warn.
// NOLINTBEGIN: replacements of the global operators are what this header is for
[[gnu::noinline]] void* operator new(std::size_t bytes) {
    return catena::test::counted_allocation(bytes, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return catena::test::counted_allocation(bytes, static_cast<std::size_t>(alignment));
}
// The nothrow form, too: what it gives comes back to the operator delete below. Arrays keep their own pair.
[[gnu::noinline]] void* operator new(std::size_t bytes, std::nothrow_t const&) noexcept {
    ++catena::test::allocations;
    return std::malloc(bytes == 0 ? 1 : bytes);
}
[[gnu::noinline]] void operator delete(void* memory, std::nothrow_t const&) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
// NOLINTEND
