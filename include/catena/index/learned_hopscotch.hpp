// SPDX-License-Identifier: Apache-2.0
// learned_hopscotch: an index without a tree: a model of the keys' distribution, cached whole by every client, says which leaf a
// key is in.
//
// After ROLEX (Li et al., FAST 2023: piecewise-linear model, leaves at computed places, overflow leaves) with the hopscotch leaves
// of CHIME (Luo, Shu, et al., SOSP 2024, section 4.5). Unlike them: the model's answer is the leaf, by definition, instead of a
// guess with an error bound; no client keeps keys; leaves that overflow split like those of a B-link tree; and the model is
// trained anew, piece by piece, while others read and write (docs/rationale.md).
//
// A piece of the model covers some neighbouring keys and divides them evenly, by their numbers (layout/key_number.hpp), among the
// leaves of one extent (layout/model_blocks.hpp). A leaf that is full splits to an overflow leaf, which its link leads to.
// When enough of a piece's leaves did, the writer that notices trains the piece and its neighbours: one client at a time, by
// lease (index/detail/trainer.hpp). Any distribution of keys is correct; uniform ones, such as hashes, are fast.
//
// Cost, where index/detail/index_calls.hpp has calls and errors; keys and values of 8 bytes: find 1 round trip, 152 bytes; for the
// one key in fifty that is in an overflow leaf 3 round trips; find_many the same bytes for each key; insert, upsert and erase 2 round
// trips, 4 to 5 verbs; no room in four quads: 1 round trip more; a split: 1 or 2 more. A client whose model is old finds that
// out in a leaf that is dead, and takes 4 to 6 round trips to have the new one. A training costs its writer some dozen
// round trips, once for a thousand inserts or more; training_cost() tells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/hopscotch_find.hpp>
#include <catena/index/detail/index_calls.hpp>
#include <catena/index/detail/learned_drop.hpp>
#include <catena/index/detail/learned_find.hpp>
#include <catena/index/detail/learned_load.hpp>
#include <catena/index/detail/learned_scan.hpp>
#include <catena/index/detail/learned_state.hpp>
#include <catena/index/detail/learned_walk.hpp>
#include <catena/index/detail/train_after.hpp>
#include <catena/index/options.hpp>

namespace catena {

/// What trainings of one client cost so far, in all.
struct training_cost {
    std::uint64_t trainings = 0;
    std::uint64_t round_trips = 0;
    std::uint64_t verbs = 0;
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_written = 0;
};

template <index_key Key, index_value Value, typename Options = learned_options>
class learned_hopscotch
    : public detail::index_calls<learned_hopscotch<Key, Value, Options>, hopscotch_layout<Key, Value, Options::shape>,
                                 detail::learned_state<hopscotch_layout<Key, Value, Options::shape>, Options>> {
    using base = detail::index_calls<learned_hopscotch, hopscotch_layout<Key, Value, Options::shape>,
                                     detail::learned_state<hopscotch_layout<Key, Value, Options::shape>, Options>>;
    friend base;
    using base::state_;
    static_assert(!Options::shape.vacancy_in_lock, "leaves are taken by lock words that say nothing else");

    learned_hopscotch(pool_state& pool, catalog_handle h, std::size_t cache_bytes) : base(pool, h, cache_bytes) {}

    template <typename Session>
    [[nodiscard]] static task<result<word>> first_root(Session& s, catalog_handle h) {
        return detail::first_generation<typename base::leaf, typename base::options>(s, h);
    }
    template <typename Session, typename State>
    [[nodiscard]] static task<result<void>> find_some(Session& s, State& state, std::span<Key const> keys,
                                                      std::span<std::optional<Value>> found,
                                                      std::span<op const> companions) {
        return detail::hopscotch_find_batch<typename base::leaf>(s, state, keys, found, companions);
    }

public:
    using typename base::leaf;
    static constexpr std::string_view type_name = "learned";
    static constexpr std::uint32_t layout_version =
        1 + Options::shape.quads * 32 + Options::shape.replicated_fences * 16 + Options::shape.last_home +
        (Options::use == model_use::error_bound) * 4096U +
        static_cast<std::uint32_t>(Options::page_bytes / block_granule * 8192 +
                                   Options::directory_bytes / block_granule * (1U << 20U));
    static_assert(Options::page_bytes <= extent_granule && is_block_size(Options::page_bytes) &&
                      is_block_size(Options::directory_bytes),
                  "pages and directories are blocks of the pool");

    /// The value of `key`, nothing if it is absent. 1 round trip, one neighbourhood (two READs for one key in twenty).
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<std::optional<Value>>> find(Session& s, Key const& key) {
        if constexpr (Options::use == model_use::error_bound)
            return detail::find_in_range<leaf>(s, *state_, key);
        else
            return detail::hopscotch_find<leaf>(s, *state_, key);
    }

    /// Fills `out` with the entries of the range in ascending order; returns how many. Fewer than out.size() means that
    /// the range has no more. A key that is there throughout is seen exactly once, one that is absent throughout is not seen.
    /// As a rule 1 round trip for a few hundred entries; whole leaves are read, since their keys are in no order.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<std::size_t>> scan(Session& s, scan_range<Key> const& range,
                                                                std::span<entry<Key, Value>> out) {
        return detail::learned_scan<leaf>(s, *state_, range, out);
    }

    /// Trains the piece that `key` belongs to, and its neighbours, whether they need it or not; waits for another training to
    /// end first. For tests, and for owners who know that a distribution changed. Some dozen round trips.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<void>> train(Session& s, Key const& key) {
        auto const trained = co_await detail::train_around<leaf>(s, *state_, key, true);
        if (!trained) co_return trained.error();
        co_return result<void>{};
    }

    /// What trainings cost that this object's sessions did; a part of the statistics of the sessions.
    [[nodiscard]] training_cost cost_of_training() const noexcept {
        auto const& t = state_->tally;
        return {.trainings = t.trainings,
                .round_trips = t.round_trips,
                .verbs = t.verbs,
                .bytes_read = t.bytes_read,
                .bytes_written = t.bytes_written};
    }

    /// Bytes of this process that the model takes. (It has no bound but the model itself.)
    [[nodiscard]] std::size_t cache_bytes() const { return state_->model.bytes_used(); }
    [[nodiscard]] std::size_t cache_capacity_bytes() const { return cache_bytes(); }
};

} // namespace catena
