// SPDX-License-Identifier: Apache-2.0
// store: what is compared: anything that knows where the blocks of a prompt's chain are cached.
//
// Each kind of store is asked in the way that its users ask it; what an engine needs of it is the same for all: how many
// leading blocks are listed, and where; then the others are listed. All of them are set up to begin empty.
// Thread safety: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <catena/core/result.hpp>
#include <catena/prefix/block_hash.hpp>
#include <catena/prefix/location.hpp>

namespace catena::bench {

/// What was sent since the store was made. A store in this process has sent nothing.
struct traffic {
    std::uint64_t match_round_trips = 0;
    std::uint64_t publish_round_trips = 0;
    std::uint64_t bytes = 0; ///< both ways, as the protocol has them: without headers of the network
};

/// What it keeps.
struct footprint {
    std::uint64_t blocks = 0;
    std::uint64_t bytes = 0;        ///< where the blocks are listed: of the server, of remote memory
    std::uint64_t client_bytes = 0; ///< what this client remembers of it
};

class store {
public:
    store() = default;
    store(store const&) = delete;
    store& operator=(store const&) = delete;
    virtual ~store() = default;

    /// The longest prefix of which every block is listed. `places`: as long as the chain; those of the prefix are written if
    /// tells_places().
    [[nodiscard]] virtual result<std::size_t, std::string> match(std::span<block_hash const> chain,
                                                                 std::span<location> places) = 0;
    /// Lists chain[from..] at places[from..], after a match of the same chain that found `from` blocks.
    [[nodiscard]] virtual result<void, std::string> publish(std::span<block_hash const> chain,
                                                            std::span<location> places, std::size_t from) = 0;

    /// False: a match tells how many, not where.
    [[nodiscard]] virtual bool tells_places() const { return true; }
    /// Both may take their time: not called while it is measured.
    [[nodiscard]] virtual result<traffic, std::string> sent() = 0;
    [[nodiscard]] virtual result<footprint, std::string> size() = 0;
    /// Processor time of the process that keeps the blocks, if that is another one, in seconds.
    [[nodiscard]] virtual double server_seconds() { return 0; }
};

using made_store = result<std::unique_ptr<store>, std::string>;

} // namespace catena::bench
