// SPDX-License-Identifier: Apache-2.0
// reclaim: which blocks of a tree lead nowhere, once those who wrote them are gone (pool/reclaim.hpp has actors and steps).
//
// R2 here: heal() the tree, after R1. Then nothing is half done any more that somebody began who is gone:
//   dead nodes   A merge of D that had not ended left its left node locked or torn by D. The walk over each level comes to it
//                and goes on only when it is mended: then the right node is alive again (and names who revived it), or
//                nothing leads to it. The root leaf of a bulk load is revived, or is not the root any more. So a dead node
//                of this tree that names D leads nowhere; nobody revives it, since that needs a left node that names
//                somebody gone, is not mended, and links to it.
//   alive nodes  that name D and are part of the tree have been so since before R1, in one place: whoever splits, merges or
//                mends a node writes his own name. The walk meets all of them, also while others split and merge around
//                them: it goes from each node to the one that begins where that ends, and starts again when one dies.
//                So a node that names D and was not met is none of the tree: D wrote it and did not come to link it. Only D
//                knew where it is. (A link of D that landed was found by the walk, or completed by a mender before.)
//   others       Indexes that live: left to their own reclaim. An index that is being dropped: its nodes are found over its
//                root, by whoever drops it again. Index tags that the catalog does not have: an index that was dropped, or
//                one whose creator died; nothing leads there.
// The catalog is read after R1: an index that D dropped, or began to drop, is marked as such.
// Thread safety: as the session. Set-up path: allocates. Bound: 8 bytes for each node that was written last by a member who is
// gone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/heal.hpp>
#include <catena/pool/catalog.hpp>
#include <catena/pool/reclaim.hpp>

namespace catena::detail {

/// A bit of the meta word of blocks that stay where they are for ever, since somebody may come late who changes words there without a
/// look at whose they are (prefix/detail/news_setup.hpp).
inline constexpr word kept_for_ever = word{1} << 14U;

/// May a block be taken that somebody gone wrote last? met: where nodes of the tree of `tag` are that name members who are
/// gone, ascending.
[[nodiscard]] inline bool leads_nowhere(remote_ptr at, block_header const& header, std::uint16_t tag,
                                        std::span<catalog_entry const> catalog, std::span<word const> met) noexcept {
    if (header.shared() || header.lives() == 0) return true; // taken off a free list, or never written as a whole
    if ((header.meta() & kept_for_ever) != 0) return false;
    auto const meta = node_meta::from_word(header.meta());
    auto const slot = static_cast<std::size_t>(meta.index_tag >> 10U);
    auto const& entry = catalog[slot];
    bool const known =
        catalog_handle{.slot = static_cast<std::uint32_t>(slot), .generation = entry.generation()}.tag() ==
        meta.index_tag;
    if (!known || entry.phase() == index_phase::free) return true;
    if (entry.phase() == index_phase::dropping) return entry.root == 0;
    if (meta.index_tag != tag) return false;
    return meta.dead || !std::binary_search(met.begin(), met.end(), at.word());
}

template <typename Leaf, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<reclaim_report>> reclaim_space(Session& s, Tree& tree) {
    reclaim_report report;
    auto const gone = co_await find_gone(s, report);
    if (!gone) co_return gone.error();
    scratch_lease const memory(s.scratches());
    auto const catalog = memory->template take<catalog_entry>(catalog_slots);
    if (auto const r = co_await read_catalog(s, catalog); !r) co_return r.error();
    std::vector<word> met;
    auto const healed = co_await heal<Leaf>(s, tree, [&](node_ref ref, std::uint32_t writer) {
        if (gone->perhaps(writer)) met.push_back(ref.at().word());
    });
    if (!healed) co_return healed.error();
    std::sort(met.begin(), met.end());
    auto const may_take = [&](remote_ptr at, block_header const& header) {
        return leads_nowhere(at, header, tree.handle.tag(), catalog, met);
    };
    if (auto const r = co_await sweep(s, *gone, may_take, report); !r) co_return r.error();
    co_return report;
}

} // namespace catena::detail
