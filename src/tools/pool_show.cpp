// SPDX-License-Identifier: Apache-2.0
// The commands that only look: info and list.
#include <algorithm>
#include <chrono>

#include <nlohmann/json.hpp>

#include "tools/pool_access.hpp"
#include "tools/pool_commands.hpp"
#include "tools/pool_facts.hpp"
#include "tools/pool_members.hpp"
#include "tools/table_lines.hpp"

namespace catena::tools {

exit_code show_pool(pool_settings const& s, complainer complain) {
    using namespace std::chrono_literals;
    auto view = look_at_pool(s, complain);
    if (!view) return view.error();
    auto const facts = facts_of(s.uri, view->access);
    if (!facts) return complain_of(s, facts.error(), complain);
    auto const lease = std::chrono::milliseconds(facts->geometry.lease_ms);
    auto const members = watch_members(view->access.session, s.watch_for.value_or(std::min(lease, 10'000ms)));
    if (!members) return complain_of(s, members.error(), complain);

    auto const table = line(complain.program, s.uri) + to_table(*facts) + to_table(*members) + '\n' +
                       to_table(std::span<catalog_listing const>(view->catalog));
    auto json = to_json(*facts);
    add_to_json(json, *members);
    json["indexes"] = to_json(std::span<catalog_listing const>(view->catalog));
    return print_result(complain.program, s.json, table, json) ? exit_ok : exit_failed;
}

exit_code list_pool(pool_settings const& s, complainer complain) {
    auto const view = look_at_pool(s, complain);
    if (!view) return view.error();
    std::span<catalog_listing const> const catalog(view->catalog);
    nlohmann::ordered_json const json{{"uri", s.uri}, {"indexes", to_json(catalog)}};
    return print_result(complain.program, s.json, to_table(catalog), json) ? exit_ok : exit_failed;
}

} // namespace catena::tools
