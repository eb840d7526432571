// SPDX-License-Identifier: Apache-2.0
// An ordered index by itself, without the client: a pool in this process, a sherman_tree in it, a range scan.
#include <array>
#include <cstdint>
#include <cstdio>
#include <span>

#include <catena/fabric/local_fabric.hpp>
#include <catena/index/sherman_tree.hpp>
#include <catena/pool/memory_pool.hpp>

namespace {

using namespace catena;
using tree = sherman_tree<std::uint64_t, std::uint64_t>; // any key of 8 to 64 bytes, any value up to 64

template <typename Session>
task<result<std::size_t>> fill_and_scan(Session& s, tree& squares, std::span<entry<std::uint64_t, std::uint64_t>> out) {
    for (std::uint64_t n = 1; n <= 10'000; ++n) {
        auto const added = co_await squares.insert(s, n, n * n); // every await is one round trip or a few
        if (!added) co_return added.error();
    }
    scan_range<std::uint64_t> const range{.from = 1234, .to = 5678}; // 1234 <= n < 5678
    co_return co_await squares.scan(s, range, out);
}

int failed(setup_error const& e) {
    std::fprintf(stderr, "%s\n", e.message.c_str());
    return 1;
}

} // namespace

int main() {
    auto fabric = local_fabric::create(std::uint64_t{16} << 20U, 2); // two memory nodes of 16 MiB
    if (!fabric) return failed(fabric.error());
    auto pool = memory_pool<local_fabric>::create(*fabric);
    if (!pool) return failed(pool.error());
    auto session = pool->open_session(); // one for each thread
    if (!session) return failed(session.error());
    auto squares = tree::create(*session, "squares", std::size_t{1} << 20U); // 1 MiB of cached internal nodes
    if (!squares) return failed(squares.error());

    std::array<entry<std::uint64_t, std::uint64_t>, 100> found;
    auto const count = sync_wait(*session, fill_and_scan(*session, *squares, std::span(found)));
    if (!count) return failed(setup_error(count.error()));
    std::printf("%zu entries, from %u -> %u to %u -> %u; %.2f round trips a call\n", *count,
                static_cast<unsigned>(found[0].key), static_cast<unsigned>(found[0].value),
                static_cast<unsigned>(found[*count - 1].key), static_cast<unsigned>(found[*count - 1].value),
                static_cast<double>(session->stats().round_trips) / 10'001);
    return *count == found.size() && found[99].key == 1333 ? 0 : 1;
}
