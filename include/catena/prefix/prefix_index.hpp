// SPDX-License-Identifier: Apache-2.0
// prefix_index: chains of block hashes over any index, one entry a block (block_hash -> location).
//
// The answer of a match never overcounts: every block of it was seen present during the call. Presence is kept
// prefix-closed as far as clients live: publish goes root to leaf, forget leaf to root, in windows of
// options::batch_nodes blocks whose order among themselves is open; a client that dies inside a window, or another that
// forgets at the same time, may leave a gap, at which a match stops.
// Cost: match_strategy names the round trips of a match; publish and forget take 3 for each window (more where leaves
// split or merge).
// Thread safety: an object is shared by all threads; each call runs on its session's thread. It does not own the index.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/index.hpp>
#include <catena/index/mutation.hpp>
#include <catena/pool/scratch.hpp>
#include <catena/prefix/block_hash.hpp>
#include <catena/prefix/location.hpp>
#include <catena/prefix/match_end.hpp>
#include <catena/prefix/strategy.hpp>

namespace catena {

template <typename Index>
class prefix_index {
    static_assert(std::is_same_v<typename Index::key_type, block_hash> &&
                      std::is_same_v<typename Index::value_type, location>,
                  "a prefix_index needs an index from block_hash to location");

public:
    using chain = std::span<block_hash const>;

    explicit prefix_index(Index& blocks) noexcept : blocks_(&blocks) {}

    /// How many leading blocks of `c` are listed. `out` (empty, or at least as long as the chain) receives the locations
    /// of those blocks. Errors: those of Index::find_many; nothing is changed.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<std::size_t>> match(Session& s, chain c, std::span<location> out,
                                                                 match_strategy how) {
        if (!out.empty() && out.size() < c.size()) co_return make_error(errc::invalid_argument);
        switch (how) {
        case match_strategy::sequential: co_return co_await match_windows(s, c, out, 1, 1);
        case match_strategy::batched: co_return co_await match_windows(s, c, out, window, window);
        case match_strategy::galloping: co_return co_await match_windows(s, c, out, 8, window);
        case match_strategy::binary: co_return co_await match_bisecting(s, c, out);
        case match_strategy::extents: break; // another layout: extent_index
        }
        co_return make_error(errc::invalid_argument);
    }

    /// matched[i] = leading blocks of chains[i] that are listed; all lookups share their round trips.
    /// Errors: invalid_argument (the spans differ in length), those of Index::find_many.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<void>> match_many(Session& s, std::span<chain const> chains,
                                                               std::span<std::size_t> matched) {
        if (chains.size() != matched.size()) co_return make_error(errc::invalid_argument);
        std::size_t total = 0;
        for (auto const& c : chains) total += c.size();
        scratch_lease const memory(s.scratches());
        auto const keys = memory->template take<block_hash>(total);
        auto const found = memory->template take<std::optional<location>>(total);
        auto* to = keys.data();
        for (auto const& c : chains) to = std::copy(c.begin(), c.end(), to);
        if (auto const r = co_await blocks_->find_many(s, keys, found); !r) co_return r.error();
        std::size_t at = 0;
        for (std::size_t i = 0; i < chains.size(); ++i) {
            matched[i] = leading(found.subspan(at, chains[i].size()), {});
            at += chains[i].size();
        }
        co_return result<void>{};
    }

    /// Lists c[i] at locations[i] where it is not listed yet; locations[i] becomes the location in force: first wins.
    /// Errors: invalid_argument (sizes differ), those of Index::apply: a part of the chain may be listed then.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<publish_counts>> publish(Session& s, chain c,
                                                                      std::span<location> locations) {
        if (c.size() != locations.size()) co_return make_error(errc::invalid_argument);
        scratch_lease const memory(s.scratches());
        auto const changes = memory->template take<change>(std::min(c.size(), window));
        publish_counts counts;
        for (std::size_t at = 0; at < c.size(); at += window) {
            auto const n = std::min(window, c.size() - at);
            for (std::size_t i = 0; i < n; ++i)
                changes[i] = {.key = c[at + i],
                              .value = locations[at + i],
                              .kind = mutation_kind::insert,
                              .outcome = mutation_outcome::pending};
            if (auto const r = co_await blocks_->apply(s, changes.first(n)); !r) co_return r.error();
            for (std::size_t i = 0; i < n; ++i) {
                locations[at + i] = changes[i].value;
                ++(changes[i].outcome == mutation_outcome::inserted ? counts.inserted : counts.already_present);
            }
        }
        co_return counts;
    }

    /// Takes c[keep..] off, from the leaf end; with `expected` (as long as the chain) only blocks still listed there.
    /// Returns how many went. Errors: invalid_argument, those of Index::apply: the blocks near the root may be left.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<std::size_t>> forget(Session& s, chain c, std::size_t keep,
                                                                  std::span<location const> expected) {
        if (!expected.empty() && expected.size() != c.size()) co_return make_error(errc::invalid_argument);
        scratch_lease const memory(s.scratches());
        auto const changes = memory->template take<change>(std::min(c.size(), window));
        std::size_t erased = 0;
        for (std::size_t end = c.size(); end > keep;) {
            auto const n = std::min(window, end - keep);
            end -= n;
            for (std::size_t i = 0; i < n; ++i)
                changes[i] = {.key = c[end + i],
                              .value = expected.empty() ? location{} : expected[end + i],
                              .kind = expected.empty() ? mutation_kind::erase : mutation_kind::erase_if,
                              .outcome = mutation_outcome::pending};
            if (auto const r = co_await blocks_->apply(s, changes.first(n)); !r) co_return r.error();
            for (std::size_t i = 0; i < n; ++i) erased += changes[i].outcome == mutation_outcome::erased ? 1 : 0;
        }
        co_return erased;
    }

    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<bool>> contains(Session& s, block_hash block) {
        auto const found = co_await blocks_->find(s, block);
        if (!found) co_return found.error();
        co_return found->has_value();
    }

private:
    using change = mutation<block_hash, location>;
    static constexpr std::size_t window = Index::options::batch_nodes;

    /// Leading hits of a window; their locations go to `out` unless it is empty.
    [[nodiscard]] static std::size_t leading(std::span<std::optional<location> const> found, std::span<location> out) {
        std::size_t n = 0;
        while (n < found.size() && found[n]) {
            if (!out.empty()) out[n] = *found[n];
            ++n;
        }
        return n;
    }

    /// Reads windows of `first`, then doubled up to `most` blocks, until one has a gap.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<std::size_t>> match_windows(Session& s, chain c, std::span<location> out,
                                                                         std::size_t first, std::size_t most) {
        scratch_lease const memory(s.scratches());
        auto const found = memory->template take<std::optional<location>>(std::min(c.size(), most));
        std::size_t at = 0;
        for (auto size = first; at < c.size(); size = std::min(2 * size, most)) {
            auto const n = std::min(size, c.size() - at);
            auto const looked_up = found.first(n);
            if (auto const r = co_await blocks_->find_many(s, c.subspan(at, n), looked_up); !r) co_return r.error();
            auto const hits = leading(looked_up, out.empty() ? out : out.subspan(at));
            at += hits;
            if (hits < n) break;
        }
        co_return at;
    }

    /// Bisects as if presence were prefix-closed, then reads everything below the boundary: a gap there shortens the
    /// answer, and the boundary itself is a block that was seen absent, so the answer is the longest prefix in any case.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<std::size_t>> match_bisecting(Session& s, chain c,
                                                                           std::span<location> out) {
        std::size_t present = 0; // c[present - 1] was seen
        std::size_t absent = c.size();
        while (present < absent) {
            auto const middle = present + (absent - present) / 2;
            auto const found = co_await blocks_->find(s, c[middle]);
            if (!found) co_return found.error();
            if (*found)
                present = middle + 1;
            else
                absent = middle;
        }
        co_return co_await match_windows(s, c.first(present), out, window, window);
    }

    Index* blocks_;
};

} // namespace catena
