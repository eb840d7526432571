// SPDX-License-Identifier: Apache-2.0
// What is behind the front door: one interface, one template that binds it to a fabric and an index.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catena/client.hpp>
#include <catena/pool/memory_pool.hpp>
#include <catena/prefix/prefix_index.hpp>

#include "client/lease_keeper.hpp"
#include "client/session_slots.hpp"

namespace catena {

class client::implementation {
public:
    using chain = std::span<block_hash const>;

    implementation() = default;
    implementation(implementation const&) = delete;
    implementation& operator=(implementation const&) = delete;
    virtual ~implementation() = default;

    [[nodiscard]] virtual result<match_result> match(chain c, std::span<location> locations) = 0;
    [[nodiscard]] virtual result<fabric_stats> match_many(std::span<chain const> chains,
                                                          std::span<std::size_t> matched) = 0;
    [[nodiscard]] virtual result<publish_result> publish(chain c, std::span<location> locations) = 0;
    [[nodiscard]] virtual result<forget_result> forget(chain c, std::size_t keep,
                                                       std::span<location const> expected) = 0;
    [[nodiscard]] virtual result<bool> contains(block_hash block) = 0;
    [[nodiscard]] virtual result<index_report> inspect() = 0;
    [[nodiscard]] virtual client_report report() = 0;
};

/// Members in the order of their lifetimes: the fabric outlives the pool, which outlives sessions and index.
template <typename Fabric, typename Index>
class bound_client final : public client::implementation {
public:
    using pool_type = memory_pool<Fabric>;

    /// for_lease: a session that nobody else uses.
    bound_client(std::unique_ptr<Fabric> fabric, std::unique_ptr<pool_type> pool,
                 typename pool_type::session_type for_lease, Index index, client_options options)
        : fabric_(std::move(fabric)), pool_(std::move(pool)), index_(std::move(index)), options_(std::move(options)),
          prefixes_(index_), sessions_(*pool_, options_.max_sessions, options_.patience),
          lease_keeper_(std::move(for_lease)) {}

    ~bound_client() override {
        // What fails here is lost memory of the pool at worst, and nobody is left to tell.
        sessions_.for_each([](auto& s) { (void)sync_wait(s, release_all(s)); });
    }

    result<match_result> match(chain c, std::span<location> locations) override {
        return with_session<match_result>([&](auto& s, match_result& r) -> result<void> {
            auto const blocks = sync_wait(s, prefixes_.match(s, c, locations, options_.strategy));
            if (!blocks) return blocks.error();
            r.blocks = *blocks;
            return {};
        });
    }

    result<fabric_stats> match_many(std::span<chain const> chains, std::span<std::size_t> matched) override {
        auto const r = with_session<match_result>(
            [&](auto& s, match_result&) { return sync_wait(s, prefixes_.match_many(s, chains, matched)); });
        if (!r) return r.error();
        return r->cost;
    }

    result<publish_result> publish(chain c, std::span<location> locations) override {
        return with_session<publish_result>([&](auto& s, publish_result& r) -> result<void> {
            auto const counts = sync_wait(s, prefixes_.publish(s, c, locations));
            if (!counts) return counts.error();
            r.inserted = counts->inserted;
            r.already_present = counts->already_present;
            return {};
        });
    }

    result<forget_result> forget(chain c, std::size_t keep, std::span<location const> expected) override {
        return with_session<forget_result>([&](auto& s, forget_result& r) -> result<void> {
            auto const erased = sync_wait(s, prefixes_.forget(s, c, keep, expected));
            if (!erased) return erased.error();
            r.erased = *erased;
            return {};
        });
    }

    result<bool> contains(block_hash block) override {
        auto session = sessions_.take();
        if (!session) return session.error();
        return sync_wait(**session, prefixes_.contains(**session, block));
    }

    result<index_report> inspect() override {
        auto session = sessions_.take();
        if (!session) return session.error();
        auto checked = sync_wait(**session, index_.verify(**session));
        if (!checked) return checked.error();
        return index_report{.entries = checked->entries,
                            .nodes = checked->nodes,
                            .remote_bytes = checked->remote_bytes,
                            .height = checked->height,
                            .violations = std::move(checked->violations)};
    }

    client_report report() override {
        client_report r;
        sessions_.for_each([&](auto& s) { r.fabric += s.stats(); });
        r.cache_bytes = index_.cache_bytes();
        r.cache_capacity_bytes = index_.cache_capacity_bytes();
        if (auto session = sessions_.take()) {
            if (auto const usage = pool_type::usage(**session)) {
                r.pool_bytes = usage->bytes;
                r.pool_bytes_taken = usage->bytes_taken;
            }
        }
        r.memory_nodes = pool_->geometry().node_count;
        r.fabric_name = Fabric::name;
        r.index = options_.index;
        r.index_name = options_.index_name;
        return r;
    }

private:
    /// Runs `call` on a session and notes in the result what it cost.
    template <typename Result, typename Call>
    [[nodiscard]] result<Result> with_session(Call call) {
        auto session = sessions_.take();
        if (!session) return session.error();
        auto& s = **session;
        auto const before = s.stats();
        Result r;
        if (auto const done = call(s, r); !done) return done.error();
        r.cost = s.stats() - before;
        return r;
    }

    std::unique_ptr<Fabric> fabric_;
    std::unique_ptr<pool_type> pool_;
    Index index_;
    client_options options_;
    prefix_index<Index> prefixes_;
    session_slots<pool_type> sessions_;
    lease_keeper<typename pool_type::session_type> lease_keeper_;
};

} // namespace catena
