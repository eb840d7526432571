// SPDX-License-Identifier: Apache-2.0
// chain: from token ids to the block hashes of a prompt.
//
// H_0 = XXH3-128(namespace || tokens of block 0), H_i = XXH3-128(H_{i-1} || tokens of block i): equal hashes mean equal
// prefixes in the same namespace. XXH3 is not cryptographic: whoever can choose tokens AND knows the namespace could
// search for collisions; engines that face that bring their own digests (see block_hash).
// Thread safety: pure functions; chain_hasher by one thread at a time.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <catena/prefix/block_hash.hpp>

namespace catena {

/// Everything that makes the same tokens mean different KV data. Each field is framed by its length and its position,
/// so that no two different namespaces have the same bytes ("ab"+"c" is not "a"+"bc").
struct chain_namespace {
    std::string_view model;       ///< model name and revision
    std::string_view adapter;     ///< LoRA adapter, empty for none
    std::string_view tenant_salt; ///< tenants that must not see each other's blocks differ here
    std::uint32_t block_tokens = 16;

    [[nodiscard]] block_hash digest() const {
        std::string framed;
        auto const number = [&framed](std::uint64_t n) {
            for (unsigned byte = 0; byte < 8; ++byte) framed.push_back(static_cast<char>(n >> (8 * byte) & 0xffU));
        };
        auto const text = [&](std::string_view field) {
            number(field.size());
            framed.append(field);
        };
        text("catena.chain.1");
        text(model);
        text(adapter);
        text(tenant_salt);
        number(block_tokens);
        auto const h = hash128(framed.data(), framed.size());
        return {.high = h.high, .low = h.low};
    }
};

/// The hash of the block that follows `parent` and holds `tokens`. The namespace's digest is the first parent.
/// Little-endian token ids of 32 bits. Allocates nothing.
[[nodiscard]] inline block_hash child_hash(block_hash parent, std::span<std::uint32_t const> tokens) noexcept {
    static_assert(std::endian::native == std::endian::little, "hashes are defined over little-endian bytes");
    auto const h = hash128(&parent, sizeof parent, tokens.data(), tokens.size_bytes());
    return {.high = h.high, .low = h.low};
}

/// The block hashes of a whole prompt. Only full blocks are hashed: a partial last block would make a branch in every
/// turn of a conversation, so tokens.size() / block_tokens hashes come back.
[[nodiscard]] inline std::vector<block_hash> hash_chain(chain_namespace const& space,
                                                        std::span<std::uint32_t const> tokens) {
    std::vector<block_hash> chain;
    if (space.block_tokens == 0) return chain;
    chain.reserve(tokens.size() / space.block_tokens);
    block_hash parent = space.digest();
    for (std::size_t at = 0; at + space.block_tokens <= tokens.size(); at += space.block_tokens) {
        parent = child_hash(parent, tokens.subspan(at, space.block_tokens));
        chain.push_back(parent);
    }
    return chain;
}

} // namespace catena
