// SPDX-License-Identifier: Apache-2.0
// frame_pool: memory of coroutine frames, recycled by size class, so that a warm data path does not allocate.
//
// Thread safety: one pool per thread, reached through frame_pool::mine(). A frame may be freed by another thread than
// the one that allocated it: it then joins that thread's lists.
// Bound: a thread keeps at most max_idle frames of each class; more go back to the heap.
#pragma once

#include <array>
#include <cstddef>
#include <new>

#include <boost/intrusive/slist.hpp>

#include <catena/core/config.hpp>

namespace catena {

class frame_pool {
public:
    static constexpr std::size_t class_bytes = 128;
    // Frames of up to 16 KiB; larger ones go to the heap each time. clang++ lays the frames of awaited tasks into that of
    // the awaiting one: a write of a tree is then one frame of more than 6 KiB.
    static constexpr std::size_t classes = 129;
    static constexpr std::size_t max_idle = 256;

    [[nodiscard]] static frame_pool& mine() noexcept {
        thread_local frame_pool pool;
        return pool;
    }

    frame_pool() = default;
    frame_pool(frame_pool const&) = delete;
    frame_pool& operator=(frame_pool const&) = delete;
    ~frame_pool() {
        for (auto& list : idle_) list.clear_and_dispose([](idle_frame* f) { ::operator delete(f); });
    }

    [[nodiscard]] void* allocate(std::size_t bytes) {
        auto const c = (bytes + class_bytes - 1) / class_bytes;
        if (address_sanitizer || c >= classes) return ::operator new(bytes);
        auto& list = idle_[c];
        if (list.empty()) return ::operator new(class_bytes * c);
        auto* const frame = &list.front();
        list.pop_front();
        --idle_count_[c];
        frame->~idle_frame();
        return frame;
    }

    void deallocate(void* memory, std::size_t bytes) noexcept {
        auto const c = (bytes + class_bytes - 1) / class_bytes;
        if (address_sanitizer || c >= classes || idle_count_[c] == max_idle) {
            ::operator delete(memory);
            return;
        }
        idle_[c].push_front(*new (memory) idle_frame);
        ++idle_count_[c];
    }

private:
    struct idle_frame : boost::intrusive::slist_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {};
    using idle_list = boost::intrusive::slist<idle_frame, boost::intrusive::constant_time_size<false>>;

    std::array<idle_list, classes> idle_;
    std::array<std::size_t, classes> idle_count_{};
};

} // namespace catena
