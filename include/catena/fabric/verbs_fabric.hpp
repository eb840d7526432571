// SPDX-License-Identifier: Apache-2.0
// verbs_fabric: memory nodes in the memory of catena-memd servers, reached over InfiniBand or RoCE. Compiled (link catena::verbs, there
// where CATENA_VERBS was on); no header of rdma-core is needed to include this.
//
// Each channel has a reliable-connected queue pair to each memory node; threads share none. A queue pair that broke is connected
// anew by the next batch that needs it. What a client may rely on after a memory node was restarted: nothing, so its batches end
// with errc::restarted from then on, and it opens the pool again.
// Thread safety: open/destroy by one thread; connect() from any thread; each channel by one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <catena/core/result.hpp>
#include <catena/fabric/any_channel.hpp>
#include <catena/fabric/client_id.hpp>
#include <catena/fabric/fabric.hpp>

namespace catena {

inline constexpr std::uint16_t default_memory_node_port = 7474;

struct verbs_options {
    /// A file whose contents the servers know as well; empty: none. The secret itself is never sent.
    std::string secret_file{};
    /// Where connections leave: "mlx5_0", "mlx5_0:1" (port), "mlx5_0:1:3" (GID index). Empty: as the routing table says.
    std::string device{};
    bool read_only =
        false; ///< asks the servers for keys without write permission; batches that write end with errc::read_only
    std::chrono::milliseconds patience{
        2000}; ///< bound of connecting to one memory node, of a fence there, and of every batch
};

class verbs_fabric {
public:
    using channel_type = any_channel;
    static constexpr std::string_view name = "verbs";

    /// memory_nodes: "host", "host:port" or "[IPv6]:port" of each, in the order of the pool; 1 to 64. Asks each of them who it is.
    /// Errors: invalid_argument (an address, the device), unreachable (with the step that failed), unsupported (no RDMA device, the
    /// server speaks another version of the protocol), bad_format (memory nodes of different sizes), denied as unreachable (secret).
    [[nodiscard]] static setup_result<verbs_fabric> open(std::span<std::string const> memory_nodes,
                                                         verbs_options const& options = {});

    verbs_fabric(verbs_fabric&&) noexcept;
    verbs_fabric& operator=(verbs_fabric&&) = delete;
    ~verbs_fabric();

    [[nodiscard]] std::uint16_t node_count() const noexcept;
    [[nodiscard]] std::uint64_t node_bytes() const noexcept;
    /// Do all memory nodes hold a pool already? As of open().
    [[nodiscard]] bool formatted() const noexcept;
    /// Connects to all memory nodes: about a millisecond each. Errors: as open; full (a server has no room for another connection),
    /// fenced, restarted.
    [[nodiscard]] setup_result<channel_type> connect(client_id id = {});

private:
    class implementation; // src/fabric/verbs/
    explicit verbs_fabric(std::shared_ptr<implementation> impl) noexcept;
    std::shared_ptr<implementation> impl_; ///< channels share it: it ends with the last of them
};
static_assert(fabric<verbs_fabric>);

} // namespace catena
