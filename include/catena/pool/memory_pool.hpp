// SPDX-License-Identifier: Apache-2.0
// memory_pool: remote memory as a resource. Formats or opens the memory nodes of a fabric, joins as a member, makes
// sessions.
// Thread safety: create/open/destroy by one thread; open_session() from any thread. The fabric outlives the pool, the
// pool outlives its sessions.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include <catena/core/hash.hpp>
#include <catena/core/result.hpp>
#include <catena/fabric/client_id.hpp>
#include <catena/fabric/fabric.hpp>
#include <catena/pool/membership.hpp>
#include <catena/pool/node_allocator.hpp>
#include <catena/pool/session.hpp>
#include <catena/pool/superblock.hpp>

namespace catena {

struct pool_options {
    std::chrono::milliseconds lease{1000};    ///< create only: a member silent for that long counts as dead
    std::uint64_t chunk_bytes = 0;            ///< create only: 0 = default_chunk_bytes(size of a memory node)
    std::chrono::milliseconds patience{2000}; ///< bound of every wait for another client's lock
    /// open only: no member of the pool, takes no slot, whatever would write fails with read_only
    bool read_only = false;
    /// 0: client id, uuid and incarnation of a pool come from the system's entropy. Else they are derived from it, for
    /// simulations and tests; no two clients of a pool may have the same one.
    std::uint64_t seed = 0;
};

/// What the memory nodes say about themselves.
struct pool_usage {
    std::uint64_t bytes = 0;       ///< of all memory nodes
    std::uint64_t bytes_taken = 0; ///< handed out in chunks since creation, headers included; never shrinks
};

template <fabric Fabric>
class memory_pool {
public:
    using channel_type = typename Fabric::channel_type;
    using session_type = session<channel_type>;

    /// Formats all memory nodes of the fabric (their memory must be zero) and joins. Errors: invalid_argument (the size of
    /// a node or the lease is out of range), already_exists (there is a pool on it), bad_format (there is something
    /// else on it), unsupported (guarantees), unreachable.
    [[nodiscard]] static setup_result<memory_pool> create(Fabric& fabric, pool_options const& options = {}) {
        if (fabric.node_bytes() < min_node_bytes)
            return setup_error(errc::invalid_argument, "a memory node must have at least " +
                                                           std::to_string(min_node_bytes) + " bytes, not " +
                                                           std::to_string(fabric.node_bytes()));
        if (fabric.node_bytes() > max_node_bytes)
            return setup_error(errc::invalid_argument,
                               "a memory node must have at most " + std::to_string(max_node_bytes) + " bytes (64 TiB)");
        if (options.read_only) return setup_error(errc::read_only, "a pool cannot be created by who may only read it");
        if (options.lease.count() < 1 || options.lease.count() > 3'600'000)
            return setup_error(errc::invalid_argument, "lease must be 1 to 3600000 milliseconds");
        auto pool = connect(fabric, options);
        if (!pool) return pool;
        auto const chunk = options.chunk_bytes != 0 ? options.chunk_bytes : default_chunk_bytes(fabric.node_bytes());
        if (chunk % chunk_granule != 0 || chunk > max_chunk_bytes || chunk_count(fabric.node_bytes(), chunk) == 0)
            return setup_error(errc::invalid_argument,
                               "chunk_bytes must be a multiple of 4096 that fits the heap of a memory node, at most 1 "
                               "TiB, not " +
                                   std::to_string(chunk));
        superblock block{.magic = pool_magic,
                         .format_version = pool_format_version,
                         .node = 0,
                         .node_count = fabric.node_count(),
                         .uuid = {.high = random64(options, 2), .low = random64(options, 3)},
                         .incarnation = random64(options, 4),
                         .node_bytes = fabric.node_bytes(),
                         .chunk_bytes = chunk,
                         .lease_ms = static_cast<std::uint32_t>(options.lease.count()),
                         .reserved = 0,
                         .seal = 0};
        // All of them before the first is written. The last node first: the mark of a wipe is sure to be there (pool/wipe.hpp), and a
        // pool whose node 0 has its magic is complete.
        for (std::uint16_t node = fabric.node_count(); node-- > 0;)
            if (auto const r = pool->require_empty(node); !r) return r.error();
        for (std::uint16_t node = fabric.node_count(); node-- > 0;) {
            block.node = node;
            block.seal = seal_of(block);
            std::array ops{op::write({node, word_bytes}, reinterpret_cast<std::byte const*>(&block) + word_bytes,
                                     sizeof block - word_bytes),
                           op::write({node, 0}, &block.magic, word_bytes)};
            if (auto r = pool->submit(batch(ops)); !r) return setup_error(r.error());
        }
        return enter(std::move(*pool), block);
    }

    /// Opens what create() made; waits for a create() that is under way. Errors: not_found (memory node 0 is empty), bad_format (names
    /// the field that differs; being wiped), full (no member slot), unsupported.
    [[nodiscard]] static setup_result<memory_pool> open(Fabric& fabric, pool_options const& options = {}) {
        using namespace std::chrono_literals;
        auto pool = connect(fabric, options);
        if (!pool) return pool;
        superblock first{};
        for (std::uint16_t node = 0; node < fabric.node_count(); ++node) {
            superblock found{};
            if (auto r = pool->read_superblock(node, found); !r) return setup_error(r.error());
            for (auto waited = 0ms; found.magic == 0 && waited < options.patience; waited += 1ms) {
                std::this_thread::sleep_for(1ms);
                if (auto r = pool->read_superblock(node, found); !r) return setup_error(r.error());
            }
            if (auto const wrong = mismatch(found, node, fabric.node_count(), fabric.node_bytes()))
                return setup_error(node == 0 && found.magic == 0 ? errc::not_found : errc::bad_format, *wrong);
            if (node == 0) first = found;
            if (found.uuid != first.uuid)
                return setup_error(errc::bad_format, "memory node " + std::to_string(node) +
                                                         ": superblock.uuid differs from that of memory node 0: "
                                                         "these nodes belong to different pools");
        }
        return enter(std::move(*pool), first);
    }

    memory_pool(memory_pool&&) noexcept = default;
    memory_pool& operator=(memory_pool&&) = delete;
    ~memory_pool() {
        if (state_ != nullptr && joined_)
            (void)sync_wait(*setup_, leave(*setup_)); // nobody is told of a lease that ran out, or a fence
    }

    /// A session for one thread. Errors: unreachable, full (the fabric has no room for another channel).
    [[nodiscard]] setup_result<session_type> open_session() {
        auto channel = fabric_->connect(state_->client);
        if (!channel) return channel.error();
        return session_type(std::move(*channel), *state_);
    }

    /// 1 round trip for each memory node.
    [[nodiscard]] static result<pool_usage> usage(session_type& s) {
        auto const& geometry = s.pool().geometry;
        pool_usage total;
        for (std::uint16_t node = 0; node < geometry.node_count; ++node) {
            word cursor = 0;
            op read = op::read({node, cursor_offset}, &cursor, word_bytes);
            if (auto const r = sync_wait(s, submit_one(s, read)); !r) return r.error();
            total.bytes += geometry.node_bytes;
            total.bytes_taken += std::min(geometry.node_bytes, heap_begin(geometry) + cursor);
        }
        return total;
    }

    [[nodiscard]] superblock const& geometry() const noexcept { return state_->geometry; }
    [[nodiscard]] member_id self() const noexcept { return state_->self; }
    [[nodiscard]] client_id client() const noexcept { return state_->client; } ///< of this object: what others fence

private:
    memory_pool(Fabric& fabric, std::unique_ptr<pool_state> state, std::unique_ptr<session_type> setup) noexcept
        : fabric_(&fabric), state_(std::move(state)), setup_(std::move(setup)) {}

    [[nodiscard]] static setup_result<memory_pool> connect(Fabric& fabric, pool_options const& options) {
        if (!channel_type::guarantees.cover({.atomic_words = true, .ordered_batch = true}))
            return setup_error(errc::unsupported, "fabric " + std::string(Fabric::name) +
                                                      " does not guarantee atomic_words and ordered_batch");
        auto state = std::make_unique<pool_state>();
        do { // the anonymous cannot be fenced
            state->client = client_id{random64(options, 1)};
        } while (state->client == anonymous_client);
        auto channel = fabric.connect(state->client);
        if (!channel) return channel.error();
        state->patience = options.patience;
        state->read_only = options.read_only;
        state->geometry.node_count = fabric.node_count();
        state->geometry.node_bytes = fabric.node_bytes();
        auto setup = std::make_unique<session_type>(std::move(*channel), *state);
        return memory_pool(fabric, std::move(state), std::move(setup));
    }

    /// Nothing is to be lost there by making a pool.
    [[nodiscard]] result<void, setup_error> require_empty(std::uint16_t node) {
        superblock found{};
        if (auto r = read_superblock(node, found); !r) return setup_error(r.error());
        if (found.magic == 0) return {};
        if (found.magic == pool_magic)
            return setup_error(errc::already_exists,
                               "memory node " + std::to_string(node) + " holds a pool already; open it instead");
        auto const& now = state_->geometry;
        if (is_wiping_mark(found.magic))
            return setup_error(errc::bad_format, *mismatch(found, node, now.node_count, now.node_bytes));
        return setup_error(errc::bad_format, "memory node " + std::to_string(node) +
                                                 ": its memory is not zero and not a catena pool; nothing was "
                                                 "written over it");
    }

    [[nodiscard]] static setup_result<memory_pool> enter(memory_pool pool, superblock const& geometry) {
        pool.state_->geometry = geometry;
        if (pool.state_->read_only) return pool;
        if (auto const r = sync_wait(*pool.setup_, join(*pool.setup_)); !r) {
            if (r.error().code == errc::full)
                return setup_error(errc::full, "all " + std::to_string(member_slots) +
                                                   " member slots are taken by live clients; close some");
            return setup_error(r.error());
        }
        pool.joined_ = true;
        // Who wipes the pool marks this superblock, then shuts out who has joined by then (pool/wipe.hpp): we may be later.
        superblock now{};
        auto const last = static_cast<std::uint16_t>(geometry.node_count - 1);
        if (auto const r = pool.read_superblock(last, now); !r) return setup_error(r.error());
        if (auto const wrong = mismatch(now, last, geometry.node_count, geometry.node_bytes))
            return setup_error(errc::bad_format, *wrong);
        if (now.uuid != geometry.uuid)
            return setup_error(errc::bad_format, "another pool was made here meanwhile; open it again");
        return pool;
    }

    /// `purpose`: different numbers from one seed.
    [[nodiscard]] static std::uint64_t random64(pool_options const& options, std::uint64_t purpose) {
        if (options.seed != 0) return mix64(mix64(options.seed) + purpose);
        std::random_device entropy;
        return std::uint64_t{entropy()} << 32U | entropy();
    }

    [[nodiscard, gnu::noinline]] static task<result<void>> submit_one(session_type& s, op& one) {
        co_return co_await s.submit(one);
    }
    [[nodiscard, gnu::noinline]] static task<result<void>> submit_all(session_type& s, batch ops) {
        co_return co_await s.submit(ops);
    }
    [[nodiscard]] result<void> submit(batch ops) { return sync_wait(*setup_, submit_all(*setup_, ops)); }
    [[nodiscard]] result<void> read_superblock(std::uint16_t node, superblock& to) {
        op read = op::read({node, 0}, &to, sizeof to);
        return submit(batch(&read, 1));
    }

    Fabric* fabric_;
    std::unique_ptr<pool_state> state_;
    std::unique_ptr<session_type> setup_; ///< joins and leaves; destroyed before the state
    bool joined_ = false;
};

} // namespace catena
