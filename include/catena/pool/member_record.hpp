// SPDX-License-Identifier: Apache-2.0
// member_record: one member of a pool as it lies in remote memory, how lock words name it, and how to tell that it fell
// silent. What clients do with it: pool/membership.hpp.
// Thread safety: member_watch by any thread; the rest are plain values.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>

#include <catena/core/bytes.hpp>
#include <catena/core/remote_ptr.hpp>
#include <catena/fabric/client_id.hpp>
#include <catena/pool/superblock.hpp>

namespace catena {

/// Who this client is in the pool: a slot of the membership table and the use of that slot.
/// The tag is what lock words name: slot (10 bit) and the low 9 bits of the incarnation.
struct member_id {
    std::uint32_t slot = 0;
    std::uint32_t incarnation = 0;

    static constexpr unsigned tag_bits = 19;
    static constexpr unsigned tag_incarnation_bits = 9;
    [[nodiscard]] constexpr std::uint32_t tag() const noexcept {
        return slot << tag_incarnation_bits | (incarnation & ((1U << tag_incarnation_bits) - 1));
    }
    friend constexpr bool operator==(member_id const&, member_id const&) = default;
};

enum class member_phase : std::uint8_t { free = 0, joined = 1, claiming = 2 };

struct member_record {
    word state = 0;     ///< incarnation (32) | phase (8), changed by CAS only
    word heartbeat = 0; ///< counts up, written by the slot's owner only
    word client = 0;    ///< client_id of whoever claimed the slot last; changes only while the phase is claiming
    word reserved = 0;

    [[nodiscard]] constexpr member_phase phase() const noexcept { return static_cast<member_phase>(state & 0xffU); }
    [[nodiscard]] constexpr bool joined() const noexcept { return phase() == member_phase::joined; }
    [[nodiscard]] constexpr std::uint32_t incarnation() const noexcept {
        return static_cast<std::uint32_t>(state >> 32U);
    }
    [[nodiscard]] static constexpr word state_of(std::uint32_t incarnation, member_phase phase) noexcept {
        return word{incarnation} << 32U | static_cast<word>(phase);
    }
    friend constexpr bool operator==(member_record const&, member_record const&) = default;
};
static_assert(wire_struct<member_record> && sizeof(member_record) == 32);
static_assert(members_offset + member_slots * sizeof(member_record) == catalog_offset);

[[nodiscard]] constexpr remote_ptr member_at(std::uint32_t slot) noexcept {
    return {0, members_offset + std::uint64_t{slot} * sizeof(member_record)};
}

/// A member as a lock word names it: its slot, and as many low bits of the incarnation as there was room for.
struct member_name {
    std::uint32_t slot = 0;
    std::uint32_t incarnation = 0;
    std::uint32_t mask = ~0U; ///< which bits of the incarnation are known

    /// From the tag of a node's lock word.
    [[nodiscard]] static constexpr member_name of_tag(std::uint32_t tag) noexcept {
        constexpr auto mask = (1U << member_id::tag_incarnation_bits) - 1;
        return {.slot = tag >> member_id::tag_incarnation_bits & (member_slots - 1),
                .incarnation = tag & mask,
                .mask = mask};
    }
    [[nodiscard]] constexpr bool names(member_id const& m) const noexcept {
        return m.slot == slot && ((m.incarnation ^ incarnation) & mask) == 0;
    }
};

/// Watches one member: has its lease run out, as far as this observer can tell?
class lease_observer {
public:
    /// Feed what was read, when it was asked for and when it was there. True once the record stood still for `lease`, or
    /// names nobody. The states of a slot never come back and its heartbeat only grows: what is the same in two looks was
    /// the same in between, however seldom one looks. And a record that was read in parts is found out by the second
    /// look, which began when all parts of the first one were there.
    /// What counts is the time from the end of the first look to the beginning of the last: an observer that itself
    /// stood still while it looked accuses nobody.
    [[nodiscard]] bool expired(member_record const& seen, std::chrono::nanoseconds asked,
                               std::chrono::nanoseconds answered, std::chrono::nanoseconds lease) noexcept {
        if (seen.phase() == member_phase::free) return true;
        if (!started_ || seen != last_) {
            started_ = true;
            last_ = seen;
            since_ = answered;
            return false;
        }
        return asked - since_ >= lease;
    }

private:
    member_record last_;
    std::chrono::nanoseconds since_{};
    bool started_ = false;
};

/// What the sessions of one client saw of all members. It outlives every operation: one that meets the lock of a dead
/// member with little patience need not see the whole lease go by, the next ones add to what it saw.
/// Memory: 48 KiB once anybody was watched, none before.
class member_watch {
public:
    [[nodiscard]] bool expired(std::uint32_t slot, member_record const& seen, std::chrono::nanoseconds asked,
                               std::chrono::nanoseconds answered, std::chrono::nanoseconds lease) {
        std::lock_guard const guard(mutex_);
        if (observers_ == nullptr) observers_ = std::make_unique<table>();
        return (*observers_)[slot].expired(seen, asked, answered, lease);
    }

private:
    using table = std::array<lease_observer, member_slots>;
    std::mutex mutex_;
    std::unique_ptr<table> observers_;
};

} // namespace catena
