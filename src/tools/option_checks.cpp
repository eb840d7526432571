// SPDX-License-Identifier: Apache-2.0
#include "tools/option_checks.hpp"

#include <limits>

#include <catena/version.hpp>
#include <fmt/format.h>

#include "tools/output.hpp"
#include "tools/units.hpp"

namespace catena::tools {
namespace {

// CLI11 would say that a command is missing.
std::optional<std::string> unknown_command(CLI::App const& app, int argc, char const* const* argv) {
    if (argc < 2 || argv[1][0] == '-') return std::nullopt;
    std::vector<std::string_view> known;
    auto const commands = app.get_subcommands([](CLI::App const*) { return true; });
    for (auto const* each : commands) {
        if (each->get_name() == argv[1]) return std::nullopt;
        known.push_back(each->get_name());
    }
    return fmt::format("there is no command \"{}\"; there are: {}", argv[1], joined(known));
}

} // namespace

std::string joined(std::vector<std::string_view> const& words) { return fmt::format("{}", fmt::join(words, ", ")); }

CLI::Validator one_of(std::vector<std::string_view> const& words, std::string const& what) {
    return CLI::Validator(
        [words, what](std::string const& text) {
            for (auto const word : words)
                if (word == text) return std::string{};
            return fmt::format("there is no {} \"{}\"; there are: {}", what, text, joined(words));
        },
        "");
}

CLI::Validator whole_number(std::uint64_t least, std::uint64_t most) {
    return CLI::Validator(
        [least, most](std::string const& text) {
            std::uint64_t value = 0;
            if (!text.starts_with('-') && CLI::detail::lexical_cast(text, value) && value >= least && value <= most)
                return std::string{};
            return most == std::numeric_limits<std::uint64_t>::max()
                       ? fmt::format("\"{}\" is not a number from {} on", text, least)
                       : fmt::format("\"{}\" is not a number from {} to {}", text, least, most);
        },
        "");
}

CLI::Validator a_size() {
    return CLI::Validator(
        [](std::string const& text) {
            if (parse_size(text)) return std::string{};
            return fmt::format("\"{}\" is not a size such as 64MiB", text);
        },
        "");
}

std::optional<exit_code> parse_commands(CLI::App& app, int argc, char const* const* argv) {
    app.set_help_flag("-h,--help", "This text");
    app.set_version_flag("--version", fmt::format("{} {}", app.get_name(), version_string), "The version");
    app.failure_message([](CLI::App const* failed, CLI::Error const& mistake) {
        auto const chosen = failed->get_subcommands();
        auto const who = chosen.empty() ? failed->get_name() : failed->get_name() + " " + chosen.front()->get_name();
        return fmt::format("{}: {}\n{} --help says what is possible\n", failed->get_name(), mistake.what(), who);
    });
    if (auto const why = unknown_command(app, argc, argv)) {
        complainer{app.get_name()}("{}", *why);
        return exit_usage;
    }
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& stop) {
        return app.exit(stop) == 0 ? exit_ok : exit_usage;
    }
    return std::nullopt;
}

} // namespace catena::tools
