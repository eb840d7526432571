// SPDX-License-Identifier: Apache-2.0
// registered_memory: the arena of one channel: local buffers that a NIC may read and write. Grows by slabs: a huge page of 2 MiB where
// there is one left, else small ones that double, since a client has many channels and all of this is locked memory.
// Gives nothing back before it ends, but blocks that are slabs of their own. Who wants to recycle what is smaller puts a std::pmr pool
// above it.
// Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <optional>
#include <string>
#include <vector>

#include <catena/core/result.hpp>

#include "fabric/verbs/device.hpp"

namespace catena::verbs {

class registered_memory final : public std::pmr::memory_resource {
public:
    registered_memory() = default;
    registered_memory(registered_memory const&) = delete;
    registered_memory& operator=(registered_memory const&) = delete;
    ~registered_memory() override;

    /// All memory, what there is and what comes, can be used with this device. Returns the number of the device for key_of().
    std::size_t use_with(device& d);

    /// The local key of these bytes, or nothing if they are not of this arena, or could not be registered.
    [[nodiscard]] std::optional<std::uint32_t> key_of(void const* at, std::size_t bytes,
                                                      std::size_t device_number) const noexcept;

    /// Why the last slab that could not be registered was not.
    [[nodiscard]] std::string failure() const { return registration_failure(failed_with_, failed_bytes_); }

private:
    static constexpr std::size_t huge_page = std::size_t{2} << 20U;
    static constexpr std::size_t least_slab = std::size_t{128} << 10U;
    static constexpr std::size_t large = huge_page / 2; // such a block is a slab of its own

    struct slab {
        std::byte* begin = nullptr;
        std::size_t bytes = 0;
        std::size_t used = 0;
        std::vector<memory_region> regions; ///< of each device
    };

    [[nodiscard]] void* do_allocate(std::size_t bytes, std::size_t alignment) override;
    void do_deallocate(void* at, std::size_t bytes, std::size_t alignment) override;
    [[nodiscard]] bool do_is_equal(memory_resource const& o) const noexcept override { return this == &o; }
    [[nodiscard]] slab map(std::size_t bytes);
    [[nodiscard]] memory_region register_with(device& d, slab const& s) noexcept;

    std::vector<device*> devices_;
    std::vector<slab> slabs_; ///< few: searched one by one
    std::size_t next_slab_ = least_slab;
    int failed_with_ = 0;
    std::size_t failed_bytes_ = 0;
};

} // namespace catena::verbs
