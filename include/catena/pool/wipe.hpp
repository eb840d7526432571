// SPDX-License-Identifier: Apache-2.0
// wipe: removes a pool: shuts all its members out and makes the memory nodes zero, so that they can hold another one.
//
// Works without a sound superblock, as a pool may be damaged, or half wiped: how many memory nodes there are and how large the
// fabric says, and who may write the table of members on memory node 0.
// A mark (superblock.hpp) takes the place of a magic: the client id of the wiper W, and not zero, which create() would take for fresh
// memory. The mark of the last memory node is the one that counts: it is set first, goes last, and create() begins there.
// Wipe      W1 READ all superblocks; W2 fence whom their marks name; W3 CAS word 0 of the last memory node: what was read -> mine, back
//           to W1 if it fails; W4 WRITE the mark to the others, memory node 0 first; W5 READ the table, fence every member that joined;
//           W6 WRITE zeros from the catalog on; W7 the same before it but for word 0; W8 the same to word 0 of all memory nodes but the
//           last; W9 of the last.
// Opens     who comes after W4 finds a mark and is refused. Who read the superblocks before it and joins late: joins, then READs the
//           superblock of the last memory node (memory_pool::enter), and W does the reverse, W3 before W5. So the member sees the mark
//           and leaves, having written nothing but its record; or W sees a member that had joined by then, and fences it. A record that
//           lands in the zeros is one of a member that left, or falls silent (membership.hpp), in whatever pool is there then.
// Members   are fenced before W6: nothing of them lands in the zeros, or in the pool that is made of them. What W5 reads of a member
//           that joined before W3 is whole (I2 of membership.hpp); others write nothing, see above.
// Readers   who are no members are not told. They find zeros, or nodes of another pool, and get `corrupt`, `dropped` or wrong answers: close
//           them first.
// Two W     each fences the other before it takes its place (W2, W3), so one goes on, alone; the other ends with `fenced`.
// Dies      W anywhere before W9: a mark is left on the last memory node from W3 on, so neither open() nor create() gets anywhere, and the
//           next wipe does all of it again. Members whose records are zero by then were fenced in W5, and stay so.
// A memory node 0 that lost its memory (a restarted server) names no members. Theirs is lost as well, so each stops writing within half a
//           lease (keep_lease); W waits for a whole one before W6.
// Not kept out: a create() that is under way. Who formats and wipes the same memory at the same time may have to wipe it again.
// Thread safety: pure functions; any number of wipers.
// Tests: pool/wipe_test.cpp.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/fabric/client_id.hpp>
#include <catena/fabric/fabric.hpp>
#include <catena/fabric/op.hpp>
#include <catena/pool/member_record.hpp>
#include <catena/pool/retry.hpp>
#include <catena/pool/session.hpp>
#include <catena/pool/superblock.hpp>

namespace catena {

struct wipe_report {
    std::uint32_t members_fenced = 0; ///< slots of the table that named a member, alive or not
    std::uint64_t bytes = 0;          ///< made zero, of all memory nodes
};

namespace detail {

template <fabric Fabric>
class wiper {
public:
    using session_type = session<typename Fabric::channel_type>;

    wiper(Fabric& f, session_type& s, pool_state const& state)
        : nodes_(f.node_count()), node_bytes_(f.node_bytes()), s_(s), mark_(static_cast<word>(state.client)),
          found_(nodes_) {}

    template <typename Progress>
    [[nodiscard]] setup_result<wipe_report> run(Progress& progress) {
        auto const lease = take();
        if (!lease) return lease.error();
        if (auto const r = mark_the_others(); !r) return setup_error(r.error());
        if (auto const r = fence_members(); !r) return r.error();
        if (auto const r = pause(*lease); !r) return setup_error(r.error());
        auto const zeros = [&](std::uint64_t from, std::uint64_t to) { return make_zero(from, to, progress); };
        for (auto const& r : {zeros(catalog_offset, node_bytes_), zeros(word_bytes, catalog_offset), clear_marks()})
            if (!r) return unfinished(r.error());
        return report_;
    }

private:
    static constexpr std::uint64_t piece = std::uint64_t{1} << 20U; ///< of one WRITE
    static constexpr std::size_t pieces = 4;                        ///< of one batch: every batch has a bound in time

    /// W1 to W3. How long to wait until members that nothing names any more write no more.
    [[nodiscard]] setup_result<std::chrono::milliseconds> take() {
        for (retry again;;) {
            if (auto const r = read_superblocks(); !r) return setup_error(r.error());
            if (auto wrong = objection()) return std::move(*wrong);
            for (auto const& block : found_)
                if (is_wiping_mark(block.magic))
                    if (auto const r = fence(block.magic, "another wipe of this pool"); !r) return r.error();
            op claim = op::cas({last(), 0}, found_[last()].magic, mark_);
            if (auto const r = submit(batch(&claim, 1)); !r) return setup_error(r.error());
            if (claim.swapped()) break;
            if (auto const r = sync_wait(s_, again.wait(s_)); !r) return setup_error(r.error());
        }
        std::uint32_t lease = 0;
        for (auto const& block : found_)
            if (is_whole(block)) lease = std::max(lease, block.lease_ms);
        return std::chrono::milliseconds(found_[0].magic == 0 ? lease : 0);
    }

    [[nodiscard]] result<void> read_superblocks() {
        std::vector<op> reads;
        for (std::uint16_t node = 0; node < nodes_; ++node)
            reads.push_back(op::read({node, 0}, &found_[node], sizeof found_[node]));
        return submit(reads);
    }

    /// A superblock whose seal fits; the mark may be in place of its magic.
    [[nodiscard]] static bool is_whole(superblock block) noexcept {
        if (block.magic == 0) return false;
        block.magic = pool_magic;
        return block.seal == seal_of(block);
    }

    /// Why these memory nodes are nothing to wipe: there is no pool, or something else, or another pool.
    [[nodiscard]] std::optional<setup_error> objection() const {
        superblock const* first = nullptr;
        bool empty = true;
        for (std::uint16_t node = 0; node < nodes_; ++node) {
            auto block = found_[node];
            if (block.magic == 0) continue;
            empty = false;
            if (block.magic != pool_magic && !is_wiping_mark(block.magic))
                return setup_error(errc::bad_format, "memory node " + std::to_string(node) +
                                                         ": its memory is not zero and not a catena pool");
            if (!is_whole(block)) continue; // damaged, or wiped in part
            block.magic = pool_magic;
            if (auto const wrong = mismatch(block, node, nodes_, node_bytes_))
                return setup_error(errc::bad_format, *wrong);
            if (first == nullptr) first = &found_[node];
            if (block.uuid != first->uuid)
                return setup_error(errc::bad_format, "memory node " + std::to_string(node) +
                                                         ": superblock.uuid differs from that of another memory node: "
                                                         "these nodes belong to different pools");
        }
        if (empty) return setup_error(errc::not_found, "there is no pool on these memory nodes");
        return std::nullopt;
    }

    /// W4.
    [[nodiscard]] result<void> mark_the_others() { return write_word_0_but_of_the_last(&mark_); }

    [[nodiscard]] result<void> write_word_0_but_of_the_last(word const* value) {
        for (std::uint16_t node = 0; node < last(); ++node) {
            op write = op::write({node, 0}, value, word_bytes);
            if (auto const r = submit(batch(&write, 1)); !r) return r.error();
        }
        return {};
    }

    /// W5.
    [[nodiscard]] result<void, setup_error> fence_members() {
        std::vector<member_record> table(member_slots);
        op read = op::read(member_at(0), table.data(), table.size() * sizeof(member_record));
        if (auto const r = submit(batch(&read, 1)); !r) return setup_error(r.error());
        for (std::uint32_t slot = 0; slot < member_slots; ++slot) {
            if (!table[slot].joined() || client_id{table[slot].client} == anonymous_client) continue;
            auto const r = fence(table[slot].client, "the member in slot " + std::to_string(slot));
            if (!r) return r.error();
            ++report_.members_fenced;
        }
        return {};
    }

    [[nodiscard]] result<void, setup_error> fence(word client, std::string const& who) {
        auto const r = sync_wait(s_, fence_one(s_, client_id{client}));
        if (r) return {};
        if (r.error().code != errc::timed_out) return unfinished(r.error());
        return setup_error(errc::timed_out,
                           who + " could not be shut out in time, so it may still write: this wipe stopped before it "
                                 "made anything zero. End that process, then wipe the pool again");
    }

    /// W6, W7. The memory nodes take turns.
    template <typename Progress>
    [[nodiscard]] result<void> make_zero(std::uint64_t from, std::uint64_t to, Progress& progress) {
        scratch_lease const memory(s_.scratches());
        auto const zeros = memory->template take<word>(piece / word_bytes);
        std::vector<op> ops;
        for (std::uint64_t at = from; at < to; at += piece) {
            auto const bytes = std::min(piece, to - at);
            for (std::uint16_t node = 0; node < nodes_; ++node) {
                ops.push_back(op::write({node, at}, zeros.data(), bytes));
                report_.bytes += bytes;
                bool const more = at + bytes < to || node < last();
                if (ops.size() < pieces && more) continue;
                if (auto const r = submit(ops); !r) return r;
                ops.clear();
                progress(report_.bytes, nodes_ * node_bytes_);
            }
        }
        return {};
    }

    /// W8, W9.
    [[nodiscard]] result<void> clear_marks() {
        word const zero = 0;
        if (auto const r = write_word_0_but_of_the_last(&zero); !r) return r;
        op write = op::write({last(), 0}, &zero, word_bytes);
        report_.bytes += nodes_ * word_bytes;
        return submit(batch(&write, 1));
    }

    [[nodiscard]] static setup_error unfinished(error why) {
        return {why.code, std::string(describe(why.code)) + "; the pool is half wiped: wipe it again"};
    }
    [[nodiscard]] std::uint16_t last() const noexcept { return static_cast<std::uint16_t>(nodes_ - 1); }

    [[nodiscard, gnu::noinline]] static task<result<void>> submit_all(session_type& s, batch ops) {
        co_return co_await s.submit(ops);
    }
    [[nodiscard, gnu::noinline]] static task<result<void>> fence_one(session_type& s, client_id whom) {
        co_return co_await s.channel().fence(whom);
    }
    [[nodiscard, gnu::noinline]] static task<result<void>> pause_for(session_type& s, std::chrono::nanoseconds time) {
        co_return co_await s.channel().pause(time);
    }
    [[nodiscard]] result<void> submit(batch ops) { return sync_wait(s_, submit_all(s_, ops)); }
    [[nodiscard]] result<void> pause(std::chrono::nanoseconds time) {
        if (time.count() == 0) return {};
        return sync_wait(s_, pause_for(s_, time));
    }

    std::uint16_t nodes_;
    std::uint64_t node_bytes_;
    session_type& s_;
    word mark_;
    std::vector<superblock> found_; ///< as W1 read them
    wipe_report report_;
};

} // namespace detail

/// Removes the pool on the memory nodes of the fabric: they are zero afterwards. progress(bytes done, bytes of all) is called
/// between the batches that make them so. seed: as pool_options::seed. Errors: not_found (there is none; also where nothing is
/// wrong), bad_format (something else is there, or a pool of other memory nodes, or of another version; nothing was written),
/// timed_out (somebody could not be shut out; nothing was made zero), fenced (by another wipe), contended, unsupported, unreachable.
/// After any of the latter: wipe it again.
template <fabric Fabric, typename Progress>
[[nodiscard]] setup_result<wipe_report> wipe_pool(Fabric& fabric, Progress progress, std::uint64_t seed = 0) {
    using channel_type = typename Fabric::channel_type;
    if (!channel_type::guarantees.cover({.atomic_words = true, .ordered_batch = true}))
        return setup_error(errc::unsupported, "fabric " + std::string(Fabric::name) +
                                                  " does not guarantee atomic_words and ordered_batch");
    if (fabric.node_bytes() < min_node_bytes)
        return setup_error(errc::not_found, "there is no pool on these memory nodes: they are too small for one");
    pool_state state;
    state.client = client_id{wiping_mark(seed != 0 ? mix64(seed) : std::random_device{}())};
    state.geometry.node_count = fabric.node_count();
    state.geometry.node_bytes = fabric.node_bytes();
    auto channel = fabric.connect(state.client);
    if (!channel) return channel.error();
    session<channel_type> s(std::move(*channel), state);
    return detail::wiper<Fabric>(fabric, s, state).run(progress);
}

/// The same without progress.
template <fabric Fabric>
[[nodiscard]] setup_result<wipe_report> wipe_pool(Fabric& fabric) {
    return wipe_pool(fabric, [](std::uint64_t, std::uint64_t) {});
}

} // namespace catena
