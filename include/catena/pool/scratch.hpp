// SPDX-License-Identifier: Apache-2.0
// scratch: the working memory of one operation: node images, batches, per-key state.
//
// A bump allocator whose blocks stay when it is reset, so that a warm data path does not allocate. A coroutine holds one
// scratch from its session's list while it runs (scratch_lease); node images are aligned to cache lines. The memory is the channel's,
// where that has any: registered with a NIC, say.
// Thread safety: one thread, that of its session. Bound: what the largest operation so far needed.
#pragma once

#include <cstddef>
#include <memory>
#include <memory_resource>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/intrusive/slist.hpp>

#include <catena/core/bytes.hpp>
#include <catena/core/config.hpp>

namespace catena {

class scratch : public boost::intrusive::slist_base_hook<> {
public:
    explicit scratch(std::pmr::memory_resource* from = std::pmr::new_delete_resource()) noexcept : from_(from) {}
    scratch(scratch const&) = delete;
    scratch& operator=(scratch const&) = delete;
    ~scratch() {
        for (auto const& b : blocks_) from_->deallocate(b.memory, b.size, cache_line);
    }

    /// Value-initialised objects that live until reset(). Their destructors are not run.
    template <typename T>
    [[nodiscard]] std::span<T> take(std::size_t count) {
        static_assert(alignof(T) <= cache_line);
        auto* const memory = static_cast<T*>(bytes(count * sizeof(T)));
        std::uninitialized_value_construct_n(memory, count);
        return {memory, count};
    }

    /// Memory for so many objects, each of which is written as a whole before it is read (the assignments of a std::optional read it):
    /// for what is larger than most operations need, as to clear it costs more than to use it.
    template <typename T>
    [[nodiscard]] std::span<T> room_for(std::size_t count) {
        static_assert(alignof(T) <= cache_line && std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
        return {static_cast<T*>(bytes(count * sizeof(T))), count};
    }

    /// Words of a node image: not initialised, aligned to a cache line.
    [[nodiscard]] word* image(std::size_t image_bytes) { return static_cast<word*>(bytes(image_bytes)); }

    void reset() noexcept {
        block_ = 0;
        used_ = 0;
    }

    /// A place to come back to: what is taken after mark() is given back by reset_to().
    [[nodiscard]] std::pair<std::size_t, std::size_t> mark() const noexcept { return {block_, used_}; }
    void reset_to(std::pair<std::size_t, std::size_t> place) noexcept { std::tie(block_, used_) = place; }

private:
    static constexpr std::size_t block_bytes = 32 * 1024;

    struct block {
        std::byte* memory;
        std::size_t size;
    };

    [[nodiscard]] void* bytes(std::size_t n) {
        n = round_up(n, cache_line);
        while (block_ < blocks_.size() && used_ + n > blocks_[block_].size) {
            ++block_;
            used_ = 0;
        }
        if (block_ == blocks_.size()) {
            auto const size = n > block_bytes ? n : block_bytes;
            blocks_.reserve(blocks_.size() + 1); // what throws throws before there is anything to lose
            blocks_.push_back({static_cast<std::byte*>(from_->allocate(size, cache_line)), size});
            used_ = 0;
        }
        void* const result = blocks_[block_].memory + used_;
        used_ += n;
        return result;
    }

    std::pmr::memory_resource* from_;
    std::vector<block> blocks_;
    std::size_t block_ = 0;
    std::size_t used_ = 0;
};

/// The idle scratches of a session.
class scratch_list {
public:
    /// from: outlives the list.
    explicit scratch_list(std::pmr::memory_resource* from = std::pmr::new_delete_resource()) noexcept : from_(from) {}
    scratch_list(scratch_list&& other) noexcept : from_(other.from_), idle_(std::move(other.idle_)) {}
    scratch_list& operator=(scratch_list&&) = delete;
    ~scratch_list() {
        idle_.clear_and_dispose([](scratch* s) { delete s; }); // NOLINT: owned by the list
    }

    [[nodiscard]] scratch* pop() {
        if (idle_.empty()) return new scratch(from_); // NOLINT: a session's first operations only
        auto* const s = &idle_.front();
        idle_.pop_front();
        return s;
    }
    void push(scratch* s) noexcept {
        s->reset();
        idle_.push_front(*s);
    }

    [[nodiscard]] std::pmr::memory_resource* memory() const noexcept { return from_; }

private:
    std::pmr::memory_resource* from_;
    boost::intrusive::slist<scratch> idle_;
};

/// Holds one scratch of a session for as long as an operation runs.
class scratch_lease {
public:
    explicit scratch_lease(scratch_list& list) : list_(list), scratch_(list.pop()) {}
    scratch_lease(scratch_lease const&) = delete;
    scratch_lease& operator=(scratch_lease const&) = delete;
    ~scratch_lease() { list_.push(scratch_); }

    [[nodiscard]] scratch* operator->() const noexcept { return scratch_; }
    [[nodiscard]] scratch& operator*() const noexcept { return *scratch_; }

private:
    scratch_list& list_;
    scratch* scratch_;
};

} // namespace catena
