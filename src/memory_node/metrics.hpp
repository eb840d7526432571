// SPDX-License-Identifier: Apache-2.0
// metrics: what a memory node tells Prometheus, on the loopback address alone.
// Thread safety: update() by one thread; the answers come from a thread of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <catena/core/result.hpp>

#include "fabric/verbs/memory_server.hpp"

namespace catena::memory_node {

/// What the counters do not tell.
struct metrics_facts {
    std::uint64_t region_bytes = 0;
    bool huge_pages = false;
    std::uint64_t bytes_taken = 0; ///< handed out to clients in chunks
    bool has_pool = false;
};

/// In the text format of Prometheus.
[[nodiscard]] std::string metrics_text(verbs::memory_server_counters const& counters, metrics_facts const& facts);

class metrics_server {
public:
    /// Serves GET /metrics on 127.0.0.1:port. Errors: already_exists (the port is taken).
    [[nodiscard]] static setup_result<metrics_server> start(std::uint16_t port);
    metrics_server(metrics_server&&) noexcept;
    metrics_server& operator=(metrics_server&&) = delete;
    ~metrics_server();

    /// What is told from now on.
    void update(verbs::memory_server_counters const& counters, metrics_facts const& facts);

private:
    class implementation;
    explicit metrics_server(std::unique_ptr<implementation> impl) noexcept;
    std::unique_ptr<implementation> impl_;
};

} // namespace catena::memory_node
