// SPDX-License-Identifier: Apache-2.0
// memory_server: the passive side of a verbs fabric: registers a region of memory, gives clients keys and queue pairs, tears those of
// fenced clients down. No operation of a client involves it.
//
// Rights     The region is registered twice. Who asks to write gets the key of the one, who asks to read that of the other, and a
//            queue pair that admits READs alone. With a secret for readers, who knows no other may only ask to read.
// Fence      Requests are served one after the other, by one thread. F1 the client is remembered among the fenced; F2 its queue
//            pairs are destroyed, all of them: what was in flight has been executed by then or never will be; F3 the answer.
//            A connection of it that was asked for before F1 was accepted before F1, so F2 destroys it; one that is asked for
//            later is refused. Who is fenced may fence nobody.
// Dies       With the server all queue pairs are gone, and the list of the fenced. The next run has another number, and refuses who
//            knew the last one (handshake.hpp).
// Devices    One that is removed takes its connections along. The others go on; devices() is empty when none is left, and then this
//            server serves nobody any more.
// Bounds     most_connections queue pairs; of the fenced the last most_fenced are remembered: one that was forgotten would need
//            to come back after that many others were fenced.
// Thread safety: one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include <catena/core/result.hpp>

namespace catena::verbs {

struct memory_server_options {
    std::string listen{};              ///< "host:port", ":port"; empty: all addresses, the default port
    std::string secret_file{};         ///< empty: everyone may connect
    std::string readers_secret_file{}; ///< who knows only this one may read; empty: that needs the secret as well
    std::uint32_t most_connections = 16384;
};

/// What the region holds, read when a client asks. All zero: no pool yet.
struct pool_identity {
    std::uint64_t uuid_high = 0;
    std::uint64_t uuid_low = 0;
    std::uint64_t incarnation = 0;
};

struct memory_server_counters {
    std::uint64_t connections = 0; ///< now
    std::uint64_t read_only = 0;   ///< of them
    std::uint64_t accepted = 0;    ///< all since the start, as are those below
    std::uint64_t ended = 0;
    std::uint64_t hellos = 0;
    std::uint64_t fences = 0;
    std::uint64_t queue_pairs_torn_down = 0;
    std::uint64_t refused_secret = 0;
    std::uint64_t refused_version = 0;
    std::uint64_t refused_fenced = 0;
    std::uint64_t refused_full = 0;
    std::uint64_t refused_restarted = 0;
    std::uint64_t refused_other = 0;
};

class memory_server {
public:
    static constexpr std::size_t most_fenced = 65536;

    /// region: readable and writable memory that outlives the server, bytes long; who_is_it: reads its superblock.
    /// Errors: invalid_argument (syntax of the address, a secret), unreachable (the address is none of an RDMA device, now),
    /// unsupported (no RDMA device, no connection manager), out_of_memory (registering: says which limit is in the way),
    /// already_exists (the port is taken).
    [[nodiscard]] static setup_result<memory_server> start(std::byte* region, std::size_t bytes,
                                                           std::function<pool_identity()> who_is_it,
                                                           memory_server_options const& options);
    memory_server(memory_server&&) noexcept;
    memory_server& operator=(memory_server&&) = delete;
    ~memory_server();

    /// Readable when serve() has something to do.
    [[nodiscard]] int descriptor() const noexcept;
    /// Serves every request that is waiting. Never blocks for long.
    void serve();
    [[nodiscard]] memory_server_counters const& counters() const noexcept;
    [[nodiscard]] std::string devices() const; ///< with which the region is registered; empty: they are gone
    [[nodiscard]] std::uint64_t run() const noexcept;

private:
    class implementation;
    explicit memory_server(std::unique_ptr<implementation> impl) noexcept;
    std::unique_ptr<implementation> impl_;
};

} // namespace catena::verbs
