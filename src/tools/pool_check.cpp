// SPDX-License-Identifier: Apache-2.0
// check: every index that can be, or one.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "client/known_index.hpp"
#include "tools/pool_access.hpp"
#include "tools/pool_commands.hpp"
#include "tools/pool_facts.hpp"
#include "tools/pool_members.hpp"
#include "tools/progress.hpp"
#include "tools/progress_ticker.hpp"
#include "tools/table_lines.hpp"
#include "tools/units.hpp"

namespace catena::tools {
namespace {

struct checked_index {
    std::string name;
    std::string kind;    ///< "extents over chime"
    index_report report; ///< of one that was not skipped
    bool read = false;   ///< to its end; else the violations say why not
    std::string skipped; ///< why; empty: it was checked

    [[nodiscard]] bool sound() const noexcept { return skipped.empty() && report.violations.empty(); }
};

checked_index check_one(any_pool::session_type& s, std::vector<catalog_listing> const& catalog,
                        catalog_listing const& one) {
    checked_index done{.name = std::string(one.spec.name_view()),
                       .kind = std::string(one.spec.type_view()),
                       .report = {},
                       .read = false,
                       .skipped = {}};
    if (one.phase != index_phase::ready) {
        done.skipped = "it is being dropped, or its drop was left: catena-pool drop URI --index NAME goes on with it";
        return done;
    }
    auto const known = recognise(catalog, one);
    if (!known) {
        done.skipped = known.error();
        return done;
    }
    if (known->by_extents) done.kind += fmt::format(" over {}", known->type->name);
    auto report = known->calls().inspect(s, done.name);
    if (report)
        done.report = std::move(*report);
    else
        done.report.violations = {"it cannot be read to its end: " + report.error().message};
    done.read = static_cast<bool>(report);
    return done;
}

std::string sizes_of(checked_index const& index) {
    auto const& r = index.report;
    auto const entries = r.entries == r.index_entries
                             ? plural(r.entries, "block")
                             : fmt::format("{} in {}", plural(r.entries, "block"), plural(r.index_entries, "extent"));
    return fmt::format("{}: {}; {}, height {}, {}", index.kind, entries, plural(r.nodes, "node"), r.height,
                       human_size(r.remote_bytes));
}

std::string to_table(std::vector<checked_index> const& all) {
    std::string text;
    std::uint64_t unsound = 0;
    std::uint64_t skipped = 0;
    for (auto const& each : all) {
        text += fmt::format("{}\n", each.name);
        if (!each.skipped.empty()) {
            ++skipped;
            text += fmt::format("  {}\n  SKIPPED: {}\n", each.kind, each.skipped);
            continue;
        }
        text += fmt::format("  {}\n", each.read ? sizes_of(each) : each.kind);
        auto const& violations = each.report.violations;
        if (violations.empty()) text += "  sound\n";
        if (each.report.locked != 0)
            text +=
                fmt::format("  {} locked, by clients at work or by dead ones, whose locks are taken over when needed\n",
                            plural(each.report.locked, "node"));
        if (!violations.empty()) text += fmt::format("  NOT SOUND: {}\n", plural(violations.size(), "violation"));
        for (auto const& violation : violations) text += fmt::format("    {}\n", violation);
        unsound += violations.empty() ? 0 : 1;
    }
    if (all.empty()) return "no index\n";
    if (unsound == 0 && skipped == 0)
        return text + fmt::format("\n{} checked, all sound\n", indexes_in_words(all.size()));
    return text + fmt::format("\nNOT SOUND: of {}, {} with violations, {} skipped\n", indexes_in_words(all.size()),
                              unsound, skipped);
}

nlohmann::ordered_json to_json(std::vector<checked_index> const& all) {
    auto list = nlohmann::ordered_json::array();
    for (auto const& each : all) {
        auto& json = list.emplace_back(
            nlohmann::ordered_json{{"name", each.name}, {"type", each.kind}, {"sound", each.sound()}});
        if (!each.skipped.empty()) {
            json["skipped"] = each.skipped;
            continue;
        }
        json["violations"] = each.report.violations;
        if (!each.read) continue;
        json["entries"] = each.report.entries;
        json["index_entries"] = each.report.index_entries;
        json["nodes"] = each.report.nodes;
        json["height"] = each.report.height;
        json["locked"] = each.report.locked;
        json["remote_bytes"] = each.report.remote_bytes;
    }
    return list;
}

} // namespace

exit_code check_pool(pool_settings const& s, complainer complain) {
    auto view = look_at_pool(s, complain);
    if (!view) return view.error();
    auto const& catalog = view->catalog;
    std::vector<catalog_listing const*> wanted;
    if (s.index.empty()) {
        for (auto const& each : catalog)
            if (!whole_of(catalog, each)) wanted.push_back(&each); // a part is checked with the whole
    } else if (auto const* const named = find_named(s, catalog, complain)) {
        wanted.push_back(named);
    } else {
        return exit_failed;
    }
    std::vector<checked_index> done;
    bool sound = true;
    for (auto const* each : wanted) {
        progress_ticker const ticker(
            stderr, s.progress && is_terminal(stderr),
            fmt::format("checking {} ({} of {})", each->spec.name_view(), done.size() + 1, wanted.size()));
        done.push_back(check_one(view->access.session, catalog, *each));
        sound = sound && done.back().sound();
    }
    auto const json = nlohmann::ordered_json{{"uri", s.uri}, {"sound", sound}, {"indexes", to_json(done)}};
    bool const printed = print_result(complain.program, s.json, to_table(done), json);
    if (!sound) {
        auto const members = watch_members(view->access.session, {});
        if (members && !members->members.empty())
            complain(
                "{}: the pool has {}: what they write meanwhile can look like damage. Check again when they are idle",
                s.uri, plural(members->members.size(), "member"));
    }
    return sound && printed ? exit_ok : exit_failed;
}

} // namespace catena::tools
