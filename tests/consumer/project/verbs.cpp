// SPDX-License-Identifier: Apache-2.0
// Links the verbs fabric, without the client and without RDMA hardware: there is nothing to connect to, and it says so.
#include <cstdio>
#include <span>
#include <string>

#include <catena/fabric/verbs_fabric.hpp>

int main() {
    auto const opened = catena::verbs_fabric::open(std::span<std::string const>{});
    if (opened) return 1;
    std::puts(opened.error().message.c_str());
    return opened.error().code == catena::errc::invalid_argument ? 0 : 2;
}
