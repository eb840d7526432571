// SPDX-License-Identifier: Apache-2.0
// model_cache: a client's copy of the model of a learned index, whole: from a key to its leaf without a round trip.
//
// A copy of each page in a slot of its own, and a list of the first keys of pages, both as words that are read and written as
// atomics under a sequence lock: a lookup that met a writer looks again, and after a few times asks for the slow way.
// Slots are used again, never given back before the end; the list grows by doubling, old ones are kept until then. So a reader
// may follow any pointer that it finds; what it reads is used only if no writer was there: words are stored with release and
// loaded with acquire, so who saw one of a writer sees its mark, too (no fences, which ThreadSanitizer would not understand).
// Thread safety: find by any number of threads, without a lock; install under a mutex.
// Bound: twice the pages of the largest model that this client has seen.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include <catena/layout/key_number.hpp>
#include <catena/layout/model_blocks.hpp>

namespace catena {

template <index_key Key>
class model_cache {
public:
    using piece = model_piece<Key>;
    using part = model_part<Key>;

    /// Where the piece behind another one begins, if there is one. (No optional: g++ 12 takes it for uninitialised.)
    struct next_piece {
        Key first{};
        bool any = false;
        [[nodiscard]] std::optional<Key> begin() const noexcept { return any ? std::optional(first) : std::nullopt; }
    };

    /// page_bytes: of the remote blocks.
    explicit model_cache(std::size_t page_bytes) : page_entries_(model_list<piece>::capacity(page_bytes)) {}
    model_cache(model_cache const&) = delete;
    model_cache& operator=(model_cache const&) = delete;

    /// The piece that `key` belongs to; nothing: the model is not known, or somebody is writing it.
    /// end: receives where the next piece begins.
    [[nodiscard]] std::optional<piece> find(Key const& key, next_piece* end = nullptr) const noexcept {
        for (int tries = 0; tries < 3; ++tries) {
            auto const before = sequence_.load(std::memory_order_acquire);
            if (before % 2 != 0) continue;
            piece found;
            bool const any = look(key, found, end);
            if (sequence_.load(std::memory_order_relaxed) != before) continue;
            if (!any) return std::nullopt;
            return found;
        }
        return std::nullopt;
    }

    /// The directory that this is a copy of; null: none.
    [[nodiscard]] node_ref directory() const noexcept {
        return node_ref::from_word(root_.load(std::memory_order_acquire));
    }

    /// Has this page a copy here?
    [[nodiscard]] bool has(node_ref page) const {
        std::lock_guard const guard(mutex_);
        return by_page_.contains(page.bits());
    }

    /// Takes a directory, and the pages of it that are not here yet. False: a page is missing; nothing changed then.
    /// An older generation than the one that is here is left aside.
    [[nodiscard]] bool install(node_ref root, model_list<part> const& directory,
                               std::span<model_list<piece> const> pages, std::span<node_ref const> refs) {
        std::lock_guard const guard(mutex_);
        if (this->directory() && directory.generation() <= generation_) return true;
        std::vector<slot*> parts(directory.count());
        std::vector<std::size_t> fresh;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            auto const page = directory.entry(i).page;
            parts[i] = slot_of(page);
            if (parts[i] != nullptr) continue;
            std::size_t given = 0;
            while (given < refs.size() && refs[given] != page) ++given;
            if (given == refs.size()) return false;
        }
        for (auto const& s : slots_) s->keep = false;
        for (auto* const s : parts)
            if (s != nullptr) s->keep = true;

        auto const before = sequence_.load(std::memory_order_relaxed);
        sequence_.store(before + 1, std::memory_order_relaxed);
        for (std::size_t i = 0; i < parts.size(); ++i) {
            if (parts[i] != nullptr) continue;
            auto const page = directory.entry(i).page;
            std::size_t given = 0;
            while (refs[given] != page) ++given;
            parts[i] = &free_slot();
            parts[i]->keep = true;
            by_page_.erase(parts[i]->page.bits());
            by_page_[page.bits()] = parts[i];
            parts[i]->page = page;
            write(*parts[i], pages[given]);
        }
        list(directory, parts);
        root_.store(root.bits(), std::memory_order_release);
        generation_ = directory.generation();
        sequence_.store(before + 2, std::memory_order_release);
        for (auto const& s : slots_)
            if (!s->keep) by_page_.erase(std::exchange(s->page, {}).bits());
        return true;
    }

    /// Bytes of this process that the copy takes.
    [[nodiscard]] std::size_t bytes_used() const {
        std::lock_guard const guard(mutex_);
        constexpr std::size_t map_entry = 64; // about
        std::size_t n = sizeof *this + slots_.capacity() * (sizeof slots_[0] + map_entry);
        for (auto const& l : lists_) n += sizeof *l + l->capacity * (key_words + 1) * word_bytes;
        return n + slots_.size() * (sizeof(slot) + page_entries_ * entry_words * word_bytes);
    }

private:
    static constexpr std::size_t key_words = words_of<Key>;
    static constexpr std::size_t entry_words = words_of<piece>;
    using cell = std::atomic<word>;

    struct slot {
        std::unique_ptr<cell[]> words;
        std::atomic<std::size_t> count{0};
        node_ref page;
        bool keep = false;
    };
    /// First keys of the pages, and behind them their slots.
    struct part_list {
        explicit part_list(std::size_t n)
            : firsts(std::make_unique<cell[]>(n * key_words)), slots(std::make_unique<std::atomic<slot*>[]>(n)),
              capacity(n) {}
        std::unique_ptr<cell[]> firsts;
        std::unique_ptr<std::atomic<slot*>[]> slots;
        std::size_t capacity;
        std::atomic<std::size_t> count{0};
    };

    [[nodiscard]] static Key key_at(cell const* at) noexcept {
        std::array<word, key_words> words;
        for (std::size_t i = 0; i < key_words; ++i) words[i] = at[i].load(std::memory_order_acquire);
        return load_words<Key>(words.data());
    }
    /// The last of `count` entries of `stride` words that does not begin above `key`; 0 if all do.
    [[nodiscard]] static std::size_t last_not_above(cell const* entries, std::size_t stride, std::size_t count,
                                                    Key const& key) noexcept {
        std::size_t at = 0;
        for (std::size_t n = count; n > 1;) {
            auto const half = n / 2;
            if (!(key < key_at(entries + (at + half) * stride))) at += half;
            n -= half;
        }
        return at;
    }

    /// What it finds may be of different moments; indices stay within what was allocated.
    [[nodiscard]] bool look(Key const& key, piece& found, next_piece* end) const noexcept {
        auto const* const parts = list_.load(std::memory_order_acquire);
        if (parts == nullptr) return false;
        auto const part_count = std::min(parts->count.load(std::memory_order_acquire), parts->capacity);
        if (part_count == 0) return false;
        auto const p = last_not_above(parts->firsts.get(), key_words, part_count, key);
        auto const* const s = parts->slots[p].load(std::memory_order_acquire);
        if (s == nullptr) return false;
        auto const count = std::min(s->count.load(std::memory_order_acquire), page_entries_);
        if (count == 0) return false;
        auto const e = last_not_above(s->words.get(), entry_words, count, key);
        auto const* const at = s->words.get() + e * entry_words;
        std::array<word, entry_words> words;
        for (std::size_t i = 0; i < entry_words; ++i) words[i] = at[i].load(std::memory_order_acquire);
        found = load_words<piece>(words.data());
        if (end == nullptr) return true;
        end->any = e + 1 < count || p + 1 < part_count;
        if (e + 1 < count)
            end->first = key_at(at + entry_words);
        else if (end->any)
            end->first = key_at(parts->firsts.get() + (p + 1) * key_words);
        return true;
    }

    [[nodiscard]] slot* slot_of(node_ref page) noexcept {
        auto const found = by_page_.find(page.bits());
        return found == by_page_.end() ? nullptr : found->second;
    }
    /// One that no page of the new directory is in. Its old page is no longer in force.
    [[nodiscard]] slot& free_slot() {
        for (auto const& s : slots_)
            if (!s->keep) return *s;
        auto& made = *slots_.emplace_back(std::make_unique<slot>());
        made.words = std::make_unique<cell[]>(page_entries_ * entry_words);
        return made;
    }
    void write(slot& to, model_list<piece> const& page) {
        std::array<word, entry_words> words{};
        auto const n = std::min(page.count(), page_entries_);
        for (std::size_t i = 0; i < n; ++i) {
            store_words(words.data(), page.entry(i));
            for (std::size_t w = 0; w < entry_words; ++w)
                to.words[i * entry_words + w].store(words[w], std::memory_order_release);
        }
        to.count.store(n, std::memory_order_release);
    }
    void list(model_list<part> const& directory, std::span<slot* const> parts) {
        auto* to = list_.load(std::memory_order_relaxed);
        if (to == nullptr || to->capacity < parts.size()) {
            auto const capacity = std::max<std::size_t>(4, 2 * parts.size());
            to = lists_.emplace_back(std::make_unique<part_list>(capacity)).get();
        }
        std::array<word, key_words> words{};
        for (std::size_t i = 0; i < parts.size(); ++i) {
            store_words(words.data(), directory.entry(i).first);
            for (std::size_t w = 0; w < key_words; ++w)
                to->firsts[i * key_words + w].store(words[w], std::memory_order_release);
            to->slots[i].store(parts[i], std::memory_order_release);
        }
        to->count.store(parts.size(), std::memory_order_release);
        list_.store(to, std::memory_order_release);
    }

    std::size_t page_entries_;
    std::atomic<std::uint64_t> sequence_{0};
    std::atomic<word> root_{0};
    std::atomic<part_list*> list_{nullptr};
    mutable std::mutex mutex_;
    word generation_ = 0;
    std::vector<std::unique_ptr<slot>> slots_;
    std::unordered_map<word, slot*> by_page_; ///< slots that are in use
    std::vector<std::unique_ptr<part_list>> lists_;
};

} // namespace catena
