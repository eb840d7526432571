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
        if (pool.scheme != "shm") return std::string("keep is for shm pools only: a local pool ends with its process");
        if (value != "yes" && value != "no") return bad("yes or no");
        pool.keep = value == "yes";
    } else {
        return "unknown parameter " + quoted(key) + "; known are size, nodes, lease and keep";
    }
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
        return wrong(uri, "it has no scheme; write local:?size=1GiB or shm:NAME?size=1GiB");
    pool.scheme = uri.substr(0, colon);
    if (pool.scheme == "verbs")
        return setup_error(errc::unsupported, "pool URI " + quoted(uri) + ": this build has no verbs fabric");
    if (pool.scheme != "local" && pool.scheme != "shm")
        return wrong(uri, "unknown scheme " + quoted(pool.scheme) + "; known are local and shm");
    auto rest = uri.substr(colon + 1);
    auto const question = rest.find('?');
    pool.name = rest.substr(0, question);
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
    return pool;
}

} // namespace catena
