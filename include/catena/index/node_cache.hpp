// SPDX-License-Identifier: Apache-2.0
// node_cache: copies of internal nodes in client memory, sorted for bisection, shared by the threads of a process.
//
// A cached node may be stale: it only ever says where to look, and what is found there says itself whether it is right
// (protocol/node_io.hpp: inspect). Stale copies are dropped by whoever notices.
// Hits take no lock: a small set-associative table of hints leads to a frame, whose contents are read under a sequence
// lock (odd while it changes; a reader that saw two values, or another node, counts as a miss). Fills, drops and
// evictions take a mutex and keep the truth in intrusive containers: a hash set of frames and a clock (second chance).
// Memory model: frame words are stored with release and loaded with acquire, so that a reader that saw a new word also
// sees the sequence that announced it; no fences, which ThreadSanitizer would not understand.
// Bound: frames and hints together never exceed the capacity in bytes (at least min_frames frames).
// Thread safety: any number of threads.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/unordered_set.hpp>

#include <catena/core/hash.hpp>
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

    explicit node_cache(std::size_t capacity_bytes)
        : max_frames_(std::max(min_frames, capacity_bytes / (sizeof(frame) + 4 * sizeof(std::uint32_t)))),
          hint_sets_(std::bit_ceil(std::max<std::size_t>(1, max_frames_ / hint_ways))),
          blocks_(std::make_unique<std::unique_ptr<frame[]>[]>(max_frames_ / block_frames + 1)),
          hints_(std::make_unique<hint_set[]>(hint_sets_)), buckets_(std::bit_ceil(max_frames_ / 2)),
          by_node_(typename node_set::bucket_traits(buckets_.data(), buckets_.size())) {}
    node_cache(node_cache const&) = delete;
    node_cache& operator=(node_cache const&) = delete;
    ~node_cache() {
        by_node_.clear();
        clock_.clear();
    }

    /// The way to `key` from the cached copy of `node`; miss if there is none.
    [[nodiscard]] route find(node_ref node, key_type const& key) {
        auto& set = hints_[hint_set_of(node)];
        for (auto& hint : set.frames) {
            auto const index = hint.load(std::memory_order_acquire);
            if (index == no_frame) continue;
            auto& f = frame_at(index);
            if (auto const r = read(f, node, key); r.where != route::to::miss) return r;
        }
        return find_unhinted(node, key);
    }

    /// The children that follow the one for `key` in the cached copy of `node`, in order, below `to` if it is given;
    /// fills `out` as far as the copy knows. A guess, for reading ahead.
    [[nodiscard]] std::size_t children_after(node_ref node, key_type const& key, std::optional<key_type> const& to,
                                             std::span<node_ref> out) {
        auto const& set = hints_[hint_set_of(node)];
        for (auto const& hint : set.frames) {
            auto const index = hint.load(std::memory_order_acquire);
            if (index == no_frame) continue;
            auto const& f = frame_at(index);
            auto const before = f.sequence.load(std::memory_order_acquire);
            if (before % 2 != 0 || get(f, at_node) != node.bits()) continue;
            std::size_t n = 0;
            auto const count = std::min<std::size_t>(get(f, at_count) & 0xffU, Layout::slots);
            for (std::size_t i = 0; i < count && n < out.size(); ++i) {
                auto const separator = get_key(f, at_keys + i * key_words);
                if (!(key < separator)) continue;
                if (to && !(separator < *to)) break;
                out[n++] = node_ref::from_word(get(f, at_children + i));
            }
            if (f.sequence.load(std::memory_order_relaxed) == before) return n;
        }
        return 0;
    }

    /// Keeps a copy of a sealed, live internal node; the least recently used copy makes room.
    void put(node_ref node, node_view<Layout> const& image) {
        std::lock_guard const guard(mutex_);
        auto* f = lookup(node);
        if (f == nullptr) {
            f = make_room();
            f->node = node;
            by_node_.insert(*f);
            clock_.push_back(*f);
        }
        write(*f, image);
        set_hint(*f);
    }

    /// Forgets the copy of `node`, if there is one.
    void drop(node_ref node) {
        if (!node) return;
        std::lock_guard const guard(mutex_);
        if (auto* const f = lookup(node)) retire(*f);
    }

    [[nodiscard]] std::size_t bytes_used() const {
        std::lock_guard const guard(mutex_);
        return by_node_.size() * sizeof(frame) + hint_bytes();
    }
    [[nodiscard]] std::size_t capacity_bytes() const noexcept { return max_frames_ * sizeof(frame) + hint_bytes(); }

private:
    static constexpr std::size_t min_frames = 16;
    static constexpr std::size_t block_frames = 64;
    static constexpr std::size_t hint_ways = 4;
    static constexpr std::uint32_t no_frame = 0;

    static constexpr std::size_t key_words = Layout::key_words;
    using normal = boost::intrusive::link_mode<boost::intrusive::normal_link>;

    // Header words of a frame's contents, then keys, then children, in ascending order of the keys.
    enum : std::size_t {
        at_node = 0,
        at_link = 1,
        at_count = 2,
        at_low = 3,
        at_high = at_low + key_words,
        at_keys = at_high + key_words,
        at_children = at_keys + Layout::slots * key_words,
        frame_words = at_children + Layout::slots
    };
    static constexpr word unbounded_bit = word{1} << 32U;

    struct frame : boost::intrusive::unordered_set_base_hook<normal>, boost::intrusive::list_base_hook<normal> {
        node_ref node; ///< under the mutex
        std::uint32_t index = 0;
        std::atomic<std::uint32_t> sequence{0};
        std::atomic<bool> used{false};
        std::array<std::atomic<word>, frame_words> words{};

        friend bool operator==(frame const& a, frame const& b) noexcept { return a.node == b.node; }
        friend std::size_t hash_value(frame const& f) noexcept { return mix64(f.node.bits()); }
    };
    struct hint_set {
        std::array<std::atomic<std::uint32_t>, hint_ways> frames{};
    };
    using node_set = boost::intrusive::unordered_set<frame, boost::intrusive::power_2_buckets<true>>;
    using clock_list = boost::intrusive::list<frame>;

    [[nodiscard]] static std::size_t hash_of(node_ref node) noexcept { return mix64(node.bits()); }
    [[nodiscard]] std::size_t hint_set_of(node_ref node) const noexcept { return hash_of(node) & (hint_sets_ - 1); }
    [[nodiscard]] std::size_t hint_bytes() const noexcept {
        return hint_sets_ * sizeof(hint_set) + buckets_.size() * sizeof(typename node_set::bucket_type);
    }
    // Index 0 means "no frame": frames count from 1.
    [[nodiscard]] frame& frame_at(std::uint32_t index) const noexcept {
        return blocks_[(index - 1) / block_frames][(index - 1) % block_frames];
    }

    [[nodiscard]] static word get(frame const& f, std::size_t at) noexcept {
        return f.words[at].load(std::memory_order_acquire);
    }
    [[nodiscard]] static key_type get_key(frame const& f, std::size_t at) noexcept {
        std::array<word, key_words> raw;
        for (std::size_t i = 0; i < key_words; ++i) raw[i] = get(f, at + i);
        return load_words<key_type>(raw.data());
    }

    [[nodiscard]] static route read(frame& f, node_ref node, key_type const& key) noexcept {
        // The lines that a bisection may touch come in together instead of one after the other.
        for (std::size_t at = 0; at < at_children; at += cache_line / word_bytes) __builtin_prefetch(&f.words[at]);
        auto const before = f.sequence.load(std::memory_order_acquire);
        if (before % 2 != 0 || get(f, at_node) != node.bits()) return {};
        auto const r = search(f, key);
        if (f.sequence.load(std::memory_order_relaxed) != before) return {};
        if (!f.used.load(std::memory_order_relaxed)) f.used.store(true, std::memory_order_relaxed);
        return r;
    }

    [[nodiscard]] static route search(frame const& f, key_type const& key) noexcept {
        word const count_word = get(f, at_count);
        if ((count_word & unbounded_bit) == 0 && !(key < get_key(f, at_high)))
            return {.where = route::to::right, .node = node_ref::from_word(get(f, at_link))};
        if (key < get_key(f, at_low)) return {.where = route::to::stale, .node = {}};
        // The last separator that is not above the key. A torn count is bounded by the mask.
        std::size_t first = 0;
        std::size_t n = std::min<std::size_t>(count_word & 0xffU, Layout::slots);
        while (n > 1) {
            auto const half = n / 2;
            if (!(key < get_key(f, at_keys + (first + half) * key_words))) first += half;
            n -= half;
        }
        return {.where = route::to::child, .node = node_ref::from_word(get(f, at_children + first))};
    }

    [[nodiscard]] route find_unhinted(node_ref node, key_type const& key) {
        std::lock_guard const guard(mutex_);
        auto* const f = lookup(node);
        if (f == nullptr) return {};
        set_hint(*f);
        return read(*f, node, key);
    }

    [[nodiscard]] frame* lookup(node_ref node) noexcept {
        auto const it = by_node_.find(
            node, [](node_ref n) { return hash_of(n); }, [](node_ref n, frame const& f) { return n == f.node; });
        return it == by_node_.end() ? nullptr : &*it;
    }

    void set_hint(frame& f) noexcept {
        auto& set = hints_[hint_set_of(f.node)];
        std::size_t victim = next_victim_++ % hint_ways;
        for (std::size_t way = 0; way < hint_ways; ++way) {
            auto const index = set.frames[way].load(std::memory_order_relaxed);
            if (index == f.index) return;
            if (index == no_frame) victim = way;
        }
        set.frames[victim].store(f.index, std::memory_order_release);
    }

    void write(frame& f, node_view<Layout> const& image) noexcept {
        std::array<std::uint8_t, std::max<std::size_t>(Layout::slots, 20)> order; // g++ 12 warns of std::sort on less than 16
        std::size_t count = 0;
        image.for_each_slot([&](std::size_t slot) { order[count++] = static_cast<std::uint8_t>(slot); });
        std::sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count),
                  [&](auto a, auto b) { return image.key(a) < image.key(b); });
        auto const put = [&f](std::size_t at, word w) { f.words[at].store(w, std::memory_order_release); };
        auto const sequence = f.sequence.load(std::memory_order_relaxed);
        f.sequence.store(sequence + 1, std::memory_order_relaxed); // odd: the release stores below come after it
        word const* const raw = image.image();
        put(at_node, f.node.bits());
        put(at_link, image.link().bits());
        put(at_count, count | (image.meta().unbounded ? unbounded_bit : 0));
        for (std::size_t i = 0; i < key_words; ++i) {
            put(at_low + i, raw[Layout::low_at + i]);
            put(at_high + i, raw[Layout::high_at + i]);
        }
        for (std::size_t n = 0; n < count; ++n) {
            for (std::size_t i = 0; i < key_words; ++i)
                put(at_keys + n * key_words + i, raw[Layout::slot_at(order[n]) + i]);
            put(at_children + n, raw[Layout::payload_at(order[n])]);
        }
        f.sequence.store(sequence + 2, std::memory_order_release);
    }

    /// Takes a frame out of use: readers no longer find its node in it.
    void retire(frame& f) noexcept {
        by_node_.erase(by_node_.iterator_to(f));
        clock_.erase(clock_.iterator_to(f));
        auto const sequence = f.sequence.load(std::memory_order_relaxed);
        f.sequence.store(sequence + 1, std::memory_order_relaxed);
        f.words[at_node].store(0, std::memory_order_release);
        f.sequence.store(sequence + 2, std::memory_order_release);
        free_.push_back(f);
    }

    [[nodiscard]] frame* make_room() {
        if (free_.empty() && made_ < max_frames_) {
            if (made_ % block_frames == 0) blocks_[made_ / block_frames] = std::make_unique<frame[]>(block_frames);
            auto& f = frame_at(static_cast<std::uint32_t>(++made_));
            f.index = static_cast<std::uint32_t>(made_);
            return &f;
        }
        while (free_.empty()) { // ends: each turn clears a `used` or frees a frame
            auto& oldest = clock_.front();
            if (oldest.used.exchange(false, std::memory_order_relaxed)) {
                clock_.pop_front();
                clock_.push_back(oldest);
            } else {
                retire(oldest);
            }
        }
        auto& f = free_.front();
        free_.pop_front();
        return &f;
    }

    std::size_t max_frames_;
    std::size_t hint_sets_;
    std::unique_ptr<std::unique_ptr<frame[]>[]> blocks_; ///< frames never move and live as long as the cache
    std::unique_ptr<hint_set[]> hints_;

    mutable std::mutex mutex_;
    std::vector<typename node_set::bucket_type> buckets_;
    node_set by_node_;
    clock_list clock_; ///< frames in use, oldest first
    clock_list free_;  ///< frames made and not in use
    std::size_t made_ = 0;
    std::size_t next_victim_ = 0;
};

} // namespace catena
