// SPDX-License-Identifier: Apache-2.0
#include "tools/chains.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

#include <catena/core/config.hpp>
#include <catena/prefix/chain.hpp>
#include <fmt/format.h>

namespace catena::tools {
namespace {

block_hash part_hash(block_hash parent, std::uint64_t id, std::uint32_t part) {
    std::array const words{static_cast<std::uint32_t>(id), static_cast<std::uint32_t>(id >> 32U), part};
    return child_hash(parent, words);
}

// Ids mean something within their trace only. What a trace begins with tells traces apart, and stays the same however
// much of it is replayed.
block_hash root_of(trace const& trace, std::uint32_t block_tokens) {
    std::string salt = std::to_string(trace.block_tokens);
    if (!trace.requests.empty()) {
        auto const& first = trace.requests.front();
        salt += fmt::format(" {}", first.input_length);
        for (auto const id : trace.ids_of(first)) salt += fmt::format(" {}", id);
    }
    return chain_namespace{.model = "catena-replay", .adapter = "", .tenant_salt = salt, .block_tokens = block_tokens}
        .digest();
}

struct hash_of_block {
    std::size_t operator()(block_hash const& block) const noexcept { return static_cast<std::size_t>(block.low); }
};

} // namespace

std::optional<std::string> unfit(trace const& trace, chain_shape const& shape) {
    if (shape.block_tokens != 0 && trace.block_tokens % shape.block_tokens == 0) return std::nullopt;
    return fmt::format("blocks of {} tokens do not divide the trace's blocks of {} tokens", shape.block_tokens,
                       trace.block_tokens);
}

chain_maker::chain_maker(trace const& trace, chain_shape const& shape)
    : trace_(&trace), shape_(shape), parts_(trace.block_tokens / shape.block_tokens),
      root_(root_of(trace, shape.block_tokens)) {
    CATENA_ASSERT(!unfit(trace, shape));
}

std::uint64_t chain_maker::blocks(request const& r) const {
    return shape_.full_blocks_only ? r.input_length / shape_.block_tokens
                                   : blocks_for(r.input_length, shape_.block_tokens);
}

void chain_maker::hash(request const& r, std::vector<block_hash>& chain) const {
    auto const total = static_cast<std::size_t>(blocks(r));
    chain.clear();
    chain.reserve(total);
    auto parent = root_;
    for (auto const id : trace_->ids_of(r))
        for (std::uint32_t part = 0; part < parts_ && chain.size() < total; ++part) {
            parent = part_hash(parent, id, part);
            chain.push_back(parent);
        }
    CATENA_ASSERT(chain.size() == total);
}

std::uint64_t chain_maker::unique_blocks(std::span<request const> requests) const {
    // For each trace block the longest part of it that some request reaches; one node for each is enough.
    std::unordered_map<block_hash, std::uint32_t, hash_of_block> reached;
    for (auto const& r : requests) {
        auto left = blocks(r);
        auto node = root_;
        for (auto const id : trace_->ids_of(r)) {
            if (left == 0) break;
            node = part_hash(node, id, 0);
            auto const here = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, parts_));
            auto& most = reached[node];
            most = std::max(most, here);
            left -= here;
        }
    }
    std::uint64_t all = 0;
    for (auto const& [node, parts] : reached) all += parts;
    return all;
}

std::uint64_t count_wrong(std::span<block_hash const> chain, std::span<location const> locations) {
    std::uint64_t wrong = 0;
    for (std::size_t i = 0; i < chain.size(); ++i)
        if (locations[i] != made_up_location(chain[i])) ++wrong;
    return wrong;
}

} // namespace catena::tools
