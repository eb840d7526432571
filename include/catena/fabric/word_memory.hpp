// SPDX-License-Identifier: Apache-2.0
// word_memory: executes one-sided operations on memory that this process can reach (local and shm fabrics).
//
// Words move through relaxed atomics: an aligned word never tears, everything longer may, at every word, as it may on a
// NIC. (memcpy would not do: `rep movsb` tears words on real CPUs.) Partial words move byte by byte, so a WRITE never
// touches a byte outside its range.
// ordered_batch  operations run in posted order; between two of them stands a compiler barrier where the CPU itself
//                keeps stores and loads in order (x86), a fence elsewhere, and a full fence before a READ that follows
//                a WRITE and at the end of a batch that wrote, so that a completed WRITE is seen by everyone.
// Thread safety: any number of threads, that is its purpose.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <catena/core/bytes.hpp>
#include <catena/core/config.hpp>
#include <catena/fabric/op.hpp>

namespace catena::word_memory {

[[nodiscard]] inline word load(std::byte const* at) noexcept {
    return std::atomic_ref<word>(*reinterpret_cast<word*>(const_cast<std::byte*>(at))).load(std::memory_order_relaxed);
}
inline void store(std::byte* at, word value) noexcept {
    std::atomic_ref<word>(*reinterpret_cast<word*>(at)).store(value, std::memory_order_relaxed);
}
[[nodiscard]] inline bool aligned(std::byte const* at) noexcept {
    return reinterpret_cast<std::uintptr_t>(at) % word_bytes == 0;
}

/// Asks for all lines of a node at once: their misses then overlap, where a copy would take them one by one.
inline void prefetch(std::byte const* remote, std::size_t bytes) noexcept {
    for (std::size_t at = 0; at < bytes && at < 1024; at += cache_line) __builtin_prefetch(remote + at);
}

inline void copy_out(std::byte* to, std::byte const* remote, std::size_t bytes) noexcept {
    prefetch(remote, bytes);
    auto const one = [&] {
        *to++ = std::atomic_ref<std::byte>(*const_cast<std::byte*>(remote++)).load(std::memory_order_relaxed);
        --bytes;
    };
    while (bytes > 0 && !aligned(remote)) one();
    for (; bytes >= word_bytes; bytes -= word_bytes, remote += word_bytes, to += word_bytes) {
        word const w = load(remote);
        std::memcpy(to, &w, word_bytes);
    }
    while (bytes > 0) one();
}

inline void copy_in(std::byte* remote, std::byte const* from, std::size_t bytes) noexcept {
    auto const one = [&] {
        std::atomic_ref<std::byte>(*remote++).store(*from++, std::memory_order_relaxed);
        --bytes;
    };
    while (bytes > 0 && !aligned(remote)) one();
    for (; bytes >= word_bytes; bytes -= word_bytes, remote += word_bytes, from += word_bytes) {
        word w;
        std::memcpy(&w, from, word_bytes);
        store(remote, w);
    }
    while (bytes > 0) one();
}

/// Keeps accesses before it before those after it, as far as ordered_batch needs it.
inline void order() noexcept {
#if defined(__x86_64__)
    std::atomic_signal_fence(std::memory_order_seq_cst); // the CPU keeps load-load, load-store and store-store order
#else
    std::atomic_thread_fence(std::memory_order_acq_rel);
#endif
}

/// Keeps stores before it before loads after it (the one reordering that x86 has). A locked instruction: cheaper than
/// mfence, and understood by ThreadSanitizer, which ignores fences.
inline void order_all() noexcept {
    std::atomic<int> local{0};
    local.fetch_add(1, std::memory_order_seq_cst);
#if !defined(__x86_64__)
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

/// Runs one operation whose target is at `remote` in this process.
inline void execute(op& o, std::byte* remote) noexcept {
    auto const at = [remote] { return std::atomic_ref<word>(*reinterpret_cast<word*>(remote)); };
    switch (o.kind) {
    case op_kind::read: copy_out(static_cast<std::byte*>(o.local), remote, o.length); return;
    case op_kind::write: copy_in(remote, static_cast<std::byte const*>(o.local), o.length); return;
    case op_kind::cas:
        o.fetched = o.compare;
        at().compare_exchange_strong(o.fetched, o.operand, std::memory_order_seq_cst);
        return;
    case op_kind::faa: o.fetched = at().fetch_add(o.operand, std::memory_order_seq_cst); return;
    }
}

} // namespace catena::word_memory
