// SPDX-License-Identifier: Apache-2.0
// How many matches a second does my pool answer? many_engines [URI [THREADS [SECONDS]]]: all threads ask for the same prompts.
// One client serves them all, as in an engine; start the program several times, on several machines, for more.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <catena/client.hpp>

int main(int argc, char** argv) {
    std::string const uri = argc > 1 ? argv[1] : "local:?size=256MiB";
    unsigned long const threads = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 2;
    double const seconds = argc > 3 ? std::strtod(argv[3], nullptr) : 0.2;
    if (threads == 0 || threads > 1024 || seconds <= 0)
        return std::fprintf(stderr, "usage: many_engines [URI [THREADS [SECONDS]]]\n"), 2;
    catena::client_options options;
    options.index_name = "many-engines-" + std::to_string(::getpid());
    options.max_sessions = threads;
    auto const engine = catena::client::open(uri, options);
    if (!engine) return std::fprintf(stderr, "%s\n", engine.error().message.c_str()), 1;

    constexpr std::uint32_t prompts = 200;
    constexpr std::size_t blocks = 100;
    std::vector<std::vector<catena::block_hash>> chains;
    for (std::uint32_t prompt = 0; prompt < prompts; ++prompt) {
        std::vector<std::uint32_t> tokens(blocks * 16, prompt);
        std::vector<catena::location> places(blocks, catena::location(std::uint16_t{1}, prompt));
        chains.push_back(
            catena::hash_chain({.model = "m", .adapter = "", .tenant_salt = "", .block_tokens = 16}, tokens));
        if (!engine->publish(chains.back(), places)) return std::fprintf(stderr, "the pool is too small\n"), 1;
    }

    std::atomic<std::uint64_t> matches{0};
    std::atomic<std::uint64_t> wrong{0};
    auto const until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    std::vector<std::jthread> running;
    for (unsigned long thread = 0; thread < threads; ++thread)
        running.emplace_back([&, thread] {
            std::uint64_t done = 0;
            for (; std::chrono::steady_clock::now() < until; ++done) {
                auto const found = engine->match(chains[(thread * 17 + done) % prompts]);
                if (!found || found->blocks != blocks) wrong.fetch_add(1);
            }
            matches.fetch_add(done);
        });
    running.clear(); // waits for them
    auto const rate = static_cast<double>(matches.load()) / seconds;
    std::printf("%lu threads: %.0f matches a second, %.1f million blocks\n", threads, rate, rate * blocks * 1e-6);
    return wrong.load() == 0 && matches.load() > 0 ? 0 : 1;
}
