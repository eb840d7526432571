// SPDX-License-Identifier: Apache-2.0
// gates: how a client is shut out of memory that it has mapped itself (local and shm fabrics). Nobody can take the mapping
// away from a process; so every channel of a client has a gate, which it passes with every batch that writes.
//
// Actors     W a channel that writes.  F who fences W's client.  N a channel that connects.  D a process that died.
// Write      W1 busy = 1 (exchange);  W2 read control: fenced => busy = 0, errc::fenced, nothing was done;
//            W3 the operations;  W4 busy = 0 (release). A batch of READs alone passes no gate.
// Fence      F1 remember the client among the fenced;  F2 in every open gate of it, CAS control: open -> fenced;
//            F3 wait until each of these gates is not busy, or was given back, or its process is gone.
// Connect    N1 CAS control: free -> claiming, with the next generation;  N2 client, busy = 0;  N3 control = open;
//            N4 look for the client among the fenced, and for a fenced gate of it: found => control = fenced.
// No window  between W2 and W3: W1, W2, F2 and the read of F3 are seq_cst. Either W1 comes before F3 reads: F sees busy
//            and waits for W4, after which all of W3 is in memory and visible (release, acquire). Or F3 reads before W1:
//            then F2 came before W2, and W sees that it is fenced. (Dekker: each writes its word before it reads the
//            other's.) That F3 may find busy = 0 between two batches is no window: the later one sees F2.
// No window  for a channel that connects meanwhile: F1 before the reads of F2, N3 before the reads of N4, all seq_cst.
//            Either F2 sees the open gate, or N4 sees the client among the fenced. No batch runs before N4 is over.
// No mix-up  F reads control, then client, then CASes control: a gate that changed hands in between has another
//            generation, so an innocent successor is not fenced; `client` changes only while control says claiming.
// D          its gates are as it left them, at worst claiming or busy. Its attachment is no longer locked: busy does not
//            count then (D's threads ended before the kernel gave the lock back), and whoever needs a gate may claim it,
//            by a CAS from the very control word that named D. Who attaches in D's slot frees D's gates first.
// D inside F or N: after F1 the client is shut out of what it opens later, after a part of F2 of some channels: whoever
//            needs it fences again. N: above.
// Bounds     4096 channels at once; of the fenced the last 1024 are remembered. A client that keeps one channel (a
//            memory_pool does) is known by its fenced gate however many others were fenced since.
// fork       A channel belongs to the process that made it: the child must not use it, nor end it.
// Thread safety: gate_table by any thread, in any process that maps the area; gate_pass by one thread at a time.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bitset>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>

#include <catena/core/bytes.hpp>
#include <catena/core/config.hpp>
#include <catena/core/result.hpp>
#include <catena/fabric/attachment.hpp>
#include <catena/fabric/client_id.hpp>

namespace catena {

enum class gate_state : std::uint8_t { free = 0, claiming = 1, open = 2, fenced = 3 };

/// One line, so that no two channels write to the same one.
///   control   generation (46) | attachment (16) | state (2); every claim of the gate has a generation of its own
struct alignas(cache_line) gate {
    word control;
    word client;
    word busy; ///< 1 while its channel writes
    std::array<word, 5> reserved;

    [[nodiscard]] static constexpr gate_state state_of(word control) noexcept {
        return static_cast<gate_state>(control & 3U);
    }
    [[nodiscard]] static constexpr unsigned attachment_of(word control) noexcept {
        return static_cast<unsigned>(control >> 2U & 0xffffU);
    }
    /// The control word of the next claim of the gate.
    [[nodiscard]] static constexpr word next_claim(word control, unsigned attachment) noexcept {
        return ((control >> 18U) + 1) << 18U | word{attachment} << 2U | static_cast<word>(gate_state::claiming);
    }
    [[nodiscard]] static constexpr word with(word control, gate_state s) noexcept {
        return (control & ~word{3}) | static_cast<word>(s);
    }
};
static_assert(sizeof(gate) == cache_line);

/// As it lies in memory that is zero at first. docs/formats.md draws it for shared segments.
struct gate_area {
    static constexpr std::size_t gates_max = 4096;
    static constexpr std::size_t remembered = 1024;

    alignas(cache_line) word high; ///< gates from here on were never claimed; only grows
    word fences;                   ///< counts up; its low bits are the place of the next fenced client
    std::array<word, 6> reserved;
    std::array<word, remembered> fenced; ///< clients that were fenced, a ring
    std::array<gate, gates_max> gates;
};
static_assert(sizeof(gate_area) == 64 + 8192 + 262144);

namespace detail {
[[nodiscard]] inline std::atomic_ref<word> shared(word& w) noexcept { return std::atomic_ref<word>(w); }
} // namespace detail

/// What a channel holds: one gate, given back when it ends; or none, if its client is anonymous.
class gate_pass {
public:
    gate_pass() noexcept = default;
    gate_pass(gate& g, word control) noexcept : gate_(&g), control_(control) {}
    gate_pass(gate_pass&& o) noexcept : gate_(std::exchange(o.gate_, nullptr)), control_(o.control_) {}
    gate_pass& operator=(gate_pass&& o) noexcept {
        if (this == &o) return *this;
        give_back();
        gate_ = std::exchange(o.gate_, nullptr);
        control_ = o.control_;
        return *this;
    }
    ~gate_pass() { give_back(); }

    /// W1 and W2. False: fenced, nothing may be written. After true comes leave().
    [[nodiscard]] bool enter() noexcept {
        if (gate_ == nullptr) return true;
        detail::shared(gate_->busy).exchange(1, std::memory_order_seq_cst);
        if (detail::shared(gate_->control).load(std::memory_order_seq_cst) == control_) return true;
        leave();
        return false;
    }
    /// W4.
    void leave() noexcept {
        if (gate_ != nullptr) detail::shared(gate_->busy).store(0, std::memory_order_release);
    }

private:
    void give_back() noexcept {
        if (gate_ == nullptr) return;
        // Whether F2 comes before this (it is overwritten) or after (its CAS fails): this channel writes no more.
        detail::shared(gate_->control).store(gate::with(control_, gate_state::free), std::memory_order_seq_cst);
        gate_ = nullptr;
    }

    gate* gate_ = nullptr;
    word control_ = 0; ///< as N3 left it: open
};

/// The view of one fabric object.
class gate_table {
public:
    static constexpr auto patience = std::chrono::milliseconds(100); ///< of a fence, with a channel that is writing

    /// In memory of this process alone.
    explicit gate_table(gate_area& area) noexcept : area_(&area) {}
    /// In a segment whose open file `fd` holds the attachment `slot`: frees what an earlier holder of it left behind.
    gate_table(gate_area& area, int fd, unsigned slot) noexcept : area_(&area), fd_(fd), attachment_(slot) {
        for (std::size_t i = 0; i < high(); ++i) {
            auto const control = detail::shared(area_->gates[i].control);
            word seen = control.load(std::memory_order_seq_cst);
            if (gate::state_of(seen) == gate_state::free || gate::attachment_of(seen) != slot) continue;
            // Fails only if somebody claimed it who found its process gone before we attached.
            control.compare_exchange_strong(seen, gate::with(seen, gate_state::free), std::memory_order_seq_cst);
        }
    }

    /// A gate for a channel of `id`. Errors: full.
    [[nodiscard]] setup_result<gate_pass> connect(client_id id) {
        if (id == anonymous_client) return gate_pass();
        auto const claimed = claim();
        if (!claimed)
            return setup_error(errc::full,
                               "all " + std::to_string(gate_area::gates_max) +
                                   " channels of the fabric are in use: too many sessions are open at once; "
                                   "close some");
        auto& g = area_->gates[claimed->first];
        auto const open = gate::with(claimed->second, gate_state::open);
        detail::shared(g.client).store(static_cast<word>(id), std::memory_order_seq_cst); // N2
        detail::shared(g.busy).store(0, std::memory_order_seq_cst);
        detail::shared(g.control).store(open, std::memory_order_seq_cst); // N3
        if (is_fenced(id)) shut(g, id);                                   // N4
        return gate_pass(g, open);
    }

    /// See the concept `channel`. Errors: timed_out, invalid_argument.
    [[nodiscard]] result<void> fence(client_id id) noexcept {
        if (id == anonymous_client) return make_error(errc::invalid_argument);
        remember(id);
        auto const gates = std::span(area_->gates).first(high());
        for (auto& g : gates) shut(g, id); // all of them before waiting for any
        auto const deadline = std::chrono::steady_clock::now() + patience;
        for (auto& g : gates)
            while (busy(g, id)) {
                if (std::chrono::steady_clock::now() >= deadline) return make_error(errc::timed_out);
                std::this_thread::sleep_for(std::chrono::microseconds(20));
            }
        return {};
    }

private:
    [[nodiscard]] std::size_t high() const noexcept {
        return std::min<std::size_t>(detail::shared(area_->high).load(std::memory_order_seq_cst), gate_area::gates_max);
    }
    /// Is the process that holds this attachment gone? In memory of one process nobody is.
    [[nodiscard]] bool gone(unsigned attachment) const noexcept {
        return fd_ >= 0 && attachment != attachment_ && !attachment::taken_by_another(fd_, attachment);
    }

    /// N1: a free gate, else one that was never used, else one of a process that died. Its index and control word.
    [[nodiscard]] std::optional<std::pair<std::size_t, word>> claim() noexcept {
        for (bool const of_the_dead : {false, true}) {
            std::bitset<attachment::slots> dead, alive; // asked once each
            for (std::size_t i = 0; i < gate_area::gates_max; ++i) {
                if (i == high()) raise_high(i + 1); // before N3: F2 reads `high` before the gates
                auto const control = detail::shared(area_->gates[i].control);
                word seen = control.load(std::memory_order_seq_cst);
                if (gate::state_of(seen) != gate_state::free) {
                    if (!of_the_dead) continue;
                    auto const holder = gate::attachment_of(seen) % attachment::slots;
                    if (!dead[holder] && !alive[holder]) (gone(holder) ? dead : alive).set(holder);
                    if (alive[holder]) continue;
                }
                word const mine = gate::next_claim(seen, attachment_);
                if (control.compare_exchange_strong(seen, mine, std::memory_order_seq_cst)) return std::pair(i, mine);
            }
        }
        return std::nullopt;
    }
    void raise_high(word to) noexcept {
        auto const at = detail::shared(area_->high);
        for (word seen = at.load(std::memory_order_seq_cst); seen < to;)
            if (at.compare_exchange_weak(seen, to, std::memory_order_seq_cst)) return;
    }

    /// F1. Dying between its two steps forgets the oldest a little early, no more.
    void remember(client_id id) noexcept {
        if (is_remembered(id)) return;
        auto const place =
            detail::shared(area_->fences).fetch_add(1, std::memory_order_seq_cst) % gate_area::remembered;
        detail::shared(area_->fenced[place]).store(static_cast<word>(id), std::memory_order_seq_cst);
    }
    [[nodiscard]] bool is_remembered(client_id id) const noexcept {
        return std::any_of(area_->fenced.begin(), area_->fenced.end(), [id](word& w) {
            return detail::shared(w).load(std::memory_order_seq_cst) == static_cast<word>(id);
        });
    }
    [[nodiscard]] bool is_fenced(client_id id) const noexcept {
        if (is_remembered(id)) return true;
        for (std::size_t i = 0; i < high(); ++i)
            if (state_for(area_->gates[i], id) == gate_state::fenced) return true;
        return false;
    }

    /// The state of a gate if it belongs to that client; free if not.
    [[nodiscard]] static gate_state state_for(gate& g, client_id id) noexcept {
        auto const control = detail::shared(g.control);
        for (;;) {
            word const seen = control.load(std::memory_order_seq_cst);
            auto const s = gate::state_of(seen);
            if (s != gate_state::open && s != gate_state::fenced) return gate_state::free;
            bool const theirs = detail::shared(g.client).load(std::memory_order_seq_cst) == static_cast<word>(id);
            // Else state and client may be those of two holders.
            if (control.load(std::memory_order_seq_cst) == seen) return theirs ? s : gate_state::free;
        }
    }
    /// F2 for one gate.
    static void shut(gate& g, client_id id) noexcept {
        auto const control = detail::shared(g.control);
        word seen = control.load(std::memory_order_seq_cst);
        if (gate::state_of(seen) != gate_state::open) return; // claiming: N4 will find out
        if (detail::shared(g.client).load(std::memory_order_seq_cst) != static_cast<word>(id)) return;
        // Fails if the channel ended (its gate may be another's by now), or was fenced by another: both will do.
        control.compare_exchange_strong(seen, gate::with(seen, gate_state::fenced), std::memory_order_seq_cst);
    }
    /// F3 for one gate: does its channel still write?
    [[nodiscard]] bool busy(gate& g, client_id id) const noexcept {
        if (state_for(g, id) != gate_state::fenced) return false;
        if (detail::shared(g.busy).load(std::memory_order_seq_cst) == 0) return false;
        return !gone(gate::attachment_of(detail::shared(g.control).load(std::memory_order_seq_cst)));
    }

    gate_area* area_;
    int fd_ = -1;
    unsigned attachment_ = 0;
};

} // namespace catena
