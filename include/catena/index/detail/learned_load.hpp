// SPDX-License-Identifier: Apache-2.0
// learned_load: how a learned index begins, and how it is filled from sorted entries: a training of its one leaf, with them.
// Thread safety: as the session.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/learned_state.hpp>
#include <catena/index/detail/trainer.hpp>

namespace catena::detail {

/// Writes a page or directory of one entry; its block joins `blocks`.
template <typename Entry, typename Session>
[[nodiscard, gnu::noinline]] task<result<node_ref>> write_list_of(Session& s, model_level level, std::uint64_t bytes,
                                                                  std::uint16_t index_tag, Entry only,
                                                                  std::vector<sized_block>& blocks) {
    auto taken = co_await allocate(s, bytes);
    if (!taken) co_return taken.error();
    auto const lives = ++taken->lives;
    blocks.push_back({*taken, bytes});
    scratch_lease const memory(s.scratches());
    model_list<Entry> const list(memory->image(bytes));
    list.begin(s.pool().self.tag(),
               {.level = static_cast<std::uint8_t>(level), .index_tag = index_tag, .incarnation = lives}, 1);
    list.add(only);
    list.seal();
    op write = op::write(taken->at, list.image(), list.used_words() * word_bytes);
    if (auto const r = co_await s.submit(write); !r) co_return r.error();
    co_return model_ref(taken->at, level, lives);
}

/// A directory, a page, and an extent of one empty leaf: the reference of the first. Nothing is taken after an error.
template <typename Leaf, typename Options, typename Session>
[[nodiscard, gnu::noinline]] task<result<word>> first_generation(Session& s, catalog_handle handle) {
    using key_type = typename Leaf::key_type;
    using state_type = learned_state<Leaf, Options>;
    state_type tree(s.pool(), handle, 0);
    extent_builder<Leaf, Session, state_type> builder(s, tree);
    auto const write_all = [&]() -> task<result<word>> {
        planned_piece const plan{.begin = number_of_key<key_type>::of(lowest_key<key_type>::value()),
                                 .line = leaf_line::over(0, 1),
                                 .block_bytes = tree.rules.sizes[0].bytes};
        auto const piece = co_await builder.build(plan, {}, std::nullopt);
        if (!piece) co_return piece.error();
        word const free = view_of<Leaf>::free_lock(handle.tag(), piece->extent.incarnation()).bits();
        op unlock = op::write(leaf_in<Leaf>(piece->extent, 0).at(), &free, word_bytes);
        if (auto const r = co_await s.submit(unlock); !r) co_return r.error();
        auto const page =
            co_await write_list_of(s, model_level::page, Options::page_bytes, handle.tag(), *piece, builder.blocks);
        if (!page) co_return page.error();
        model_part<key_type> const part{.first = piece->first, .page = *page};
        auto const root =
            co_await write_list_of(s, model_level::directory, tree.directory_bytes, handle.tag(), part, builder.blocks);
        if (!root) co_return root.error();
        co_return root->bits();
    };
    auto const written = co_await write_all();
    if (!written)
        for (auto const& b : builder.blocks) (void)co_await free_block(s, b.memory, b.bytes); // the first error counts
    co_return written;
}

/// Fills an empty index that is one leaf still.
template <typename Leaf, typename Session, routed_by_model Tree>
[[nodiscard, gnu::noinline]] task<result<void>>
load_sorted(Session& s, Tree& tree,
            std::span<entry<typename Tree::key_type, typename Leaf::payload_type> const> sorted) {
    for (std::size_t i = 1; i < sorted.size(); ++i)
        if (!(sorted[i - 1].key < sorted[i].key)) co_return make_error(errc::invalid_argument);
    if (sorted.empty()) co_return result<void>{};
    auto const loaded = co_await train_around<Leaf>(s, tree, sorted.front().key, true, sorted);
    if (!loaded) co_return loaded.error();
    co_return result<void>{};
}

} // namespace catena::detail
