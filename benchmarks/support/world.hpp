// SPDX-License-Identifier: Apache-2.0
// What is measured: a local pool with one index in it, loaded with distinct, uniformly spread keys in random order.
//
// Index-agnostic: an index joins with one line in each program. Errors end the program: a figure from a failed call
// would be worse than none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <catena/fabric/local_fabric.hpp>
#include <catena/index/mutation.hpp>
#include <catena/pool/memory_pool.hpp>

namespace catena::bench {

[[noreturn]] inline void fail(std::string const& why) {
    std::fprintf(stderr, "benchmark failed: %s\n", why.c_str());
    std::exit(1);
}
[[nodiscard]] inline std::string words_of(error const& e) { return std::string(describe(e.code)); }
[[nodiscard]] inline std::string words_of(setup_error const& e) { return e.message; }

/// The value of a result that must be there. who: for the message.
template <typename T, typename E>
T need(result<T, E> r, std::string_view who = {}) {
    if (!r) fail((who.empty() ? std::string() : std::string(who) + ": ") + words_of(r.error()));
    if constexpr (!std::is_void_v<T>) return std::move(*r);
}

using pool_type = memory_pool<local_fabric>;
using session_type = pool_type::session_type;

/// A pool on this machine and an empty index. The memory is only taken as it is used, so it may be announced generously.
template <typename Index>
class world {
public:
    static constexpr std::uint64_t node_bytes = std::uint64_t{64} << 30U;
    static constexpr std::size_t cache_bytes = std::size_t{64} << 20U;

    world()
        : fabric_(need(local_fabric::create(node_bytes))), pool_(need(pool_type::create(fabric_))), session_(session()),
          index_(need(Index::create(session_, "bench", cache_bytes))) {}

    [[nodiscard]] session_type session() { return need(pool_.open_session()); }
    /// The session of whoever sets the world up. Its counters are not those of a benchmark.
    [[nodiscard]] session_type& own_session() noexcept { return session_; }
    [[nodiscard]] Index& index() noexcept { return index_; }
    /// Another object of the same index, as another client would have it: its caches are empty.
    [[nodiscard]] setup_result<Index> open(session_type& s) { return Index::open(s, "bench", cache_bytes); }

private:
    local_fabric fabric_;
    pool_type pool_;
    session_type session_;
    Index index_;
};

/// Key number i: mix64 is a bijection, so keys are distinct, and spread like hashes.
[[nodiscard]] constexpr std::uint64_t key_of(std::uint64_t i) noexcept { return mix64(i + 0x9e3779b97f4a7c15ULL); }

/// A world with keys 0 .. keys() - 1 in an index of 8-byte keys and values.
template <typename Index>
class loaded_world : public world<Index> {
public:
    explicit loaded_world(std::uint64_t keys) {
        constexpr std::uint64_t batch = 256;
        std::vector<mutation<std::uint64_t, std::uint64_t>> changes;
        while (keys_ < keys) {
            changes.clear();
            for (auto const end = std::min(keys, keys_ + batch); keys_ < end; ++keys_)
                changes.push_back({.key = key_of(keys_),
                                   .value = keys_,
                                   .kind = mutation_kind::insert,
                                   .outcome = mutation_outcome::pending});
            need(sync_wait(this->own_session(), this->index().apply(this->own_session(), std::span(changes))));
        }
        auto const check = need(sync_wait(this->own_session(), this->index().verify(this->own_session())));
        remote_bytes_per_key_ = static_cast<double>(check.remote_bytes) / static_cast<double>(check.entries);
    }

    [[nodiscard]] std::uint64_t keys() const noexcept { return keys_; }
    [[nodiscard]] std::uint64_t take_new_key() noexcept { return key_of(keys_++); }
    /// Never the value that a key has already: such an upsert would write nothing.
    [[nodiscard]] std::uint64_t take_new_value() noexcept { return ++last_value_; }
    [[nodiscard]] double remote_bytes_per_key() const noexcept { return remote_bytes_per_key_; } ///< when it was loaded
    [[nodiscard]] double cache_bytes_per_key() {
        return static_cast<double>(this->index().cache_bytes()) / static_cast<double>(keys_);
    }

    /// One world is kept, for all benchmarks with the same index and number of keys; it is loaded again once inserts
    /// made it an eighth larger. Called by one thread.
    [[nodiscard]] static loaded_world& of(std::uint64_t keys) {
        static std::unique_ptr<loaded_world> kept;
        if (!kept || kept->loaded_ != keys || kept->keys_ > keys + keys / 8) {
            kept.reset();
            kept = std::make_unique<loaded_world>(keys);
            kept->loaded_ = keys;
        }
        return *kept;
    }

private:
    std::uint64_t keys_ = 0;
    std::uint64_t loaded_ = 0;
    std::uint64_t last_value_ = std::uint64_t{1} << 48U;
    double remote_bytes_per_key_ = 0;
};

} // namespace catena::bench
