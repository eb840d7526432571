// SPDX-License-Identifier: Apache-2.0
// What does a match of 500 blocks cost on my pool? match_cost [URI [BLOCKS [CALLS]]]; without a URI a pool in this process.
// Every call asks for another prompt that is cached whole, so placements are known, and data comes from the memory nodes.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <unistd.h>

#include <catena/client.hpp>

int main(int argc, char** argv) {
    std::string const uri = argc > 1 ? argv[1] : "local:?size=256MiB";
    std::size_t const blocks = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 500;
    std::size_t const calls = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 1000;
    if (blocks == 0 || calls == 0) return std::fprintf(stderr, "usage: match_cost [URI [BLOCKS [CALLS]]]\n"), 2;
    catena::client_options options;
    options.index_name = "match-cost-" + std::to_string(::getpid()); // an index of its own beside those in use
    auto const engine = catena::client::open(uri, options);
    if (!engine) return std::fprintf(stderr, "%s\n", engine.error().message.c_str()), 1;

    constexpr std::uint32_t block_tokens = 16;
    auto const prompts = std::min<std::size_t>(calls, 100); // that are listed
    std::vector<std::uint32_t> tokens(blocks * block_tokens, 1);
    std::vector<catena::location> places(blocks);
    auto const chain_of = [&](std::size_t prompt) {
        tokens[0] = static_cast<std::uint32_t>(prompt);
        return catena::hash_chain({.model = "m", .adapter = "", .tenant_salt = "", .block_tokens = block_tokens},
                                  tokens);
    };
    for (std::size_t prompt = 0; prompt < prompts; ++prompt) {
        for (std::size_t i = 0; i < blocks; ++i) places[i] = {std::uint16_t{1}, prompt * blocks + i};
        auto const listed = engine->publish(chain_of(prompt), places);
        if (!listed) return std::fprintf(stderr, "publish: %s\n", catena::describe(listed.error().code).data()), 1;
    }

    std::vector<double> took;
    catena::fabric_stats last;
    for (std::size_t call = 0; call < calls; ++call) {
        auto const chain = chain_of(call % prompts);
        auto const begin = std::chrono::steady_clock::now();
        auto const found = engine->match(chain, places);
        took.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
        if (!found || found->blocks != blocks) return std::fprintf(stderr, "a prompt is not listed any more\n"), 1;
        last = found->cost;
    }
    std::sort(took.begin(), took.end());
    std::printf("%zu blocks: p50 %.1f us, p99 %.1f us; the last call: %llu round trips, %llu verbs, %llu bytes read\n",
                blocks, took[took.size() / 2], took[took.size() * 99 / 100],
                static_cast<unsigned long long>(last.round_trips), static_cast<unsigned long long>(last.verbs()),
                static_cast<unsigned long long>(last.bytes_read));
    return 0;
}
