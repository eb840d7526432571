// SPDX-License-Identifier: Apache-2.0
#include "bench/redis_connection.hpp"

#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace catena::bench {
namespace {

constexpr timeval patience{.tv_sec = 10, .tv_usec = 0};

} // namespace

result<redis_connection, std::string> redis_connection::checked(redisContext* context) {
    if (context == nullptr) return std::string("no memory for a connection to redis");
    redis_connection made(context);
    if (context->err != 0) return fmt::format("no connection to redis: {}", context->errstr);
    redisSetTimeout(context, patience);
    return made;
}

result<redis_connection, std::string> redis_connection::open_unix(std::string const& path) {
    return checked(redisConnectUnixWithTimeout(path.c_str(), patience));
}

result<redis_connection, std::string> redis_connection::open_tcp(std::string const& host, std::uint16_t port) {
    return checked(redisConnectWithTimeout(host.c_str(), port, patience));
}

void redis_connection::append(std::span<std::string_view const> words) {
    starts_.clear();
    lengths_.clear();
    for (auto const word : words) {
        starts_.push_back(word.data());
        lengths_.push_back(word.size());
    }
    // Fails only where there is no memory; then the context has an error, which receive() finds.
    redisAppendCommandArgv(context_.get(), static_cast<int>(words.size()), starts_.data(), lengths_.data());
}

result<reply, std::string> redis_connection::receive() {
    void* taken = nullptr;
    if (redisGetReply(context_.get(), &taken) != REDIS_OK)
        return fmt::format("the connection to redis broke: {}", context_->errstr);
    reply answer(static_cast<redisReply*>(taken));
    if (answer->type == REDIS_REPLY_ERROR)
        return fmt::format("redis refused a command: {}", std::string_view(answer->str, answer->len));
    return answer;
}

std::optional<std::string> redis_connection::info(std::string_view section, std::string_view field) {
    auto const answer = ask(std::array<std::string_view, 2>{"INFO", section});
    if (!answer) return std::nullopt;
    std::string_view const text((*answer)->str, (*answer)->len);
    auto const begins = text.find(fmt::format("\n{}:", field));
    if (begins == std::string_view::npos) return std::nullopt;
    auto const value = text.substr(begins + field.size() + 2);
    return std::string(value.substr(0, value.find_first_of("\r\n")));
}

result<std::uint64_t, std::string> redis_connection::info_number(std::string_view section, std::string_view field) {
    auto const text = info(section, field);
    std::uint64_t value = 0;
    if (!text || std::from_chars(text->data(), text->data() + text->size(), value).ec != std::errc{})
        return fmt::format("redis does not tell its {}", field);
    return value;
}

} // namespace catena::bench
