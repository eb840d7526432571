// SPDX-License-Identifier: Apache-2.0
// option_checks: what the programs say about an option's value that cannot be, or a command.
// Thread safety: none needed; call from one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "tools/exit_code.hpp"

namespace catena::tools {

[[nodiscard]] std::string joined(std::vector<std::string_view> const& words);

/// One of the words; `what` they are, for the message.
[[nodiscard]] CLI::Validator one_of(std::vector<std::string_view> const& words, std::string const& what);

/// A whole number from `least` to `most`.
[[nodiscard]] CLI::Validator whole_number(std::uint64_t least, std::uint64_t most);
[[nodiscard]] inline CLI::Validator at_least_one(std::uint64_t most) { return whole_number(1, most); }

/// A size as parse_size reads it.
[[nodiscard]] CLI::Validator a_size();

/// Reads the command line of a program with commands, the subcommands of `app`; adds --help and --version of the program. An exit
/// code: the program is to end here (help, version, a mistake), all is said.
[[nodiscard]] std::optional<exit_code> parse_commands(CLI::App& app, int argc, char const* const* argv);

} // namespace catena::tools
