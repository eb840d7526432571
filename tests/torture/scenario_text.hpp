// SPDX-License-Identifier: Apache-2.0
// scenario_text: faults and switches as words of a command line, and back.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <torture/scenario.hpp>

namespace catena::torture {

inline constexpr std::array<std::string_view, 5> fault_names{"die", "stall", "stall-thread", "vanish", "return-empty"};

/// "die:1@20,stall:2@31+500": fault, host or memory node, at which step, for how many microseconds.
[[nodiscard]] inline std::string to_text(std::vector<sim_fault> const& faults) {
    std::string text;
    for (auto const& f : faults) {
        if (!text.empty()) text += ',';
        text += fault_names.at(static_cast<std::size_t>(f.what));
        text += ':' + std::to_string(f.who) + '@' + std::to_string(f.at);
        if (f.how_long.count() > 0) text += '+' + std::to_string(f.how_long.count() / 1000);
    }
    return text;
}

/// "12:1,40:0": at step 12 actor 1 goes on, at step 40 actor 0.
[[nodiscard]] inline std::string to_text(std::vector<sim_switch> const& switches) {
    std::string text;
    for (auto const& s : switches) {
        if (!text.empty()) text += ',';
        text += std::to_string(s.step) + ':' + std::to_string(s.actor);
    }
    return text;
}

namespace detail {

/// Takes a number off the front of `text`.
[[nodiscard]] inline std::uint64_t number(std::string_view& text, std::string_view whole) {
    std::uint64_t n = 0;
    auto const r = std::from_chars(text.data(), text.data() + text.size(), n);
    if (r.ec != std::errc{}) throw std::invalid_argument("a number is missing in '" + std::string(whole) + "'");
    text.remove_prefix(static_cast<std::size_t>(r.ptr - text.data()));
    return n;
}
inline void separator(std::string_view& text, char c, std::string_view whole) {
    if (text.empty() || text.front() != c)
        throw std::invalid_argument(std::string("expected '") + c + "' in '" + std::string(whole) + "'");
    text.remove_prefix(1);
}
[[nodiscard]] inline std::vector<std::string_view> parts(std::string_view text) {
    std::vector<std::string_view> found;
    while (!text.empty()) {
        auto const comma = text.find(',');
        found.push_back(text.substr(0, comma));
        text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    }
    return found;
}

} // namespace detail

/// Throws std::invalid_argument with words that say what is wrong.
[[nodiscard]] inline std::vector<sim_fault> faults_from(std::string_view text) {
    std::vector<sim_fault> faults;
    for (auto part : detail::parts(text)) {
        auto const whole = part;
        sim_fault f;
        auto const colon = part.find(':');
        std::size_t kind = 0;
        while (kind < fault_names.size() && fault_names[kind] != part.substr(0, colon)) ++kind;
        if (kind == fault_names.size() || colon == std::string_view::npos)
            throw std::invalid_argument("there is no fault '" + std::string(whole) + "'");
        f.what = static_cast<sim_fault::kind>(kind);
        part.remove_prefix(colon + 1);
        f.who = static_cast<std::uint32_t>(detail::number(part, whole));
        detail::separator(part, '@', whole);
        f.at = detail::number(part, whole);
        if (!part.empty()) {
            detail::separator(part, '+', whole);
            f.how_long = std::chrono::microseconds(detail::number(part, whole));
        }
        faults.push_back(f);
    }
    return faults;
}

[[nodiscard]] inline std::vector<sim_switch> switches_from(std::string_view text) {
    std::vector<sim_switch> switches;
    for (auto part : detail::parts(text)) {
        auto const whole = part;
        sim_switch s;
        s.step = detail::number(part, whole);
        detail::separator(part, ':', whole);
        s.actor = static_cast<std::uint32_t>(detail::number(part, whole));
        switches.push_back(s);
    }
    return switches;
}

} // namespace catena::torture
