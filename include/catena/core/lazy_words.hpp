// SPDX-License-Identifier: Apache-2.0
// lazy_words: a large table of words, all zero, whose memory the system provides as it is touched: in huge pages where it can, for
// who looks things up at random places of a large table waits for the translation of addresses more than for the words.
// Thread safety: any number of threads, as every access is one relaxed atomic load or store; a protocol over it is its user's.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <new>

#include <sys/mman.h>

#include <catena/core/bytes.hpp>
#include <catena/core/config.hpp>

namespace catena {

class lazy_words {
public:
    /// The first word is at the beginning of a cache line, that of a large table at the beginning of a huge page.
    /// Throws std::bad_alloc.
    explicit lazy_words(std::size_t count) {
        if (count == 0) return;
        auto const bytes = count * word_bytes;
        auto const whole = bytes < huge_page ? bytes : bytes + huge_page;
        void* begin =
            ::mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (begin == MAP_FAILED) throw std::bad_alloc();
        memory_ = {begin, unmapped{whole}};
        if (bytes >= huge_page) {
            auto room = whole;
            std::align(huge_page, bytes, begin, room);
            ::madvise(begin, bytes, MADV_HUGEPAGE); // a wish
        }
        words_ = static_cast<word*>(begin);
    }

    [[nodiscard]] word load(std::size_t i) const noexcept { return at(i).load(std::memory_order_relaxed); }
    void store(std::size_t i, word value) const noexcept { at(i).store(value, std::memory_order_relaxed); }
    [[nodiscard]] std::atomic_ref<word> at(std::size_t i) const noexcept { return std::atomic_ref(words_[i]); }

private:
    static constexpr std::size_t huge_page = std::size_t{2} << 20U; // of x86-64, and of 64-bit ARM with pages of 4 KiB

    struct unmapped {
        std::size_t bytes;
        void operator()(void* p) const noexcept { ::munmap(p, bytes); }
    };
    std::unique_ptr<void, unmapped> memory_;
    word* words_ = nullptr;
};

} // namespace catena
