// SPDX-License-Identifier: Apache-2.0
// common_options: what every program is told in the same words: which trace, how to look it up, where the result goes.
// Thread safety: none needed; call from one thread.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "tools/common_settings.hpp"

namespace catena::tools {

inline constexpr std::uint64_t any_number = std::numeric_limits<std::uint64_t>::max();

/// Adds options to a command line, in groups, and reads it. Both must outlive this object.
class common_options {
public:
    /// Sets the defaults of `s`.
    common_options(CLI::App& app, common_settings& s);
    common_options(common_options const&) = delete;
    common_options& operator=(common_options const&) = delete;

    /// TRACE and how it is cut; returns TRACE.
    CLI::Option* add_trace();
    /// --requests and --seed, which are of a generated trace alone: `file` is what add_trace returned. (catena-sim has its own.)
    void add_generated(CLI::Option* file);
    /// --strategy and --client-cache
    void add_lookup();
    /// --json, --no-progress, --help, --version
    void add_output();
    /// Reads the command line. An exit code: the program is to end here (help, version, a mistake), all is said.
    [[nodiscard]] std::optional<exit_code> parse(int argc, char const* const* argv);

private:
    CLI::App& app_;
    common_settings& s_;
    std::string strategy_;
    std::string cache_;
    bool no_progress_ = false;
};

} // namespace catena::tools
