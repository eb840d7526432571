// SPDX-License-Identifier: Apache-2.0
#include "bench/machine.hpp"

#include <fstream>
#include <thread>

#include <sys/utsname.h>
#include <unistd.h>

#include <fmt/format.h>

namespace catena::bench {
namespace {

std::string processor_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        auto const colon = line.find(": ");
        if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
    }
    return "unknown";
}

} // namespace

machine this_machine() {
    utsname system{};
    uname(&system);
    auto const pages = sysconf(_SC_PHYS_PAGES);
    auto const page = sysconf(_SC_PAGESIZE);
#if defined(__clang__)
    auto compiler = fmt::format("clang {}", __clang_version__);
#else
    auto compiler = fmt::format("g++ {}", __VERSION__);
#endif
    return {.processor = processor_name(),
            .processors = std::thread::hardware_concurrency(),
            .memory_bytes =
                pages > 0 && page > 0 ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page) : 0,
            .kernel = fmt::format("{} {} {}", system.sysname, system.release, system.machine),
            .compiler = std::move(compiler)};
}

} // namespace catena::bench
