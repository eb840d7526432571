// SPDX-License-Identifier: Apache-2.0
// What can go wrong, and what happened to the data when it did.
// Thread safety: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace catena {

/// Each value says what happened to the data. "Not found" is a value (an empty optional), never an error.
enum class errc : std::uint8_t {
    contended = 1, ///< the retry budget was spent; this operation changed nothing more, no lock is left behind
    out_of_memory, ///< no memory node has room for that size; no effect
    timed_out,     ///< a posted operation never completed; effect UNKNOWN, only a read can tell
    unreachable,   ///< the memory node does not answer; effect UNKNOWN
    corrupt,       ///< bytes violate a layout invariant; nothing was written
    bad_format,    ///< superblock or catalog differ from what was asked for; nothing was written
    unsupported,   ///< the fabric lacks a guarantee that is needed, or a feature is not built in; nothing was written
    invalid_argument, ///< the caller's argument is outside the documented range; nothing was done
    already_exists,   ///< that name, or a pool, is there already; nothing was written
    not_found,        ///< no index or pool of that name; nothing was written
    dropped,          ///< the index was dropped while it was in use; later operations fail in the same way
    full,             ///< the catalog or the membership table has no free slot; nothing was written
    lease_lost,       ///< this client's lease ran out before the operation took effect; nothing was written
    fenced, ///< others took this client for dead and shut it out; effect of the operation UNKNOWN; open the pool again
    restarted, ///< a memory node was restarted under this client; effect of the operation UNKNOWN; open the pool again
    read_only, ///< this client opened the pool for reading alone; nothing was written
};

/// A one-word reason, stable enough for logs and tests.
[[nodiscard]] constexpr std::string_view name(errc code) noexcept {
    switch (code) {
    case errc::contended: return "contended";
    case errc::out_of_memory: return "out_of_memory";
    case errc::timed_out: return "timed_out";
    case errc::unreachable: return "unreachable";
    case errc::corrupt: return "corrupt";
    case errc::bad_format: return "bad_format";
    case errc::unsupported: return "unsupported";
    case errc::invalid_argument: return "invalid_argument";
    case errc::already_exists: return "already_exists";
    case errc::not_found: return "not_found";
    case errc::dropped: return "dropped";
    case errc::full: return "full";
    case errc::lease_lost: return "lease_lost";
    case errc::fenced: return "fenced";
    case errc::restarted: return "restarted";
    case errc::read_only: return "read_only";
    }
    return "unknown";
}

/// The sentence that a person needs: what happened, and what it did to the data.
[[nodiscard]] constexpr std::string_view describe(errc code) noexcept {
    switch (code) {
    case errc::contended: return "gave up after waiting for another client's lock; nothing further was changed";
    case errc::out_of_memory: return "the pool has no free memory of that size; nothing was changed";
    case errc::timed_out: return "an operation did not complete in time; whether it took effect is unknown";
    case errc::unreachable: return "a memory node does not answer; whether the operation took effect is unknown";
    case errc::corrupt: return "remote bytes violate the format; nothing was written";
    case errc::bad_format: return "the pool or index has another format than asked for; nothing was written";
    case errc::unsupported: return "not supported by this fabric or this build; nothing was written";
    case errc::invalid_argument: return "an argument is outside its range; nothing was done";
    case errc::already_exists: return "it exists already; nothing was written";
    case errc::not_found: return "there is none of that name; nothing was written";
    case errc::dropped: return "the index was dropped meanwhile";
    case errc::full: return "no free slot is left; nothing was written";
    case errc::lease_lost: return "this client's lease ran out; nothing was written";
    case errc::fenced:
        return "others took this client for dead and shut it out; whether the operation took effect is unknown; "
               "open the pool again";
    case errc::restarted:
        return "a memory node was restarted; whether the operation took effect is unknown; open the pool again";
    case errc::read_only: return "this client opened the pool for reading alone; nothing was written";
    }
    return "unknown error";
}

/// The error of the data path: travels in a register, never allocates.
struct error {
    errc code;
    std::uint8_t reserved = 0;
    std::uint16_t node = 0;  ///< the memory node concerned, 0 where none is
    std::int32_t native = 0; ///< errno or ibv_wc_status of the fabric, 0 where there is none

    friend constexpr bool operator==(error const&, error const&) = default;
};
static_assert(sizeof(error) == 8);

[[nodiscard]] constexpr error make_error(errc code, std::uint16_t node = 0, std::int32_t native = 0) noexcept {
    return error{.code = code, .reserved = 0, .node = node, .native = native};
}

/// The error of set-up (opening pools, parsing URIs): may be slow, says which field differs and what to do.
struct setup_error {
    errc code;
    std::string message;

    setup_error(errc c, std::string text) : code(c), message(std::move(text)) {}
    setup_error(error e) : code(e.code), message(describe(e.code)) {} // NOLINT: a data-path error while setting up
};

} // namespace catena
