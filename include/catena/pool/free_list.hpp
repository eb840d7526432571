// SPDX-License-Identifier: Apache-2.0
// free_list: a stack of free blocks in remote memory from which any client can take (Treiber 1986, one-sided).
//
// The head word lies in the superblock of the memory node that the blocks are on: tag (22 bit), offset / 64 (42 bit).
// Each block holds the head that was below it in one of its words.
//   push  P1 WRITE link = head;  P2 CAS head -> (block, tag + 1).   One ordered batch; P2 fails => again with its answer.
//   pop   R1 READ head;  R2 READ link of the block;  R3 CAS head -> (link, tag + 1).
// Race: between R2 and R3 the block may be taken, used and pushed again: the tag then differs and R3 fails (ABA; the
// tag comes round after 4 million changes within one pop). R2 may read a block in use: its answer is thrown away.
// Dies: after P1 or R3 the one block is lost to all, the list is whole.
// Thread safety: any number of clients. Needs: atomic_words, ordered_batch.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/fabric/op.hpp>
#include <catena/pool/retry.hpp>
#include <catena/pool/superblock.hpp>

namespace catena {

class free_list_head {
public:
    explicit constexpr free_list_head(word bits) noexcept : bits_(bits) {}
    [[nodiscard]] constexpr std::uint64_t offset() const noexcept { return (bits_ & offset_mask) * block_granule; }
    [[nodiscard]] constexpr bool empty() const noexcept { return (bits_ & offset_mask) == 0; }
    [[nodiscard]] constexpr free_list_head with(std::uint64_t new_offset) const noexcept {
        auto const tag = (bits_ >> offset_bits) + 1;
        return free_list_head(tag << offset_bits | new_offset / block_granule);
    }
    [[nodiscard]] constexpr word bits() const noexcept { return bits_; }

private:
    static constexpr unsigned offset_bits = 42;
    static constexpr word offset_mask = (word{1} << offset_bits) - 1;
    word bits_;
};

/// Puts `block` on the list. link_at: byte offset of the link word inside the block. marks: at most 2 operations that
/// come between P1 and P2 at the first try. 2 round trips without contention.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> push_free(Session& s, remote_ptr head, remote_ptr block,
                                                          std::uint64_t link_at, std::span<op const> marks = {}) {
    CATENA_ASSERT(marks.size() <= 2);
    op read = op::read(head, nullptr, word_bytes);
    word seen = 0;
    read.local = &seen;
    if (auto const r = co_await s.submit(read); !r) co_return r.error();
    std::array<op, 4> ops;
    retry again;
    for (;; marks = {}) {
        word const link = free_list_head(seen).offset();
        ops[0] = op::write(block + link_at, &link, word_bytes);
        std::copy(marks.begin(), marks.end(), ops.begin() + 1);
        auto& swap = ops[1 + marks.size()];
        swap = op::cas(head, seen, free_list_head(seen).with(block.offset()).bits());
        if (auto const r = co_await s.submit(batch(ops).first(2 + marks.size())); !r) co_return r.error();
        if (swap.swapped()) co_return result<void>{};
        seen = swap.fetched;
        if (auto const r = co_await again.wait(s); !r) co_return r.error();
    }
}

/// Takes a block off the list; null if it is empty. 3 round trips (1 if empty) without contention.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<remote_ptr>> pop_free(Session& s, remote_ptr head, std::uint64_t link_at) {
    word seen = 0;
    op read = op::read(head, &seen, word_bytes);
    if (auto const r = co_await s.submit(read); !r) co_return r.error();
    retry again;
    for (;;) {
        free_list_head const top(seen);
        if (top.empty()) co_return remote_ptr{};
        remote_ptr const block(head.node(), top.offset());
        word link = 0;
        op read_link = op::read(block + link_at, &link, word_bytes);
        if (auto const r = co_await s.submit(read_link); !r) co_return r.error();
        op take = op::cas(head, seen, top.with(link % s.pool().geometry.node_bytes).bits());
        if (auto const r = co_await s.submit(take); !r) co_return r.error();
        if (take.swapped()) co_return block;
        seen = take.fetched;
        if (auto const r = co_await again.wait(s); !r) co_return r.error();
    }
}

} // namespace catena
