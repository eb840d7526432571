// SPDX-License-Identifier: Apache-2.0
// units: sizes and numbers as people write and read them.
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace catena::tools {

/// "64MiB", "64M", "1.5GiB", "4096": bytes. K, M, G and T are powers of 1024, as in a pool's URI; case and a trailing
/// "B" or "iB" do not matter. Nothing if the text is anything else, negative, or does not fit.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

/// A whole number of the largest unit that divides it, so that parse_size gives the same back: 1GiB, 1536MiB, 1000.
[[nodiscard]] std::string exact_size(std::uint64_t bytes);

/// Three digits that matter and a unit: "12.3 MiB". Below 10,000 bytes: "9,876 B".
[[nodiscard]] std::string human_size(std::uint64_t bytes);

/// 1234567 -> "1,234,567".
[[nodiscard]] std::string with_thousands(std::uint64_t number);

/// As with_thousands, with `decimals` digits after the point: "1,234.50".
[[nodiscard]] std::string with_thousands(double number, int decimals);

/// At most `width` characters: the middle of a longer text gives way to "...".
[[nodiscard]] std::string shortened(std::string_view text, std::size_t width);

} // namespace catena::tools
