// SPDX-License-Identifier: Apache-2.0
// catena-memd: see --help, which options.cpp holds.
#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <optional>
#include <utility>

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <catena/fabric/word_memory.hpp>
#include <catena/pool/superblock.hpp>
#include <fmt/format.h>

#include "memory_node/metrics.hpp"
#include "memory_node/options.hpp"
#include "tools/exit_code.hpp"
#include "tools/units.hpp"

namespace {

using namespace catena;
using namespace catena::memory_node;

[[nodiscard]] superblock read_superblock(region const& r) {
    superblock s{};
    word_memory::copy_out(reinterpret_cast<std::byte*>(&s), r.begin(), sizeof s);
    return s;
}

[[nodiscard]] metrics_facts facts_of(region const& r) {
    auto const s = read_superblock(r);
    bool const pool = s.magic == pool_magic;
    auto const cursor = word_memory::load(r.begin() + cursor_offset);
    return {.region_bytes = r.bytes(),
            .huge_pages = r.in_huge_pages(),
            .bytes_taken = pool ? std::min<std::uint64_t>(r.bytes(), heap_begin(s) + cursor) : 0,
            .has_pool = pool};
}

/// Signals that end the program become readable instead: there is one place that waits.
[[nodiscard]] int block_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    return ::signalfd(-1, &set, SFD_CLOEXEC);
}

int run(settings const& s) {
    auto const complain = [](setup_error const& e) {
        fmt::print(stderr, "catena-memd: {}\n", e.message);
        return e.code == errc::invalid_argument ? tools::exit_usage : tools::exit_failed;
    };
    int const signals = block_signals(); // before there is another thread
    auto const memory = region::open(s.region);
    if (!memory) return complain(memory.error());
    auto const who_is_it = [&memory]() -> verbs::pool_identity {
        auto const found = read_superblock(*memory);
        if (found.magic != pool_magic) return {};
        return {.uuid_high = found.uuid.high, .uuid_low = found.uuid.low, .incarnation = found.incarnation};
    };
    auto server = verbs::memory_server::start(memory->begin(), memory->bytes(), who_is_it, s.server);
    if (!server) return complain(server.error());
    std::optional<metrics_server> metrics;
    if (s.metrics_port != 0) {
        auto started = metrics_server::start(s.metrics_port);
        if (!started) return complain(started.error());
        metrics.emplace(std::move(*started));
    }
    fmt::print("catena-memd: {} of memory{}{}, {}, on {} ({}){}\n", tools::human_size(memory->bytes()),
               memory->in_huge_pages() ? " in huge pages" : "", s.region.file.empty() ? "" : " in " + s.region.file,
               read_superblock(*memory).magic == pool_magic ? "with a pool on it" : "no pool on it yet",
               s.server.listen.empty() ? "all devices" : s.server.listen, server->devices(),
               s.server.secret_file.empty() ? "; no secret: whoever reaches it may read and write it" : "");
    std::fflush(stdout);

    auto const devices = server->devices();
    std::array<pollfd, 2> both{{{.fd = server->descriptor(), .events = POLLIN, .revents = 0},
                                {.fd = signals, .events = POLLIN, .revents = 0}}};
    while ((both[1].revents & POLLIN) == 0) {
        server->serve();
        if (server->devices().empty()) {
            fmt::print(stderr, "catena-memd: no RDMA device is left to serve on: {} was removed\n", devices);
            return tools::exit_failed;
        }
        // What clients changed since shows when somebody connects or asks: nothing here looks at memory by itself.
        if (metrics) metrics->update(server->counters(), facts_of(*memory));
        if (::poll(both.data(), both.size(), metrics ? 5000 : -1) < 0 && errno != EINTR) break;
    }
    fmt::print("catena-memd: ended by a signal; {} connections were open\n", server->counters().connections);
    return tools::exit_ok;
}

} // namespace

int main(int argc, char** argv) {
    try {
        auto const s = parse_arguments(argc, argv);
        return s ? run(*s) : s.error();
    } catch (std::exception const& failure) {
        std::fprintf(stderr, "catena-memd: %s\n", failure.what());
        return tools::exit_failed;
    }
}
