// SPDX-License-Identifier: Apache-2.0
// region: the memory that a memory node gives to its clients.
// Thread safety: made and destroyed by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <catena/core/result.hpp>

namespace catena::memory_node {

inline constexpr std::uint64_t region_unit = std::uint64_t{2} << 20U; // a huge page

enum class huge_pages : std::uint8_t { wanted, required, off };

struct region_options {
    std::uint64_t bytes = 0; ///< a multiple of region_unit
    huge_pages pages = huge_pages::wanted;
    std::optional<unsigned> numa_node; ///< where its pages lie; nothing: wherever the kernel likes
    /// A file in tmpfs or hugetlbfs that holds the memory, so that it outlives this process; empty: memory of the process.
    std::string file;
};

class region {
public:
    /// Zeroed, or as the file was; every page is there when it returns. Errors: invalid_argument (NUMA node, a file that is no file in
    /// memory), bad_format (the file has another size), already_exists (another process holds the file), out_of_memory (says
    /// what is missing and how to get it).
    [[nodiscard]] static setup_result<region> open(region_options const& options);
    region(region&& o) noexcept;
    region& operator=(region&&) = delete;
    ~region();

    [[nodiscard]] std::byte* begin() const noexcept { return begin_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] bool in_huge_pages() const noexcept { return huge_; }

private:
    region(std::byte* begin, std::size_t bytes, int file, bool huge) noexcept
        : begin_(begin), bytes_(bytes), file_(file), huge_(huge) {}

    std::byte* begin_;
    std::size_t bytes_;
    int file_; ///< locked as long as it is open; -1: none
    bool huge_;
};

} // namespace catena::memory_node
