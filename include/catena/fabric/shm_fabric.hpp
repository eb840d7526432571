// SPDX-License-Identifier: Apache-2.0
// shm_fabric: memory nodes in POSIX shared memory, for several processes on one machine.
//
// Segment /dev/shm/catena.NAME: a page that describes it, the gates of all channels (gates.hpp), then the memory nodes. Every attached process holds a shared
// flock on it, which the kernel takes back when the process dies, however it dies: whoever gets the exclusive lock is
// alone. So the last process out removes the segment (unless it is to be kept), and a segment that exists with nobody
// attached is stale: it is refused, never silently reused, with a message that says what to do.
// A second kind of lock, one for each shm_fabric object, tells whether the process behind a gate still lives
// (attachment.hpp).
// fork    Neither the fabric nor its channels may be used or ended by the child; it opens the segment itself. As long as the
//         child keeps the parent's file open, a parent that died counts as attached, and as alive to who fences it.
// Thread safety: open/destroy by one thread; connect() from any thread; each channel by one thread at a time.
#pragma once

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catena/core/bytes.hpp>
#include <catena/core/result.hpp>
#include <catena/fabric/attachment.hpp>
#include <catena/fabric/client_id.hpp>
#include <catena/fabric/fabric.hpp>
#include <catena/fabric/gates.hpp>
#include <catena/fabric/immediate_channel.hpp>
#include <catena/fabric/local_fabric.hpp>

namespace catena {

struct shm_options {
    std::uint64_t node_bytes = 0; ///< of each memory node; 0: join only. When joining, it must fit if it is given
    std::uint16_t nodes = 0;      ///< 0: 1 when creating, any when joining
    bool keep = false;            ///< create only: the segment outlives its last process
    std::chrono::milliseconds patience{2000}; ///< how long to wait for a creator that is not done
};

class shm_fabric {
public:
    using channel_type = immediate_channel;
    static constexpr std::string_view name = "shm";

    /// Joins the segment of that name, or creates it if there is none and options.node_bytes says how large.
    /// Errors: invalid_argument (name, sizes), not_found (nothing to join and no size given), already_exists (stale),
    /// bad_format (the field that differs), out_of_memory (shared memory is full), full (too many processes),
    /// unreachable (the system refuses).
    [[nodiscard]] static setup_result<shm_fabric> open(std::string_view pool_name, shm_options const& options) {
        if (auto r = check(pool_name, options); !r) return r.error();
        std::string const path = "/catena." + std::string(pool_name);
        auto const give_up = std::chrono::steady_clock::now() + options.patience;
        auto const alone_until = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
        for (;;) {
            auto attached = attempt(path, options);
            bool const late = std::chrono::steady_clock::now() >= give_up;
            if (attached.outcome == attempt_result::done || attached.outcome == attempt_result::joined)
                return attach(shm_fabric(path, attached, attached.outcome == attempt_result::done));
            if (attached.outcome == attempt_result::failed) return setup_error(attached.code, attached.message);
            // "stale" may be a creator between its first two steps: look again for a moment before believing it.
            if (attached.outcome == attempt_result::stale && std::chrono::steady_clock::now() >= alone_until)
                return setup_error(
                    errc::already_exists,
                    "shared memory segment /dev/shm" + path +
                        " is stale: the processes that used it died without leaving. If nobody needs its "
                        "contents, remove it with: rm /dev/shm" +
                        path);
            if (late)
                return setup_error(errc::timed_out, "shared memory segment /dev/shm" + path +
                                                        " is being created by a process that does not finish");
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }

    shm_fabric(shm_fabric&& o) noexcept
        : path_(std::move(o.path_)), base_(std::exchange(o.base_, nullptr)), fd_(std::exchange(o.fd_, -1)),
          created_(o.created_), gates_(std::move(o.gates_)) {}
    shm_fabric& operator=(shm_fabric&&) = delete;
    ~shm_fabric() {
        if (base_ == nullptr) return;
        bool const keep = header().keep != 0;
        ::munmap(base_, segment_bytes(header().stride, header().nodes));
        if (!keep && ::flock(fd_, LOCK_EX | LOCK_NB) == 0) ::shm_unlink(path_.c_str()); // the last one out
        ::close(fd_);
    }

    /// True: this process made the segment, and the pool on it is still to be formatted.
    [[nodiscard]] bool created() const noexcept { return created_; }
    [[nodiscard]] std::uint16_t node_count() const noexcept { return static_cast<std::uint16_t>(header().nodes); }
    [[nodiscard]] std::uint64_t node_bytes() const noexcept { return header().node_bytes; }
    /// Errors: full (too many channels at once, of all processes).
    [[nodiscard]] setup_result<channel_type> connect(client_id id = {}) {
        auto pass = gates_->connect(id);
        if (!pass) return pass.error();
        return channel_type(base_ + nodes_offset, node_count(), header().node_bytes, header().stride, gates_.get(),
                            std::move(*pass));
    }

private:
    static constexpr std::uint64_t page = 4096;
    static constexpr std::uint64_t nodes_offset = page + round_up(sizeof(gate_area), page);
    static constexpr std::uint64_t segment_magic = 0x32676573746163ULL; // "catseg2"
    static constexpr std::uint64_t older_magic = 0x31676573746163ULL;   // "catseg1": it had no gates

    struct segment_header {
        std::uint64_t magic; ///< written last: a segment that has it is complete
        std::uint64_t nodes;
        std::uint64_t node_bytes;
        std::uint64_t stride;
        std::uint64_t keep;
    };
    struct attempt_result {
        enum kind : std::uint8_t { done, joined, failed, stale, again } outcome = again;
        int fd = -1;
        std::byte* base = nullptr;
        errc code = errc::unreachable;
        std::string message;
    };

    shm_fabric(std::string path, attempt_result const& a, bool created) noexcept
        : path_(std::move(path)), base_(a.base), fd_(a.fd), created_(created) {}

    [[nodiscard]] segment_header const& header() const noexcept {
        return *reinterpret_cast<segment_header const*>(base_);
    }
    [[nodiscard]] static std::uint64_t segment_bytes(std::uint64_t stride, std::uint64_t nodes) noexcept {
        return nodes_offset + stride * nodes;
    }
    /// The last step of open(): the lock that shows that we live. If it fails the segment is left as by a destructor.
    [[nodiscard]] static setup_result<shm_fabric> attach(shm_fabric f) {
        auto const slot = attachment::take(f.fd_);
        if (!slot)
            return setup_error(errc::full, "shared memory segment /dev/shm" + f.path_ + ": " +
                                               std::to_string(attachment::slots) +
                                               " processes are attached, or the system has no open file locks");
        f.gates_ = std::make_unique<gate_table>(*reinterpret_cast<gate_area*>(f.base_ + page), f.fd_, *slot);
        return f;
    }
    [[nodiscard]] static attempt_result failed(int fd, errc code, std::string message) {
        if (fd >= 0) ::close(fd);
        return {
            .outcome = attempt_result::failed, .fd = -1, .base = nullptr, .code = code, .message = std::move(message)};
    }

    [[nodiscard]] static result<void, setup_error> check(std::string_view pool_name, shm_options const& options) {
        bool const foreign = pool_name.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos;
        if (pool_name.empty() || pool_name.size() > 200 || foreign)
            return setup_error(errc::invalid_argument,
                               "a shm pool name has 1 to 200 characters, no '/' and no zero: '" +
                                   std::string(pool_name) + "'");
        if (options.nodes > max_memory_nodes)
            return setup_error(errc::invalid_argument, "nodes must be 1 to 64, not " + std::to_string(options.nodes));
        if (options.node_bytes > remote_ptr::max_offset)
            return setup_error(errc::invalid_argument, "size must be less than 256 TiB a memory node");
        return {};
    }

    [[nodiscard]] static attempt_result attempt(std::string const& path, shm_options const& options) {
        int const existing = ::shm_open(path.c_str(), O_RDWR | O_CLOEXEC, 0600);
        if (existing >= 0) return join(existing, path, options);
        if (errno != ENOENT)
            return failed(-1, errc::unreachable, "cannot open /dev/shm" + path + ": " + std::strerror(errno));
        if (options.node_bytes == 0)
            return failed(-1, errc::not_found,
                          "there is no shared memory segment /dev/shm" + path +
                              "; give a size to create it (?size=1GiB)");
        int const fd = ::shm_open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0) {
            if (errno == EEXIST) return {}; // somebody else was faster: join
            return failed(-1, errc::unreachable, "cannot create /dev/shm" + path + ": " + std::strerror(errno));
        }
        return create(fd, path, options);
    }

    [[nodiscard]] static attempt_result create(int fd, std::string const& path, shm_options const& options) {
        ::flock(fd, LOCK_SH);
        std::uint64_t const nodes = options.nodes == 0 ? 1 : options.nodes;
        auto const stride = round_up(options.node_bytes, page);
        auto const bytes = segment_bytes(stride, nodes);
        // Reserved now: memory that runs out later would be a signal in the middle of an operation.
        if (int const e = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes)); e != 0) {
            ::shm_unlink(path.c_str());
            return failed(fd, errc::out_of_memory,
                          "cannot reserve " + std::to_string(bytes) +
                              " bytes of shared memory (df /dev/shm): " + std::strerror(e));
        }
        auto* const base = map(fd, bytes);
        if (base == nullptr) {
            ::shm_unlink(path.c_str());
            return failed(fd, errc::out_of_memory, "cannot map the segment: " + std::string(std::strerror(errno)));
        }
        auto* const h = reinterpret_cast<segment_header*>(base);
        h->nodes = nodes;
        h->node_bytes = options.node_bytes;
        h->stride = stride;
        h->keep = options.keep ? 1 : 0;
        std::atomic_ref<std::uint64_t>(h->magic).store(segment_magic, std::memory_order_release);
        return {.outcome = attempt_result::done, .fd = fd, .base = base, .code = {}, .message = {}};
    }

    [[nodiscard]] static attempt_result join(int fd, std::string const& path, shm_options const& options) {
        bool const alone = ::flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (!alone && ::flock(fd, LOCK_SH | LOCK_NB) != 0) { // the last one is just leaving
            ::close(fd);
            return {};
        }
        struct stat s {};
        ::fstat(fd, &s);
        auto const leave_with = [fd](attempt_result::kind k) {
            ::close(fd);
            return attempt_result{.outcome = k, .fd = -1, .base = nullptr, .code = {}, .message = {}};
        };
        if (s.st_nlink == 0) return leave_with(attempt_result::again); // removed between open and lock
        auto const stale_or_again = alone ? attempt_result::stale : attempt_result::again;
        if (static_cast<std::uint64_t>(s.st_size) < page) return leave_with(stale_or_again);
        auto* const first = map(fd, page);
        if (first == nullptr) return failed(fd, errc::unreachable, std::strerror(errno));
        auto* const shared = reinterpret_cast<segment_header*>(first);
        auto const magic = std::atomic_ref<std::uint64_t>(shared->magic).load(std::memory_order_acquire);
        segment_header const h = *shared;
        ::munmap(first, page);
        if (magic == 0) return leave_with(stale_or_again);
        std::string const where = "shared memory segment /dev/shm" + path + ": ";
        if (magic == older_magic)
            return failed(fd, errc::bad_format,
                          where + "an older version of catena made it; remove it when nobody uses it");
        if (magic != segment_magic) return failed(fd, errc::bad_format, where + "it is not a catena segment");
        if (h.nodes == 0 || h.nodes > max_memory_nodes || h.node_bytes > remote_ptr::max_offset ||
            h.stride != round_up(h.node_bytes, page))
            return failed(fd, errc::bad_format, where + "its header is damaged");
        if (static_cast<std::uint64_t>(s.st_size) != segment_bytes(h.stride, h.nodes))
            return failed(fd, errc::bad_format,
                          where + "its length is " + std::to_string(s.st_size) + " bytes, expected " +
                              std::to_string(segment_bytes(h.stride, h.nodes)));
        if (alone && h.keep == 0) return leave_with(attempt_result::stale);
        if (options.node_bytes != 0 && options.node_bytes != h.node_bytes)
            return failed(fd, errc::bad_format,
                          where + "size is " + std::to_string(h.node_bytes) + ", expected " +
                              std::to_string(options.node_bytes));
        if (options.nodes != 0 && options.nodes != h.nodes)
            return failed(fd, errc::bad_format,
                          where + "nodes is " + std::to_string(h.nodes) + ", expected " +
                              std::to_string(options.nodes));
        auto* const base = map(fd, segment_bytes(h.stride, h.nodes));
        if (base == nullptr) return failed(fd, errc::out_of_memory, where + "cannot map it: " + std::strerror(errno));
        if (alone) ::flock(fd, LOCK_SH);
        return {.outcome = attempt_result::joined, .fd = fd, .base = base, .code = {}, .message = {}};
    }

    [[nodiscard]] static std::byte* map(int fd, std::uint64_t bytes) noexcept {
        void* const p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        return p == MAP_FAILED ? nullptr : static_cast<std::byte*>(p); // NOLINT: the macro casts
    }

    std::string path_;
    std::byte* base_;
    int fd_;
    bool created_;
    std::unique_ptr<gate_table> gates_; ///< channels point to it, wherever this object moves
};
static_assert(fabric<shm_fabric>);

} // namespace catena
