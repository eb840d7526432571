// SPDX-License-Identifier: Apache-2.0
// What is behind the front door: one interface, one template that binds it to a store of chains, on any fabric.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catena/client.hpp>
#include <catena/prefix/chain_query.hpp>
#include <catena/pool/memory_pool.hpp>
#include <catena/pool/rest.hpp>

#include "client/lease_keeper.hpp"
#include "client/open_fabric.hpp"
#include "client/session_slots.hpp"

namespace catena {

class client::implementation {
public:
    using chain = std::span<block_hash const>;

    implementation() = default;
    implementation(implementation const&) = delete;
    implementation& operator=(implementation const&) = delete;
    virtual ~implementation() = default;

    [[nodiscard]] virtual result<match_result> match(chain c, std::span<location> locations,
                                                     std::chrono::nanoseconds within) = 0;
    [[nodiscard]] virtual result<fabric_stats> match_many(std::span<chain const> chains,
                                                          std::span<std::size_t> matched) = 0;
    /// deadline of each: of now().
    [[nodiscard]] virtual result<void> match_queries(std::span<chain_query const> queries,
                                                     std::span<match_answer> answers) = 0;
    [[nodiscard]] virtual std::chrono::nanoseconds now() const noexcept = 0; ///< the fabric's clock
    [[nodiscard]] virtual result<publish_result> publish(chain c, std::span<location> locations, std::size_t from,
                                                         match_end const& after) = 0;
    [[nodiscard]] virtual result<forget_result> forget(chain c, std::size_t keep,
                                                       std::span<location const> expected) = 0;
    [[nodiscard]] virtual result<bool> contains(chain c) = 0;
    [[nodiscard]] virtual result<index_report> inspect() = 0;
    [[nodiscard]] virtual client_report report() = 0;
};

/// Chains: chain_store.hpp. Errors: those of verify().
template <typename Session, typename Chains>
[[nodiscard]] result<index_report> inspect(Session& s, Chains& chains) {
    auto checked = sync_wait(s, chains.verify(s));
    if (!checked) return checked.error();
    return index_report{.entries = checked->entries,
                        .index_entries = chains.index_entries(*checked),
                        .nodes = checked->nodes,
                        .remote_bytes = checked->remote_bytes,
                        .height = checked->height,
                        .locked = checked->locked,
                        .violations = std::move(checked->violations)};
}

/// Members in the order of their lifetimes: the fabric outlives the pool, which outlives sessions and chains.
/// Chains: chain_store.hpp.
template <typename Chains>
class bound_client final : public client::implementation {
public:
    using pool_type = memory_pool<any_fabric>;

    /// for_lease: a session that nobody else uses.
    bound_client(std::unique_ptr<opened_fabric> nodes, std::unique_ptr<pool_type> pool,
                 typename pool_type::session_type for_lease, std::unique_ptr<Chains> chains, client_options options)
        : nodes_(std::move(nodes)), pool_(std::move(pool)), chains_(std::move(chains)), options_(std::move(options)),
          sessions_(*pool_, options_.max_sessions, options_.patience), lease_keeper_(std::move(for_lease)) {}

    ~bound_client() override {
        // What fails here is lost memory of the pool at worst, and nobody is left to tell.
        sessions_.for_each([](auto& s) {
            (void)sync_wait(s, end_rest(s));
            (void)sync_wait(s, release_all(s));
        });
    }

    result<match_result> match(chain c, std::span<location> locations, std::chrono::nanoseconds within) override {
        return with_session<match_result>([&](auto& s, match_result& r) -> result<void> {
            auto const deadline = within.count() == 0 ? within : s.channel().now() + within;
            auto const answer = sync_wait(s, chains_->match(s, c, locations, deadline));
            if (!answer) return answer.error();
            r.blocks = answer->blocks;
            r.complete = answer->complete;
            r.end = answer->end;
            return {};
        });
    }

    result<fabric_stats> match_many(std::span<chain const> chains, std::span<std::size_t> matched) override {
        if (chains.size() != matched.size()) return make_error(errc::invalid_argument);
        std::vector<match_answer> answers(chains.size());
        auto const r = with_session<match_result>(
            [&](auto& s, match_result&) { return sync_wait(s, chains_->match_many(s, chains, std::span(answers))); });
        for (std::size_t i = 0; r && i < answers.size(); ++i) matched[i] = answers[i].blocks;
        if (!r) return r.error();
        return r->cost;
    }

    result<void> match_queries(std::span<chain_query const> queries, std::span<match_answer> answers) override {
        auto session = sessions_.take();
        if (!session) return session.error();
        return sync_wait(**session, chains_->match_many(**session, queries, answers));
    }
    std::chrono::nanoseconds now() const noexcept override { return lease_keeper_.session().channel().now(); }

    result<publish_result> publish(chain c, std::span<location> locations, std::size_t from,
                                   match_end const& after) override {
        return with_session<publish_result>([&](auto& s, publish_result& r) -> result<void> {
            auto const counts = sync_wait(s, chains_->publish(s, c, locations, from, after));
            if (!counts) return counts.error();
            r.inserted = counts->inserted;
            r.already_present = counts->already_present;
            r.behind_a_gap = counts->behind_a_gap;
            return {};
        });
    }

    result<forget_result> forget(chain c, std::size_t keep, std::span<location const> expected) override {
        return with_session<forget_result>([&](auto& s, forget_result& r) -> result<void> {
            auto const erased = sync_wait(s, chains_->forget(s, c, keep, expected));
            if (!erased) return erased.error();
            r.erased = *erased;
            return {};
        });
    }

    result<bool> contains(chain c) override {
        auto session = sessions_.take();
        if (!session) return session.error();
        return sync_wait(**session, chains_->contains(**session, c));
    }

    result<index_report> inspect() override {
        auto session = sessions_.take();
        if (!session) return session.error();
        return catena::inspect(**session, *chains_);
    }

    client_report report() override {
        client_report r;
        sessions_.for_each([&](auto& s) { r.fabric += s.stats(); });
        r.cache_bytes = chains_->cache_bytes();
        r.cache_capacity_bytes = chains_->cache_capacity_bytes();
        if (auto session = sessions_.take()) {
            if (auto const usage = pool_type::usage(**session)) {
                r.pool_bytes = usage->bytes;
                r.pool_bytes_taken = usage->bytes_taken;
            }
        }
        r.memory_nodes = pool_->geometry().node_count;
        r.fabric_name = nodes_->fabric.kind();
        r.index = options_.index;
        r.strategy = options_.strategy;
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

    std::unique_ptr<opened_fabric> nodes_;
    std::unique_ptr<pool_type> pool_;
    std::unique_ptr<Chains> chains_;
    client_options options_;
    session_slots<pool_type> sessions_;
    lease_keeper<typename pool_type::session_type> lease_keeper_;
};

} // namespace catena
