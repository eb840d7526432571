// SPDX-License-Identifier: Apache-2.0
// catalog: the named indexes of a pool, on memory node 0.
//
// An entry is 256 bytes: state, root, spec, seal. `state` (generation 32 | phase 8) and `root` are changed by CAS while
// clients use the index; the spec is written once while the entry is free and is sealed.
// Creating and dropping happens under the catalog lock, a word that names its owner. Whoever finds it held by a member
// that is gone takes it over (is_gone of membership.hpp: after that nothing of the owner lands here any more): the dead owner's entry is still marked free (its spec is simply overwritten), or
// dropping (any client may drop it again).
//   create  C1 lock;  C2 READ all entries;  C3 WRITE root, spec, seal into a free entry;  C4 WRITE state = ready;
//           C5 unlock.   C3 and C4 are one ordered batch: a ready entry has its spec.
// A reader takes an entry only if its seal fits; a torn one is read again.
// Thread safety: any number of clients. Set-up path: errors are words.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catena/core/result.hpp>
#include <catena/core/task.hpp>
#include <catena/pool/membership.hpp>
#include <catena/pool/retry.hpp>
#include <catena/pool/session.hpp>

namespace catena {

/// What an index is: stored in the catalog, compared field by field when it is opened.
struct index_spec {
    static constexpr std::size_t max_name = 47;

    std::array<char, max_name + 1> name{};
    std::array<char, 16> type{};      ///< "sherman", ...
    std::uint32_t layout_version = 0; ///< of the node format
    std::uint32_t key_bytes = 0;
    std::uint32_t value_bytes = 0;
    std::uint32_t node_bytes = 0;

    friend bool operator==(index_spec const&, index_spec const&) = default;
    [[nodiscard]] std::string_view name_view() const noexcept { return name.data(); }
    [[nodiscard]] std::string_view type_view() const noexcept { return type.data(); }
    void set_name(std::string_view text) noexcept { text.copy(name.data(), max_name); }
    void set_type(std::string_view text) noexcept { text.copy(type.data(), type.size() - 1); }
};
static_assert(wire_struct<index_spec> && sizeof(index_spec) == 80);

enum class index_phase : std::uint8_t { free = 0, ready = 1, dropping = 2 };

struct catalog_entry {
    word state = 0;
    word root = 0; ///< meaning belongs to the index type
    index_spec spec;
    word seal = 0;  ///< XXH3-64 of spec, mixed with the generation
    word lease = 0; ///< who changes the structure of the index (index types that need that)
    std::array<word, 18> reserved{};

    [[nodiscard]] index_phase phase() const noexcept { return static_cast<index_phase>(state & 0xffU); }
    [[nodiscard]] std::uint32_t generation() const noexcept { return static_cast<std::uint32_t>(state >> 32U); }
    [[nodiscard]] static constexpr word state_of(std::uint32_t generation, index_phase phase) noexcept {
        return word{generation} << 32U | static_cast<word>(phase);
    }
    [[nodiscard]] word expected_seal() const noexcept {
        return hash64(&spec, sizeof spec) ^ mix64(generation() + 1ULL);
    }
};
static_assert(wire_struct<catalog_entry> && sizeof(catalog_entry) == catalog_entry_bytes);

/// An index in the catalog: where its entry is and which use of that entry.
struct catalog_handle {
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;

    [[nodiscard]] constexpr remote_ptr entry() const noexcept {
        return {0, catalog_offset + std::uint64_t{slot} * catalog_entry_bytes};
    }
    [[nodiscard]] constexpr remote_ptr root() const noexcept { return entry() + word_bytes; }
    [[nodiscard]] constexpr remote_ptr lease() const noexcept {
        return entry() + (catalog_entry_bytes - 19 * word_bytes); // offsetof(catalog_entry, lease), asserted below
    }
    /// What the nodes of this index carry, so that a node of another index, or of a dropped one, is told from its own.
    [[nodiscard]] constexpr std::uint16_t tag() const noexcept {
        return static_cast<std::uint16_t>(slot << 10U | (generation & 0x3ffU));
    }
    friend constexpr bool operator==(catalog_handle const&, catalog_handle const&) = default;
};

static_assert(catalog_handle{}.lease() == catalog_handle{}.entry() + offsetof(catalog_entry, lease));

struct catalog_listing {
    catalog_handle handle;
    index_spec spec;
    index_phase phase;
};

/// "key_bytes is 8, expected 16": the first field in which an index differs from what the caller's types need.
[[nodiscard]] inline std::optional<std::string> mismatch(index_spec const& found, index_spec const& wanted) {
    auto const differs = [&](char const* field, auto is, auto expected) {
        return "index '" + std::string(found.name_view()) + "': " + field + " is " + is + ", expected " + expected;
    };
    auto const text = [](std::uint32_t n) { return std::to_string(n); };
    if (found.type != wanted.type)
        return differs("type", std::string(found.type_view()), std::string(wanted.type_view()));
    if (found.layout_version != wanted.layout_version)
        return differs("layout_version", text(found.layout_version), text(wanted.layout_version));
    if (found.key_bytes != wanted.key_bytes) return differs("key_bytes", text(found.key_bytes), text(wanted.key_bytes));
    if (found.value_bytes != wanted.value_bytes)
        return differs("value_bytes", text(found.value_bytes), text(wanted.value_bytes));
    if (found.node_bytes != wanted.node_bytes)
        return differs("node_bytes", text(found.node_bytes), text(wanted.node_bytes));
    return std::nullopt;
}

namespace detail {

/// Reads all entries whole: an entry in use whose seal does not fit is read again.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> read_catalog(Session& s, std::span<catalog_entry> entries) {
    retry again;
    for (;;) {
        op read = op::read({0, catalog_offset}, entries.data(), entries.size_bytes());
        if (auto const r = co_await s.submit(read); !r) co_return r.error();
        bool whole = true;
        for (auto const& e : entries) whole &= e.phase() == index_phase::free || e.seal == e.expected_seal();
        if (whole) co_return result<void>{};
        if (auto const r = co_await again.wait(s); !r) co_return make_error(errc::corrupt);
    }
}

inline constexpr remote_ptr catalog_lock{0, catalog_lock_offset};

/// The lock word: slot (32) | incarnation (31) | held (1), 0 when free.
[[nodiscard]] constexpr word catalog_lock_of(member_id m) noexcept {
    return word{m.slot} << 32U | word{m.incarnation & 0x7fffffffU} << 1U | 1U;
}

[[nodiscard]] constexpr member_name catalog_lock_owner(word lock) noexcept {
    return {.slot = static_cast<std::uint32_t>(lock >> 32U) % member_slots,
            .incarnation = static_cast<std::uint32_t>(lock >> 1U) & 0x7fffffffU,
            .mask = 0x7fffffffU};
}

/// Takes the catalog lock, from a dead owner if need be (that takes one lease).
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> lock_catalog(Session& s) {
    retry again;
    word const mine = catalog_lock_of(s.pool().self);
    for (word expected = 0;;) {
        op take = op::cas(catalog_lock, expected, mine);
        if (auto const r = co_await s.submit(take); !r) co_return r.error();
        if (take.swapped()) co_return result<void>{};
        expected = 0;
        if (word const holder = take.fetched; holder != 0) {
            auto const gone = co_await is_gone(s, catalog_lock_owner(holder));
            if (!gone) co_return gone.error();
            if (*gone) expected = holder;
        }
        if (auto const r = co_await again.wait(s); !r) co_return r.error();
    }
}

template <typename Session>
[[nodiscard, gnu::noinline]] task<result<void>> unlock_catalog(Session& s) {
    op release = op::cas(catalog_lock, catalog_lock_of(s.pool().self), 0);
    co_return co_await s.submit(release);
}

} // namespace detail

/// All indexes of the pool. 1 round trip.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<std::vector<catalog_listing>>> list_indexes(Session& s) {
    scratch_lease const memory(s.scratches());
    auto const entries = memory->template take<catalog_entry>(catalog_slots);
    if (auto const r = co_await detail::read_catalog(s, entries); !r) co_return r.error();
    std::vector<catalog_listing> found;
    for (std::uint32_t slot = 0; slot < entries.size(); ++slot) {
        auto const& e = entries[slot];
        if (e.phase() != index_phase::free)
            found.push_back({.handle = {slot, e.generation()}, .spec = e.spec, .phase = e.phase()});
    }
    co_return found;
}

/// The index of that name. Errors: not_found, dropped (somebody is dropping it), corrupt. 1 round trip.
template <typename Session>
[[nodiscard, gnu::noinline]] task<result<catalog_listing>> find_index(Session& s, std::string_view name) {
    auto const all = co_await list_indexes(s);
    if (!all) co_return all.error();
    for (auto const& listing : *all) {
        if (listing.spec.name_view() != name) continue;
        if (listing.phase != index_phase::ready) co_return make_error(errc::dropped);
        co_return listing;
    }
    co_return make_error(errc::not_found);
}

/// Enters a new index whose root is made by `make_root(catalog_handle) -> task<result<word>>` once the entry is known.
/// Errors: invalid_argument (empty or too long a name), already_exists, full, and those of make_root; nothing is entered.
template <typename Session, typename MakeRoot>
[[nodiscard, gnu::noinline]] task<result<catalog_handle>> create_index(Session& s, index_spec const& spec,
                                                                       MakeRoot make_root) {
    bool const terminated = spec.name.back() == 0 && spec.type.back() == 0;
    if (!terminated || spec.name_view().empty()) co_return make_error(errc::invalid_argument);
    if (auto const r = co_await detail::lock_catalog(s); !r) co_return r.error();
    scratch_lease const memory(s.scratches());
    auto const entries = memory->template take<catalog_entry>(catalog_slots);
    auto const body = [&]() -> task<result<catalog_handle>> {
        if (auto const r = co_await detail::read_catalog(s, entries); !r) co_return r.error();
        std::uint32_t slot = catalog_slots;
        for (std::uint32_t i = 0; i < catalog_slots; ++i) {
            if (entries[i].phase() == index_phase::free) {
                if (slot == catalog_slots) slot = i;
            } else if (entries[i].spec.name_view() == spec.name_view()) {
                co_return make_error(errc::already_exists);
            }
        }
        if (slot == catalog_slots) co_return make_error(errc::full);
        catalog_handle const handle{.slot = slot, .generation = entries[slot].generation()};
        auto const root = co_await make_root(handle);
        if (!root) co_return root.error();
        auto& entry = entries[slot];
        entry.spec = spec;
        entry.root = *root;
        entry.lease = 0; // a client with a handle of the index before may have left its word here
        entry.seal = entry.expected_seal();
        word const ready = catalog_entry::state_of(handle.generation, index_phase::ready);
        std::array ops{op::write(handle.root(), &entry.root, catalog_entry_bytes - word_bytes),
                       op::write(handle.entry(), &ready, word_bytes)};
        if (auto const r = co_await s.submit(batch(ops)); !r) co_return r.error();
        co_return handle;
    };
    auto const created = co_await body();
    if (auto const r = co_await detail::unlock_catalog(s); !r) co_return r.error();
    co_return created;
}

/// Takes an index off the catalog. `free_nodes() -> task<result<void>>` runs after nobody can open it any more and
/// before the entry is free for another index. Errors: dropped (it is gone already), and those of free_nodes (the entry
/// stays in phase dropping: drop it again).
template <typename Session, typename FreeNodes>
[[nodiscard, gnu::noinline]] task<result<void>> drop_index(Session& s, catalog_handle handle, FreeNodes free_nodes) {
    if (auto const r = co_await detail::lock_catalog(s); !r) co_return r.error();
    auto const body = [&]() -> task<result<void>> {
        word state = 0;
        op read = op::read(handle.entry(), &state, word_bytes);
        if (auto const r = co_await s.submit(read); !r) co_return r.error();
        word const ready = catalog_entry::state_of(handle.generation, index_phase::ready);
        word const dropping = catalog_entry::state_of(handle.generation, index_phase::dropping);
        if (state != ready && state != dropping) co_return make_error(errc::dropped);
        op mark = op::cas(handle.entry(), state, dropping);
        if (auto const r = co_await s.submit(mark); !r) co_return r.error();
        if (auto const r = co_await free_nodes(); !r) co_return r.error();
        op free = op::cas(handle.entry(), dropping, catalog_entry::state_of(handle.generation + 1, index_phase::free));
        co_return co_await s.submit(free);
    };
    auto const dropped = co_await body();
    if (auto const r = co_await detail::unlock_catalog(s); !r) co_return r.error();
    co_return dropped;
}

} // namespace catena
