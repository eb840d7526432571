// SPDX-License-Identifier: Apache-2.0
// sim_memory_node: the memory of one simulated memory node, whom it has shut out, and whether it lives.
//
// A node that vanishes takes its contents with it. When it returns it is empty and has another incarnation: connections
// from before stay broken, as a queue pair does, so nobody takes the zeroes for an answer.
// Thread safety: one thread, that of the simulation.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include <catena/core/bytes.hpp>
#include <catena/fabric/client_id.hpp>
#include <catena/fabric/op.hpp>

namespace catena {

class sim_memory_node {
public:
    /// Zeroed memory that the kernel provides page by page on first use.
    explicit sim_memory_node(std::uint64_t bytes) : bytes_(bytes), memory_(zeroed(bytes)) {}

    [[nodiscard]] bool alive() const noexcept { return alive_; }
    [[nodiscard]] std::uint32_t incarnation() const noexcept { return incarnation_; }
    [[nodiscard]] std::byte* raw() noexcept { return memory_.get(); }

    void vanish() noexcept { alive_ = false; }
    void return_empty() {
        memory_ = zeroed(bytes_);
        shut_out_.clear();
        ++incarnation_;
        alive_ = true;
    }

    void shut_out(client_id who) {
        if (!is_shut_out(who)) shut_out_.push_back(who);
    }
    [[nodiscard]] bool is_shut_out(client_id who) const noexcept {
        return std::find(shut_out_.begin(), shut_out_.end(), who) != shut_out_.end();
    }

    /// An operation moves in pieces, one for each aligned word that it touches; the first and the last may be parts of
    /// a word. Atomics have one.
    [[nodiscard]] static std::size_t pieces(op const& o) noexcept {
        auto const begin = o.target.offset() / word_bytes;
        auto const end = (o.target.offset() + o.length + word_bytes - 1) / word_bytes;
        return static_cast<std::size_t>(end - begin);
    }

    /// Moves piece i of an operation that lies inside the memory. Returns the word that it concerns, as it is now.
    word move_piece(op& o, std::size_t i) noexcept {
        auto const first_word = o.target.offset() / word_bytes;
        auto* const at = memory_.get() + (first_word + i) * word_bytes;
        word now = 0;
        std::memcpy(&now, at, word_bytes);
        if (o.kind == op_kind::cas || o.kind == op_kind::faa) {
            o.fetched = now;
            if (o.kind == op_kind::faa)
                now += o.operand;
            else if (now == o.compare)
                now = o.operand;
            std::memcpy(at, &now, word_bytes);
            return now;
        }
        auto const begin = std::max((first_word + i) * word_bytes, o.target.offset());
        auto const end = std::min((first_word + i + 1) * word_bytes, o.target.offset() + o.length);
        auto* const local = static_cast<std::byte*>(o.local) + (begin - o.target.offset());
        if (o.kind == op_kind::read)
            std::memcpy(local, memory_.get() + begin, end - begin);
        else
            std::memcpy(memory_.get() + begin, local, end - begin);
        std::memcpy(&now, at, word_bytes);
        return now;
    }

    /// All pieces at one moment.
    void move(op& o) noexcept {
        if (o.kind == op_kind::read)
            std::memcpy(o.local, memory_.get() + o.target.offset(), o.length);
        else if (o.kind == op_kind::write)
            std::memcpy(memory_.get() + o.target.offset(), o.local, o.length);
        else
            (void)move_piece(o, 0);
    }

private:
    struct release {
        void operator()(std::byte* p) const noexcept { std::free(p); } // NOLINT: from calloc
    };
    using memory_ptr = std::unique_ptr<std::byte, release>;
    [[nodiscard]] static memory_ptr zeroed(std::uint64_t bytes) {
        auto* const p = static_cast<std::byte*>(std::calloc(round_up(bytes, 4096), 1)); // NOLINT: lazily zero
        if (p == nullptr) throw std::bad_alloc();
        return memory_ptr(p);
    }

    std::uint64_t bytes_;
    memory_ptr memory_;
    std::vector<client_id> shut_out_;
    std::uint32_t incarnation_ = 1;
    bool alive_ = true;
};

} // namespace catena
