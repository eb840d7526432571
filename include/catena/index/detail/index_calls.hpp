// SPDX-License-Identifier: Apache-2.0
// index_calls: what all indexes have in common: the calls but find and scan, which depend on the kind of leaf.
// What an index is made of (a tree of nodes, or leaves under a model) says the type of its state: overloads of load_sorted,
// check, heal, reclaim_space, free_all, and of descend and its like, are chosen by it.
//
// Thread safety: an index object is shared by all threads of a process; each call runs on its session's thread. All sessions
// are of the pool object that it was opened with, which lives longer.
// Linearizable per key: find, find_many (each key by itself), insert, upsert, erase take effect at one moment between
// call and return. Keys of one batch take effect at different moments.
// Cost: round trips and verbs stand at Self, internal nodes or model cached, nobody else on the same leaf; a node
// that is not cached adds a round trip for its level, a lost race or torn read the round trips of another try.
// Errors of all calls: contended (a lock stayed held for pool_options::patience), dropped, unreachable, timed_out;
// of writes also out_of_memory, lease_lost. Unless said otherwise nothing changed then.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/batch_write.hpp>
#include <catena/index/detail/bulk_load.hpp>
#include <catena/index/detail/descent.hpp>
#include <catena/index/detail/drop.hpp>
#include <catena/index/detail/heal.hpp>
#include <catena/index/detail/reclaim.hpp>
#include <catena/index/detail/restructure.hpp>
#include <catena/index/detail/tree_state.hpp>
#include <catena/index/detail/walk.hpp>
#include <catena/index/index.hpp>
#include <catena/index/mutation.hpp>
#include <catena/pool/membership.hpp>

namespace catena::detail {

/// Self: the index, which has `type_name`, `layout_version`, find_some (find_many for at most options::batch_nodes keys) and
/// first_root (what a new, empty index consists of). Leaf: the layout of its leaves. State: a tree_state, or a learned_state.
template <typename Self, typename Leaf, typename State>
class index_calls {
public:
    using key_type = typename Leaf::key_type;
    using value_type = typename Leaf::payload_type;
    using options = typename State::options;
    using leaf = Leaf;

    /// What the catalog says about an index of this type.
    [[nodiscard]] static index_spec spec(std::string_view name) noexcept {
        index_spec s;
        s.set_name(name);
        s.set_type(Self::type_name);
        s.layout_version = Self::layout_version;
        s.key_bytes = sizeof(key_type);
        s.value_bytes = sizeof(value_type);
        s.node_bytes = options::node_bytes;
        return s;
    }

    /// Enters a new, empty index into the pool's catalog. cache_bytes: bound of this client's copies of internal nodes.
    /// Errors (words): invalid_argument (name), already_exists, full, out_of_memory.
    template <typename Session>
    [[nodiscard]] static setup_result<Self> create(Session& s, std::string_view name, std::size_t cache_bytes) {
        if (name.empty() || name.size() > index_spec::max_name)
            return setup_error(errc::invalid_argument, "an index name has 1 to 47 characters, '" + std::string(name) +
                                                           "' has " + std::to_string(name.size()));
        auto const created =
            sync_wait(s, create_index(s, spec(name), [&s](catalog_handle h) { return Self::first_root(s, h); }));
        if (!created) {
            auto const code = created.error().code;
            if (code == errc::already_exists)
                return setup_error(code, "the pool has an index '" + std::string(name) + "' already");
            if (code == errc::full)
                return setup_error(code,
                                   "the catalog is full: a pool holds " + std::to_string(catalog_slots) + " indexes");
            return setup_error(created.error());
        }
        return Self(s.pool(), *created, cache_bytes);
    }

    /// Opens the index of that name. Errors (words): not_found, bad_format (names the field that differs), dropped.
    template <typename Session>
    [[nodiscard]] static setup_result<Self> open(Session& s, std::string_view name, std::size_t cache_bytes) {
        auto const found = look_up(s, name);
        if (!found) return found.error();
        if (found->phase != index_phase::ready)
            return setup_error(errc::dropped, "the index '" + std::string(name) + "' is being dropped");
        return Self(s.pool(), found->handle, cache_bytes);
    }

    /// Takes the index off the catalog and frees its nodes. Other clients' calls end with errc::dropped from then on.
    /// Walks the whole index: 3 round trips a node. After an error it can no longer be opened, but dropped again.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<void>> drop(Session& s) {
        return drop(s, no_visitor{});
    }
    /// The same for an index whose values name something that is to go with it: visit(values of a leaf) ->
    /// task<result<void>>, when they are final and before anything of that leaf is free. A leaf is shown again where a drop goes on that
    /// somebody left, and where the root grew meanwhile.
    template <typename Session, typename Visit>
        requires value_visitor<Visit, value_type> || std::same_as<Visit, no_visitor>
    [[nodiscard, gnu::noinline]] task<result<void>> drop(Session& s, Visit visit) {
        return drop_index(s, state_->handle, [this, &s, visit]() mutable { return free_all<leaf>(s, *state_, visit); });
    }

    /// Drops the index of that name, also one whose drop another client left. 1 round trip more than drop(s). Errors (words):
    /// not_found, bad_format (names the field that differs), dropped (by another client, just now), those of drop(s).
    template <typename Session, typename Visit = no_visitor>
    [[nodiscard]] static setup_result<void> drop(Session& s, std::string_view name, Visit visit = {}) {
        auto const found = look_up(s, name);
        if (!found) return found.error();
        Self tree(s.pool(), found->handle, 0);
        if (auto const r = sync_wait(s, tree.drop(s, visit)); !r) return setup_error(r.error());
        return {};
    }

    /// found[i] receives the value of keys[i]. Both spans have the same length, else invalid_argument. 1 round trip for every
    /// options::batch_nodes keys; what is read for each says the tree. companions: READs and WRITEs of the caller's that share
    /// the round trip of the first of them (with no keys, of none).
    template <typename Session>
    [[nodiscard]] task<result<void>> find_many(Session& s, std::span<key_type const> keys,
                                               std::span<std::optional<value_type>> found,
                                               std::span<op const> companions = {}) {
        bool const one_batch = !keys.empty() && keys.size() <= options::batch_nodes && keys.size() == found.size();
        return one_batch ? Self::find_some(s, *state_, keys, found, companions)
                         : find_in_batches(s, keys, found, companions);
    }

    /// Adds key and value if the key is absent. True: it was; false: it was there, nothing changed.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<bool>> insert(Session& s, key_type const& key, value_type const& value) {
        return one(s, key, value, mutation_kind::insert, mutation_outcome::inserted);
    }

    /// As insert, but tells the value in force: `value`, or the one that was there first.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<value_type>> insert_if_absent(Session& s, key_type const& key,
                                                                           value_type const& value) {
        mutation<key_type, value_type> m{
            .key = key, .value = value, .kind = mutation_kind::insert, .outcome = mutation_outcome::pending};
        if (auto const r = co_await apply(s, std::span(&m, 1)); !r) co_return r.error();
        co_return m.value;
    }

    /// Sets the value of `key`. True: the key is new.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<bool>> upsert(Session& s, key_type const& key, value_type const& value) {
        return one(s, key, value, mutation_kind::upsert, mutation_outcome::inserted);
    }

    /// True: the key was there and is gone. Where a leaf becomes nearly empty a neighbour is looked for, now and then: 2 round
    /// trips more, and 3 more if they are merged.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<bool>> erase(Session& s, key_type const& key) {
        return one(s, key, value_type{}, mutation_kind::erase, mutation_outcome::erased);
    }

    /// Erases `key` if its value equals `expected`, byte by byte. Costs as erase.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<bool>> erase_if(Session& s, key_type const& key,
                                                             value_type const& expected) {
        return one(s, key, expected, mutation_kind::erase_if, mutation_outcome::erased);
    }

    /// Applies all changes and says in each what became of it. Keys should differ; equal ones are applied in an order of
    /// the tree's choice. The round trips of one change for every options::batch_nodes changes.
    /// On an error those whose outcome is not pending took effect.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<void>> apply(Session& s,
                                                          std::span<mutation<key_type, value_type>> changes) {
        for (auto const& m : changes)
            if (m.kind == mutation_kind::link || m.kind == mutation_kind::link_held)
                co_return make_error(errc::invalid_argument);
        for (std::size_t at = 0; at < changes.size(); at += options::batch_nodes) {
            if (auto const r = co_await keep_lease(s); !r) co_return r.error();
            auto const n = std::min(options::batch_nodes, changes.size() - at);
            detail::batch_writer<leaf, Session, State> writer(s, *state_, 0, changes.subspan(at, n));
            if (auto const r = co_await writer.run(); !r) {
                if (r.error().code == errc::unreachable) s.allocation().avoid(r.error().node, s.channel().now());
                co_return r.error();
            }
        }
        co_return result<void>{};
    }

    /// Fills an empty index with strictly ascending entries, leaves about nine tenths full. Errors: invalid_argument
    /// (not ascending, or the index is not empty, or was once so full that its leaf split); the index is unchanged after
    /// any error. Others may use the index: their writes wait until it is done.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<void>> bulk_load(Session& s,
                                                              std::span<entry<key_type, value_type> const> sorted) {
        return load_sorted<leaf>(s, *state_, sorted);
    }

    /// Walks the whole index and checks every invariant. For an index that nobody is changing; reads every node.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<index_check>> verify(Session& s) {
        return check<leaf>(s, *state_);
    }

    /// Walks the whole index and finishes what clients that died left half done, waiting for their leases to run out.
    /// Right answers do not need it: who runs into a dead client's lock takes it over. Others may use the index
    /// meanwhile. Reads every node.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<index_recovery>> recover(Session& s) {
        return heal<leaf>(s, *state_);
    }

    /// Frees what clients that died held: blocks that are in no index, rests of chunks. Other members are watched for a
    /// lease; those that stand still all that time are shut out for good, be they dead or merely idle. recover() is a
    /// part of it. Others may use the pool meanwhile. Reads every node, and the header of every block of the pool, 256 a
    /// round trip. On an error what was found until then is free.
    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<reclaim_report>> reclaim(Session& s) {
        return reclaim_space<leaf>(s, *state_);
    }

    [[nodiscard]] std::size_t cache_bytes() const { return state_->cache.bytes_used(); }
    [[nodiscard]] std::size_t cache_capacity_bytes() const { return state_->cache.capacity_bytes(); }
    [[nodiscard]] catalog_handle handle() const noexcept { return state_->handle; }

protected:
    index_calls(pool_state& pool, catalog_handle h, std::size_t cache_bytes)
        : state_(std::make_unique<State>(pool, h, cache_bytes)) {}

    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<void>> find_in_batches(Session& s, std::span<key_type const> keys,
                                                                    std::span<std::optional<value_type>> found,
                                                                    std::span<op const> companions) {
        if (keys.size() != found.size()) co_return make_error(errc::invalid_argument);
        for (std::size_t at = 0; at < keys.size(); at += options::batch_nodes) {
            auto const n = std::min(options::batch_nodes, keys.size() - at);
            auto const r = co_await Self::find_some(s, *state_, keys.subspan(at, n), found.subspan(at, n),
                                                    at == 0 ? companions : std::span<op const>{});
            if (!r) co_return r.error();
        }
        co_return result<void>{};
    }

    /// Ready or being dropped. Errors: not_found, bad_format.
    template <typename Session>
    [[nodiscard]] static setup_result<catalog_listing> look_up(Session& s, std::string_view name) {
        auto const all = sync_wait(s, list_indexes(s));
        if (!all) return setup_error(all.error());
        for (auto const& listing : *all) {
            if (listing.spec.name_view() != name) continue;
            if (auto const wrong = mismatch(listing.spec, spec(name))) return setup_error(errc::bad_format, *wrong);
            return listing;
        }
        return setup_error(errc::not_found, "the pool has no index '" + std::string(name) + "'");
    }

    template <typename Session>
    [[nodiscard, gnu::noinline]] task<result<bool>> one(Session& s, key_type key, value_type value, mutation_kind kind,
                                                        mutation_outcome yes) {
        mutation<key_type, value_type> m{
            .key = key, .value = value, .kind = kind, .outcome = mutation_outcome::pending};
        if (auto const r = co_await apply(s, std::span(&m, 1)); !r) co_return r.error();
        co_return m.outcome == yes;
    }

    std::unique_ptr<State> state_;
};

} // namespace catena::detail
