// SPDX-License-Identifier: Apache-2.0
// extent_list: the extents that a walk knows of, by the hash of their first block, and what was read of them.
// Thread safety: belongs to one operation. Bound: as many as it is made for, with an image each.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <catena/core/bytes.hpp>
#include <catena/fabric/op.hpp>
#include <catena/pool/scratch.hpp>
#include <catena/prefix/extent.hpp>

namespace catena::detail {

struct listed_extent {
    block_hash first{};
    extent_ref ref;           ///< null: the index does not know it
    std::uint32_t want = 0;   ///< slots to read
    std::uint32_t have = 0;   ///< slots read; 0: not read, or to be read again
    std::uint32_t known = 0;  ///< slots that were claimed when it was seen before
    std::uint8_t behind = 0;  ///< as in its placement
    bool asked = false;       ///< the index told of it just now
    bool spare = false;       ///< it is dying and must not (extent_removal.hpp)
    bool is_copy = false;     ///< what was read is a copy that holds
    bool copy_failed = false; ///< what was to be used is a copy that does not hold any more
    std::uint32_t copied = 0; ///< slots that stand in the image already, if the extent says that they still hold
    std::array<word, extent_view::prelude_words> prelude{}; ///< what it says
    std::uint16_t uses = 0;                                 ///< as in its placement
    std::uint16_t removals = 0;                             ///< as in its placement
    word* words = nullptr;                                  ///< the image, from the meta word on
    extent_meta meta{};                                     ///< as it was read when a walk entered it
};

class extent_list {
public:
    static constexpr std::uint32_t none = ~std::uint32_t{0};

    /// Takes its memory from `memory`, which belongs to nobody else.
    extent_list(scratch& memory, std::size_t most)
        : memory_(memory), listed_(memory.room_for<listed_extent>(most)),
          table_(memory.room_for<std::uint32_t>(std::bit_ceil(2 * most))), begin_(memory.mark()) {
        clear();
    }

    void clear() noexcept {
        count_ = 0;
        std::fill(table_.begin(), table_.end(), none);
        memory_.reset_to(begin_);
    }
    [[nodiscard]] bool has_room_for(std::size_t more) const noexcept { return count_ + more <= listed_.size(); }

    /// Its number, or none.
    [[nodiscard]] std::uint32_t find(block_hash const& first) const noexcept { return table_[entry_of(first)]; }
    [[nodiscard]] listed_extent& operator[](std::uint32_t number) const noexcept { return listed_[number]; }

    /// Lists it, or changes where it is.
    listed_extent& add(block_hash const& first, extent_ref ref) noexcept {
        auto& entry = table_[entry_of(first)];
        if (entry == none) entry = static_cast<std::uint32_t>(count_++);
        auto& e = listed_[entry];
        e = {};
        e.first = first;
        e.ref = ref;
        return e;
    }
    /// From now on nobody finds it, as if it had never been listed. (Its entry of the table leads on to others.)
    void strike(listed_extent& e) noexcept {
        e.first.low = ~e.first.low;
        e.ref = {};
    }

    /// Operations that read what is listed and was not read yet; room for two each.
    [[nodiscard]] std::size_t plan_reads(std::span<op> ops) {
        std::size_t n = 0;
        for (std::size_t i = 0; i < count_;) {
            auto& e = listed_[i];
            if (!e.ref || e.have != 0) {
                ++i;
                continue;
            }
            if (e.spare) ops[n++] = op::cas(extent_view::begin(e.ref), e.meta.bits(), e.meta.when_spared().bits());
            e.spare = false;
            if (e.copied != 0) {
                ops[n++] = op::read(extent_view::begin(e.ref), e.prelude.data(), sizeof e.prelude);
                ++i;
                continue;
            }
            ops[n] = op::read(extent_view::begin(e.ref), e.words, extent_view::bytes_of(e.want));
            auto const run = e.words == nullptr ? run_from(i) : 1;
            if (e.words == nullptr) {
                std::size_t bytes = 0;
                for (auto const& each : listed_.subspan(i, run)) bytes += each.ref.bytes();
                e.words = memory_.image(bytes);
                ops[n].local = e.words;
            }
            for (auto next = i + 1; next < i + run; ++next) {
                auto& each = listed_[next];
                each.words = listed_[next - 1].words + listed_[next - 1].ref.bytes() / word_bytes;
                ops[n].length = static_cast<std::uint32_t>(static_cast<std::size_t>(each.words - e.words) * word_bytes +
                                                           extent_view::bytes_of(each.want));
            }
            ++n;
            i += run;
        }
        return n;
    }
    /// They were done.
    void note_reads() noexcept {
        for (auto& e : listed_.first(count_)) {
            if (!e.ref || e.words == nullptr || e.have != 0) continue;
            if (e.copied == 0) {
                e.have = e.want;
                continue;
            }
            // extent_copies V1. A copy that does not hold is as none: what walks go on with is read in the next round trip.
            if (e.prelude[1] == e.words[1]) e.have = e.copied;
            e.is_copy = e.have != 0;
            e.copy_failed = e.have == 0;
            e.words[0] = e.prelude[0];
            e.words[2] = e.prelude[2];
            e.copied = 0;
        }
    }
    /// Room for any extent, until clear().
    [[nodiscard]] word* spare_image() { return memory_.image(extent_class::bytes(extent_class::count - 1)); }

private:
    /// How many extents from the i-th on lie one behind the other, as a publish of several windows lays them, so that they can be
    /// read at once, with little between them that nobody asked for.
    [[nodiscard]] std::size_t run_from(std::size_t i) const noexcept {
        constexpr std::size_t most_unused_slots = 8;
        std::size_t run = 1;
        for (; i + run < count_; ++run) {
            auto const& before = listed_[i + run - 1];
            auto const& e = listed_[i + run];
            bool const fresh = e.ref && e.have == 0 && e.words == nullptr && !e.spare;
            if (!fresh || e.ref.at() != before.ref.at() + before.ref.bytes()) break;
            if (before.want + most_unused_slots < before.ref.slots()) break;
        }
        return run;
    }
    [[nodiscard]] std::size_t entry_of(block_hash const& first) const noexcept {
        auto const mask = table_.size() - 1;
        for (auto i = static_cast<std::size_t>(first.high) & mask;; i = (i + 1) & mask)
            if (table_[i] == none || listed_[table_[i]].first == first) return i;
    }

    scratch& memory_;
    std::span<listed_extent> listed_;
    std::span<std::uint32_t> table_;
    std::pair<std::size_t, std::size_t> begin_;
    std::size_t count_ = 0;
};

} // namespace catena::detail
