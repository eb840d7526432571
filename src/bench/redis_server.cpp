// SPDX-License-Identifier: Apache-2.0
#include "bench/redis_server.hpp"

#include <array>
#include <chrono>
#include <fstream>
#include <optional>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "bench/redis_connection.hpp"

namespace catena::bench {
namespace {

constexpr std::chrono::seconds start_patience{10};

// A port of loopback that nobody has now. Somebody may take it before the server does, which then ends and is started with another.
std::optional<std::uint16_t> free_port() {
    int const probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) return std::nullopt;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    bool const found = bind(probe, generic, length) == 0 && getsockname(probe, generic, &length) == 0;
    close(probe);
    if (!found) return std::nullopt;
    return ntohs(address.sin_port);
}

std::string last_line(std::string const& file) {
    std::ifstream in(file);
    std::string last;
    for (std::string line; std::getline(in, line);)
        if (!line.empty()) last = line;
    return last;
}

} // namespace

result<std::unique_ptr<redis_server>, std::string> redis_server::start(std::string const& program,
                                                                       std::string const& directory) {
    auto const socket = directory + "/redis.sock";
    auto const log = directory + "/redis.log";
    std::string why = "no port of loopback is free";
    constexpr int tries = 3;
    for (int i = 0; i < tries; ++i) {
        auto const port = free_port();
        if (!port) break;
        auto process =
            child_process::start({program, "--bind", "127.0.0.1", "--port", std::to_string(*port), "--unixsocket",
                                  socket, "--save", "", "--appendonly", "no", "--dir", directory, "--daemonize", "no"},
                                 log);
        if (!process) return process.error();
        auto const until = std::chrono::steady_clock::now() + start_patience;
        while (process->running() && std::chrono::steady_clock::now() < until) {
            auto connection = redis_connection::open_unix(socket);
            if (connection && connection->ask(std::array<std::string_view, 1>{"PING"}))
                return std::unique_ptr<redis_server>(
                    new redis_server(std::move(*process), socket, *port,
                                     connection->info("server", "redis_version").value_or("unknown")));
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        why = fmt::format("{} does not answer: {}", program, last_line(log));
    }
    return why;
}

} // namespace catena::bench
