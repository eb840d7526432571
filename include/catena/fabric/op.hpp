// SPDX-License-Identifier: Apache-2.0
// op: one one-sided operation of a batch.
// Thread safety: plain values, owned by the poster until the batch was awaited.
#pragma once

#include <cstdint>
#include <span>

#include <catena/core/bytes.hpp>
#include <catena/core/remote_ptr.hpp>

namespace catena {

enum class op_kind : std::uint8_t { read, write, cas, faa };

/// A batch is a span of these; awaiting it is one round trip. After the await, `fetched` of an atomic holds the word
/// as it was before, and `local` of a READ holds the bytes.
struct op {
    op_kind kind;
    bool fenced = false;      ///< wait for the READs and atomics posted before it (only where overtaking would matter)
    std::uint32_t length = 0; ///< bytes, READ and WRITE
    remote_ptr target;
    void* local = nullptr; ///< READ: destination; WRITE: source (not changed). Stays valid until awaited.
    word compare = 0;      ///< CAS
    word operand = 0;      ///< CAS: the new word; FAA: what is added
    word fetched = 0;      ///< CAS, FAA: the word before

    [[nodiscard]] static constexpr op read(remote_ptr from, void* to, std::size_t bytes) noexcept {
        return {.kind = op_kind::read, .length = static_cast<std::uint32_t>(bytes), .target = from, .local = to};
    }
    [[nodiscard]] static op write(remote_ptr to, void const* from, std::size_t bytes) noexcept {
        return {.kind = op_kind::write,
                .length = static_cast<std::uint32_t>(bytes),
                .target = to,
                .local = const_cast<void*>(from)}; // NOLINT: one field serves both directions, as in verbs
    }
    [[nodiscard]] static constexpr op cas(remote_ptr at, word expected, word desired) noexcept {
        return {.kind = op_kind::cas, .length = word_bytes, .target = at, .compare = expected, .operand = desired};
    }
    [[nodiscard]] static constexpr op faa(remote_ptr at, word add) noexcept {
        return {.kind = op_kind::faa, .length = word_bytes, .target = at, .operand = add};
    }
    [[nodiscard]] constexpr bool swapped() const noexcept { return fetched == compare; } ///< after a CAS
};

using batch = std::span<op>;

} // namespace catena
