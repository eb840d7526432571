// SPDX-License-Identifier: Apache-2.0
#include "support/catch.hpp"

#include "tools/pool_size.hpp"

using namespace catena::tools;

TEST_CASE("the size in a pool's URI is replaced, the rest stays", "[tools]") {
    auto const gib = std::uint64_t{1} << 30U;
    CHECK(with_size("local:?size=1MiB", gib) == "local:?size=1GiB");
    CHECK(with_size("local:?nodes=2&size=1MiB&lease=5", gib) == "local:?nodes=2&size=1GiB&lease=5");
    CHECK(with_size("shm:size=3?size=4K", gib) == "shm:size=3?size=1GiB");
    CHECK(with_size("shm:x?nodes=2", gib) == "shm:x?nodes=2&size=1GiB");
    CHECK(with_size("shm:x?mysize=2", gib) == "shm:x?mysize=2&size=1GiB");
    CHECK(with_size("shm:x", gib) == "shm:x?size=1GiB");
    CHECK(with_size("local:?", gib) == "local:?size=1GiB");
    CHECK(advice_to_enlarge("local:", gib) == "try --pool 'local:?size=1GiB'");
    CHECK(advice_to_enlarge("shm:x?size=4K", gib) ==
          "try --pool 'shm:x?size=1GiB' under another name: a pool that exists keeps its size");
    CHECK(advice_to_enlarge("verbs://a,b", gib) == "give each memory node more (catena-memd --size 1GiB), then make "
                                                   "the pool again (catena-pool create)");
    CHECK(size_of("local:?nodes=2&size=1GiB") == gib);
    CHECK(size_of("local:?nodes=2") == 0);
    CHECK(size_of("local:?size=huge") == 0);
}

TEST_CASE("the advised size holds the whole trace at the measured bytes a block, with room to spare", "[tools]") {
    auto const mib = std::uint64_t{1} << 20U;
    // 100 bytes a block, one million blocks: 125 MB with a quarter of reserve
    pool_use use{.pool_bytes = 10 * mib,
                 .bytes_taken = 10'000'000,
                 .blocks_listed = 100'000,
                 .blocks_expected = 1'000'000,
                 .memory_nodes = 1};
    CHECK(sufficient_node_size(use) == 128 * mib);
    use.memory_nodes = 2;
    CHECK(sufficient_node_size(use) == 64 * mib);
    use = {.pool_bytes = 512 * mib, .bytes_taken = 512 * mib, .blocks_listed = 2'000, .blocks_expected = 2'001};
    CHECK(sufficient_node_size(use) == 1024 * mib); // never less than twice
    use = {.blocks_expected = 1'000'000};           // nothing measured
    CHECK(sufficient_node_size(use) == 128 * mib);
    use.by_extents = true;
    CHECK(sufficient_node_size(use) == 64 * mib);
    use.sessions = 8; // each has chunks of its own
    CHECK(sufficient_node_size(use) == 128 * mib);
}
