// SPDX-License-Identifier: Apache-2.0
// trace: the requests of an inference service, held in memory compactly, however they came there.
// Thread safety: a plain value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace catena::tools {

/// One prompt: where its block ids lie in trace::ids, and how many tokens they cover.
struct request {
    std::uint64_t line = 0;         ///< where it stood in the file, from 1; its number in a generated trace
    std::uint64_t first_id = 0;     ///< index into trace::ids
    std::uint32_t id_count = 0;     ///< at least 1
    std::uint32_t input_length = 0; ///< tokens, at least 1
    std::uint64_t timestamp = 0;    ///< milliseconds; 0 in a generated trace
};

/// Equal ids mean equal prefixes: each id stands for its own block and all before it.
struct trace {
    std::string name;               ///< file name, or what generated it
    std::uint32_t block_tokens = 0; ///< T: a request of n tokens has ceil(n / T) ids, the last block may be partial
    std::vector<request> requests;
    std::vector<std::uint64_t> ids; ///< of all requests, one after the other

    [[nodiscard]] std::span<std::uint64_t const> ids_of(request const& r) const {
        return std::span{ids}.subspan(static_cast<std::size_t>(r.first_id), r.id_count);
    }
};

/// How many blocks of `block_tokens` a prompt of `tokens` touches, the partial last one included.
[[nodiscard]] constexpr std::uint64_t blocks_for(std::uint64_t tokens, std::uint64_t block_tokens) noexcept {
    return (tokens + block_tokens - 1) / block_tokens;
}

} // namespace catena::tools
