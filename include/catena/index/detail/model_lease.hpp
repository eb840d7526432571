// SPDX-License-Identifier: Apache-2.0
// model_lease: one client at a time changes the structure of a learned index; and how a training ends whose trainer died.
//
// A word in the catalog names the holder, as a lock word does; under it alone are leaves mended, pieces trained, blocks of the
// index taken out of use. Whoever needs it and finds its holder gone (pool/membership.hpp: fenced first) takes it over and
// ends what that one began, before anything else:
//   trainer died before its switch   nothing to end: the old generation is in force. Its locks on old leaves are taken over by who
//                                    runs into them; what it wrote is in no index, and is found when space is reclaimed.
//   ... after it                     the directory in force lists what it took out of use. Leaves of these extents are locked by the
//                                    dead trainer or dead already: the others are killed now. New leaves are locked as long:
//                                    nobody could change a key there while an old copy of it could still be read.
// That can be repeated, if its executor dies in turn. The list stays when all is done: extents found dead, or in another
// life, are left alone.
//   trainer failed, and lives         the lease stays his, and so do locks; he ends his training when he wants the lease again, and
//                                    looks for leaves that name him.
// The holder also has the local lock of the catalog entry: a word that names us while nobody has that is what a training of ours
// left that failed.
// Thread safety: as the session.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/index/detail/learned_state.hpp>
#include <catena/pool/membership.hpp>
#include <catena/protocol/hopscotch_io.hpp>
#include <catena/protocol/local_locks.hpp>

namespace catena::detail {

/// Something is not as it must be under the lease: damaged; or we were taken for dead meanwhile, and others went on.
template <typename Session>
[[nodiscard, gnu::noinline]] task<error> damaged(Session& s, std::uint16_t node) {
    auto const ours = co_await keep_lease(s);
    co_return ours ? make_error(errc::corrupt, node) : ours.error();
}

/// A leaf whose lock we have, and its image.
struct held_leaf {
    node_ref ref;
    word* image = nullptr;
    bool overflow = false; ///< has a block of its own
};

/// Declares leaves dead that we have the locks of; they keep their links. 1 round trip for every 64.
template <typename Leaf, typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> kill_leaves(Session& s, std::span<held_leaf const> leaves) {
    constexpr std::size_t at_once = 64;
    scratch_lease const memory(s.scratches());
    auto const ops = memory->template take<op>(at_once);
    auto const me = s.pool().self.tag();
    for (std::size_t from = 0; from < leaves.size(); from += at_once) {
        auto const some = leaves.subspan(from, std::min(at_once, leaves.size() - from));
        for (std::size_t i = 0; i < some.size(); ++i)
            (void)plan_kill(view_of<Leaf>(some[i].image), some[i].ref.at(), me, ops.subspan(i));
        if (auto const r = co_await s.submit(ops.first(some.size())); !r) co_return r.error();
        if (auto const r = co_await keep_lease(s); !r) co_return r.error();
    }
    co_return result<void>{};
}

/// Marks a directory, page or extent as ours and dead. Its leaves are dead. 1 round trip.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> kill_block(Session& s, node_ref ref, node_meta meta) {
    meta.dead = true;
    word const mine = lock_word(true, s.pool().self.tag(), 0, 0).bits();
    word const dead = meta.bits();
    std::array ops{op::write(ref.at(), &mine, word_bytes), // first: while it lives it is found over the directory, too
                   op::write(ref.at() + meta_word * word_bytes, &dead, word_bytes)};
    co_return co_await s.submit(batch(ops));
}

/// Ends a training after its switch. Under the lease.
template <typename Leaf, typename Session, typename Tree>
class training_finisher {
public:
    training_finisher(Session& s, Tree& tree) : s_(s), tree_(tree), memory_(s.scratches()) {}

    [[nodiscard, gnu::noinline]] task<result<void>> run() {
        model_list<part> const directory(memory_->image(tree_.directory_bytes));
        retry again;
        for (;;) {
            word root = 0;
            op read = op::read(tree_.handle.root(), &root, word_bytes);
            if (auto const r = co_await s_.submit(read); !r) co_return r.error();
            if (root == 0) co_return result<void>{}; // dropped
            bool const dropping = true;              // then it may be out of use already
            auto const found =
                co_await read_directory(s_, tree_, node_ref::from_word(root), directory.image(), dropping);
            if (!found) co_return found.error();
            if (*found) break;
            if (auto const r = co_await again.wait(s_); !r) co_return co_await damaged(s_, 0); // nobody changes it
        }
        for (std::size_t i = 0; i < directory.retired_count(); ++i)
            if (auto const r = co_await one(directory.retired(i)); !r) co_return r.error();
        co_return result<void>{};
    }

private:
    using part = model_part<typename Tree::key_type>;
    using view = view_of<Leaf>;

    [[nodiscard, gnu::noinline]] task<result<void>> one(node_ref ref) {
        extent_header header;
        op read = op::read(ref.at(), &header, sizeof header);
        if (auto const r = co_await s_.submit(read); !r) co_return r.error();
        auto const meta = header.what();
        if (!names(ref, meta, tree_.handle.tag()) || meta.dead) co_return result<void>{};
        auto bytes = static_cast<std::uint64_t>(tree_.directory_bytes);
        if (ref.level() == static_cast<std::uint32_t>(model_level::page)) bytes = Tree::options::page_bytes;
        if (ref.level() == static_cast<std::uint32_t>(model_level::extent)) {
            bytes = header.block_bytes();
            for (std::uint32_t i = 0; i < header.leaves(); ++i)
                if (auto const r = co_await kill_chain(leaf_in<Leaf>(ref, i)); !r) co_return r.error();
        }
        if (auto const r = co_await kill_block(s_, ref, meta); !r) co_return r.error();
        co_return co_await free_block(s_, {.at = ref.at(), .lives = meta.incarnation}, bytes);
    }

    /// A leaf of the model and its overflow leaves: each is locked by somebody who is gone, or dead.
    [[nodiscard, gnu::noinline]] task<result<void>> kill_chain(node_ref first) {
        auto const place = memory_->mark();
        view const leaf(memory_->image(Leaf::bytes));
        std::vector<block> killed; // freed last: a leaf in another life says that all behind it are dead
        for (auto ref = first; ref;) {
            op read = op::read(ref.at(), leaf.image(), Leaf::bytes);
            if (auto const r = co_await s_.submit(read); !r) co_return r.error();
            auto const meta = leaf.meta();
            if (!names(ref, meta, tree_.handle.tag())) break; // freed: then all that were behind it are dead
            if (!leaf.lock().locked()) break;                 // on a free list: as above
            if (!meta.dead || !leaf.sealed()) {               // a trainer may have died while he killed it
                auto const mine = leaf.lock().held_by(s_.pool().self.tag());
                op take = op::cas(ref.at(), leaf.lock().bits(), mine.bits());
                std::array ops{take, read};
                if (auto const r = co_await s_.submit(batch(ops)); !r) co_return r.error();
                if (!ops[0].swapped()) co_return co_await damaged(s_, ref.at().node());
                held_leaf const held{.ref = ref, .image = leaf.image()};
                if (auto const r = co_await kill_leaves<Leaf>(s_, std::span(&held, 1)); !r) co_return r.error();
                if (ref != first) killed.push_back({.at = ref.at(), .lives = meta.incarnation});
            }
            ref = leaf.link();
        }
        memory_->reset_to(place);
        for (auto const& b : killed)
            if (auto const r = co_await free_node(s_, tree_, b); !r) co_return r.error();
        co_return result<void>{};
    }

    Session& s_;
    Tree& tree_;
    scratch_lease memory_;
};

/// Under the lease, after a training of ours that failed: mends all leaves of the generation in force that name us, while no
/// operation of ours is at them (index/detail/learned_walk.hpp). Reads every leaf.
template <typename Leaf, typename Session, routed_by_model Tree>
[[nodiscard, gnu::noinline]] task<result<void>> free_what_names_us(Session& s, Tree& tree);

/// The lease of one index. Must not move while it is held.
template <typename Leaf, typename Session, typename Tree>
class model_lease {
public:
    model_lease(Session& s, Tree& tree) : s_(s), tree_(tree) {
        claim_.node = node_ref(tree.handle.entry(), node_ref::max_level, tree.handle.generation);
    }

    /// False: somebody has it who lives, as far as we know. 1 round trip as a rule. Errors: those of ending what a dead one left;
    /// then the lease is as it was.
    [[nodiscard, gnu::noinline]] task<result<bool>> try_acquire() {
        if (!tree_.locks.try_acquire(claim_)) co_return false;
        auto const taken = co_await take();
        if (!taken || !*taken) tree_.locks.release(claim_, false, 0);
        co_return taken;
    }

    /// Waits for it. Errors: contended, too.
    [[nodiscard, gnu::noinline]] task<result<void>> acquire() {
        retry again;
        for (;;) {
            auto const taken = co_await try_acquire();
            if (!taken) co_return taken.error();
            if (*taken) co_return result<void>{};
            if (auto const r = co_await again.wait(s_); !r) co_return r.error();
        }
    }

    /// 1 round trip. unfinished: the next holder is to end what we began, be it ourselves.
    [[nodiscard, gnu::noinline]] task<result<void>> release(bool unfinished = false) {
        result<void> released;
        if (!unfinished) {
            op give = op::cas(tree_.handle.lease(), mine(), 0);
            released = co_await s_.submit(give);
        }
        tree_.locks.release(claim_, false, 0);
        co_return released;
    }

private:
    [[nodiscard]] word mine() const noexcept { return lock_word(true, s_.pool().self.tag(), 0, 0).bits(); }

    [[nodiscard, gnu::noinline]] task<result<bool>> take() {
        word expected = 0;
        for (int tries = 0; tries < 2; ++tries) {
            word state = 0; // the entry may be another index's by now; while we have the lease nobody drops this one
            std::array ops{op::cas(tree_.handle.lease(), expected, mine()),
                           op::read(tree_.handle.entry(), &state, word_bytes)};
            if (auto const r = co_await s_.submit(batch(ops)); !r) co_return r.error();
            bool const ours = state >> 32U == tree_.handle.generation;
            if (!ours && ops[0].swapped()) {
                op undo = op::cas(tree_.handle.lease(), mine(), expected);
                if (auto const r = co_await s_.submit(undo); !r) co_return r.error();
            }
            if (!ours) co_return make_error(errc::dropped);
            if (ops[0].swapped()) {
                if (expected == 0) co_return true;
                // If this fails the word names us: the same again, before anything else.
                training_finisher<Leaf, Session, Tree> finisher(s_, tree_);
                if (auto const r = co_await finisher.run(); !r) co_return r.error();
                if (expected == mine())
                    if (auto const r = co_await free_what_names_us<Leaf>(s_, tree_); !r) co_return r.error();
                co_return true;
            }
            lock_word const holder(ops[0].fetched);
            if (holder.owner() != s_.pool().self.tag()) {
                auto const gone = co_await is_gone(s_, holder.owner());
                if (!gone) co_return gone.error();
                if (!*gone) co_return false;
            }
            expected = ops[0].fetched;
        }
        co_return false;
    }

    Session& s_;
    Tree& tree_;
    lock_request claim_;
};

} // namespace catena::detail
