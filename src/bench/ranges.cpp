// SPDX-License-Identifier: Apache-2.0
#include "bench/ranges.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string_view>

#include <catena/core/hash.hpp>
#include <catena/fabric/local_fabric.hpp>
#include <catena/index/chime_tree.hpp>
#include <catena/index/sherman_tree.hpp>
#include <catena/pool/memory_pool.hpp>
#include <catena/version.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/units.hpp"

namespace catena::bench {
namespace {

using keys_type = std::vector<std::uint64_t>;
using session_type = memory_pool<local_fabric>::session_type;

// Keys that follow each other, from the first on.
std::size_t stretch_of(std::span<std::uint64_t const> keys) {
    std::size_t n = 1;
    while (n < keys.size() && keys[n] == keys[n - 1] + 1) ++n;
    return n;
}

// One index through the whole trace.
template <typename Index>
class run {
public:
    run(session_type& s, Index& index, lookup how) : s_(s), index_(index), how_(how) {}

    // Blocks of the prompt that are there; the others are there afterwards.
    result<std::size_t> serve(std::span<std::uint64_t const> keys, range_row& row) {
        auto const before = s_.stats();
        auto const hit = look_up(keys);
        if (!hit) return hit;
        auto const after = s_.stats();
        row.round_trips += static_cast<double>(after.round_trips - before.round_trips);
        row.verbs += static_cast<double>(after.verbs() - before.verbs());
        row.bytes_read += static_cast<double>(after.bytes_read - before.bytes_read);
        changes_.clear();
        for (auto const key : keys.subspan(*hit))
            changes_.push_back({.key = key, .value = key, .kind = mutation_kind::insert});
        std::sort(changes_.begin(), changes_.end(), [](auto const& a, auto const& b) { return a.key < b.key; });
        if (auto const r = sync_wait(s_, index_.apply(s_, changes_)); !r) return r.error();
        return hit;
    }

private:
    result<std::size_t> look_up(std::span<std::uint64_t const> keys) {
        switch (how_) {
        case lookup::one_by_one: return one_by_one(keys);
        case lookup::batched: return batched(keys);
        case lookup::ranges: return by_ranges(keys);
        }
        return std::size_t{0};
    }
    result<std::size_t> one_by_one(std::span<std::uint64_t const> keys) {
        std::size_t hit = 0;
        for (; hit < keys.size(); ++hit) {
            auto const found = sync_wait(s_, index_.find(s_, keys[hit]));
            if (!found) return found.error();
            if (!*found) break;
        }
        return hit;
    }
    result<std::size_t> batched(std::span<std::uint64_t const> keys) {
        found_.assign(keys.size(), std::nullopt);
        if (auto const r = sync_wait(s_, index_.find_many(s_, keys, std::span(found_))); !r) return r.error();
        std::size_t hit = 0;
        while (hit < keys.size() && found_[hit]) ++hit;
        return hit;
    }
    result<std::size_t> by_ranges(std::span<std::uint64_t const> keys) {
        std::size_t hit = 0;
        while (hit < keys.size()) {
            auto const rest = keys.subspan(hit);
            auto const n = stretch_of(rest);
            entries_.resize(n);
            auto const count =
                sync_wait(s_, index_.scan(s_, scan_range<std::uint64_t>{.from = rest[0], .to = rest[0] + n},
                                          std::span(entries_)));
            if (!count) return count.error();
            std::size_t there = 0;
            while (there < *count && entries_[there].key == rest[there]) ++there;
            hit += there;
            if (there < n) break;
        }
        return hit;
    }

    session_type& s_;
    Index& index_;
    lookup how_;
    std::vector<mutation<std::uint64_t, std::uint64_t>> changes_;
    std::vector<std::optional<std::uint64_t>> found_;
    std::vector<entry<std::uint64_t, std::uint64_t>> entries_;
};

template <typename Index>
result<void, std::string> add_rows(std::string_view name, tools::trace const& trace, std::atomic<bool> const& stop,
                                   std::vector<range_row>& rows) {
    constexpr std::uint64_t pool_bytes = std::uint64_t{4} << 30U; // memory that nobody touches costs nothing
    constexpr std::size_t cache_bytes = std::size_t{256} << 20U;
    keys_type keys;
    for (bool const numbered : {true, false})
        for (auto const how : {lookup::one_by_one, lookup::batched, lookup::ranges}) {
            auto fabric = local_fabric::create(pool_bytes, 1);
            if (!fabric) return fabric.error().message;
            auto pool = memory_pool<local_fabric>::create(*fabric);
            if (!pool) return pool.error().message;
            auto session = pool->open_session();
            if (!session) return session.error().message;
            auto index = Index::create(*session, "blocks", cache_bytes);
            if (!index) return index.error().message;
            run<Index> one(*session, *index, how);
            range_row row{.index = std::string(name), .numbered = numbered, .how = how};
            for (auto const& r : trace.requests) {
                if (stop.load(std::memory_order_relaxed)) return {};
                auto const ids = trace.ids_of(r);
                keys.clear();
                for (auto const id : ids) keys.push_back(numbered ? id + 1 : mix64(id + 1));
                if (keys.empty()) continue;
                auto const hit = one.serve(keys, row);
                if (!hit) return fmt::format("the request of line {}: {}", r.line, describe(hit.error().code));
                row.hit_blocks += *hit;
                ++row.requests;
            }
            for (auto* const sum : {&row.round_trips, &row.verbs, &row.bytes_read})
                *sum /= static_cast<double>(std::max<std::uint64_t>(row.requests, 1));
            rows.push_back(row);
        }
    return {};
}

std::string_view name(lookup how) {
    static constexpr std::array names{"one by one", "batched", "ranges"};
    return names[static_cast<std::size_t>(how)];
}

} // namespace

result<std::vector<range_row>, std::string> run_ranges(tools::trace const& trace, std::atomic<bool> const& stop) {
    std::vector<range_row> rows;
    if (auto const r = add_rows<sherman_tree<std::uint64_t, std::uint64_t>>("sherman", trace, stop, rows); !r)
        return r.error();
    if (auto const r = add_rows<chime_tree<std::uint64_t, std::uint64_t>>("chime", trace, stop, rows); !r)
        return r.error();
    return rows;
}

std::string to_table(std::vector<range_row> const& rows, tools::trace const& trace) {
    auto text = fmt::format("catena-bench ranges  {}: {} requests\n\n", tools::shortened(trace.name, 60),
                            tools::with_thousands(trace.requests.size()));
    constexpr auto pattern = "{:<9}{:<11}{:<12}{:>13}{:>13}{:>13}\n";
    text += fmt::format(pattern, "index", "keys", "looked up", "round trips", "verbs", "bytes read");
    for (auto const& r : rows)
        text += fmt::format(pattern, r.index, r.numbered ? "numbered" : "scattered", name(r.how),
                            tools::with_thousands(r.round_trips, 2), tools::with_thousands(r.verbs, 1),
                            tools::with_thousands(r.bytes_read, 0));
    return text + "\nMeans of all requests, of what finds the leading blocks that are there.\n";
}

nlohmann::ordered_json to_json(std::vector<range_row> const& rows, tools::trace const& trace) {
    auto list = nlohmann::ordered_json::array();
    for (auto const& r : rows)
        list.push_back({{"index", r.index},
                        {"keys", r.numbered ? "numbered" : "scattered"},
                        {"lookup", name(r.how)},
                        {"requests", r.requests},
                        {"hit_blocks", r.hit_blocks},
                        {"round_trips", r.round_trips},
                        {"verbs", r.verbs},
                        {"bytes_read", r.bytes_read}});
    return {{"program", "catena-bench ranges"}, {"version", version_string}, {"trace", trace.name}, {"rows", list}};
}

} // namespace catena::bench
