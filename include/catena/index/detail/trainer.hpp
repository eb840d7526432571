// SPDX-License-Identifier: Apache-2.0
// trainer: makes a new generation of the model in which some neighbouring pieces are replaced by others, with new leaves.
//
// Actors     T trainer, under the lease of the model (index/detail/model_lease.hpp).  R reader.  W writer.
// Protocol   G1 READ directory and page in force, and a neighbouring page if both have few pieces; choose the group: the piece of
//            a key and neighbours not much larger.
//            G2 CAS and READ all leaves of the group, then the overflow leaves that they lead to, and so on. Nothing changes in
//            them any more.  G3 plan the pieces (layout/piece_plan.hpp), WRITE their extents: every leaf is locked by T. WRITE
//            new pages and a directory, which lists what it takes out of use.
//            G4 CAS root word: old directory -> new one. The switch: the new generation is in force.
//            G5 WRITE the old leaves dead.  G6 WRITE lock words of the new leaves: free.
//            G7 WRITE old extents, page and directory dead; their blocks are free again; the lease is given back.
// R          is not stopped. Until G4 it reads old leaves. Between G4 and G5 old and new leaves hold the same, and nobody can change
//            either. From G5 on an old leaf sends it to the catalog.
// W          on an old leaf: its CAS fails until G5, then it learns that the leaf is dead and takes the new model. On a new one: its CAS
//            fails until G6. It waits for some round trips. W had the lock of an old leaf before G2: T waits for it, and
//            its change is in what T reads.
// T dies     model_lease.hpp. Before G4 nobody can tell the difference once the locks were taken over; the new blocks are in no index.
// T fails    (a memory node does not answer): before G4 all is undone; after it the lease stays, which we or others take over.
// Needs      that nobody else takes leaves out of use, mends them or switches: the lease.
// Cost       a batch for 64 leaves and a batch for each extent, whatever happens to the others; 3 to 5 times the bytes of the group.
// Thread safety: as the session. Set-up path: allocates; memory: the leaves of the group and the entries in them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/extent_builder.hpp>
#include <catena/index/detail/learned_recovery.hpp>
#include <catena/index/detail/model_lease.hpp>
#include <catena/layout/piece_plan.hpp>
#include <catena/pool/membership.hpp>

namespace catena::detail {

template <typename Leaf, typename Session, typename Tree>
class trainer {
public:
    using key_type = typename Tree::key_type;
    using entry_type = entry<key_type, typename Leaf::payload_type>;
    using numbers = number_of_key<key_type>;
    using piece = model_piece<key_type>;
    using part = model_part<key_type>;

    /// The caller has the lease until the end.
    trainer(Session& s, Tree& tree) : s_(s), tree_(tree), builder_(s, tree) {}

    /// Trains the pieces around `key`. load: entries for an index that has none and is one leaf (else invalid_argument), ascending.
    [[nodiscard, gnu::noinline]] task<result<void>> run(key_type key, std::span<entry_type const> load = {}) {
        auto made = co_await prepare(key, load);
        if (!made) {
            auto const undone = co_await undo();
            unclaim();
            unfinished_ = !undone;
            co_return made;
        }
        auto const done = co_await switch_over();
        unclaim();
        unfinished_ |= switched_ && !done;
        co_return done;
    }

    /// After an error: is something left to do for the next holder of the lease?
    [[nodiscard]] bool unfinished() const noexcept { return unfinished_; }

private:
    static constexpr std::size_t at_once = 64;
    static constexpr std::size_t most_pieces = 16;

    [[nodiscard, gnu::noinline]] task<result<void>> prepare(key_type key, std::span<entry_type const> load) {
        if (auto const r = co_await read_model(key); !r) co_return r.error();
        choose_group(key);
        if (!load.empty() && (model_list<part>(directory_).count() != 1 || pieces_.size() != 1))
            co_return make_error(errc::invalid_argument);
        if (auto const r = co_await read_headers(); !r) co_return r.error();
        if (!load.empty() && headers_[0].leaves() != 1) co_return make_error(errc::invalid_argument);
        if (auto const r = co_await lock_leaves(); !r) co_return r.error();
        if (auto const node = collect()) co_return co_await damaged(s_, *node);
        if (!load.empty()) {
            if (!entries_.empty() || held_.size() != 1) co_return make_error(errc::invalid_argument);
            co_return co_await write_generation(load);
        }
        co_return co_await write_generation(entries_);
    }

    // G1
    [[nodiscard, gnu::noinline]] task<result<void>> read_model(key_type key) {
        directory_ = memory_.image(tree_.directory_bytes);
        retry again;
        for (;;) {
            auto const root = co_await refresh_root(s_, tree_);
            if (!root) co_return root.error();
            root_ = *root;
            auto const found = co_await read_directory(s_, tree_, root_, directory_);
            if (!found) co_return found.error();
            if (*found) {
                model_list<part> const directory(directory_);
                parts_begin_ = last_not_above(directory, key);
                parts_end_ = parts_begin_ + 1;
                auto const taken = co_await take_page(directory.entry(parts_begin_).page, false);
                if (!taken) co_return taken.error();
                if (*taken) break;
            }
            if (auto const r = co_await again.wait(s_); !r)
                co_return co_await damaged(s_, root_.at().node()); // nobody changes it
        }
        co_return co_await take_neighbour();
    }

    /// Its pieces join those that we have, before or behind them. False: it is not there, or torn.
    [[nodiscard, gnu::noinline]] task<result<bool>> take_page(node_ref ref, bool before) {
        model_list<piece> const page(memory_.image(Tree::options::page_bytes));
        auto const read = co_await read_pages(s_, tree_, std::span(&ref, 1), page.image());
        if (!read || !*read) co_return read;
        old_pages_.push_back({.ref = ref, .meta = page.meta()});
        for (std::size_t i = 0; i < page.count(); ++i)
            pieces_.insert(before ? pieces_.begin() + static_cast<std::ptrdiff_t>(i) : pieces_.end(), page.entry(i));
        co_return true;
    }

    /// A page of few pieces, where keys went away, takes a neighbour of few pieces in, which may be trained along with it.
    [[nodiscard, gnu::noinline]] task<result<void>> take_neighbour() {
        model_list<part> const directory(directory_);
        constexpr auto few = model_list<piece>::capacity(Tree::options::page_bytes) / 2;
        auto const own = pieces_;
        for (bool const before : {true, false}) {
            if (own.size() >= few || (before ? parts_begin_ == 0 : parts_end_ == directory.count())) continue;
            auto const other = directory.entry(before ? parts_begin_ - 1 : parts_end_).page;
            auto const taken = co_await take_page(other, before);
            if (!taken) co_return taken.error();
            if (!*taken) co_return co_await damaged(s_, other.at().node());
            if (pieces_.size() <= few) {
                before ? --parts_begin_ : ++parts_end_;
                break;
            }
            pieces_ = own;
            old_pages_.pop_back();
        }
        co_return result<void>{};
    }

    template <typename List>
    [[nodiscard]] static std::size_t last_not_above(List const& list, key_type const& key) noexcept {
        std::size_t at = 0;
        while (at + 1 < list.count() && !(key < list.entry(at + 1).first)) ++at;
        return at;
    }

    /// The piece of the key, and neighbours until there are enough leaves; none that is much larger than all so far: what a
    /// small piece costs is bounded by its own size.
    void choose_group(key_type const& key) {
        begin_ = 0;
        while (begin_ + 1 < pieces_.size() && !(key < pieces_[begin_ + 1].first)) ++begin_;
        end_ = begin_ + 1;
        auto const leaves_of = [this](std::size_t i) { return std::size_t{pieces_[i].line.leaves()}; };
        std::size_t leaves = leaves_of(begin_);
        auto const wanted = Tree::options::trained_together * tree_.rules.largest().leaves;
        while (leaves < wanted && end_ - begin_ < most_pieces) {
            constexpr auto none = ~std::size_t{0};
            auto const left = begin_ > 0 ? leaves_of(begin_ - 1) : none;
            auto const right = end_ < pieces_.size() ? leaves_of(end_) : none;
            auto const next = std::min(left, right);
            if (next == none || next > 2 * leaves) break;
            leaves += next;
            if (next == left)
                --begin_;
            else
                ++end_;
        }
        model_list<part> const directory(directory_);
        if (end_ < pieces_.size())
            behind_ = pieces_[end_].first;
        else if (parts_end_ < directory.count())
            behind_ = directory.entry(parts_end_).first;
    }

    [[nodiscard, gnu::noinline]] task<result<void>> read_headers() {
        headers_.resize(end_ - begin_);
        std::array<op, most_pieces> ops;
        for (std::size_t i = 0; i < headers_.size(); ++i)
            ops[i] = op::read(pieces_[begin_ + i].extent.at(), &headers_[i], sizeof headers_[i]);
        if (auto const r = co_await s_.submit(batch(ops).first(headers_.size())); !r) co_return r.error();
        for (std::size_t i = 0; i < headers_.size(); ++i) {
            auto const ref = pieces_[begin_ + i].extent;
            if (!names(ref, headers_[i].what(), tree_.handle.tag()) || headers_[i].what().dead)
                co_return co_await damaged(s_, ref.at().node());
        }
        co_return result<void>{};
    }

    // G2
    [[nodiscard, gnu::noinline]] task<result<void>> lock_leaves() {
        for (std::size_t p = begin_; p < end_; ++p) {
            auto const end = p + 1 < pieces_.size() ? std::optional(pieces_[p + 1].first) : behind_;
            auto const borders = co_await borders_of(s_, tree_, pieces_[p], end);
            if (!borders) co_return borders.error();
            for (std::uint32_t i = 0; i < headers_[p - begin_].leaves(); ++i)
                hold(leaf_in<Leaf>(pieces_[p].extent, i), false, borders->end_of(i));
        }
        for (std::size_t from = 0; from < held_.size();) {
            auto const to = held_.size();
            if (auto const r = co_await lock_range(from, to); !r) co_return r.error();
            for (auto i = from; i < to; ++i)
                if (auto const next = view_of<Leaf>(held_[i].image).link()) hold(next, true, ends_[i]);
            from = to;
        }
        co_return result<void>{};
    }

    void hold(node_ref ref, bool overflow, std::optional<key_type> end) {
        held_.push_back({.ref = ref, .image = memory_.image(Leaf::bytes), .overflow = overflow});
        ends_.push_back(end);
        claims_.emplace_back().node = ref;
    }

    [[nodiscard, gnu::noinline]] task<result<void>> lock_range(std::size_t from, std::size_t to) {
        locked_.resize(to);
        for (auto i = from; i < to; ++i) {
            co_await tree_.locks.acquire(s_, claims_[i]);
            if (!claims_[i].granted_or_why) co_return claims_[i].granted_or_why.error();
            claimed_ = i + 1;
            locked_[i] = claims_[i].handed;
        }
        auto const ops = memory_.template take<op>(2 * at_once);
        std::vector<std::size_t> open;
        for (auto i = from; i < to; ++i) open.push_back(i);
        retry again;
        while (!open.empty()) {
            if (auto const r = co_await keep_lease(s_); !r) co_return r.error();
            std::vector<std::size_t> left;
            std::vector<word> seen;
            for (std::size_t at = 0; at < open.size(); at += at_once) {
                auto const some = std::span(open).subspan(at, std::min(at_once, open.size() - at));
                for (std::size_t i = 0; i < some.size(); ++i) {
                    auto const& leaf = held_[some[i]];
                    auto const free = view_of<Leaf>::free_lock(tree_.handle.tag(), leaf.ref.incarnation());
                    auto const mine = free.held_by(s_.pool().self.tag());
                    auto const expected = claims_[some[i]].handed ? mine : free;
                    ops[2 * i] = op::cas(leaf.ref.at(), expected.bits(), mine.bits());
                    ops[2 * i + 1] = op::read(leaf.ref.at(), leaf.image, Leaf::bytes);
                }
                auto const asked = co_await s_.submit(ops.first(2 * some.size()));
                for (std::size_t i = 0; i < some.size(); ++i) {
                    locked_[some[i]] = !asked || ops[2 * i].swapped(); // after an error nobody knows: undone by CAS
                    if (locked_[some[i]]) continue;
                    left.push_back(some[i]);
                    seen.push_back(ops[2 * i].fetched);
                }
                if (!asked) co_return asked.error();
            }
            bool mended = false;
            for (std::size_t i = 0; again.paused() && i < left.size() && !mended; ++i) {
                auto const took = co_await take_over(left[i], lock_word(seen[i]));
                if (!took) co_return took.error();
                mended = *took;
            }
            open = std::move(left);
            if (open.empty() || mended) continue;
            if (auto const r = co_await again.wait(s_); !r) co_return r.error();
        }
        co_return result<void>{};
    }

    /// A lock whose owner is gone, or one that a failed operation of ours left: the leaf is mended and free. False: not so.
    [[nodiscard, gnu::noinline]] task<result<bool>> take_over(std::size_t i, lock_word seen) {
        if (!seen.locked()) co_return false;
        if (seen.owner() != s_.pool().self.tag()) {
            auto const gone = co_await is_gone(s_, seen.owner());
            if (!gone || !*gone) co_return gone;
        }
        co_return co_await mend_leaf<Leaf>(s_, tree_, held_[i].ref, seen, ends_[i]);
    }

    /// The entries of the group in ascending order: overflow leaves come behind those that lead to them. Else the memory node
    /// of what is damaged.
    [[nodiscard]] std::optional<std::uint16_t> collect() {
        std::vector<std::size_t> order;
        for (std::size_t i = 0; i < held_.size() && !held_[i].overflow; ++i) {
            auto at = i;
            order.push_back(at);
            while (auto const next = view_of<Leaf>(held_[at].image).link()) {
                auto const begin = std::find_if(held_.begin() + static_cast<std::ptrdiff_t>(at) + 1, held_.end(),
                                                [next](held_leaf const& h) { return h.ref == next; });
                if (begin == held_.end()) return next.at().node();
                at = static_cast<std::size_t>(begin - held_.begin());
                order.push_back(at);
            }
        }
        slot_order<Leaf> slots;
        for (auto const i : order) {
            view_of<Leaf> const leaf(held_[i].image);
            if (!leaf.sealed() || leaf.meta().dead) return held_[i].ref.at().node();
            auto const n = sorted_slots(leaf, std::span(slots));
            for (std::size_t e = 0; e < n; ++e)
                entries_.push_back({.key = leaf.key(slots[e]), .value = leaf.payload(slots[e])});
        }
        for (std::size_t i = 1; i < entries_.size(); ++i)
            if (!(entries_[i - 1].key < entries_[i].key)) return root_.at().node();
        return std::nullopt;
    }

    // G3
    [[nodiscard, gnu::noinline]] task<result<void>> write_generation(std::span<entry_type const> entries) {
        std::vector<piece> made(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(begin_));
        auto begin = numbers::of(pieces_[begin_].first);
        for (std::size_t from = 0;;) { // slices: to plan millions takes longer than a lease
            auto const to = slice_end(entries, from);
            bool const last = to == entries.size();
            auto const end = last ? behind_ : std::optional(numbers::at(numbers::of(entries[to].key)));
            if (auto const r = co_await write_slice(entries.subspan(from, to - from), begin, end, made); !r)
                co_return r.error();
            if (last) break;
            from = to;
            begin = numbers::of(entries[to].key);
        }
        made.insert(made.end(), pieces_.begin() + static_cast<std::ptrdiff_t>(end_), pieces_.end());
        if (auto const r = co_await write_pages(made); !r) co_return r.error();
        co_return co_await write_directory();
    }

    /// Keys of one number stay together.
    [[nodiscard]] static std::size_t slice_end(std::span<entry_type const> entries, std::size_t from) noexcept {
        constexpr std::size_t most = 1U << 20U;
        auto to = std::min(entries.size(), from + most);
        while (to < entries.size() && numbers::of(entries[to - 1].key) == numbers::of(entries[to].key)) ++to;
        return to;
    }

    [[nodiscard, gnu::noinline]] task<result<void>> write_slice(std::span<entry_type const> entries, key_number begin,
                                                                std::optional<key_type> end, std::vector<piece>& made) {
        auto const number_at = [entries](std::size_t i) { return numbers::of(entries[i].key); };
        std::size_t leaves = 0; // a share of what lies there already, so that one empty piece is no matter
        for (auto const& p : pieces_) leaves += p.line.leaves();
        for (auto const& p : made) leaves += p.line.leaves();
        piece_planner planner(tree_.rules, entries.size(), number_at, end ? 0 : leaves / 8 + 1);
        auto const plans = planner.run(begin);
        if (auto const r = co_await keep_lease(s_); !r) co_return r.error();
        for (std::size_t i = 0; i < plans.size(); ++i) {
            auto const next = i + 1 < plans.size() ? std::optional(numbers::at(plans[i + 1].begin)) : end;
            auto const built = co_await builder_.build(plans[i], entries.subspan(plans[i].first, plans[i].count), next);
            if (!built) co_return built.error();
            made.push_back(*built);
        }
        co_return result<void>{};
    }

    [[nodiscard]] node_meta meta_of(model_level level, std::uint32_t lives) const noexcept {
        return {.level = static_cast<std::uint8_t>(level), .index_tag = tree_.handle.tag(), .incarnation = lives};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> write_pages(std::span<piece const> pieces) {
        constexpr auto bytes = Tree::options::page_bytes;
        constexpr auto room = model_list<piece>::capacity(bytes);
        auto const pages =
            pieces.size() <= room ? 1 : (pieces.size() + room * 3 / 4 - 1) / std::max<std::size_t>(1, room * 3 / 4);
        auto const generation = model_list<part>(directory_).generation() + 1;
        for (std::size_t p = 0; p < pages; ++p) {
            auto const some =
                pieces.subspan(pieces.size() * p / pages, pieces.size() * (p + 1) / pages - pieces.size() * p / pages);
            auto taken = co_await allocate(s_, bytes);
            if (!taken) co_return taken.error();
            ++taken->lives;
            builder_.blocks.push_back({*taken, bytes});
            model_list<piece> const page(new_pages_.emplace_back(bytes / word_bytes).data());
            page.begin(s_.pool().self.tag(), meta_of(model_level::page, taken->lives), generation);
            for (auto const& e : some) page.add(e);
            page.seal();
            parts_.push_back(
                {.first = some.front().first, .page = model_ref(taken->at, model_level::page, taken->lives)});
            op write = op::write(taken->at, page.image(), page.used_words() * word_bytes);
            if (auto const r = co_await s_.submit(write); !r) co_return r.error();
        }
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> write_directory() {
        model_list<part> const old(directory_);
        auto const retired = headers_.size() + old_pages_.size() + 1;
        if (old.count() - old_pages_.size() + parts_.size() >
            model_list<part>::capacity(tree_.directory_bytes, retired))
            co_return make_error(errc::full);
        auto taken = co_await allocate(s_, tree_.directory_bytes);
        if (!taken) co_return taken.error();
        ++taken->lives;
        builder_.blocks.push_back({*taken, tree_.directory_bytes});
        new_root_ = model_ref(taken->at, model_level::directory, taken->lives);
        new_directory_ = memory_.image(tree_.directory_bytes);
        model_list<part> const made(new_directory_);
        made.begin(s_.pool().self.tag(), meta_of(model_level::directory, taken->lives), old.generation() + 1);
        for (std::size_t i = begin_; i < end_; ++i) made.add_retired(pieces_[i].extent);
        for (auto const& page : old_pages_) made.add_retired(page.ref);
        made.add_retired(root_);
        for (std::size_t i = 0; i < parts_begin_; ++i) made.add(old.entry(i));
        for (auto const& p : parts_) made.add(p);
        for (auto i = parts_end_; i < old.count(); ++i) made.add(old.entry(i));
        made.seal();
        op write = op::write(taken->at, made.image(), made.used_words() * word_bytes);
        co_return co_await s_.submit(write);
    }

    // G4 to G7
    [[nodiscard, gnu::noinline]] task<result<void>> switch_over() {
        op install = op::cas(tree_.handle.root(), root_.bits(), new_root_.bits());
        auto const asked = co_await s_.submit(install);
        word in_force = install.swapped() ? new_root_.bits() : install.fetched;
        if (!asked) {           // it may have taken effect: nobody else changes that word
            unfinished_ = true; // unless we can tell
            op read = op::read(tree_.handle.root(), &in_force, word_bytes);
            if (auto const r = co_await s_.submit(read); !r) co_return asked;
        }
        switched_ = in_force == new_root_.bits();
        if (!switched_) {
            auto const undone = co_await undo();
            unfinished_ = !undone;
            if (!asked) co_return asked;
            co_return make_error(in_force == 0 ? errc::dropped : errc::contended); // by who thought that we were gone
        }
        unfinished_ = false;
        publish_locally();
        if (auto const r = co_await kill_leaves<Leaf>(s_, held_); !r) co_return r.error();
        if (auto const r = co_await unlock_new(); !r) co_return r.error();
        for (std::size_t i = 0; i < headers_.size(); ++i)
            if (auto const r = co_await kill_block(s_, pieces_[begin_ + i].extent, headers_[i].what()); !r)
                co_return r.error();
        for (auto const& page : old_pages_)
            if (auto const r = co_await kill_block(s_, page.ref, page.meta); !r) co_return r.error();
        auto const root_meta = model_list<part>(directory_).meta();
        if (auto const r = co_await kill_block(s_, root_, root_meta); !r) co_return r.error();
        for (auto const& leaf : held_)
            if (leaf.overflow)
                if (auto const r = co_await free_node(
                        s_, tree_, {.at = leaf.ref.at(), .lives = view_of<Leaf>(leaf.image).meta().incarnation});
                    !r)
                    co_return r.error();
        for (std::size_t i = 0; i < headers_.size(); ++i)
            if (auto const r = co_await free_block(
                    s_, {.at = pieces_[begin_ + i].extent.at(), .lives = headers_[i].what().incarnation},
                    headers_[i].block_bytes());
                !r)
                co_return r.error();
        for (auto const& page : old_pages_)
            if (auto const r = co_await free_block(s_, {.at = page.ref.at(), .lives = page.meta.incarnation},
                                                   Tree::options::page_bytes);
                !r)
                co_return r.error();
        co_return co_await free_block(s_, {.at = root_.at(), .lives = root_meta.incarnation}, tree_.directory_bytes);
    }

    /// The model of this client has the new generation at once, if it had the old one.
    void publish_locally() {
        std::vector<model_list<piece>> pages;
        std::vector<node_ref> refs;
        for (std::size_t i = 0; i < parts_.size(); ++i) {
            pages.emplace_back(new_pages_[i].data());
            refs.push_back(parts_[i].page);
        }
        if (!tree_.model.install(new_root_, model_list<part>(new_directory_), pages, refs))
            tree_.stale.store(true, std::memory_order_relaxed); // other pages are missing, too
    }

    [[nodiscard, gnu::noinline]] task<result<void>> unlock_new() {
        constexpr std::size_t most = 512;
        auto const ops = memory_.template take<op>(most);
        auto const words = memory_.template take<word>(most);
        for (std::size_t from = 0; from < builder_.leaves.size(); from += most) {
            auto const n = std::min(most, builder_.leaves.size() - from);
            for (std::size_t i = 0; i < n; ++i) {
                auto const ref = builder_.leaves[from + i];
                words[i] = view_of<Leaf>::free_lock(tree_.handle.tag(), ref.incarnation()).bits();
                ops[i] = op::write(ref.at(), &words[i], word_bytes);
            }
            if (auto const r = co_await s_.submit(ops.first(n)); !r) co_return r.error();
            if (auto const r = co_await keep_lease(s_); !r) co_return r.error();
        }
        co_return result<void>{};
    }

    /// Gives back what was locked and allocated; the old generation is as it was.
    [[nodiscard, gnu::noinline]] task<result<void>> undo() {
        auto const ops = memory_.template take<op>(at_once);
        std::size_t n = 0;
        result<void> undone;
        for (std::size_t i = 0; i < locked_.size(); ++i) {
            if (locked_[i]) {
                auto const free = view_of<Leaf>::free_lock(tree_.handle.tag(), held_[i].ref.incarnation());
                ops[n++] = op::cas(held_[i].ref.at(), free.held_by(s_.pool().self.tag()).bits(), free.bits());
            }
            if (n < at_once && i + 1 < locked_.size()) continue;
            if (n > 0)
                if (auto const r = co_await s_.submit(ops.first(n)); !r) undone = r;
            n = 0;
        }
        locked_.clear();
        for (auto const& b : builder_.blocks)
            if (auto const r = co_await free_block(s_, b.memory, b.bytes); !r) undone = r;
        builder_.blocks.clear();
        co_return undone;
    }

    void unclaim() {
        for (std::size_t i = 0; i < claimed_; ++i) tree_.locks.release(claims_[i], false, 0);
        claimed_ = 0;
    }

    Session& s_;
    Tree& tree_;
    scratch memory_{s_.scratches().memory()};
    extent_builder<Leaf, Session, Tree> builder_;
    node_ref root_, new_root_;
    word* directory_ = nullptr; ///< images
    word* new_directory_ = nullptr;
    struct old_page {
        node_ref ref;
        node_meta meta;
    };
    std::vector<old_page> old_pages_;             ///< one, or two neighbours
    std::size_t parts_begin_ = 0, parts_end_ = 0; ///< the same in the directory
    std::vector<piece> pieces_;                   ///< of these pages; the group is [begin_, end_)
    std::size_t begin_ = 0, end_ = 0;
    std::optional<key_type> behind_; ///< where the piece behind the group begins
    std::vector<extent_header> headers_;
    std::vector<held_leaf> held_; ///< first the leaves of the extents, then overflow leaves
    std::vector<std::optional<key_type>> ends_;
    std::deque<lock_request> claims_;
    std::size_t claimed_ = 0; ///< of these we hold the local locks
    std::vector<bool> locked_;
    std::vector<entry_type> entries_;
    std::vector<std::vector<word>> new_pages_;
    std::vector<part> parts_;
    bool switched_ = false;
    bool unfinished_ = false;
};

/// Trains the pieces around `key` under the lease. False: somebody has it. wait: until it is free.
template <typename Leaf, typename Session, typename Tree>
[[nodiscard, gnu::noinline]] task<result<bool>>
train_around(Session& s, Tree& tree, typename Tree::key_type key, bool wait = false,
             std::span<entry<typename Tree::key_type, typename Leaf::payload_type> const> load = {}) {
    auto const before = s.stats();
    model_lease<Leaf, Session, Tree> lease(s, tree);
    if (wait) {
        if (auto const r = co_await lease.acquire(); !r) co_return r.error();
    } else {
        auto const had = co_await lease.try_acquire();
        if (!had || !*had) co_return had;
    }
    result<void> trained;
    bool unfinished = false;
    {
        trainer<Leaf, Session, Tree> t(s, tree);
        trained = co_await t.run(key, load);
        unfinished = t.unfinished();
    }
    auto const released = co_await lease.release(unfinished);
    tree.tally.add(s.stats() - before);
    if (!trained) co_return trained.error();
    if (!released) co_return released.error();
    co_return true;
}

} // namespace catena::detail
