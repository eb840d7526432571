// SPDX-License-Identifier: Apache-2.0
// news_setup: makes the ring of news of a new index, finds that of an old one, leaves that of a dropped one behind. Its address is the
// root in the catalog.
// Thread safety: as the session. Set-up path.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/fabric/op.hpp>
#include <catena/index/detail/reclaim.hpp>
#include <catena/pool/block_header.hpp>
#include <catena/pool/catalog.hpp>
#include <catena/pool/node_allocator.hpp>
#include <catena/pool/scratch.hpp>
#include <catena/prefix/extent_news.hpp>
#include <catena/prefix/extent_words.hpp>

namespace catena::detail {

/// Returns its address; 0: there is none. It lies on memory node 0, without which there are no leases either: nobody fails because
/// he cannot tell, or hear, something.
template <typename Options, typename Session>
[[nodiscard, gnu::noinline]] task<result<word>> make_news_ring(Session& s, std::uint16_t tag) {
    static_assert(Options::news_bytes == 0 || is_block_size(Options::news_bytes), "the ring of news is one block");
    if (Options::news_bytes == 0) co_return word{0};
    auto const bytes = std::min<std::uint64_t>(Options::news_bytes, s.pool().geometry.chunk_bytes);
    s.allocation().turn = 0;
    auto const got = co_await allocate(s, bytes);
    if (!got) co_return got.error();
    if (got->at.node() != 0) { // no room there
        auto const freed = co_await free_block(s, *got, bytes);
        if (!freed) co_return freed.error();
        co_return word{0};
    }
    scratch_lease const memory(s.scratches());
    auto* const words = memory->image(bytes);
    std::fill_n(words, bytes / word_bytes, word{0});
    auto const entries = news_ring::entries_in(bytes);
    words[0] = block_header::held_by(s.pool().self.tag());
    words[2] = extent_meta::alive(tag, got->lives + 1, {}).bits();
    words[news_ring::head_word] = entries;
    words[news_ring::entries_word] = entries;
    op write = op::write(got->at, words, bytes);
    if (auto const r = co_await s.submit(write); !r) co_return r.error();
    co_return got->at.word();
}

/// It, and the head as it is now. Errors: corrupt. 2 round trips.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<std::pair<news_ring, std::uint64_t>>> find_news_ring(Session& s,
                                                                                              catalog_handle h) {
    word root = 0;
    op look = op::read(h.root(), &root, word_bytes);
    if (auto const r = co_await s.submit(look); !r) co_return r.error();
    if (root == 0) co_return std::pair(news_ring{}, std::uint64_t{0});
    std::array<word, news_ring::header_words> header{};
    auto const at = remote_ptr::from_word(root);
    op read = op::read(at, header.data(), sizeof header);
    if (auto const r = co_await s.submit(read); !r) co_return r.error();
    auto const entries = header[news_ring::entries_word];
    bool const is_one = extent_meta(header[2]).index_tag() == h.tag() && entries != 0 &&
                        entries <= news_ring::entries_in(max_block_bytes);
    if (!is_one) co_return make_error(errc::corrupt);
    co_return std::pair(news_ring{.at = at, .entries = entries}, header[news_ring::head_word]);
}

/// The ring of an index that is being dropped stays where it is, for ever and nobody's (kept_for_ever): a client that did not hear of
/// the drop yet may have an FAA under way, or stand still just before it, and nothing would keep that from whatever lies there then: a
/// fence shuts processes out that are silent, not a thread of one that is not. So each drop costs the pool news_bytes. To be called
/// before the index is off the catalog, whose entry keeps the ring until then. 3 round trips.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> leave_news_ring(Session& s, catalog_handle h) {
    word root = 0;
    op look = op::read(h.root(), &root, word_bytes);
    if (auto const r = co_await s.submit(look); !r) co_return r.error();
    if (root == 0) co_return result<void>{};
    auto const meta_at = remote_ptr::from_word(root) + block_header::meta_at;
    word meta = 0;
    op read = op::read(meta_at, &meta, word_bytes);
    if (auto const r = co_await s.submit(read); !r) co_return r.error();
    if (extent_meta(meta).index_tag() != h.tag()) co_return result<void>{}; // the memory node lost it
    op keep = op::cas(meta_at, meta, meta | kept_for_ever);
    co_return co_await s.submit(keep);
}

} // namespace catena::detail
