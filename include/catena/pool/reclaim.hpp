// SPDX-License-Identifier: Apache-2.0
// reclaim: finds the blocks and chunks that members held who are gone, and makes them free again.
//
// Actors     D a member that is gone.  A who reclaims; there may be several.  Everybody else goes on meanwhile.
// Protocol   R1 find_gone: READ the members for a whole lease; reap those that stood still (fenced first); READ them once
//            more: who is not joined in that look is gone, and nothing of him takes effect any more.
//            R2 the owner of the blocks' contents makes sure that no half-done work of D leads to them any more, and says
//            which blocks may be taken (an index: index/detail/reclaim.hpp).
//            R3 sweep: for each chunk that was taken: READ its table word and the headers of all its blocks.
//               a block that the header says D holds:  CAS lock: the word that names D -> held by A;  free it.
//               blocks that were never written, of a chunk that D owns:  CAS table word: owned(D) -> owned(A).  Those
//               with written ones behind them: WRITE lock: held by A;  free them.  The others: release the chunk.
//               a chunk below the cursor that nobody owns: release it as a whole.
// Newer members  The tag of a lock word is short. A tag that was nobody's at R1 may be that of a member that joined later; so
//            the members are read again after the headers, and the uses of a slot that began in between are left alone.
// Why nobody uses such a block behind our back.  D's word is in the header since before R1: D writes nothing any more, and
//            no living member writes D's tag, save a recoverer that gives back a lock which it could not mend, with the
//            node as it was. So if our CAS finds it there nobody else touched the block: neither a reader of its contents
//            (it led nowhere at R2, D cannot publish it any more, and it was published by nobody else) nor another A,
//            whose CAS would have come first. The same holds for the table word: D cut all that was cut until then.
// A dies     before a CAS: nothing happened. After it: header or table name A; the next one finds them. While a block is
//            shared: node_allocator.hpp.
// Idle members  Who does nothing for longer than a lease is silent, and silent members are taken for dead here: they are fenced,
//            and their next call fails with errc::fenced or lease_lost; they open the pool again. A client that wants to
//            keep its place calls keep_lease now and then.
// Cost       R1 one lease. R3, round trips: 1 a memory node, 1 for 512 chunks, 1 for 256 blocks; for a chunk of which something
//            is taken 1, 1 for 64 blocks that are taken, 2 for each of them to share it; 1 to 3 where the rest is released.
// Thread safety: as the session. Set-up path: allocates. Tests: pool/reclaim_test.cpp, index/reclaim_test.cpp,
// torture/.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/pool/block_header.hpp>
#include <catena/pool/chunk_table.hpp>
#include <catena/pool/membership.hpp>
#include <catena/pool/node_allocator.hpp>

namespace catena {

/// What was found and is free again.
struct reclaim_report {
    std::uint64_t members_gone = 0; ///< whose lease ran out while we watched
    std::uint64_t blocks = 0;       ///< that somebody held who is gone, one by one
    std::uint64_t chunks = 0;       ///< whose rest belonged to somebody who is gone
    std::uint64_t bytes = 0;        ///< of both
};

namespace detail {

/// The members as they were at R1.
class gone_members {
public:
    std::vector<member_record> seen = std::vector<member_record>(member_slots);

    /// Nobody's tag at R1. It may be that of somebody who joined later.
    [[nodiscard]] bool perhaps(std::uint32_t tag) const noexcept {
        auto const& record = seen[slot_of(tag)];
        return record.phase() == member_phase::free || newness(tag, record) != 0;
    }
    /// Gone at R1. now: the members, read after the tag was.
    [[nodiscard]] bool surely(std::uint32_t tag, std::span<member_record const> now) const noexcept {
        auto const& record = seen[slot_of(tag)];
        auto const uses_since = now[slot_of(tag)].incarnation() - record.incarnation();
        auto const newer = newness(tag, record);
        return perhaps(tag) && (newer == 0 || newer > uses_since);
    }

private:
    static constexpr std::uint32_t incarnations = 1U << member_id::tag_incarnation_bits;
    [[nodiscard]] static std::uint32_t slot_of(std::uint32_t tag) noexcept {
        return tag >> member_id::tag_incarnation_bits;
    }
    /// How many uses of the slot after that of the record the tag is, at least; 0: it is that of the record.
    [[nodiscard]] static std::uint32_t newness(std::uint32_t tag, member_record const& record) noexcept {
        return (tag - record.incarnation()) % incarnations;
    }
};

template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> read_members(Session& s, std::span<member_record> to) {
    op read = op::read(member_at(0), to.data(), to.size_bytes());
    co_return co_await s.submit(read);
}

/// R1. Takes a lease if there are other members that are not known to be dead.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<gone_members>> find_gone(Session& s, reclaim_report& report) {
    gone_members members;
    auto const lease = lease_of(s);
    std::chrono::nanoseconds first_look{};
    for (bool first = true;; first = false) {
        if (auto const r = co_await keep_lease(s); !r) co_return r.error();
        auto const asked = s.channel().now();
        if (auto const r = co_await read_members(s, members.seen); !r) co_return r.error();
        auto const answered = s.channel().now();
        if (first) first_look = answered;
        bool waiting = false;
        for (std::uint32_t slot = 0; slot < member_slots; ++slot) {
            auto const& record = members.seen[slot];
            if (!record.joined() || s.pool().self == member_id{slot, record.incarnation()}) continue;
            if (!s.pool().watch.expired(slot, record, asked, answered, lease)) {
                waiting = true;
                continue;
            }
            auto const out = co_await reap(s, slot, record);
            if (!out && out.error().code == errc::corrupt) continue;
            if (!out) co_return out.error();
            if (*out) ++report.members_gone;
        }
        if (!waiting || asked - first_look >= lease) break;
        if (auto const r = co_await s.channel().pause(lease / 8); !r) co_return r.error();
    }
    if (auto const r = co_await read_members(s, members.seen); !r) co_return r.error();
    co_return members;
}

/// R3. may_take(at, header) -> bool: of a block that somebody holds who is gone, or that is alive and was written last by
/// such a one: is it in no index?
template <typename Session, typename MayTake>
class sweeper {
public:
    sweeper(Session& s, gone_members const& gone, MayTake may_take, reclaim_report& report)
        : s_(s), gone_(gone), may_take_(may_take), report_(report), ops_(at_once), headers_(at_once),
          members_(member_slots) {}

    [[nodiscard, gnu::noinline]] task<result<void>> run() {
        for (std::uint16_t node = 0; node < s_.pool().geometry.node_count; ++node)
            if (auto const r = co_await one_node(node); !r) co_return r.error();
        co_return result<void>{};
    }

private:
    static constexpr std::uint64_t at_once = 256;

    struct candidate {
        remote_ptr at;
        word lock;
        std::uint32_t holder;
        std::uint32_t lives;
    };

    [[nodiscard, gnu::noinline]] task<result<void>> one_node(std::uint16_t node) {
        auto const& geometry = s_.pool().geometry;
        word cursor = 0;
        op read_cursor = op::read({node, cursor_offset}, &cursor, word_bytes);
        if (auto const r = co_await s_.submit(read_cursor); !r) co_return r.error();
        auto const chunks = std::min(cursor / geometry.chunk_bytes, chunk_count(geometry));
        std::vector<word> table(2 * at_once);
        for (std::uint64_t from = 0; from < chunks; from += table.size()) {
            auto const n = std::min<std::uint64_t>(table.size(), chunks - from);
            op read = op::read(chunk_word_at(node, from), table.data(), n * word_bytes);
            if (auto const r = co_await s_.submit(read); !r) co_return r.error();
            for (std::uint64_t i = 0; i < n; ++i)
                if (auto const r = co_await one_chunk(node, from + i, chunk_word(table[i])); !r) co_return r.error();
        }
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> one_chunk(std::uint16_t node, std::uint64_t chunk,
                                                              chunk_word word_seen) {
        if (word_seen.state() == chunk_state::unused) co_return co_await release_unused(node, chunk);
        if (word_seen.block_bytes() == 0) co_return result<void>{}; // released as a whole
        bool const ownerless = word_seen.state() == chunk_state::owned && gone_.perhaps(word_seen.owner());
        candidates_.clear();
        unwritten_.clear();
        if (auto const r = co_await read_headers({node, chunk_begin(s_.pool().geometry, chunk)}, word_seen, ownerless);
            !r)
            co_return r.error();
        if (candidates_.empty() && unwritten_.empty()) co_return result<void>{};
        if (auto const r = co_await read_members(s_, members_); !r) co_return r.error();
        if (auto const r = co_await take_candidates(word_seen.block_bytes()); !r) co_return r.error();
        if (unwritten_.empty() || !gone_.surely(word_seen.owner(), members_)) co_return result<void>{};
        co_return co_await adopt(node, chunk, word_seen);
    }

    /// Finds candidates_ and, if asked for, the blocks that were never written.
    [[nodiscard, gnu::noinline]] task<result<void>> read_headers(remote_ptr begin, chunk_word chunk, bool ownerless) {
        auto const bytes = chunk.block_bytes();
        auto const written = chunk.state() == chunk_state::released ? chunk.first() : s_.pool().geometry.chunk_bytes;
        auto const blocks = written / bytes;
        for (std::uint64_t from = 0; from < blocks; from += at_once) {
            if (auto const r = co_await keep_lease(s_); !r) co_return r.error();
            auto const n = std::min(at_once, blocks - from);
            for (std::uint64_t i = 0; i < n; ++i)
                ops_[i] = op::read(begin + (from + i) * bytes, &headers_[i], sizeof headers_[i]);
            if (auto const r = co_await s_.submit(batch(ops_).first(n)); !r) co_return r.error();
            for (std::uint64_t i = 0; i < n; ++i) {
                auto const& h = headers_[i];
                auto const at = begin + (from + i) * bytes;
                if (h.lock() != 0 && gone_.perhaps(h.holder()) && may_take_(at, h))
                    candidates_.push_back({.at = at, .lock = h.lock(), .holder = h.holder(), .lives = h.lives()});
                if (ownerless && h.unwritten()) unwritten_.push_back(from + i);
            }
        }
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> take_candidates(std::uint64_t bytes) {
        constexpr std::size_t most = 64;
        auto const mine = block_header::held_by(s_.pool().self.tag());
        std::erase_if(candidates_, [this](candidate const& c) { return !gone_.surely(c.holder, members_); });
        for (std::size_t from = 0; from < candidates_.size(); from += most) {
            auto const some = std::span(candidates_).subspan(from, std::min(most, candidates_.size() - from));
            std::array<op, most> take;
            for (std::size_t i = 0; i < some.size(); ++i) take[i] = op::cas(some[i].at, some[i].lock, mine);
            if (auto const r = co_await s_.submit(batch(take).first(some.size())); !r) co_return r.error();
            for (std::size_t i = 0; i < some.size(); ++i) {
                if (!take[i].swapped()) continue;
                if (auto const r = co_await give({.at = some[i].at, .lives = some[i].lives}, bytes); !r)
                    co_return r.error();
            }
        }
        co_return result<void>{};
    }

    /// A chunk whose owner is gone: unwritten_ is what it left.
    [[nodiscard, gnu::noinline]] task<result<void>> adopt(std::uint16_t node, std::uint64_t chunk, chunk_word seen) {
        auto const bytes = seen.block_bytes();
        auto const begin = chunk_begin(s_.pool().geometry, chunk);
        auto const me = s_.pool().self.tag();
        op claim = op::cas(chunk_word_at(node, chunk), seen.bits(), chunk_word::owned(me, bytes).bits());
        if (auto const r = co_await s_.submit(claim); !r) co_return r.error();
        if (!claim.swapped()) co_return result<void>{};
        // From the first block on behind which none was written the rest is free as a whole.
        auto rest = s_.pool().geometry.chunk_bytes / bytes;
        auto holes = unwritten_.size();
        while (holes > 0 && unwritten_[holes - 1] == rest - 1) {
            --rest;
            --holes;
        }
        // Signed before the chunk has another owner, who would count as theirs.
        word const mine = block_header::held_by(me);
        for (std::size_t from = 0; from < holes; from += at_once) {
            auto const n = std::min<std::size_t>(at_once, holes - from);
            for (std::size_t i = 0; i < n; ++i)
                ops_[i] =
                    op::write({node, begin + unwritten_[from + i] * bytes + block_header::lock_at}, &mine, word_bytes);
            if (auto const r = co_await s_.submit(batch(ops_).first(n)); !r) co_return r.error();
        }
        for (std::size_t i = 0; i < holes; ++i)
            if (auto const r = co_await give({.at = {node, begin + unwritten_[i] * bytes}, .lives = 0}, bytes); !r)
                co_return r.error();
        if (holes == unwritten_.size()) co_return result<void>{};
        ++report_.chunks;
        report_.bytes += (unwritten_.size() - holes) * bytes;
        co_return co_await release_chunk(s_, node, chunk, bytes, begin + rest * bytes);
    }

    /// Its taker may live: then it takes another one.
    [[nodiscard, gnu::noinline]] task<result<void>> release_unused(std::uint16_t node, std::uint64_t chunk) {
        auto const count = released_count_of(node, 0);
        std::array ops{op::faa(count, 1), op::cas(chunk_word_at(node, chunk), 0, chunk_word::released(0, 0).bits())};
        if (auto const r = co_await s_.submit(batch(ops)); !r) co_return r.error();
        if (ops[1].swapped()) {
            ++report_.chunks;
            report_.bytes += s_.pool().geometry.chunk_bytes;
            co_return result<void>{};
        }
        op undo = op::faa(count, ~word{0});
        co_return co_await s_.submit(undo);
    }

    [[nodiscard, gnu::noinline]] task<result<void>> give(block b, std::uint64_t bytes) {
        ++report_.blocks;
        report_.bytes += bytes;
        return free_block(s_, b, bytes);
    }

    Session& s_;
    gone_members const& gone_;
    MayTake may_take_;
    reclaim_report& report_;
    std::vector<op> ops_;
    std::vector<block_header> headers_;
    std::vector<member_record> members_; ///< after the headers were read
    std::vector<candidate> candidates_;
    std::vector<std::uint64_t> unwritten_; ///< numbers of blocks in the chunk, ascending
};

template <typename Session, typename MayTake>
[[nodiscard, gnu::noinline]] task<result<void>> sweep(Session& s, gone_members const& gone, MayTake may_take,
                                                      reclaim_report& report) {
    sweeper<Session, MayTake> w(s, gone, may_take, report);
    co_return co_await w.run();
}

} // namespace detail

} // namespace catena
