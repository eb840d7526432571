// SPDX-License-Identifier: Apache-2.0
// redis_server: a Redis of its own for a benchmark, on loopback and on a unix socket, without persistence, and gone with this object.
// Thread safety: one thread (see child_process).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <catena/core/result.hpp>

#include "bench/child_process.hpp"

namespace catena::bench {

class redis_server {
public:
    /// program: looked up in the PATH. directory: for its socket, its log and nothing else; short, for the path of a socket has
    /// 107 characters at most. Waits until it answers, at most 10 s.
    [[nodiscard]] static result<std::unique_ptr<redis_server>, std::string> start(std::string const& program,
                                                                                  std::string const& directory);

    [[nodiscard]] std::string const& socket() const noexcept { return socket_; }
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    /// "7.0.15"
    [[nodiscard]] std::string const& version() const noexcept { return version_; }
    [[nodiscard]] double processor_seconds() const { return process_.processor_seconds(); }

private:
    redis_server(child_process process, std::string socket, std::uint16_t port, std::string version)
        : process_(std::move(process)), socket_(std::move(socket)), port_(port), version_(std::move(version)) {}

    child_process process_;
    std::string socket_;
    std::uint16_t port_;
    std::string version_;
};

} // namespace catena::bench
