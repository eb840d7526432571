// SPDX-License-Identifier: Apache-2.0
// secret: what clients and memory nodes of a pool both know (libsodium: BLAKE2b, keyed).
// Thread safety: immutable once read.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include <catena/core/result.hpp>

#include "fabric/verbs/handshake.hpp"

namespace catena::verbs {

class secret {
public:
    /// No secret: proofs are zero, and everyone's is right.
    secret() = default;
    /// The file's contents without white space at the ends, at least 16 bytes. Errors: invalid_argument (the file cannot be read, is
    /// too short, or may be read by others than its owner and group).
    [[nodiscard]] static setup_result<secret> from_file(std::string const& path);

    [[nodiscard]] bool any() const noexcept { return key_.has_value(); }
    [[nodiscard]] mac proof_of(request r) const;       ///< r.proof does not count
    [[nodiscard]] bool proves(request const& r) const; ///< in a time that does not depend on r

private:
    std::optional<std::array<std::uint8_t, 32>> key_;
};

/// 64 bits that nobody can guess.
[[nodiscard]] std::uint64_t unguessable();

} // namespace catena::verbs
