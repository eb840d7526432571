// SPDX-License-Identifier: Apache-2.0
// drop: an index, or the whole pool. Who is asked first is no member of the pool yet: nobody waits for his lease.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <catena/pool/wipe.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "client/known_index.hpp"
#include "tools/pool_access.hpp"
#include "tools/pool_commands.hpp"
#include "tools/pool_confirm.hpp"
#include "tools/pool_facts.hpp"
#include "tools/pool_members.hpp"
#include "tools/progress.hpp"
#include "tools/progress_ticker.hpp"
#include "tools/table_lines.hpp"
#include "tools/units.hpp"

namespace catena::tools {
namespace {

// What is lost with it, as far as it can be found out.
std::string what_is_there(pool_settings const& s) {
    auto pool = open_pool(s, access_kind::read);
    if (!pool) return fmt::format("it cannot be opened ({}), and is removed as it is", pool.error().message);
    auto& session = pool->session;
    auto const catalog = sync_wait(session, list_indexes(session));
    auto const members = watch_members(session, {});
    auto text = std::string("this removes the whole pool");
    if (catalog && !catalog->empty()) text += fmt::format(", with {}", indexes_in_words(*catalog));
    if (members && !members->members.empty())
        text += fmt::format(", and shuts {} out", plural(members->members.size(), "member"));
    return text;
}

setup_result<wipe_report> wipe_with_progress(pool_settings const& s, any_fabric& fabric) {
    progress_bar bar(stderr, s.progress && is_terminal(stderr), "zeroing");
    auto const begin = std::chrono::steady_clock::now();
    return wipe_pool(fabric, [&](std::uint64_t done, std::uint64_t of) {
        std::chrono::duration<double> const passed = std::chrono::steady_clock::now() - begin;
        bar.show(work_state{.share = static_cast<double>(done) / static_cast<double>(of),
                            .amount = fmt::format("{} of {}", human_size(done), human_size(of)),
                            .seconds = passed.count(),
                            .more = {}});
    });
}

} // namespace

exit_code drop_one_index(pool_settings const& s, complainer complain) {
    std::optional<known_index> known;
    {
        auto const view = look_at_pool(s, complain);
        if (!view) return view.error();
        auto const* const named = find_named(s, view->catalog, complain);
        if (named == nullptr) return exit_failed;
        auto const recognised = recognise(view->catalog, *named);
        if (!recognised) {
            complain("{}: index '{}': {}. Drop it with the program that made it", s.uri, s.index, recognised.error());
            return exit_failed;
        }
        known = *recognised;
    }
    auto const what = fmt::format("this drops the index '{}', and all that is in it", s.index);
    if (auto const stop = ask_before(s, what, s.index, complain)) return *stop;
    auto access = open_pool(s, access_kind::write);
    if (!access) return complain_of(s, access.error(), complain);
    auto const dropped = [&] {
        progress_ticker const ticker(stderr, s.progress && is_terminal(stderr), fmt::format("dropping {}", s.index));
        return known->calls().drop(access->session, s.index);
    }();
    if (!dropped) {
        complain("{}: index '{}': {}", s.uri, s.index, dropped.error().message);
        complain("it may be dropped in part; the same command goes on with that");
        return exit_failed;
    }
    nlohmann::ordered_json const json{{"uri", s.uri}, {"dropped", s.index}};
    return print_result(complain.program, s.json, line("dropped", s.index), json) ? exit_ok : exit_failed;
}

exit_code drop_whole_pool(pool_settings const& s, complainer complain) {
    if (!s.yes)
        if (auto const stop = ask_before(s, what_is_there(s), "drop", complain)) return *stop;
    wipe_report report;
    std::uint64_t nodes = 0;
    {
        auto reached = reach_nodes(s, access_kind::write);
        if (!reached) return complain_of(s, reached.error(), complain);
        nodes = reached->fabric.node_count();
        auto const done = wipe_with_progress(s, reached->fabric);
        if (!done) return complain_of(s, done.error(), complain);
        report = *done;
    }
    auto text = line("removed", s.uri);
    text += line("memory", fmt::format("{} of {} are zero", human_size(report.bytes), plural(nodes, "memory node")));
    text += line("members", fmt::format("{} shut out", with_thousands(std::uint64_t{report.members_fenced})));
    auto const segment = "/dev/shm/catena." + s.pool.name;
    if (s.pool.scheme == "shm" && std::filesystem::exists(segment))
        text += line("segment", segment) + line("", "stays for another pool; remove the file to give its memory back");
    nlohmann::ordered_json const json{
        {"uri", s.uri}, {"memory_nodes", nodes}, {"bytes", report.bytes}, {"members_shut_out", report.members_fenced}};
    return print_result(complain.program, s.json, text, json) ? exit_ok : exit_failed;
}

} // namespace catena::tools
