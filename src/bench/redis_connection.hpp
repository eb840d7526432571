// SPDX-License-Identifier: Apache-2.0
// redis_connection: commands to a Redis server and its answers, over hiredis. Keys and values are bytes of the caller's, which are
// not copied but into the buffer that is sent.
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <hiredis/hiredis.h>

#include <catena/core/result.hpp>

namespace catena::bench {

struct free_reply {
    void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using reply = std::unique_ptr<redisReply, free_reply>;

class redis_connection {
public:
    /// No answer within 10 s is an error, then and later.
    [[nodiscard]] static result<redis_connection, std::string> open_unix(std::string const& path);
    [[nodiscard]] static result<redis_connection, std::string> open_tcp(std::string const& host, std::uint16_t port);

    /// Adds a command to what will be sent with the next receive().
    void append(std::span<std::string_view const> words);
    /// Sends what was added, if anything, and takes the next answer. An error: of the connection, or what the server complains of.
    [[nodiscard]] result<reply, std::string> receive();
    /// One command, one answer.
    [[nodiscard]] result<reply, std::string> ask(std::span<std::string_view const> words) {
        append(words);
        return receive();
    }
    /// What INFO tells, such as "used_memory" of the section "memory"; nothing if it does not.
    [[nodiscard]] std::optional<std::string> info(std::string_view section, std::string_view field);
    [[nodiscard]] result<std::uint64_t, std::string> info_number(std::string_view section, std::string_view field);

private:
    struct free_context {
        void operator()(redisContext* context) const noexcept { redisFree(context); }
    };
    explicit redis_connection(redisContext* context) : context_(context) {}
    [[nodiscard]] static result<redis_connection, std::string> checked(redisContext* context);

    std::unique_ptr<redisContext, free_context> context_;
    std::vector<char const*> starts_; // of the words of a command; kept for their memory
    std::vector<std::size_t> lengths_;
};

} // namespace catena::bench
