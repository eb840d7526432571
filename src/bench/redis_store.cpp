// SPDX-License-Identifier: Apache-2.0
#include "bench/redis_store.hpp"

#include <cstring>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "bench/redis_connection.hpp"

namespace catena::bench {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view longest_prefix = R"lua(
local places = {}
for i, block in ipairs(KEYS) do
  local place = redis.call('GET', block)
  if not place then break end
  places[i] = place
end
return places
)lua";

std::string_view bytes_of(block_hash const& block) { return {reinterpret_cast<char const*>(&block), sizeof block}; }
std::string_view bytes_of(location const& place) { return {reinterpret_cast<char const*>(&place), sizeof place}; }

bool take(redisReply const& from, location& to) {
    if (from.type != REDIS_REPLY_STRING || from.len != sizeof to) return false;
    std::uint64_t word = 0;
    std::memcpy(&word, from.str, sizeof word);
    to = location::from_word(word);
    return true;
}

// What was sent when the store was made, and how the server counts since.
struct beginning {
    std::uint64_t received = 0;
    std::uint64_t sent = 0;
    std::uint64_t memory = 0;
};

class redis_store : public store {
public:
    redis_store(redis_server const& server, redis_connection connection, beginning start)
        : server_(&server), connection_(std::move(connection)), start_(start) {}

    // One MSET of what is missing.
    result<void, std::string> publish(std::span<block_hash const> chain, std::span<location> places,
                                      std::size_t from) override {
        words_.assign(1, "MSET"sv);
        for (auto i = from; i < chain.size(); ++i) {
            words_.push_back(bytes_of(chain[i]));
            words_.push_back(bytes_of(places[i]));
        }
        ++counted_.publish_round_trips;
        auto const done = connection_.ask(words_);
        if (!done) return done.error();
        return {};
    }

    result<traffic, std::string> sent() override {
        auto const in = connection_.info_number("stats", "total_net_input_bytes");
        auto const out = connection_.info_number("stats", "total_net_output_bytes");
        if (!in || !out) return in ? out.error() : in.error();
        auto now = counted_;
        now.bytes = *in + *out - start_.received - start_.sent;
        return now;
    }

    result<footprint, std::string> size() override {
        auto const keys = connection_.ask(std::array{"DBSIZE"sv});
        if (!keys) return keys.error();
        auto const memory = connection_.info_number("memory", "used_memory");
        if (!memory) return memory.error();
        return footprint{.blocks = static_cast<std::uint64_t>((*keys)->integer),
                         .bytes = *memory - std::min(*memory, start_.memory),
                         .client_bytes = 0};
    }

    double server_seconds() override { return server_->processor_seconds(); }

protected:
    // The leading elements of an answer that are places.
    static std::size_t take_places(redisReply const& answer, std::span<location> places) {
        auto const most = std::min(answer.elements, places.size());
        std::size_t hit = 0;
        while (hit < most && take(*answer.element[hit], places[hit])) ++hit;
        return hit;
    }

    redis_server const* server_;
    redis_connection connection_;
    beginning start_;
    traffic counted_{};
    std::vector<std::string_view> words_{}; // of a command; kept for their memory
};

class one_by_one final : public redis_store {
public:
    using redis_store::redis_store;

    result<std::size_t, std::string> match(std::span<block_hash const> chain, std::span<location> places) override {
        std::size_t hit = 0;
        for (; hit < chain.size(); ++hit) {
            ++counted_.match_round_trips;
            auto const answer = connection_.ask(std::array{"GET"sv, bytes_of(chain[hit])});
            if (!answer) return answer.error();
            if (!take(**answer, places[hit])) break;
        }
        return hit;
    }

    result<void, std::string> publish(std::span<block_hash const> chain, std::span<location> places,
                                      std::size_t from) override {
        for (auto i = from; i < chain.size(); ++i) {
            ++counted_.publish_round_trips;
            auto const done = connection_.ask(std::array{"SET"sv, bytes_of(chain[i]), bytes_of(places[i])});
            if (!done) return done.error();
        }
        return {};
    }
};

class all_at_once final : public redis_store {
public:
    using redis_store::redis_store;

    result<std::size_t, std::string> match(std::span<block_hash const> chain, std::span<location> places) override {
        words_.assign(1, "MGET"sv);
        for (auto const& block : chain) words_.push_back(bytes_of(block));
        ++counted_.match_round_trips;
        auto const answer = connection_.ask(words_);
        if (!answer) return answer.error();
        return take_places(**answer, places);
    }
};

class pipelined final : public redis_store {
public:
    using redis_store::redis_store;

    result<std::size_t, std::string> match(std::span<block_hash const> chain, std::span<location> /*places*/) override {
        for (auto const& block : chain) connection_.append(std::array{"EXISTS"sv, bytes_of(block)});
        ++counted_.match_round_trips;
        std::size_t hit = 0;
        for (std::size_t i = 0; i < chain.size(); ++i) {
            auto const answer = connection_.receive();
            if (!answer) return answer.error();
            if ((*answer)->integer == 1 && hit == i) ++hit;
        }
        return hit;
    }

    result<void, std::string> publish(std::span<block_hash const> chain, std::span<location> places,
                                      std::size_t from) override {
        for (auto i = from; i < chain.size(); ++i)
            connection_.append(std::array{"SET"sv, bytes_of(chain[i]), bytes_of(places[i])});
        ++counted_.publish_round_trips;
        for (auto i = from; i < chain.size(); ++i) {
            auto const done = connection_.receive();
            if (!done) return done.error();
        }
        return {};
    }

    bool tells_places() const override { return false; }
};

class scripted final : public redis_store {
public:
    scripted(redis_server const& server, redis_connection connection, beginning start, std::string digest)
        : redis_store(server, std::move(connection), start), digest_(std::move(digest)) {}

    result<std::size_t, std::string> match(std::span<block_hash const> chain, std::span<location> places) override {
        auto const keys = std::to_string(chain.size());
        words_.assign({"EVALSHA"sv, digest_, keys});
        for (auto const& block : chain) words_.push_back(bytes_of(block));
        ++counted_.match_round_trips;
        auto const answer = connection_.ask(words_);
        if (!answer) return answer.error();
        return take_places(**answer, places);
    }

private:
    std::string digest_; // of the script
};

result<beginning, std::string> empty(redis_connection& connection) {
    if (auto const done = connection.ask(std::array{"FLUSHALL"sv, "SYNC"sv}); !done) return done.error();
    beginning start;
    for (auto const& [section, field, to] : {std::tuple("memory"sv, "used_memory"sv, &start.memory),
                                             std::tuple("stats"sv, "total_net_input_bytes"sv, &start.received),
                                             std::tuple("stats"sv, "total_net_output_bytes"sv, &start.sent)}) {
        auto const value = connection.info_number(section, field);
        if (!value) return value.error();
        *to = *value;
    }
    return start;
}

} // namespace

std::string_view name(redis_method method) noexcept {
    switch (method) {
    case redis_method::get: return "get";
    case redis_method::mget: return "mget";
    case redis_method::exists: return "exists";
    case redis_method::lua: return "lua";
    }
    return "";
}

made_store make_redis_store(redis_server const& server, redis_method method, redis_transport transport) {
    auto connection = transport == redis_transport::tcp ? redis_connection::open_tcp("127.0.0.1", server.port())
                                                        : redis_connection::open_unix(server.socket());
    if (!connection) return connection.error();
    std::string digest;
    if (method == redis_method::lua) {
        auto const loaded = connection->ask(std::array{"SCRIPT"sv, "LOAD"sv, longest_prefix});
        if (!loaded) return loaded.error();
        digest.assign((*loaded)->str, (*loaded)->len);
    }
    auto const start = empty(*connection);
    if (!start) return start.error();
    std::unique_ptr<store> made;
    switch (method) {
    case redis_method::get: made = std::make_unique<one_by_one>(server, std::move(*connection), *start); break;
    case redis_method::mget: made = std::make_unique<all_at_once>(server, std::move(*connection), *start); break;
    case redis_method::exists: made = std::make_unique<pipelined>(server, std::move(*connection), *start); break;
    case redis_method::lua:
        made = std::make_unique<scripted>(server, std::move(*connection), *start, std::move(digest));
        break;
    }
    return made;
}

} // namespace catena::bench
