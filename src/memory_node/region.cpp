// SPDX-License-Identifier: Apache-2.0
#include "memory_node/region.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <linux/magic.h>
#include <numa.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <unistd.h>

namespace catena::memory_node {

namespace {

[[nodiscard]] std::string reason() { return std::strerror(errno); }

/// Pages of a mapping that failed or was not touched yet come from there.
[[nodiscard]] setup_result<void> prefer(std::optional<unsigned> node) {
    if (!node) return {};
    if (numa_available() < 0) return setup_error(errc::invalid_argument, "--numa: this kernel knows no NUMA nodes");
    if (static_cast<int>(*node) > numa_max_node())
        return setup_error(errc::invalid_argument, "--numa=" + std::to_string(*node) + ": the nodes are 0 to " +
                                                       std::to_string(numa_max_node()));
    numa_set_bind_policy(1);
    auto* const mask = numa_allocate_nodemask();
    numa_bitmask_setbit(mask, *node);
    numa_set_membind(mask);
    numa_free_nodemask(mask);
    return {};
}

[[nodiscard]] std::string free_huge_pages() {
    std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    std::string n;
    return file >> n ? n : "no";
}

struct opened_file {
    int descriptor = -1;
    bool huge = false;
};
[[nodiscard]] setup_result<opened_file> open_file(region_options const& options) {
    auto const wrong = [&](errc code, std::string const& why) {
        return setup_error(code, "--region=" + options.file + ": " + why);
    };
    int const fd = ::open(options.file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return wrong(errc::invalid_argument, reason());
    opened_file opened{.descriptor = fd};
    auto const give_up = [&](errc code, std::string const& why) {
        ::close(fd);
        return wrong(code, why);
    };
    struct statfs where {};
    if (::fstatfs(fd, &where) != 0) return give_up(errc::invalid_argument, reason());
    opened.huge = where.f_type == HUGETLBFS_MAGIC;
    if (!opened.huge && where.f_type != TMPFS_MAGIC)
        return give_up(errc::invalid_argument,
                       "it must lie in tmpfs (/dev/shm) or hugetlbfs: an RDMA device cannot use pages of a disk");
    if (options.pages == huge_pages::required && !opened.huge)
        return give_up(errc::invalid_argument,
                       "it lies in tmpfs, but --huge-pages=yes; use a file in hugetlbfs (/dev/hugepages)");
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) return give_up(errc::already_exists, "another process uses it");
    auto const size = ::lseek(fd, 0, SEEK_END);
    if (size != 0 && static_cast<std::uint64_t>(size) != options.bytes)
        return give_up(errc::bad_format, "it has " + std::to_string(size) + " bytes, --size says " +
                                             std::to_string(options.bytes) + ". Remove the file to begin anew");
    if (size == 0 && ::ftruncate(fd, static_cast<off_t>(options.bytes)) != 0)
        return give_up(errc::out_of_memory, reason());
    // Reserved now: memory that runs out later would be a signal.
    if (int const e = ::posix_fallocate(fd, 0, static_cast<off_t>(options.bytes)); e != 0) {
        if (size == 0) ::unlink(options.file.c_str());
        return give_up(errc::out_of_memory,
                       "there is not so much memory left in that file system (df): " + std::string(std::strerror(e)));
    }
    return opened;
}

} // namespace

setup_result<region> region::open(region_options const& options) {
    if (auto const bound = prefer(options.numa_node); !bound) return bound.error();
    auto const at = [](int fd, std::size_t bytes, int flags) {
        void* const p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags | MAP_POPULATE, fd, 0);
        return p == MAP_FAILED ? nullptr : static_cast<std::byte*>(p); // NOLINT: the macro casts
    };
    auto const bytes = static_cast<std::size_t>(options.bytes);
    if (!options.file.empty()) {
        auto const file = open_file(options);
        if (!file) return file.error();
        auto* const begin = at(file->descriptor, bytes, MAP_SHARED);
        if (begin == nullptr) {
            auto const why = reason();
            ::close(file->descriptor);
            return setup_error(errc::out_of_memory, "--region=" + options.file + ": cannot be mapped: " + why);
        }
        return region(begin, bytes, file->descriptor, file->huge);
    }
    constexpr int own = MAP_PRIVATE | MAP_ANONYMOUS;
    if (options.pages != huge_pages::off)
        if (auto* const begin = at(-1, bytes, own | MAP_HUGETLB)) return region(begin, bytes, -1, true);
    if (options.pages == huge_pages::required)
        return setup_error(errc::out_of_memory,
                           "--huge-pages=yes: " + std::to_string(bytes / region_unit) + " pages of 2 MiB are needed, " +
                               free_huge_pages() + " are free. Reserve them: sysctl vm.nr_hugepages=" +
                               std::to_string(bytes / region_unit) + " (or hugepages= on the kernel's command line)");
    auto* const begin = at(-1, bytes, own);
    if (begin == nullptr)
        return setup_error(errc::out_of_memory,
                           "cannot get " + std::to_string(bytes) + " bytes of memory: " + reason());
    return region(begin, bytes, -1, false);
}

region::region(region&& o) noexcept
    : begin_(std::exchange(o.begin_, nullptr)), bytes_(o.bytes_), file_(std::exchange(o.file_, -1)), huge_(o.huge_) {}
region::~region() {
    if (begin_ != nullptr) ::munmap(begin_, bytes_);
    if (file_ >= 0) ::close(file_);
}

} // namespace catena::memory_node
