// SPDX-License-Identifier: Apache-2.0
#include "tools/pool_options.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/option_checks.hpp"
#include "tools/output.hpp"
#include "tools/pool_help.hpp"

namespace catena::tools {
namespace {

constexpr std::uint64_t longest_watch_ms = 3'600'000;

// What the subcommands have in common. The options write to `s`.
CLI::App* add_command(CLI::App& app, pool_settings& s, pool_command which, pool_help const& help) {
    auto* const command = app.add_subcommand(std::string(help.name), std::string(help.description));
    command->footer(std::string(help.footer));
    command->parse_complete_callback([&s, which] { s.command = which; });
    command->add_option("URI", s.uri, "Which pool: shm:NAME or verbs://HOST:PORT,HOST:PORT")
        ->option_text(" ")
        ->required();
    return command;
}

void add_output(CLI::App& command, pool_settings& s, bool& no_progress, bool with_progress) {
    command.option_defaults()->group("Output");
    command
        .add_option("--json", s.json,
                    "Write the result as JSON too; - is standard output,\nthe table then goes to standard error")
        ->option_text("FILE");
    if (with_progress)
        command.add_flag("--no-progress", no_progress, "No progress line (there is one on a terminal only)");
    command.set_help_flag("-h,--help", "This text")->group("Output");
}

// Why this cannot be done to that pool, whatever is on it; nothing if it may be tried.
std::optional<std::string> objection(pool_settings const& s) {
    auto const& pool = s.pool;
    bool const creates = s.command == pool_command::create;
    if (pool.scheme == "local")
        return "a local pool lives inside the process that made it: no other one can reach it. "
               "Take shm:NAME or verbs://HOST:PORT";
    if (pool.read_only && (creates || s.command == pool_command::drop))
        return fmt::format("{} writes to the pool, and access=read forbids that: leave it out",
                           creates ? "create" : "drop");
    if (creates && pool.scheme == "shm" && !pool.keep)
        return fmt::format("without keep=yes the segment would be gone with this program: {}{}keep=yes", s.uri,
                           s.uri.find('?') == std::string::npos ? '?' : '&');
    if (s.command == pool_command::drop && s.all == !s.index.empty())
        return std::string("say what to drop: --index NAME, or --all for the whole pool");
    return std::nullopt;
}

} // namespace

result<pool_settings, exit_code> parse_pool_arguments(int argc, char const* const* argv) {
    CLI::App app(std::string(program_help.description), std::string(pool_program));
    app.footer(std::string(program_help.footer));
    app.get_formatter()->column_width(32);
    app.get_formatter()->label("SUBCOMMAND", "COMMAND");
    app.require_subcommand(1);
    pool_settings s;
    bool no_progress = false;
    std::optional<std::uint64_t> watch_ms;

    add_output(*add_command(app, s, pool_command::create, create_help), s, no_progress, false);

    auto* const info = add_command(app, s, pool_command::info, info_help);
    info->add_option("--watch", watch_ms,
                     "How long to watch the members; 0: not at all\n(default: the pool's lease, 10000 at most)")
        ->option_text("MS")
        ->check(whole_number(0, longest_watch_ms));
    add_output(*info, s, no_progress, false);

    add_output(*add_command(app, s, pool_command::list, list_help), s, no_progress, false);

    auto* const check = add_command(app, s, pool_command::check, check_help);
    check->add_option("--index", s.index, "Only the index of that name")->option_text("NAME");
    add_output(*check, s, no_progress, true);

    auto* const drop = add_command(app, s, pool_command::drop, drop_help);
    drop->add_option("--index", s.index, "Drop the index of that name")->option_text("NAME");
    drop->add_flag("--all", s.all, "Remove the whole pool");
    drop->add_flag("--yes", s.yes, "Do not ask");
    add_output(*drop, s, no_progress, true);

    if (auto const stop = parse_commands(app, argc, argv)) return *stop;
    constexpr complainer complain{pool_program};
    s.progress = !no_progress;
    if (watch_ms) s.watch_for = std::chrono::milliseconds(*watch_ms);

    auto parsed = parse_pool_uri(s.uri);
    if (!parsed) {
        complain("{}", parsed.error().message);
        return exit_usage;
    }
    s.pool = std::move(*parsed);
    if (auto const why = objection(s)) {
        complain("{}: {}", s.uri, *why);
        return exit_usage;
    }
    if (!is_place_for_file(s.json)) {
        complain("--json {}: not a place for a file", s.json);
        return exit_usage;
    }
    return s;
}

} // namespace catena::tools
