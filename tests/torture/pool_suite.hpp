// SPDX-License-Identifier: Apache-2.0
// pool_suite: clients that allocate and free blocks, reclaim what the dead left and create and drop catalog entries, while
// faults strike.
//
// Nobody is ever handed a block that a member of the pool holds; blocks do not overlap; the lists that the memory nodes hold
// are whole and name every block once; what the dead held is found, to the last byte, save blocks in transit. Names of the
// catalog are linearizable: create is an insert, drop an erase, find a find.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <catena/pool/catalog.hpp>
#include <catena/pool/node_allocator.hpp>
#include <catena/pool/reclaim.hpp>

#include <support/history.hpp>
#include <torture/suite_run.hpp>

namespace catena::torture {

class pool_suite : suite_run {
public:
    pool_suite(scenario const& s, std::vector<sim_event>* log) : suite_run(s), arena_(s, log) {}

    [[nodiscard]] outcome run() {
        for (unsigned c = 1; c <= scenario_.clients; ++c) {
            auto& m = arena_.join(false, scenario_.sessions);
            for (unsigned i = 0; i < scenario_.sessions; ++i) arena_.add_life(live(m.sessions[i], c * 10 + i));
        }
        return judged(arena_, [&] { return audit(); });
    }

private:
    using history_type = test::history<std::uint64_t, std::uint32_t>; // name -> stamp of its creation
    static constexpr std::uint64_t names = 3;

    struct held {
        block what;
        std::uint64_t bytes;
    };

    [[nodiscard, gnu::noinline]] task<result<void>> live(session_type& s, std::uint32_t who) {
        sim_random random(scenario_.seed, 1000 + who);
        std::vector<held> mine;
        for (unsigned i = 0; i < 3 * scenario_.operations; ++i) {
            if (auto const r = co_await keep_lease(s); !r) co_return r;
            auto const what = random.below(10);
            result<void> done;
            if (!scenario_.may_lose_nodes() && random.one_in(60))
                done = co_await reclaim(s);
            else if (what < 4)
                done = co_await take(s, random, mine);
            else if (what < 7)
                done = co_await give(s, random, mine);
            else
                done = co_await use_catalog(s, who, random);
            if (!done) co_return done;
            ++operations_;
        }
        while (!mine.empty())
            if (auto const r = co_await give(s, random, mine); !r) co_return r;
        co_return co_await release_all(s);
    }

    [[nodiscard, gnu::noinline]] task<result<void>> take(session_type& s, sim_random& random, std::vector<held>& mine) {
        auto const bytes = block_granule << random.below(2);
        auto const taken = co_await allocate(s, bytes);
        if (!taken && taken.error().code == errc::out_of_memory) co_return result<void>{};
        if (!taken) co_return ended(taken.error(), "allocate");
        // Who was shut out and does not know yet may cut from a chunk that is another's now: its WRITE fails.
        if (!gone(s.pool().self)) occupy(taken->at, bytes, s.pool().self);
        mine.push_back({.what = *taken, .bytes = bytes});
        // What a node would do: fill it. If anybody else had it, one of us would see it.
        std::vector<word> words(bytes / word_bytes, taken->at.offset() ^ random.next());
        words[block_header::lock_at / word_bytes] = block_header::held_by(s.pool().self.tag());
        words[block_header::meta_at / word_bytes] = block_header::meta_of(taken->lives + 1, false, false);
        op write = op::write(taken->at, words.data(), bytes);
        if (auto const r = co_await s.submit(write); !r) co_return r;
        std::vector<word> seen(words.size());
        op read = op::read(taken->at, seen.data(), bytes);
        if (auto const r = co_await s.submit(read); !r) co_return r;
        if (seen != words && !gone(s.pool().self))
            complaint_ = "somebody else wrote into a block that was handed to one";
        co_return result<void>{};
    }

    [[nodiscard, gnu::noinline]] task<result<void>> give(session_type& s, sim_random& random, std::vector<held>& mine) {
        if (mine.empty()) co_return result<void>{};
        auto const i = random.below(mine.size());
        auto one = mine[i];
        mine.erase(mine.begin() + static_cast<std::ptrdiff_t>(i));
        if (auto const at = occupied_.find(key_of(one.what.at));
            at != occupied_.end() && at->second.by == s.pool().self)
            occupied_.erase(at);
        ++one.what.lives;
        if (auto const r = co_await free_block(s, one.what, one.bytes); !r) co_return ended(r.error(), "free_block");
        co_return result<void>{};
    }

    [[nodiscard]] static std::uint64_t key_of(remote_ptr at) noexcept {
        return std::uint64_t{at.node()} << 48U | at.offset();
    }
    /// As the member table has it at this moment.
    [[nodiscard]] bool gone(member_id who) {
        word state = 0;
        std::memcpy(&state, arena_.network().node(0).raw() + member_at(who.slot).offset(), sizeof state);
        return state != member_record::state_of(who.incarnation, member_phase::joined);
    }
    void occupy(remote_ptr at, std::uint64_t bytes, member_id by) {
        auto const key = key_of(at);
        auto first = occupied_.lower_bound(key);
        if (first != occupied_.begin() && std::prev(first)->first + std::prev(first)->second.bytes > key) --first;
        while (first != occupied_.end() && first->first < key + bytes) {
            if (!gone(first->second.by)) complaint_ = "block " + std::to_string(at.offset()) + " was handed out twice";
            first = occupied_.erase(first);
        }
        if (at.offset() < heap_offset || at.offset() + bytes > arena::node_bytes)
            complaint_ = "a block outside the heap";
        occupied_[key] = {.bytes = bytes, .by = by};
    }

    /// Blocks of this suite are in no index: whatever somebody gone held may be taken.
    [[nodiscard, gnu::noinline]] task<result<void>> reclaim(session_type& s) {
        ++reclaims_;
        reclaim_report report;
        auto const gone = co_await detail::find_gone(s, report);
        if (!gone) co_return ended(gone.error(), "find_gone");
        auto const any = [](remote_ptr, block_header const&) { return true; };
        if (auto const r = co_await detail::sweep(s, *gone, any, report); !r) co_return ended(r.error(), "sweep");
        co_return result<void>{};
    }

    [[nodiscard]] static index_spec spec_of(std::uint64_t which, std::uint32_t stamp) {
        index_spec spec;
        spec.set_name(std::string(1, static_cast<char>('a' + which)));
        spec.set_type("torture");
        spec.layout_version = stamp;
        return spec;
    }

    [[nodiscard, gnu::noinline]] task<result<void>> use_catalog(session_type& s, std::uint32_t who,
                                                                sim_random& random) {
        auto const which = random.below(names);
        if (random.one_in(2)) {
            auto const stamp = ++stamps_;
            auto const call = history_.begin(who, test::call_kind::insert, which, stamp);
            auto const made = co_await create_index(s, spec_of(which, stamp), [](catalog_handle) { return no_root(); });
            if (!made && made.error().code != errc::already_exists) {
                history_.lost(call);
                co_return ended(made.error(), "create_index");
            }
            history_.said(call, made.has_value());
            co_return result<void>{};
        }
        auto const begin = history_.tick();
        auto const found = co_await find_index(s, spec_of(which, 0).name_view());
        if (!found && found.error().code == errc::not_found) {
            history_.observe(who, begin, history_.tick(), which, std::optional<std::uint32_t>{});
            co_return result<void>{};
        }
        if (!found && found.error().code == errc::dropped) { // somebody is dropping it: it is there still
            history_.observe(who, begin, history_.tick(), which, {.what = mutation_outcome::present});
            co_return result<void>{};
        }
        if (!found) co_return ended(found.error(), "find_index");
        history_.observe(who, begin, history_.tick(), which, std::optional(found->spec.layout_version));
        if (random.one_in(2)) co_return result<void>{};
        auto const call = history_.begin(who, test::call_kind::erase_if, which, found->spec.layout_version);
        auto const gone = co_await drop_index(s, found->handle, [] { return nothing(); });
        if (gone) {
            history_.said(call, true);
        } else if (gone.error().code == errc::dropped) {
            history_.done(call); // by somebody else
        } else {
            history_.lost(call);
            co_return ended(gone.error(), "drop_index");
        }
        co_return result<void>{};
    }
    [[nodiscard, gnu::noinline]] static task<result<word>> no_root() { co_return word{7}; }
    [[nodiscard, gnu::noinline]] static task<result<void>> nothing() { co_return result<void>{}; }

    [[nodiscard]] session_type& auditor() noexcept { return auditor_ != nullptr ? *auditor_ : arena_.keeper(); }

    [[nodiscard]] std::optional<std::string> audit() {
        if (reclaims_ > 0) // the keeper stood idle for longer than a lease meanwhile: it is out
            auditor_ = &arena_.join(false, 1).sessions.front();
        if (auto const wrong = audit_memory()) return wrong;
        try {
            auto& s = auditor();
            for (std::uint64_t which = 0; which < names; ++which) {
                auto const begin = history_.tick();
                auto const found = sync_wait(s, find_index(s, spec_of(which, 0).name_view()));
                auto const end = history_.tick();
                if (found)
                    history_.observe(1, begin, end, which, std::optional(found->spec.layout_version));
                else if (found.error().code == errc::not_found)
                    history_.observe(1, begin, end, which, std::optional<std::uint32_t>{});
                // The lock of a dead client does not keep others out.
                auto const made =
                    sync_wait(s, create_index(s, spec_of(which, ++stamps_), [](catalog_handle) { return no_root(); }));
                if (!made && made.error().code != errc::already_exists)
                    return "after all: create_index ended with " + std::string(name(made.error().code));
            }
        } catch (std::exception const& e) {
            return "in the audit: " + std::string(e.what());
        }
        return history_.violation();
    }

    /// All others left or died: after a reclaim every block is free, save those that were in transit.
    [[nodiscard]] std::optional<std::string> audit_memory() {
        if (complaint_) return complaint_;
        if (scenario_.may_lose_nodes()) return std::nullopt; // a memory node that came back is empty
        if (auto const c = census(arena_, auditor()); !c.complaints.empty())
            return "before the reclaim: " + c.complaints.front();
        try {
            auto& s = auditor();
            test::ok(sync_wait(s, reclaim(s)));
            return unaccounted(arena_, s, 0, 2 * block_granule);
        } catch (std::exception const& e) {
            return "in the reclaim: " + std::string(e.what());
        }
    }

    history_type history_;
    struct holding {
        std::uint64_t bytes = 0;
        member_id by;
    };
    std::map<std::uint64_t, holding> occupied_; ///< blocks that somebody holds, or held when he died
    std::uint32_t stamps_ = 0;
    std::uint64_t reclaims_ = 0;
    session_type* auditor_ = nullptr; ///< null: the keeper audits
    arena arena_;
};

} // namespace catena::torture
