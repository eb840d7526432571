// SPDX-License-Identifier: Apache-2.0
// How much of this prompt is cached, and where? The code of the README's first screen.
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <vector>

#include <catena/client.hpp>

int main() {
    auto cache = catena::client::open("local:?size=64MiB"); // or shm:NAME?size=1GiB, shared by processes
    if (!cache) return std::fprintf(stderr, "%s\n", cache.error().message.c_str()), 1;

    std::vector<std::uint32_t> tokens(100); // a prompt of 100 tokens: 6 full blocks of 16
    std::iota(tokens.begin(), tokens.end(), 0U);
    auto const chain =
        catena::hash_chain({.model = "llama-3-8b", .adapter = "", .tenant_salt = "", .block_tokens = 16}, tokens);

    std::vector<catena::location> where; // an earlier request left its first 4 blocks in segment 7
    for (std::uint64_t block = 0; block < 4; ++block) where.emplace_back(std::uint16_t{7}, block);
    auto const published = cache->publish(std::span(chain).first(4), where);
    if (!published) return std::fprintf(stderr, "%s\n", catena::describe(published.error().code).data()), 1;

    std::vector<catena::location> found(chain.size());
    auto const match = cache->match(chain, found);
    if (!match) return std::fprintf(stderr, "%s\n", catena::describe(match.error().code).data()), 1;
    std::printf("%zu of %zu blocks are cached; block 3 is at segment %d, block %d; %d round trip\n", match->blocks,
                chain.size(), int{found[3].segment()}, static_cast<int>(found[3].block()),
                static_cast<int>(match->cost.round_trips));
    return match->blocks == 4 ? 0 : 1;
}
