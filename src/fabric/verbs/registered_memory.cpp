// SPDX-License-Identifier: Apache-2.0
#include "fabric/verbs/registered_memory.hpp"

#include <algorithm>
#include <cerrno>
#include <new>

#include <sys/mman.h>

#include <catena/core/bytes.hpp>

namespace catena::verbs {

/// A slab that cannot be registered serves all the same: what lies in it is copied (channel.cpp).
memory_region registered_memory::register_with(device& d, slab const& s) noexcept {
    constexpr int rights = IBV_ACCESS_LOCAL_WRITE;
    memory_region made(ibv_reg_mr(d.domain.get(), s.begin, s.bytes, rights));
    if (!made) {
        failed_with_ = errno;
        failed_bytes_ = s.bytes;
    }
    return made;
}

registered_memory::~registered_memory() {
    for (auto& s : slabs_) {
        s.regions.clear();
        ::munmap(s.begin, s.bytes);
    }
}

std::size_t registered_memory::use_with(device& d) {
    auto const known = std::find(devices_.begin(), devices_.end(), &d);
    if (known != devices_.end()) return static_cast<std::size_t>(known - devices_.begin());
    devices_.push_back(&d);
    for (auto& s : slabs_) s.regions.push_back(register_with(d, s));
    return devices_.size() - 1;
}

std::optional<std::uint32_t> registered_memory::key_of(void const* at, std::size_t bytes,
                                                       std::size_t device_number) const noexcept {
    auto const* const begin = static_cast<std::byte const*>(at);
    for (auto const& s : slabs_) {
        if (begin < s.begin || begin + bytes > s.begin + s.bytes) continue;
        auto const& region = s.regions[device_number];
        return region ? std::optional(region->lkey) : std::nullopt;
    }
    return std::nullopt;
}

registered_memory::slab registered_memory::map(std::size_t bytes) {
    slab s;
    s.bytes = round_up(bytes, huge_page);
    constexpr int shared =
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE; // registering touches every page: it may as well be now
    void* at = ::mmap(nullptr, s.bytes, PROT_READ | PROT_WRITE, shared | MAP_HUGETLB, -1, 0);
    if (at == MAP_FAILED) { // NOLINT: the macro casts
        constexpr std::size_t page = 4096;
        s.bytes = round_up(std::max(bytes, next_slab_), page);
        next_slab_ = std::min(2 * next_slab_, huge_page);
        at = ::mmap(nullptr, s.bytes, PROT_READ | PROT_WRITE, shared, -1, 0);
    }
    if (at == MAP_FAILED) throw std::bad_alloc(); // NOLINT
    s.begin = static_cast<std::byte*>(at);
    for (auto* const d : devices_) s.regions.push_back(register_with(*d, s));
    return s;
}

void* registered_memory::do_allocate(std::size_t bytes, std::size_t alignment) {
    if (bytes >= large) return slabs_.insert(slabs_.begin(), map(bytes))->begin; // the last one is cut further
    if (!slabs_.empty()) {
        auto& s = slabs_.back();
        auto const at = round_up(s.used, alignment);
        if (at + bytes <= s.bytes && s.used != 0) {
            s.used = at + bytes;
            return s.begin + at;
        }
    }
    auto& s = slabs_.emplace_back(map(bytes));
    s.used = bytes;
    return s.begin;
}

void registered_memory::do_deallocate(void* at, std::size_t bytes, std::size_t /*alignment*/) {
    if (bytes < large) return;
    auto const s = std::find_if(slabs_.begin(), slabs_.end(), [at](slab const& x) { return x.begin == at; });
    if (s == slabs_.end()) return;
    s->regions.clear();
    ::munmap(s->begin, s->bytes);
    slabs_.erase(s);
}

} // namespace catena::verbs
