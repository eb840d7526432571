// SPDX-License-Identifier: Apache-2.0
// handshake: what a client and a memory node say to each other in the private data of the connection manager. docs/formats.md draws it.
//
// A request goes along with a connection request; the answer comes with its acceptance or its rejection, so looking and fencing need
// no queue pair and no other port: they are requests that are always rejected, with an answer.
//   hello     who are you?                                    rejected, status ok
//   connect   a queue pair for this client                    accepted, status ok
//   fence     shut `subject` out                              rejected, status ok when none of its queue pairs is left
// Secret    The mac is keyed with the secret and covers the whole request. It holds for the challenge of the memory node that it
//           names, which is a new one each minute; a request with another one, or that came already, is answered with
//           `stale_challenge` and the right one. So who listens on the wire cannot repeat a request, and nobody learns the secret.
//           Readers may have a secret of their own, which proves requests with access_rights::read alone.
// Strangers Who has not proved that he knows the secret is told the challenge and that there is a secret, nothing of the region.
// Run       A memory node has a number that is new at each start. A client names the one that it met first; after a restart it is
//           refused (`restarted`): the list of the fenced died with the server, so an old client may be a fenced one.
// Thread safety: pure functions and plain values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <catena/core/bytes.hpp>

namespace catena::verbs {

inline constexpr std::uint32_t handshake_magic = 0x4e544143; // "CATN"
inline constexpr std::uint16_t handshake_version = 1;

enum class purpose : std::uint8_t { hello = 1, connect = 2, fence = 3 };
enum class access_rights : std::uint8_t { write = 0, read = 1 };
enum class verdict : std::uint8_t {
    ok = 0,
    stale_challenge = 1, ///< ask again with the challenge of this answer, and another number
    wrong_secret = 2,
    wrong_version = 3, ///< `version` says which one the memory node speaks
    fenced = 4,
    too_many = 5, ///< connections
    restarted = 6,
    no_resources = 7, ///< the memory node could not make a queue pair
    malformed = 8,
};

using mac = std::array<std::uint8_t, 16>;

struct request {
    std::uint32_t magic = handshake_magic;
    std::uint16_t version = handshake_version;
    purpose what = purpose::hello;
    access_rights access = access_rights::write;
    std::uint64_t client = 0;  ///< who asks; 0: anonymous
    std::uint64_t subject = 0; ///< fence: whom; else a number that the client uses once
    std::uint64_t run = 0;     ///< of the memory node, as the client met it first; 0: not yet
    std::uint64_t challenge = 0;
    mac proof{};
};
static_assert(wire_struct<request> && sizeof(request) == 56); // all that a connection request has room for

struct answer {
    std::uint32_t magic = handshake_magic;
    std::uint16_t version = handshake_version;
    verdict what = verdict::ok;
    std::uint8_t wants_secret = 0;
    std::uint64_t run = 0;
    std::uint64_t challenge = 0;
    std::uint64_t region_bytes = 0;     ///< from here on: 0 unless `what` is ok
    std::uint64_t region_address = 0;   ///< connect
    std::uint32_t region_key = 0;       ///< connect: for READ alone, or for everything, as was asked
    std::uint32_t most_connections = 0; ///< too_many: how many there may be
    std::uint64_t pool_uuid_high = 0;   ///< of the superblock; 0: no pool yet
    std::uint64_t pool_uuid_low = 0;
    std::uint64_t incarnation = 0;
};
static_assert(wire_struct<answer> && sizeof(answer) == 72); // a rejection has room for 148

/// The bytes as a T, if there are enough of them and they begin with the magic. (The connection manager pads.)
template <typename T>
[[nodiscard]] std::optional<T> parse(void const* bytes, std::size_t length) noexcept {
    if (bytes == nullptr || length < sizeof(T)) return std::nullopt;
    T t;
    std::memcpy(&t, bytes, sizeof t);
    if (t.magic != handshake_magic) return std::nullopt;
    return t;
}

} // namespace catena::verbs
