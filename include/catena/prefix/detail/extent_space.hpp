// SPDX-License-Identifier: Apache-2.0
// extent_space: visits every extent of an index: to check it, to learn where they are, to find those that nobody can find.
// Thread safety: as the session. Set-up path: allocates.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/reclaim.hpp>
#include <catena/index/index.hpp>
#include <catena/layout/node.hpp>
#include <catena/pool/membership.hpp>
#include <catena/pool/reclaim.hpp>
#include <catena/prefix/detail/extent_parent.hpp>
#include <catena/prefix/detail/extent_removal.hpp>
#include <catena/prefix/detail/extent_state.hpp>
#include <catena/prefix/extent.hpp>

namespace catena::detail {

/// Calls visit(span of entries) -> result<void>-task for the whole index, a few hundred at a time.
template <typename Session, typename State, typename Visit>
[[nodiscard, gnu::noinline]] task<result<void>> for_each_head(Session& s, State& state, Visit visit) {
    std::vector<entry<block_hash, extent_ref>> some(512);
    for (scan_range<block_hash> range;;) {
        auto const n = co_await state.heads.scan(s, range, std::span(some));
        if (!n) co_return n.error();
        if (auto const r = co_await visit(std::span(some).first(*n)); !r) co_return r.error();
        if (*n < some.size()) co_return result<void>{};
        auto const next = number_of_key<block_hash>::of(some.back().key) + 1;
        if (next == 0) co_return result<void>{};
        range.from = number_of_key<block_hash>::at(next);
    }
}

template <typename Session, typename State>
[[nodiscard, gnu::noinline]] task<result<std::uint64_t>> learn_placements(Session& s, State& state) {
    std::uint64_t all = 0;
    auto const learn = [&](auto some) -> task<result<void>> {
        for (auto const& e : some) state.placements.put(e.key, {.extent = e.value});
        all += some.size();
        co_return result<void>{};
    };
    if (auto const r = co_await for_each_head(s, state, learn); !r) co_return r.error();
    co_return all;
}

/// Finishes what clients that died while they took extents out of use left: dead ones are buried, dying ones decided.
template <typename Session, typename State>
[[nodiscard, gnu::noinline]] task<result<index_recovery>> recover_extents(Session& s, State& state) {
    auto report = co_await state.heads.recover(s);
    if (!report) co_return report.error();
    std::vector<extent_ref> all;
    auto const list = [&all](auto some) -> task<result<void>> {
        for (auto const& e : some) all.push_back(e.value);
        co_return result<void>{};
    };
    if (auto const r = co_await for_each_head(s, state, list); !r) co_return r.error();
    std::vector<word> words(extent_class::bytes(extent_class::count - 1) / word_bytes);
    for (auto const e : all) {
        if (auto const r = co_await keep_lease(s); !r) co_return r.error();
        whole_extent const x(words.data(), e.size_class());
        op look = op::read(e.at(), words.data(), e.bytes());
        if (auto const r = co_await s.submit(look); !r) co_return r.error();
        ++report->nodes;
        bool const this_life = x.meta().is_life_of(e, state.handle.tag());
        if (this_life && x.meta().dead()) {
            if (auto const r = co_await bury(s, state, e, x); !r) co_return r.error();
        } else if (this_life && x.lists_nothing() && x.children().count() == 0) {
            if (auto const r = co_await remove_if_empty(s, state, e); !r) co_return r.error();
        } else if (this_life && x.meta().dying()) {
            auto const r = co_await still_counts(s, e, state.handle.tag(), x.meta().bits());
            if (!r) co_return r.error();
        }
    }
    co_return *report;
}

/// What check_extents() knows of one of them.
struct checked_extent {
    extent_children children; ///< as it counts them
    std::uint32_t found = 0;  ///< that name it as their parent
};

template <typename Session, typename State>
[[nodiscard, gnu::noinline]] task<result<index_check>> check_extents(Session& s, State& state, std::uint64_t& extents) {
    auto checked = co_await state.heads.verify(s);
    if (!checked) co_return checked.error();
    auto check = std::move(*checked);
    extents = check.entries;
    check.entries = 0;
    check.remote_bytes += state.news.ring().bytes();
    auto const complain = [&check](block_hash const& first, std::string what) {
        if (check.violations.size() < index_check::max_violations)
            check.violations.push_back("the extent of block " + std::to_string(first.high) + "'" +
                                       std::to_string(first.low) + std::move(what));
    };
    std::unordered_map<word, checked_extent> all;
    std::vector<word> parents;
    std::vector<word> words;
    std::vector<op> reads;
    auto const visit = [&](auto some) -> task<result<void>> {
        constexpr auto most = extent_class::bytes(extent_class::count - 1) / word_bytes;
        words.resize(some.size() * most);
        reads.clear();
        for (std::size_t i = 0; i < some.size(); ++i)
            reads.push_back(op::read(some[i].value.at(), &words[i * most], some[i].value.bytes()));
        if (!reads.empty())
            if (auto const r = co_await s.submit(batch(reads)); !r) co_return r.error();
        for (std::size_t i = 0; i < some.size(); ++i) {
            auto const& [key, ref] = some[i];
            whole_extent const x(&words[i * most], ref.size_class());
            ++check.nodes;
            check.remote_bytes += ref.bytes();
            if (!x.meta().is(ref, state.handle.tag())) {
                complain(key, " is dead, or something else");
                continue;
            }
            if (x.first() != key) complain(key, " begins with another block");
            if (x.meta().dying()) complain(key, " is being taken out of use");
            for (std::size_t slot = 0; slot < x.slots(); ++slot) {
                bool const present = extent_word::present(x.place(slot));
                check.entries += present ? 1 : 0;
                if (present && !extent_word::claimed(x.tag(slot)))
                    complain(key, " has a place without a block in slot " + std::to_string(slot));
                if (!present && x.place(slot) != extent_word::absent(x.meta().incarnation()))
                    complain(key, " has an absent place of another life in slot " + std::to_string(slot));
                if (!extent_word::claimed(x.tag(slot)) && x.tag(slot) != extent_word::unclaimed(x.meta().incarnation()))
                    complain(key, " has a free slot of another life: " + std::to_string(slot));
            }
            all[ref.bits()].children = x.children();
            if (x.parent()) parents.push_back(x.parent_word());
        }
        co_return result<void>{};
    };
    if (auto const r = co_await for_each_head(s, state, visit); !r) co_return r.error();
    for (auto const parent : parents)
        if (auto const found = all.find(parent); found != all.end()) ++found->second.found;
    for (auto const& [ref, e] : all) // too many: a client died before it listed one (X5)
        if (e.found > e.children.count() && !e.children.uncounted())
            check.violations.push_back("an extent counts " + std::to_string(e.children.count()) + " of its " +
                                       std::to_string(e.found) + " children");
    co_return check;
}

/// Heads first, then extents that name a member who is gone and that the index does not have. What the index has when it is
/// scanned, after the members were seen to be gone, somebody may use; what it does not have then, and what names somebody who is
/// gone, nobody alive ever knew of, or somebody buried (extent_removal.hpp) and died before he signed.
template <typename Session, typename State>
[[nodiscard, gnu::noinline]] task<result<reclaim_report>> reclaim_extents(Session& s, State& state) {
    auto heads = co_await state.heads.reclaim(s);
    if (!heads) co_return heads.error();
    reclaim_report report;
    auto const gone = co_await find_gone(s, report);
    if (!gone) co_return gone.error();
    std::vector<word> linked{state.news.ring().at.word()};
    auto const note = [&](auto some) -> task<result<void>> {
        for (auto const& e : some) linked.push_back(e.value.at().word());
        co_return result<void>{};
    };
    if (auto const r = co_await for_each_head(s, state, note); !r) co_return r.error();
    std::sort(linked.begin(), linked.end());
    auto const tag = state.handle.tag();
    auto const may_take = [&](remote_ptr at, block_header const& header) {
        if (header.shared() || header.lives() == 0) return true;
        if ((header.meta() & kept_for_ever) != 0) return false; // the ring of another index that had this tag
        return node_meta::from_word(header.meta()).index_tag == tag &&
               !std::binary_search(linked.begin(), linked.end(), at.word());
    };
    if (auto const r = co_await sweep(s, *gone, may_take, report); !r) co_return r.error();
    report.members_gone += heads->members_gone;
    report.blocks += heads->blocks;
    report.chunks += heads->chunks;
    report.bytes += heads->bytes;
    co_return report;
}

} // namespace catena::detail
