// SPDX-License-Identifier: Apache-2.0
// node_cache: packed copies of internal nodes in client memory, shared by the threads of a process.
//
// A cached node may be stale: it only ever says where to look, and what is found there says itself whether it is right
// (protocol/node_io.hpp: inspect). Stale copies are dropped by whoever notices.
//
// Records (packed_node.hpp) lie in a log, a ring of words: put appends at the head, room is made at the tail. A record
// is current if an entry of the table leads to it; others are garbage until the tail passes. The tail appends a current
// record again (second chance) if it was used since the tail passed last, and any while a quarter of the log is garbage
// or free; else it drops it. A node may stand in two sets of the table. Log and table begin small and grow with the
// records, the table set by set (linear hashing, Litwin 1980), inside memory that the OS maps when it is touched.
//
// Hits take no lock; put and drop take a mutex. What keeps readers right:
//   C1  An entry names a record by its place in the log and the lap of the log: the same value comes back after 2^31
//       laps at the earliest. A writer replaces it before it overwrites any word of the record.
//   C2  Words of records are stored with release and loaded with acquire: who saw a word of a later record also sees,
//       when it looks at the entry again, that the entry has changed, and counts as a miss. No fences, which
//       ThreadSanitizer would not understand.
//   C3  Until that look, the words read may be any: packed_node bounds what it takes from them, and the memory of the
//       log goes on for a full record behind its end.
//   C4  The used bit is no part of the name. It is set by compare-and-swap: a store could bring a dropped entry back.
// Bound: log and table together never exceed the capacity in bytes (at least 32 full records).
// Thread safety: any number of threads.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>

#include <catena/core/config.hpp>
#include <catena/core/hash.hpp>
#include <catena/index/packed_node.hpp>
#include <catena/layout/node.hpp>

namespace catena {

/// Where a search for a key goes from an internal node.
struct route {
    enum class to : std::uint8_t { miss, child, right, stale } where = to::miss;
    node_ref node; ///< child or right sibling
};

/// Layout: of internal nodes (payload node_ref).
template <typename Layout>
class node_cache {
public:
    using key_type = typename Layout::key_type;

    /// A child and its separator.
    struct listed_child {
        node_ref node;
        key_type low;
    };

    explicit node_cache(std::size_t capacity_bytes)
        : max_sets_(std::clamp(without(capacity_bytes, record_bytes) / (set_bytes + records_per_set * record_bytes),
                               min_sets, max_max_sets)),
          log_words_(std::clamp(without(capacity_bytes, record_bytes + max_sets_ * set_bytes) / word_bytes,
                                min_log_words, max_log_words)),
          memory_(static_cast<word*>(std::calloc(max_sets_ * ways + log_words_ + record_words + ways, word_bytes))) {
        if (!memory_) throw std::bad_alloc();
        void* at = memory_.get();
        auto space = (max_sets_ + 1) * set_bytes;
        table_ = static_cast<word*>(std::align(cache_line, set_bytes, at, space));
        log_ = table_ + max_sets_ * ways;
    }
    node_cache(node_cache const&) = delete;
    node_cache& operator=(node_cache const&) = delete;

    /// The way to `key` from the cached copy of `node`; miss if there is none.
    [[nodiscard]] route find(node_ref node, key_type const& key) noexcept {
        route found;
        visit(node, [&](auto const& record, word& entry, word seen) {
            auto const r = search(record, key);
            if (!still(entry, seen)) return false;
            // On the first hit only: a store on every hit would take the line from the other threads.
            if ((seen & used_bit) == 0)
                shared(entry).compare_exchange_strong(seen, seen | used_bit, std::memory_order_relaxed);
            found = r;
            return true;
        });
        return found;
    }

    /// The children that follow the one for `key` in the cached copy of `node` and of the siblings to its right, in
    /// ascending order, whose separators are below `to` if it is given; fills `out` as far as the copies know and fit
    /// each other. A guess, for reading ahead.
    [[nodiscard]] std::size_t children_after(node_ref node, key_type const& key, std::optional<key_type> const& to,
                                             std::span<listed_child> out) noexcept {
        std::size_t n = 0;
        key_type border = key; // of the copy before, which the next one must begin with
        bool more = true;
        for (std::size_t hops = 0; more && n < out.size() && hops <= out.size(); ++hops) { // copies may lead in circles
            more = false;
            visit(node, [&](auto const& record, word& entry, word seen) {
                bool const fits = hops == 0 ? !(key < record.low()) && !record.above(key) : record.low() == border;
                auto listed = n;
                bool below = fits;
                for (std::size_t i = 0; below && i < record.count() && listed < out.size(); ++i) {
                    listed_child const child{.node = record.child(i), .low = record.key(i)};
                    if (!(key < child.low)) continue;
                    below = !to || child.low < *to;
                    if (below) out[listed++] = child;
                }
                bool const has_sibling = below && !record.unbounded();
                auto const high = has_sibling ? record.high() : border;
                auto const link = record.link();
                if (!still(entry, seen)) return false;
                n = listed;
                more = has_sibling && link;
                border = high;
                node = link;
                return true;
            });
        }
        return n;
    }

    /// Keeps a copy of a sealed, live internal node; copies that were not used for long make room.
    void put(node_ref node, node_view<Layout> const& image) {
        if (!node) return;
        record_image image_words;
        auto const n = pack_node(node, image, image_words);
        std::lock_guard const guard(mutex_);
        auto* entry = lookup(node);
        if (entry != nullptr && same(position_of(load(*entry)), image_words, n)) return;
        make_room(n);
        if (entry == nullptr) entry = &new_entry(node);
        append(image_words, n, *entry);
    }

    /// Forgets the copy of `node`, if there is one.
    void drop(node_ref node) {
        std::lock_guard const guard(mutex_);
        if (auto* const entry = lookup(node)) forget(*entry);
    }

    /// Of current records and of the table as far as it has grown.
    [[nodiscard]] std::size_t bytes_used() const {
        std::lock_guard const guard(mutex_);
        return live_words_ * word_bytes + sets_.load(std::memory_order_relaxed) * set_bytes;
    }
    [[nodiscard]] std::size_t capacity_bytes() const noexcept {
        return max_sets_ * set_bytes + (log_words_ + record_words) * word_bytes;
    }

private:
    using packed = packed_layout<Layout>;
    using record_image = std::array<word, packed::max_words>;

    static constexpr std::size_t record_words = packed::max_words;
    static constexpr std::size_t usual_words = record_words / 2;
    static constexpr std::size_t record_bytes = record_words * word_bytes;
    static constexpr std::size_t ways = cache_line / word_bytes;
    static constexpr std::size_t set_bytes = cache_line;
    static constexpr std::size_t records_per_set = 2; ///< full ones: 4 to 5 as they usually are
    static constexpr std::size_t min_sets = 16;
    static constexpr std::size_t min_log_words = min_sets * records_per_set * record_words;

    // A set is a line: a word of tags (byte i: of the node in entry i, if there is one), then entries:
    // used bit (63), lap (62..32; never 0, so that no entry is), place in the log (31..0).
    static constexpr word used_bit = word{1} << 63U;
    static constexpr word lap_mask = (word{1} << 31U) - 1;
    static constexpr std::size_t max_log_words = (std::size_t{1} << 32U) - 1;
    static constexpr std::size_t max_max_sets = max_log_words / (records_per_set * record_words);

    [[nodiscard]] static std::size_t without(std::size_t bytes, std::size_t some) noexcept {
        return bytes - std::min(bytes, some);
    }
    [[nodiscard]] static std::atomic_ref<word> shared(word& w) noexcept { return std::atomic_ref<word>(w); }
    [[nodiscard]] static word hash_of(node_ref node) noexcept { return mix64(node.bits()); }
    [[nodiscard]] static word tag_of(word hash) noexcept { return std::max(hash >> 56U, word{1}); }
    /// The top bit of each byte that equals the tag; of some others, too.
    [[nodiscard]] static word alike_tags(word tags, word hash) noexcept {
        word const differing = tags ^ tag_of(hash) * 0x0101010101010101U;
        return (differing - 0x0101010101010101U) & ~differing & 0x8080808080808000U;
    }
    [[nodiscard]] static std::size_t position_of(word entry) noexcept { return static_cast<std::uint32_t>(entry); }
    [[nodiscard]] static bool still(word& entry, word seen) noexcept {
        return ((shared(entry).load(std::memory_order_relaxed) ^ seen) & ~used_bit) == 0;
    }

    /// Linear hashing: sets beyond the last power of two stand for the upper halves of as many sets from the first on.
    [[nodiscard]] static std::size_t set_index(word hash, std::size_t sets) noexcept {
        auto const mask = std::bit_ceil(sets) - 1;
        auto const i = hash & mask;
        return i < sets ? i : i & mask >> 1U;
    }
    [[nodiscard]] std::array<word*, 2> sets_of(word hash, std::size_t sets) const noexcept {
        return {table_ + set_index(hash, sets) * ways, table_ + set_index(hash >> 28U, sets) * ways};
    }
    [[nodiscard]] auto record_at(std::size_t position) const noexcept {
        auto const get = [from = log_ + position](std::size_t i) {
            return shared(from[i]).load(std::memory_order_acquire);
        };
        return packed_node<Layout, decltype(get)>(get);
    }

    /// Calls read(record, entry, value of the entry) for the copy of `node`, if there is one. The record may change
    /// meanwhile: read looks at the entry again, and returns whether it had not.
    template <typename Read>
    void visit(node_ref node, Read read) const noexcept {
        auto const hash = hash_of(node);
        for (auto* const set : sets_of(hash, sets_.load(std::memory_order_acquire)))
            for (word alike = alike_tags(shared(set[0]).load(std::memory_order_relaxed), hash); alike != 0;
                 alike &= alike - 1) {
                word& entry = set[static_cast<std::size_t>(std::countr_zero(alike)) / 8];
                word const seen = shared(entry).load(std::memory_order_acquire);
                auto* const record = log_ + position_of(seen);
                // The lines that a bisection may touch come in together instead of one after the other.
                for (std::size_t at = 0; at < usual_words; at += ways) __builtin_prefetch(record + at);
                if (seen == 0) continue;
                if (shared(record[packed::node_at]).load(std::memory_order_acquire) != node.bits()) continue;
                if (read(record_at(position_of(seen)), entry, seen)) return;
            }
    }
    template <typename Record>
    [[nodiscard]] static route search(Record const& record, key_type const& key) noexcept {
        if (record.above(key)) return {.where = route::to::right, .node = record.link()};
        if (key < record.low()) return {.where = route::to::stale, .node = {}};
        if (record.count() == 0) return {};
        return {.where = route::to::child, .node = record.child_for(key)};
    }

    // All below: under the mutex. Only readers' used bits change beside.

    [[nodiscard]] word* lookup(node_ref node) noexcept {
        word* found = nullptr;
        visit(node, [&](auto const&, word& entry, word) { return found = &entry, true; });
        return found;
    }
    void forget(word& entry) noexcept {
        live_words_ -= record_at(position_of(load(entry))).words();
        --nodes_;
        shared(entry).store(0, std::memory_order_relaxed);
    }
    [[nodiscard]] bool same(std::size_t position, record_image const& image, std::size_t n) const noexcept {
        for (std::size_t i = 0; i < n; ++i)
            if (log_[position + i] != image[i]) return false;
        return true;
    }

    /// The entry of a node that has none; the least useful node of its sets makes room.
    [[nodiscard]] word& new_entry(node_ref node) noexcept {
        while (nodes_ * 8 > sets_.load(std::memory_order_relaxed) * (ways - 1) * 5 && add_set()) {}
        auto const hash = hash_of(node);
        auto const sets = sets_of(hash, sets_.load(std::memory_order_relaxed));
        // Most nodes are in their first set; one that is nearly full leaves the choice to the other.
        auto const first = free_entries(sets[0]);
        auto* const set = first >= 3 || first >= free_entries(sets[1]) ? sets[0] : sets[1];
        auto* entry = free_entry(set);
        for (std::size_t i = 0; entry == nullptr && i < 2 * ways; ++i) { // both full: one goes to its own other set
            if (i % ways == 0) continue;
            auto& from = sets[i / ways][i % ways];
            auto const other = hash_of(node_ref::from_word(log_[position_of(load(from))]));
            for (auto* const its : sets_of(other, sets_.load(std::memory_order_relaxed)))
                if (auto* const to = free_entry(its); to != nullptr && entry == nullptr) {
                    move(from, *to, other);
                    entry = &from;
                }
        }
        if (entry == nullptr) {
            auto const older = [](word& a, word& b) { return load(a) < load(b); }; // unused before used, then by age
            entry = std::min_element(set + 1, set + ways, older);
            forget(*entry);
        }
        set_tag(*entry, hash);
        return *entry;
    }
    [[nodiscard]] static word load(word& entry) noexcept { return shared(entry).load(std::memory_order_relaxed); }
    [[nodiscard]] static std::ptrdiff_t free_entries(word* set) noexcept {
        return std::count_if(set + 1, set + ways, [](word& e) { return load(e) == 0; });
    }
    [[nodiscard]] static word* free_entry(word* set) noexcept {
        auto* const found = std::find_if(set + 1, set + ways, [](word& e) { return load(e) == 0; });
        return found == set + ways ? nullptr : found;
    }
    void set_tag(word& entry, word hash) noexcept {
        auto const at = static_cast<std::size_t>(&entry - table_);
        auto& tags = table_[at / ways * ways];
        auto const shift = at % ways * 8;
        shared(tags).store((tags & ~(word{0xff} << shift)) | tag_of(hash) << shift, std::memory_order_relaxed);
    }
    /// Who looks for the node just now may miss it.
    void move(word& from, word& to, word hash) noexcept {
        set_tag(to, hash);
        shared(to).store(load(from), std::memory_order_release);
        shared(from).store(0, std::memory_order_relaxed);
    }

    /// Splits the next set of the table.
    bool add_set() noexcept {
        auto const before = sets_.load(std::memory_order_relaxed);
        if (before == max_sets_) return false;
        sets_.store(before + 1, std::memory_order_release);
        auto const parent = before - std::bit_floor(before);
        for (std::size_t way = 1; way < ways; ++way) {
            auto& entry = table_[parent * ways + way];
            if (load(entry) == 0) continue;
            auto const hash = hash_of(node_ref::from_word(log_[position_of(load(entry))]));
            bool const first = set_index(hash, before) == parent;
            if (set_index(first ? hash : hash >> 28U, before + 1) == before)
                move(entry, table_[before * ways + way], hash);
        }
        return true;
    }

    /// Can n words be written at the head? Lets the log grow, or the next lap begin, where that is what it takes. The
    /// head never reaches the tail, nor the end of the log: there is room for the word 0 that ends a lap.
    [[nodiscard]] bool fits(std::size_t n) noexcept {
        if (head_ + n < (tail_ > head_ ? tail_ : end_)) return true;
        if (tail_ > head_) return false;
        if (end_ < log_words_ && live_words_ * 4 > end_ * 3) {
            end_ += std::min(log_words_ - end_, std::max(end_ / 8, 2 * record_words));
            if (head_ + n < end_) return true;
        }
        if (n >= tail_) return false;
        shared(log_[head_]).store(0, std::memory_order_release);
        head_ = 0;
        lap_ = std::max((lap_ + 1) & lap_mask, word{1});
        return true;
    }

    /// Makes room for n words and, so that what the tail passes can always move to the head, a full record.
    void make_room(std::size_t n) noexcept {
        constexpr std::size_t share = 4;    // of the passes of a lap, so that no put has to do them all
        constexpr std::size_t chances = 32; // so that a put ends if everything is used all the time
        for (std::size_t passes = 0;; ++passes) {
            // At least a quarter is free or garbage: that is enough room, wherever it lies, and found within a lap.
            bool const ample = live_words_ * 4 <= log_words_ * 3;
            if (fits(n + record_words) && !(ample && tail_ > head_ && passes < share)) return;
            pass(ample ? passes < log_words_ : false, passes < chances);
        }
    }

    /// The tail passes a record.
    void pass(bool keep, bool keep_used) noexcept {
        auto const node = node_ref::from_word(log_[tail_ + packed::node_at]);
        if (!node) {
            tail_ = 0;
            return;
        }
        auto const from = tail_;
        auto const n = record_at(from).words();
        tail_ += n;
        auto* const entry = lookup(node);
        word const e = entry == nullptr ? 0 : load(*entry);
        if (e == 0 || position_of(e) != from) return; // garbage
        record_image image;
        std::copy_n(log_ + from, n, image.begin());
        forget(*entry); // C1: the record may move onto its own words
        if (!(keep || (keep_used && (e & used_bit) != 0)) || !fits(n)) return;
        append(image, n, *entry);
    }

    /// Writes a record of n words at the head, where it fits, and lets the entry of its node lead to it.
    void append(record_image const& image, std::size_t n, word& entry) noexcept {
        auto const replaced = load(entry) == 0 ? 0 : record_at(position_of(load(entry))).words();
        for (std::size_t i = 0; i < n; ++i) shared(log_[head_ + i]).store(image[i], std::memory_order_release);
        shared(entry).store(lap_ << 32U | head_, std::memory_order_release);
        head_ += n;
        live_words_ += n - replaced;
        nodes_ += replaced == 0 ? 1 : 0;
    }

    struct release {
        void operator()(word* memory) const noexcept { std::free(memory); }
    };

    std::size_t max_sets_;
    std::size_t log_words_;
    std::unique_ptr<word, release> memory_; ///< zeros; written through atomic_ref alone
    word* table_ = nullptr;
    word* log_ = nullptr;
    std::atomic<std::size_t> sets_{2}; ///< in use; under the mutex for writers

    mutable std::mutex mutex_;
    word lap_ = 1;
    std::size_t head_ = 0;
    std::size_t tail_ = 0;
    std::size_t end_ = min_log_words; ///< of the log as far as it has grown; at most log_words_
    std::size_t live_words_ = 0;      ///< of current records
    std::size_t nodes_ = 0;           ///< current records
};

} // namespace catena
