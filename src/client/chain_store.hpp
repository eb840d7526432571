// SPDX-License-Identifier: Apache-2.0
// chain_store: the two ways to store chains, behind the same calls: one entry a block, or extents.
// Thread safety: as what is stored.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <catena/client.hpp>
#include <catena/prefix/chain_query.hpp>
#include <catena/prefix/extent_index.hpp>
#include <catena/prefix/prefix_index.hpp>

namespace catena {

/// Index: from block_hash to location.
template <typename Index>
class chains_by_block {
public:
    using stored_type = Index;
    using chain = std::span<block_hash const>;

    template <typename Session>
    [[nodiscard]] static setup_result<Index> open(Session& s, client_options const& options) {
        return Index::open(s, options.index_name, options.client_cache_bytes);
    }
    template <typename Session>
    [[nodiscard]] static setup_result<Index> create(Session& s, client_options const& options) {
        return Index::create(s, options.index_name, options.client_cache_bytes);
    }
    chains_by_block(Index index, client_options const& options)
        : index_(std::move(index)), prefixes_(index_), strategy_(options.strategy) {}
    chains_by_block(chains_by_block const&) = delete;
    chains_by_block& operator=(chains_by_block const&) = delete;
    ~chains_by_block() = default;

    template <typename Session>
    [[nodiscard]] task<result<std::uint64_t>> warm_up(Session& /*s*/) {
        co_return std::uint64_t{0};
    }
    template <typename Session>
    [[nodiscard]] task<result<match_answer>> match(Session& s, chain c, std::span<location> out,
                                                   std::chrono::nanoseconds /*deadline*/) {
        auto const n = co_await prefixes_.match(s, c, out, strategy_);
        if (!n) co_return n.error();
        co_return match_answer{.blocks = *n};
    }
    template <typename Session>
    [[nodiscard]] task<result<void>> match_many(Session& s, std::span<chain const> chains,
                                                std::span<match_answer> answers) {
        std::vector<std::size_t> matched(chains.size());
        if (auto const r = co_await prefixes_.match_many(s, chains, matched); !r) co_return r.error();
        for (std::size_t i = 0; i < chains.size(); ++i) answers[i] = {.blocks = matched[i]};
        co_return result<void>{};
    }
    /// One after the other; a deadline that passed leaves the rest unanswered.
    template <typename Session>
    [[nodiscard]] task<result<void>> match_many(Session& s, std::span<chain_query const> queries,
                                                std::span<match_answer> answers) {
        for (std::size_t i = 0; i < queries.size(); ++i) {
            auto const& q = queries[i];
            answers[i] = {.blocks = 0, .complete = false};
            if (q.deadline.count() != 0 && s.channel().now() >= q.deadline) continue;
            auto const n = co_await prefixes_.match(s, q.chain, q.out, strategy_);
            if (!n) co_return n.error();
            answers[i] = {.blocks = *n};
        }
        co_return result<void>{};
    }
    template <typename Session>
    [[nodiscard]] task<result<publish_counts>> publish(Session& s, chain c, std::span<location> locations,
                                                       std::size_t from, match_end const& /*after*/) {
        if (c.size() != locations.size() || from > c.size()) co_return make_error(errc::invalid_argument);
        co_return co_await prefixes_.publish(s, c.subspan(from), locations.subspan(from));
    }
    template <typename Session>
    [[nodiscard]] task<result<std::size_t>> forget(Session& s, chain c, std::size_t keep,
                                                   std::span<location const> expected) {
        return prefixes_.forget(s, c, keep, expected);
    }
    template <typename Session>
    [[nodiscard]] task<result<bool>> contains(Session& s, chain c) {
        if (c.empty()) co_return true;
        co_return co_await prefixes_.contains(s, c.back());
    }
    template <typename Session>
    [[nodiscard]] task<result<index_check>> verify(Session& s) {
        return index_.verify(s);
    }
    /// Entries of the index, after verify() counted so many blocks.
    [[nodiscard]] std::uint64_t index_entries(index_check const& check) const noexcept { return check.entries; }
    [[nodiscard]] std::size_t cache_bytes() const { return index_.cache_bytes(); }
    [[nodiscard]] std::size_t cache_capacity_bytes() const { return index_.cache_capacity_bytes(); }

private:
    Index index_;
    prefix_index<Index> prefixes_;
    match_strategy strategy_;
};

/// Heads: from block_hash to extent_ref.
template <typename Heads>
class chains_by_extents {
public:
    using stored_type = extent_index<Heads>;
    using chain = std::span<block_hash const>;

    template <typename Session>
    [[nodiscard]] static setup_result<stored_type> open(Session& s, client_options const& options) {
        return stored_type::open(s, options.index_name, options.client_cache_bytes, options.hot_cache_bytes);
    }
    template <typename Session>
    [[nodiscard]] static setup_result<stored_type> create(Session& s, client_options const& options) {
        return stored_type::create(s, options.index_name, options.client_cache_bytes, options.hot_cache_bytes);
    }
    chains_by_extents(stored_type index, client_options const& options)
        : index_(std::move(index)), warm_up_(options.warm_up) {}

    template <typename Session>
    [[nodiscard]] task<result<std::uint64_t>> warm_up(Session& s) {
        if (!warm_up_) co_return std::uint64_t{0};
        co_return co_await index_.warm_up(s);
    }
    template <typename Session>
    [[nodiscard]] auto match(Session& s, chain c, std::span<location> out, std::chrono::nanoseconds deadline) {
        return index_.match(s, c, out, deadline);
    }
    template <typename Session>
    [[nodiscard]] auto match_many(Session& s, std::span<chain const> chains, std::span<match_answer> answers) {
        return index_.match_many(s, chains, answers);
    }
    template <typename Session>
    [[nodiscard]] auto match_many(Session& s, std::span<chain_query const> queries, std::span<match_answer> answers) {
        return index_.match_many(s, queries, answers);
    }
    template <typename Session>
    [[nodiscard]] auto publish(Session& s, chain c, std::span<location> locations, std::size_t from,
                               match_end const& after) {
        return index_.publish(s, c, locations, from, after);
    }
    template <typename Session>
    [[nodiscard]] auto forget(Session& s, chain c, std::size_t keep, std::span<location const> expected) {
        return index_.forget(s, c, keep, expected);
    }
    template <typename Session>
    [[nodiscard]] auto contains(Session& s, chain c) {
        return index_.contains(s, c);
    }
    template <typename Session>
    [[nodiscard]] auto verify(Session& s) {
        return index_.verify(s);
    }
    [[nodiscard]] std::uint64_t index_entries(index_check const& /*check*/) const noexcept { return index_.extents(); }
    [[nodiscard]] std::size_t cache_bytes() const { return index_.cache_bytes(); }
    [[nodiscard]] std::size_t cache_capacity_bytes() const { return index_.cache_capacity_bytes(); }

private:
    stored_type index_;
    bool warm_up_;
};

} // namespace catena
