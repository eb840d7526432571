// SPDX-License-Identifier: Apache-2.0
#include "client/pool_uri.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace catena {

namespace {

template <typename Number>
[[nodiscard]] std::optional<Number> parse_number(std::string_view text) {
    Number n{};
    auto const [end, failure] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return n;
}

[[nodiscard]] std::string quoted(std::string_view text) { return std::string("'").append(text).append("'"); }

[[nodiscard]] setup_error wrong(std::string_view uri, std::string const& why) {
    return {errc::invalid_argument, "pool URI " + quoted(uri) + ": " + why};
}

/// Fills in one parameter; the reason if it cannot be.
[[nodiscard]] std::optional<std::string> set_parameter(pool_uri& pool, std::string_view key, std::string_view value) {
    auto const bad = [&](char const* expected) {
        return std::string(key).append("=").append(value).append(" is not valid; expected ").append(expected);
    };
    if (key == "size") {
        auto const size = parse_size(value);
        if (!size || *size == 0) return bad("a size such as 256MiB or 4GiB");
        pool.size = *size;
    } else if (key == "nodes") {
        auto const nodes = parse_number<std::uint16_t>(value);
        if (!nodes || *nodes == 0 || *nodes > 64) return bad("1 to 64 memory nodes");
        pool.nodes = *nodes;
    } else if (key == "lease") {
        auto const ms = parse_number<std::uint32_t>(value);
        if (!ms || *ms == 0 || *ms > 3'600'000) return bad("1 to 3600000 milliseconds");
        pool.lease = std::chrono::milliseconds(*ms);
    } else if (key == "keep") {
        if (pool.scheme != "shm")
            return std::string(
                "keep is for shm pools only: a local pool ends with its process, a verbs pool with its servers");
        if (value != "yes" && value != "no") return bad("yes or no");
        pool.keep = value == "yes";
    } else if (key == "access") {
        if (value != "read" && value != "write") return bad("read or write");
        if (pool.scheme == "local") return std::string("a local pool is its process's own, to write");
        pool.read_only = value == "read";
    } else if (key == "secret" || key == "device") {
        if (pool.scheme != "verbs") return std::string(key).append(" is for verbs pools only");
        if (value.empty()) return bad(key == "secret" ? "the name of a file" : "the name of an RDMA device");
        (key == "secret" ? pool.secret_file : pool.device) = value;
    } else {
        return "unknown parameter " + quoted(key) +
               "; known are size, nodes, lease, keep, access, and for verbs secret and device";
    }
    return std::nullopt;
}

/// "//host:port,host:port"; the reason if it is not.
[[nodiscard]] std::optional<std::string> set_memory_nodes(pool_uri& pool, std::string_view authority) {
    constexpr std::size_t most = 64;
    if (!authority.starts_with("//")) return std::string("write verbs://HOST:PORT,HOST:PORT");
    authority.remove_prefix(2);
    for (;;) {
        auto const end = authority.find(',');
        auto const node = authority.substr(0, end);
        if (node.empty() || node.find('/') != std::string_view::npos)
            return "a memory node is HOST or HOST:PORT, not " + quoted(node);
        pool.memory_nodes.emplace_back(node);
        if (end == std::string_view::npos) break;
        authority.remove_prefix(end + 1);
    }
    if (pool.memory_nodes.size() > most) return std::string("a pool has at most 64 memory nodes");
    return std::nullopt;
}

} // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, unsigned>, 10> units{{{"TiB", 40},
                                                                           {"GiB", 30},
                                                                           {"MiB", 20},
                                                                           {"KiB", 10},
                                                                           {"T", 40},
                                                                           {"G", 30},
                                                                           {"M", 20},
                                                                           {"K", 10},
                                                                           {"B", 0},
                                                                           {"", 0}}};
    for (auto const& [suffix, shift] : units) {
        if (!text.ends_with(suffix)) continue;
        auto const number = parse_number<double>(text.substr(0, text.size() - suffix.size()));
        if (!number || !(*number >= 0)) return std::nullopt;
        auto const bytes = std::ldexp(*number, static_cast<int>(shift));
        if (bytes >= std::ldexp(1.0, 63) || bytes != std::floor(bytes)) return std::nullopt;
        return static_cast<std::uint64_t>(bytes);
    }
    return std::nullopt;
}

setup_result<pool_uri> parse_pool_uri(std::string_view uri) {
    pool_uri pool;
    auto const colon = uri.find(':');
    if (colon == std::string_view::npos)
        return wrong(uri, "it has no scheme; write local:?size=1GiB, shm:NAME?size=1GiB or verbs://HOST:PORT");
    pool.scheme = uri.substr(0, colon);
    if (pool.scheme != "local" && pool.scheme != "shm" && pool.scheme != "verbs")
        return wrong(uri, "unknown scheme " + quoted(pool.scheme) + "; known are local, shm and verbs");
    auto rest = uri.substr(colon + 1);
    auto const question = rest.find('?');
    if (pool.scheme == "verbs") {
        if (auto const why = set_memory_nodes(pool, rest.substr(0, question))) return wrong(uri, *why);
    } else {
        pool.name = rest.substr(0, question);
    }
    if (pool.scheme == "local" && !pool.name.empty())
        return wrong(uri, "a local pool has no name; write local:?size=1GiB");
    if (pool.scheme == "shm" && pool.name.empty()) return wrong(uri, "a shm pool needs a name: shm:NAME?size=1GiB");
    rest = question == std::string_view::npos ? std::string_view{} : rest.substr(question + 1);
    while (!rest.empty()) {
        auto const end = rest.find('&');
        auto const parameter = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
        auto const equals = parameter.find('=');
        if (equals == std::string_view::npos) return wrong(uri, quoted(parameter) + " is not of the form key=value");
        if (auto const why = set_parameter(pool, parameter.substr(0, equals), parameter.substr(equals + 1)))
            return wrong(uri, *why);
    }
    if (pool.scheme == "verbs" && pool.nodes != 0 && pool.nodes != pool.memory_nodes.size())
        return wrong(uri, "nodes=" + std::to_string(pool.nodes) + ", but it names " +
                              std::to_string(pool.memory_nodes.size()));
    return pool;
}

} // namespace catena
