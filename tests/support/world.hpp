// SPDX-License-Identifier: Apache-2.0
// A pool to test in: a local fabric, clients of it, blocking calls to an index. Errors become exceptions (ok), so that
// they end the test wherever they happen.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catena/fabric/local_fabric.hpp>
#include <catena/index/index.hpp>
#include <catena/index/mutation.hpp>
#include <catena/pool/memory_pool.hpp>

#include <support/sound.hpp>
#include <support/threads.hpp>

namespace catena::test {

[[nodiscard]] inline std::string words_of(error const& e) { return std::string(name(e.code)); }
[[nodiscard]] inline std::string words_of(setup_error const& e) { return std::string(name(e.code)) + ": " + e.message; }

/// The value of a result that must be there.
template <typename T, typename E>
[[nodiscard]] T ok(result<T, E> r) {
    if (!r) throw failure("unexpected error " + words_of(r.error()));
    if constexpr (!std::is_void_v<T>) return std::move(*r);
}
template <typename E>
void ok(result<void, E> const& r) {
    if (!r) throw failure("unexpected error " + words_of(r.error()));
}

/// One member of a pool with one session: what a process with one thread is.
template <typename Fabric>
struct basic_client {
    using pool_type = memory_pool<Fabric>;
    using session_type = typename pool_type::session_type;

    explicit basic_client(pool_type p) : pool(std::move(p)), s(ok(pool.open_session())) {}
    [[nodiscard]] static basic_client create(Fabric& f, pool_options const& o = {}) {
        return basic_client(ok(pool_type::create(f, o)));
    }
    [[nodiscard]] static basic_client join(Fabric& f, pool_options const& o = {}) {
        return basic_client(ok(pool_type::open(f, o)));
    }
    [[nodiscard]] session_type session() { return ok(pool.open_session()); }

    pool_type pool;
    session_type s;
};
using local_client = basic_client<local_fabric>;
using local_session = local_client::session_type;

/// Memory nodes inside this process and the client that made the pool.
template <typename Fabric>
struct basic_world {
    using client_type = basic_client<Fabric>;
    /// A lease that nobody renews while a test runs: renewals are round trips, and budgets are exact.
    static constexpr pool_options long_lease{.lease = std::chrono::hours(1)};

    explicit basic_world(std::uint64_t node_bytes = 64U << 20U, std::uint16_t nodes = 1,
                         pool_options const& options = long_lease)
        : fabric(ok(Fabric::create(node_bytes, nodes))), first(client_type::create(fabric, options)) {}
    [[nodiscard]] client_type join(pool_options const& options = long_lease) {
        return client_type::join(fabric, options);
    }

    Fabric fabric;
    client_type first;
};
using world = basic_world<local_fabric>;

/// An index with blocking calls on one session; what must not fail does not.
template <typename Index, typename Session>
class calls {
public:
    using key_type = typename Index::key_type;
    using value_type = typename Index::value_type;
    using entry_type = entry<key_type, value_type>;
    using mutation_type = mutation<key_type, value_type>;

    calls(Index& index, Session& s) noexcept : index_(&index), s_(&s) {}

    std::optional<value_type> find(key_type const& k) { return wait(index_->find(*s_, k)); }
    std::vector<std::optional<value_type>> find_many(std::span<key_type const> keys) {
        std::vector<std::optional<value_type>> found(keys.size());
        wait(index_->find_many(*s_, keys, found));
        return found;
    }
    bool insert(key_type const& k, value_type const& v) { return wait(index_->insert(*s_, k, v)); }
    bool upsert(key_type const& k, value_type const& v) { return wait(index_->upsert(*s_, k, v)); }
    value_type insert_if_absent(key_type const& k, value_type const& v) {
        return wait(index_->insert_if_absent(*s_, k, v));
    }
    bool erase(key_type const& k) { return wait(index_->erase(*s_, k)); }
    bool erase_if(key_type const& k, value_type const& v) { return wait(index_->erase_if(*s_, k, v)); }
    void apply(std::span<mutation_type> changes) { wait(index_->apply(*s_, changes)); }
    void bulk_load(std::span<entry_type const> sorted) { wait(index_->bulk_load(*s_, sorted)); }
    void drop() { wait(index_->drop(*s_)); }
    std::vector<entry_type> scan(scan_range<key_type> const& range, std::size_t most) {
        std::vector<entry_type> out(most);
        out.resize(wait(index_->scan(*s_, range, std::span(out))));
        return out;
    }
    /// Everything, a thousand entries at a time. `after`: the smallest key above a key; the scan of an index has no
    /// other way to go on.
    template <typename After>
    std::vector<entry_type> all(key_type lowest, After after) {
        std::vector<entry_type> out;
        for (scan_range<key_type> range{.from = lowest, .to = {}};;) {
            auto const part = scan(range, 1000);
            out.insert(out.end(), part.begin(), part.end());
            if (part.size() < 1000) return out;
            range.from = after(part.back().key);
        }
    }
    index_check check() { return wait(index_->verify(*s_)); }
    /// check(), which must find nothing.
    index_check sound() { return must_be_sound(check()); }

    [[nodiscard]] Index& index() noexcept { return *index_; }
    [[nodiscard]] Session& session() noexcept { return *s_; }

private:
    template <typename T>
    T wait(task<result<T>> work) {
        return ok(sync_wait(*s_, std::move(work)));
    }

    Index* index_;
    Session* s_;
};

} // namespace catena::test
