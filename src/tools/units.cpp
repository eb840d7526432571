// SPDX-License-Identifier: Apache-2.0
#include "tools/units.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace catena::tools {
namespace {

constexpr std::array<std::string_view, 5> unit_names{"B", "KiB", "MiB", "GiB", "TiB"};

// The power of 1024 that a unit stands for.
std::optional<unsigned> unit_power(std::string_view unit) {
    if (unit.empty() || unit == "B" || unit == "b") return 0;
    constexpr std::string_view letters = "KMGT";
    auto const letter = static_cast<char>(unit.front() >= 'a' ? unit.front() - 'a' + 'A' : unit.front());
    auto const at = letters.find(letter);
    if (at == std::string_view::npos) return std::nullopt;
    unit.remove_prefix(1);
    if (!unit.empty() && (unit.front() == 'i' || unit.front() == 'I')) {
        unit.remove_prefix(1);
        if (unit.empty()) return std::nullopt; // "Mi" is nobody's unit
    }
    if (!unit.empty() && unit != "B" && unit != "b") return std::nullopt;
    return static_cast<unsigned>(at) + 1;
}

std::string grouped(std::string digits) {
    for (auto at = digits.size(); at > 3;) {
        at -= 3;
        digits.insert(at, 1, ',');
    }
    return digits;
}

} // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
    auto const digits_end = text.find_first_not_of("0123456789.");
    auto const digits = text.substr(0, digits_end);
    auto unit = digits_end == std::string_view::npos ? std::string_view{} : text.substr(digits_end);
    if (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
    auto const power = unit_power(unit);
    if (digits.empty() || !power) return std::nullopt;

    std::uint64_t const scale = std::uint64_t{1} << 10U * *power;
    std::uint64_t whole = 0;
    auto const* const end = digits.data() + digits.size();
    if (auto const [at, failed] = std::from_chars(digits.data(), end, whole); failed == std::errc{} && at == end) {
        if (whole > std::numeric_limits<std::uint64_t>::max() / scale) return std::nullopt;
        return whole * scale;
    }
    double fraction = 0;
    if (auto const [at, failed] = std::from_chars(digits.data(), end, fraction); failed != std::errc{} || at != end)
        return std::nullopt;
    fraction *= static_cast<double>(scale);
    if (!(fraction < 18e18)) return std::nullopt;
    return static_cast<std::uint64_t>(fraction);
}

std::string exact_size(std::uint64_t bytes) {
    std::size_t unit = 0;
    while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < unit_names.size()) {
        bytes /= 1024;
        ++unit;
    }
    return unit == 0 ? std::to_string(bytes) : fmt::format("{}{}", bytes, unit_names[unit]);
}

std::string human_size(std::uint64_t bytes) {
    if (bytes < 10'000) return with_thousands(bytes) + " B";
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 999.5 && unit + 1 < unit_names.size()) {
        value /= 1024;
        ++unit;
    }
    auto const decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    return fmt::format("{} {}", with_thousands(value, decimals), unit_names[unit]);
}

std::string with_thousands(std::uint64_t number) { return grouped(std::to_string(number)); }

std::string with_thousands(double number, int decimals) {
    if (!std::isfinite(number)) return "-";
    auto const text = fmt::format("{:.{}f}", std::abs(number), decimals);
    auto const point = text.find('.');
    auto out = grouped(text.substr(0, point));
    if (point != std::string::npos) out += text.substr(point);
    return number < 0 ? '-' + out : out;
}

std::string shortened(std::string_view text, std::size_t width) {
    constexpr std::string_view gap = "...";
    if (text.size() <= width) return std::string(text);
    if (width <= gap.size()) return std::string(text.substr(0, width));
    auto const head = (width - gap.size()) / 2;
    auto const tail = width - gap.size() - head;
    return fmt::format("{}{}{}", text.substr(0, head), gap, text.substr(text.size() - tail));
}

} // namespace catena::tools
