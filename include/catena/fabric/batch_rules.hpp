// SPDX-License-Identifier: Apache-2.0
// batch_rules: which operations a fabric takes, and how they are counted: the same on every fabric, so that budgets hold on all.
// Thread safety: pure functions.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>

#include <catena/core/bytes.hpp>
#include <catena/core/error.hpp>
#include <catena/fabric/op.hpp>
#include <catena/fabric/stats.hpp>

namespace catena {

/// Does the operation lie within its memory node, and an atomic on a word?
[[nodiscard]] constexpr bool is_valid(op const& o, std::uint16_t nodes, std::uint64_t node_bytes) noexcept {
    if (o.target.node() >= nodes) return false;
    if (o.length > node_bytes || o.target.offset() > node_bytes - o.length) return false;
    bool const atomic = o.kind == op_kind::cas || o.kind == op_kind::faa;
    return !atomic || o.target.offset() % word_bytes == 0;
}

/// What a batch amounts to, before any of it is posted.
struct batch_shape {
    std::uint64_t touched = 0;  ///< memory nodes, one bit each: there are at most 64
    bool changes = false;       ///< is there anything but READs in it?
    std::optional<error> wrong; ///< invalid_argument, with the memory node of the first operation that is not valid

    [[nodiscard]] std::uint64_t doorbells() const noexcept {
        return static_cast<std::uint64_t>(std::popcount(touched));
    }
};
[[nodiscard]] constexpr batch_shape shape_of(batch ops, std::uint16_t nodes, std::uint64_t node_bytes) noexcept {
    batch_shape shape;
    for (op const& o : ops) {
        if (!is_valid(o, nodes, node_bytes)) {
            shape.wrong = make_error(errc::invalid_argument, o.target.node());
            return shape;
        }
        shape.touched |= std::uint64_t{1} << o.target.node();
        shape.changes |= o.kind != op_kind::read;
    }
    return shape;
}

/// One operation in the counters of its channel.
constexpr void count(op const& o, fabric_stats& stats) noexcept {
    switch (o.kind) {
    case op_kind::read:
        ++stats.reads;
        stats.bytes_read += o.length;
        return;
    case op_kind::write:
        ++stats.writes;
        stats.bytes_written += o.length;
        return;
    case op_kind::cas: ++stats.cas; break;
    case op_kind::faa: ++stats.faa; break;
    }
    stats.bytes_read += word_bytes;
    stats.bytes_written += word_bytes;
}

} // namespace catena
