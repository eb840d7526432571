// SPDX-License-Identifier: Apache-2.0
// news_errand: what a batch that goes anyway does for the news: tells what this client published, reads what others did.
// Thread safety: belongs to one operation.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include <catena/core/bytes.hpp>
#include <catena/fabric/op.hpp>
#include <catena/pool/scratch.hpp>
#include <catena/prefix/extent_news.hpp>
#include <catena/prefix/news_outbox.hpp>
#include <catena/prefix/news_watch.hpp>
#include <catena/prefix/placement_cache.hpp>

namespace catena::detail {

template <typename State>
class news_errand {
public:
    static constexpr std::size_t most_told = 32;           ///< entries in one batch
    static constexpr std::size_t most_ops = 1 + most_told; ///< that it adds to a batch

    news_errand(State& state, scratch& memory)
        : state_(state), letters_(memory.template room_for<news_outbox::letter>(most_told)),
          told_(memory.image(most_told * news_ring::entry_bytes)),
          read_(memory.image(news_watch::most_read * news_ring::entry_bytes)) {}

    /// For a batch that would else change nothing: it reads news as well, and tells some, if it is time to look.
    void only_if_due() noexcept {
        part_ = state_.news.due();
        tells_ = part_.count != 0;
    }

    /// Adds to a batch; returns how many operations. Again before done(): the same ones.
    [[nodiscard]] std::size_t plan(std::span<op> ops) noexcept {
        auto const& ring = state_.news.ring();
        if (count_ == 0 && tells_) count_ = state_.outbox.take(letters_);
        std::size_t n = 0;
        for (std::size_t i = 0; i < count_; ++i) {
            auto const& [position, news] = letters_[i];
            auto* const words = told_ + i * extent_news::entry_words;
            std::ranges::copy(news.written_at(position), words);
            bool const goes_on =
                i != 0 && ring.entry(position) == ring.entry(letters_[i - 1].position) + news_ring::entry_bytes;
            if (goes_on)
                ops[n - 1].length += news_ring::entry_bytes;
            else
                ops[n++] = op::write(ring.entry(position), words, news_ring::entry_bytes);
        }
        if (part_.count != 0) ops[n++] = op::read(ring.entry(part_.from), read_, part_.count * news_ring::entry_bytes);
        return n;
    }

    /// The batch went. What others told is known from now on; if there is more of it, the next batch reads that.
    void done() noexcept {
        count_ = 0;
        if (part_.count == 0) return;
        bool const more = state_.news.take(part_, read_, [this](extent_news const& n) {
            if (n.first) learn(n);
        });
        part_ = more ? state_.news.what_is_next() : news_watch::part{};
    }

private:
    void learn(extent_news const& n) noexcept {
        auto& placements = state_.placements;
        auto const known = placements.find(n.key);
        if (known && known->extent == n.first) return; // and its parent was noted then
        placements.put(n.key, placement::of(n));
        if (n.parent == 0) return;
        auto parent = placements.find(n.parent);
        if (!parent) return;
        parent->note_branch();
        placements.put(n.parent, *parent);
    }

    State& state_;
    std::span<news_outbox::letter> letters_; ///< that this batch tells
    word* told_;
    word* read_;
    std::size_t count_ = 0; ///< of letters_
    news_watch::part part_; ///< to read
    bool tells_ = true;
};

} // namespace catena::detail
