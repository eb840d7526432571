// SPDX-License-Identifier: Apache-2.0
// local_fabric: memory nodes inside this process. For tests, examples, and engines on one machine.
// The gates of its channels lie behind the memory nodes, in the same mapping.
// Thread safety: connect() from any thread; each channel by one thread at a time.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <sys/mman.h>

#include <catena/core/bytes.hpp>
#include <catena/core/result.hpp>
#include <catena/fabric/client_id.hpp>
#include <catena/fabric/fabric.hpp>
#include <catena/fabric/gates.hpp>
#include <catena/fabric/immediate_channel.hpp>

namespace catena {

inline constexpr std::uint16_t max_memory_nodes = 64;

class local_fabric {
public:
    using channel_type = immediate_channel;
    static constexpr std::string_view name = "local";

    /// Zeroed memory that the kernel provides page by page on first use. node_bytes: of each memory node.
    /// Errors: invalid_argument, out_of_memory.
    [[nodiscard]] static setup_result<local_fabric> create(std::uint64_t node_bytes, std::uint16_t nodes = 1) {
        if (nodes == 0 || nodes > max_memory_nodes)
            return setup_error(errc::invalid_argument, "nodes must be 1 to 64, not " + std::to_string(nodes));
        if (node_bytes == 0 || node_bytes > remote_ptr::max_offset)
            return setup_error(errc::invalid_argument, "size must be more than 0 and less than 256 TiB a memory node");
        auto const stride = round_up(node_bytes, 4096);
        void* const base = ::mmap(nullptr, mapped(stride, nodes), PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED) // NOLINT: the macro casts
            return setup_error(errc::out_of_memory, "cannot map " + std::to_string(mapped(stride, nodes)) +
                                                        " bytes for the pool: " + std::strerror(errno));
        ::madvise(base, stride * nodes, MADV_HUGEPAGE); // a wish: fewer TLB misses where the kernel grants it
        return local_fabric(static_cast<std::byte*>(base), nodes, node_bytes, stride);
    }

    local_fabric(local_fabric&& o) noexcept
        : base_(std::exchange(o.base_, nullptr)), node_bytes_(o.node_bytes_), stride_(o.stride_), nodes_(o.nodes_),
          gates_(std::move(o.gates_)) {}
    local_fabric& operator=(local_fabric&&) = delete;
    ~local_fabric() {
        if (base_ != nullptr) ::munmap(base_, mapped(stride_, nodes_));
    }

    [[nodiscard]] std::uint16_t node_count() const noexcept { return nodes_; }
    [[nodiscard]] std::uint64_t node_bytes() const noexcept { return node_bytes_; }
    /// Errors: full (too many channels at once).
    [[nodiscard]] setup_result<channel_type> connect(client_id id = {}) {
        auto pass = gates_->connect(id);
        if (!pass) return pass.error();
        return channel_type(base_, nodes_, node_bytes_, stride_, gates_.get(), std::move(*pass));
    }

    /// The raw bytes of a memory node, for tests that corrupt them on purpose.
    [[nodiscard]] std::byte* raw(std::uint16_t node) noexcept { return base_ + node * stride_; }

private:
    local_fabric(std::byte* base, std::uint16_t nodes, std::uint64_t node_bytes, std::uint64_t stride)
        : base_(base), node_bytes_(node_bytes), stride_(stride), nodes_(nodes),
          gates_(std::make_unique<gate_table>(*reinterpret_cast<gate_area*>(base + stride * nodes))) {}
    [[nodiscard]] static std::uint64_t mapped(std::uint64_t stride, std::uint64_t nodes) noexcept {
        return stride * nodes + sizeof(gate_area);
    }

    std::byte* base_;
    std::uint64_t node_bytes_;
    std::uint64_t stride_;
    std::uint16_t nodes_;
    std::unique_ptr<gate_table> gates_; ///< channels point to it, wherever this object moves
};
static_assert(fabric<local_fabric>);

} // namespace catena
