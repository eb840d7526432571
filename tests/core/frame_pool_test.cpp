// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include <catena/core/frame_pool.hpp>

#include <core/count_allocations.hpp> // here for the whole program
#include <support/catch.hpp>

using namespace catena;

namespace {

constexpr std::size_t largest = (frame_pool::classes - 1) * frame_pool::class_bytes;

} // namespace

TEST_CASE("a frame that comes back is handed out again for every size of its class, without the heap") {
    if (address_sanitizer) return; // the pool stands aside for it
    frame_pool pool;
    for (std::size_t bytes = 1; bytes <= largest; bytes += 37) {
        CAPTURE(bytes);
        auto* const first = pool.allocate(bytes);
        std::memset(first, 0x5a, bytes);
        pool.deallocate(first, bytes);
        void* second = nullptr;
        auto const class_end =
            (bytes + frame_pool::class_bytes - 1) / frame_pool::class_bytes * frame_pool::class_bytes;
        REQUIRE(test::allocations_of([&] { second = pool.allocate(class_end); }) == 0);
        REQUIRE(second == first);
        std::memset(second, 0x5b, class_end); // it is as large as its class
        pool.deallocate(second, class_end);
    }
}

TEST_CASE("frames larger than the largest class work and are not kept") {
    frame_pool pool;
    for (std::size_t const bytes : {largest + 1, largest + 128, std::size_t{1} << 20U}) {
        CAPTURE(bytes);
        pool.deallocate(pool.allocate(bytes), bytes);
        void* again = nullptr;
        REQUIRE(test::allocations_of([&] { again = pool.allocate(bytes); }) == 1);
        std::memset(again, 0x5c, bytes);
        pool.deallocate(again, bytes);
    }
}

TEST_CASE("frames in use are never handed out twice") {
    frame_pool pool;
    std::set<void*> in_use;
    std::vector<void*> frames;
    for (int i = 0; i < 1000; ++i) {
        auto* const f = pool.allocate(256);
        REQUIRE(in_use.insert(f).second);
        frames.push_back(f);
        if (i % 3 == 0) {
            in_use.erase(frames.back());
            pool.deallocate(frames.back(), 256);
            frames.pop_back();
        }
    }
    for (auto* const f : frames) pool.deallocate(f, 256);
}

TEST_CASE("a pool keeps at most max_idle frames of a class") {
    if (address_sanitizer) return;
    frame_pool pool;
    std::vector<void*> frames(frame_pool::max_idle + 50);
    for (auto& f : frames) f = pool.allocate(128);
    for (auto* const f : frames) pool.deallocate(f, 128);
    auto const news = test::allocations_of([&] {
        for (auto& f : frames) f = pool.allocate(128);
    });
    REQUIRE(news == 50);
    for (auto* const f : frames) pool.deallocate(f, 128);
}

TEST_CASE("a frame may be freed by another thread than the one that allocated it") {
    auto* const f = frame_pool::mine().allocate(200);
    std::thread([f] {
        frame_pool::mine().deallocate(f, 200);
        auto* const again = frame_pool::mine().allocate(200);
        if (!address_sanitizer && again != f) std::abort();
        frame_pool::mine().deallocate(again, 200);
    }).join(); // the thread's pool gives the frame back to the heap
}
