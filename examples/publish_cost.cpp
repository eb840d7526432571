// SPDX-License-Identifier: Apache-2.0
// What does it cost to list the new blocks of a prompt on my pool? publish_cost [URI [KNOWN [NEW [CALLS]]]]
// Every call is a turn of a conversation of its own: its first KNOWN blocks are listed, NEW more were computed just now.
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
    std::size_t const known = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 100;
    std::size_t const fresh = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 20;
    std::size_t const calls = argc > 4 ? std::strtoul(argv[4], nullptr, 10) : 500;
    if (fresh == 0 || calls == 0) return std::fprintf(stderr, "usage: publish_cost [URI [KNOWN [NEW [CALLS]]]]\n"), 2;
    catena::client_options options;
    options.index_name = "publish-cost-" + std::to_string(::getpid());
    auto const engine = catena::client::open(uri, options);
    if (!engine) return std::fprintf(stderr, "%s\n", engine.error().message.c_str()), 1;

    constexpr std::uint32_t block_tokens = 16;
    std::vector<std::uint32_t> tokens((known + fresh) * block_tokens, 1);
    std::vector<catena::location> places(known + fresh, catena::location(std::uint16_t{1}, 1));
    std::vector<double> took;
    std::uint64_t round_trips = 0;
    std::uint64_t bytes = 0;
    for (std::size_t call = 0; call < calls; ++call) {
        tokens[0] = static_cast<std::uint32_t>(call);
        auto const chain =
            catena::hash_chain({.model = "m", .adapter = "", .tenant_salt = "", .block_tokens = block_tokens}, tokens);
        if (!engine->publish(std::span(chain).first(known), std::span(places).first(known))) return 1;
        auto const found = engine->match(chain, places); // as an engine does first: it says where the publish goes on
        if (!found || found->blocks != known) return std::fprintf(stderr, "%zu blocks should be listed\n", known), 1;
        auto const begin = std::chrono::steady_clock::now();
        auto const listed = engine->publish(chain, places, known, found->end);
        took.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
        if (!listed) return std::fprintf(stderr, "publish: %s\n", catena::describe(listed.error().code).data()), 1;
        round_trips += listed->cost.round_trips;
        bytes += listed->cost.bytes_written;
    }
    std::sort(took.begin(), took.end());
    std::printf("%zu blocks behind %zu: p50 %.1f us, p99 %.1f us; %.2f round trips, %.0f bytes written a call\n", fresh,
                known, took[took.size() / 2], took[took.size() * 99 / 100],
                static_cast<double>(round_trips) / static_cast<double>(calls),
                static_cast<double>(bytes) / static_cast<double>(calls));
    return 0;
}
