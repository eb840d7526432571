// SPDX-License-Identifier: Apache-2.0
#include "tools/pool_members.hpp"

#include <algorithm>
#include <thread>

#include <catena/pool/member_record.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/pool_facts.hpp"
#include "tools/table_lines.hpp"
#include "tools/units.hpp"

namespace catena::tools {
namespace {

using member_table = std::vector<member_record>;

task<result<void>> read_table(any_pool::session_type& s, member_table& to) {
    op read = op::read(member_at(0), to.data(), to.size() * sizeof(member_record));
    co_return co_await s.submit(read);
}

std::string silent_slots(pool_members const& all) {
    constexpr std::size_t most = 10;
    std::vector<std::uint32_t> slots;
    for (auto const& each : all.members)
        if (!each.renewed) slots.push_back(each.slot);
    auto const rest = slots.size() > most ? fmt::format(" and {} more", slots.size() - most) : std::string();
    slots.resize(std::min(most, slots.size()));
    return fmt::format("{}{}", fmt::join(slots, ", "), rest);
}

} // namespace

std::uint64_t pool_members::renewed() const noexcept {
    return static_cast<std::uint64_t>(std::count_if(members.begin(), members.end(), [](auto& m) { return m.renewed; }));
}

result<pool_members> watch_members(any_pool::session_type& s, std::chrono::milliseconds how_long) {
    member_table before(member_slots);
    if (auto const r = sync_wait(s, read_table(s, before)); !r) return r.error();
    auto after = before;
    bool const anybody = std::any_of(before.begin(), before.end(), [](auto const& each) { return each.joined(); });
    if (how_long.count() != 0 && anybody) {
        std::this_thread::sleep_for(how_long);
        if (auto const r = sync_wait(s, read_table(s, after)); !r) return r.error();
    }
    pool_members all{.members = {}, .watched = how_long};
    for (std::uint32_t slot = 0; slot < member_slots; ++slot) {
        auto const& now = after[slot];
        if (now.joined())
            all.members.push_back(
                {.slot = slot, .incarnation = now.incarnation(), .client = now.client, .renewed = now != before[slot]});
    }
    return all;
}

std::string to_table(pool_members const& all) {
    auto const taken = fmt::format("{} of {} slots taken", with_thousands(std::uint64_t{all.members.size()}),
                                   with_thousands(std::uint64_t{member_slots}));
    if (all.members.empty() || all.watched.count() == 0) return line("members", taken);
    auto const silent = all.members.size() - all.renewed();
    auto text = line("members", fmt::format("{}; {} renewed {} within {} ms", taken, with_thousands(all.renewed()),
                                            all.renewed() == 1 ? "its lease" : "their leases",
                                            with_thousands(static_cast<std::uint64_t>(all.watched.count()))));
    if (silent != 0)
        text += line("", fmt::format("silent: {}, in slot {} (see catena-pool info --help)",
                                     with_thousands(std::uint64_t{silent}), silent_slots(all)));
    return text;
}

void add_to_json(nlohmann::ordered_json& json, pool_members const& all) {
    json["member_slots"] = member_slots;
    json["members_joined"] = all.members.size();
    json["members_renewed"] = all.renewed();
    json["watched_ms"] = all.watched.count();
    auto& list = json["members"] = nlohmann::ordered_json::array();
    for (auto const& each : all.members)
        list.push_back({{"slot", each.slot},
                        {"incarnation", each.incarnation},
                        {"client", hex(each.client)},
                        {"renewed", each.renewed}});
}

} // namespace catena::tools
