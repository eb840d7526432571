// SPDX-License-Identifier: Apache-2.0
// catena-bench: see --help, which bench_options.cpp holds.
#include <cstdio>
#include <exception>
#include <string_view>

#include "bench/bench_options.hpp"
#include "bench/compare.hpp"
#include "bench/pool_store.hpp"
#include "bench/ranges_command.hpp"

int main(int argc, char** argv) {
    using namespace catena::bench;
    try {
        if (argc == 5 && argv[1] == hold_pool_command) return hold_pool(argv[2], argv[3], argv[4]);
        if (argc > 1 && std::string_view(argv[1]) == "ranges") return ranges(argc - 1, argv + 1);
        auto const s = parse_bench_arguments(argc, argv);
        return s ? compare(*s) : s.error();
    } catch (std::exception const& failure) {
        std::fprintf(stderr, "catena-bench: %s\n", failure.what());
        return catena::tools::exit_failed;
    }
}
