// SPDX-License-Identifier: Apache-2.0
// lazy_words: a large table of words, all zero, whose memory the system provides as it is touched.
// Thread safety: any number of threads, as every access is one relaxed atomic load or store; a protocol over it is its user's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

#include <catena/core/bytes.hpp>
#include <catena/core/config.hpp>

namespace catena {

class lazy_words {
public:
    /// The first word is at the beginning of a cache line.
    explicit lazy_words(std::size_t count)
        : memory_(static_cast<std::byte*>(std::calloc(count * word_bytes + cache_line, 1))) {
        if (!memory_) throw std::bad_alloc();
        void* begin = memory_.get();
        auto room = count * word_bytes + cache_line;
        words_ = static_cast<word*>(std::align(cache_line, count * word_bytes, begin, room));
    }

    [[nodiscard]] word load(std::size_t i) const noexcept { return at(i).load(std::memory_order_relaxed); }
    void store(std::size_t i, word value) const noexcept { at(i).store(value, std::memory_order_relaxed); }
    [[nodiscard]] std::atomic_ref<word> at(std::size_t i) const noexcept { return std::atomic_ref(words_[i]); }

private:
    struct freed {
        void operator()(std::byte* p) const noexcept { std::free(p); }
    };
    std::unique_ptr<std::byte, freed> memory_;
    word* words_ = nullptr;
};

} // namespace catena
