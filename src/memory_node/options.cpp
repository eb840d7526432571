// SPDX-License-Identifier: Apache-2.0
#include "memory_node/options.hpp"

#include <map>

#include <CLI/CLI.hpp>
#include <catena/fabric/verbs_fabric.hpp>
#include <catena/pool/superblock.hpp>
#include <catena/version.hpp>
#include <fmt/format.h>

#include "tools/exit_code.hpp"
#include "tools/option_checks.hpp"
#include "tools/units.hpp"

namespace catena::memory_node {

namespace {

constexpr auto about =
    R"(A memory node of a catena pool: gives a region of its memory to clients over RDMA, and then does nothing:
READs, WRITEs and atomics of clients involve its NIC, not its processor.)";

constexpr auto more = R"(
Several memory nodes make a pool. On each of two hosts:
  catena-memd --size 64GiB --listen 10.0.0.1:7474 --secret /etc/catena/secret
then once, anywhere:
  catena-pool create 'verbs://10.0.0.1:7474,10.0.0.2:7474?secret=/etc/catena/secret'
and engines open that URI.

The memory is zero at the start and gone at the end, unless --region names a file in memory: then a new process goes on with what
the last one left; clients have to open the pool again either way.

SIGTERM and SIGINT end it: clients are disconnected. Exit codes: 0 ended by a signal, 1 cannot start, or its last RDMA device was
removed, 2 wrong arguments or a secret that cannot be used.)";

} // namespace

result<settings, int> parse_arguments(int argc, char** argv) {
    settings s;
    CLI::App app(about, "catena-memd");
    app.footer(more);
    app.set_version_flag("--version", fmt::format("catena-memd {}", version_string));
    app.get_formatter()->column_width(32);
    std::string size;
    std::uint64_t port = 0;
    std::uint64_t numa = 0;
    app.add_option("--size", size, "Memory to give: a multiple of 2MiB, the same on all\nmemory nodes of a pool")
        ->option_text("SIZE")
        ->required()
        ->check(tools::a_size());
    app.add_option("--listen", s.server.listen, "Address of an RDMA device, and port")
        ->option_text(fmt::format("HOST:PORT [:{}, all devices]", default_memory_node_port));
    app.add_option(
           "--secret", s.server.secret_file,
           "Only clients that know what is in this file may\nconnect (at least 16 bytes; not readable by others)")
        ->option_text("FILE");
    app.add_option("--read-secret", s.server.readers_secret_file,
                   "Clients that know only what is in this one may read,\nwith access=read in their URI")
        ->option_text("FILE");
    std::map<std::string, huge_pages> const kinds{
        {"auto", huge_pages::wanted}, {"yes", huge_pages::required}, {"no", huge_pages::off}};
    app.add_option("--huge-pages", s.region.pages, "Pages of 2 MiB: if there are any, or not without, or\nnot at all")
        ->option_text("auto|yes|no [auto]")
        ->transform(CLI::CheckedTransformer(kinds).description(""));
    auto* const numa_option =
        app.add_option("--numa", numa,
                       "NUMA node to take the memory from: that of the NIC\n(/sys/class/infiniband/*/device/numa_node)")
            ->option_text("N")
            ->check(tools::whole_number(0, 1023));
    app.add_option("--region", s.region.file,
                   "A file in tmpfs or hugetlbfs that holds the memory,\nso that it outlives this process")
        ->option_text("FILE");
    app.add_option("--max-connections", s.server.most_connections,
                   "Bound of queue pairs: one for each session of each\nclient (a client has up to 66)")
        ->option_text(fmt::format("N [{}]", s.server.most_connections))
        ->check(tools::at_least_one(1'000'000));
    app.add_option("--metrics", port, "Port on 127.0.0.1 for Prometheus: GET /metrics")
        ->option_text("PORT [none]")
        ->check(tools::at_least_one(65535));
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        return app.exit(e) == 0 ? tools::exit_ok : tools::exit_usage;
    }
    s.region.bytes = *tools::parse_size(size);
    s.metrics_port = static_cast<std::uint16_t>(port);
    if (*numa_option) s.region.numa_node = static_cast<unsigned>(numa);
    auto const wrong_size = [&](char const* rule) {
        fmt::print(stderr, "catena-memd: --size={}: {}\n", size, rule);
        return tools::exit_usage;
    };
    if (s.region.bytes < min_node_bytes) return wrong_size("a memory node has at least 2 MiB");
    if (s.region.bytes % region_unit != 0) return wrong_size("it must be a multiple of 2 MiB");
    if (!s.server.readers_secret_file.empty() && s.server.secret_file.empty()) {
        fmt::print(stderr, "catena-memd: --read-secret needs --secret, that of clients that write\n");
        return tools::exit_usage;
    }
    return s;
}

} // namespace catena::memory_node
